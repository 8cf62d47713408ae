"""The smallest budgets that fool each clip, on audio, video and every mixture of both."""
