"""Defenses: what a model is trained on beyond cross-entropy, and what its attacker should know."""
