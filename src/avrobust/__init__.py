"""How robust is an audio-visual model when its audio, its video or both are attacked, and what helps?"""
