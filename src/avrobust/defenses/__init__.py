"""Defenses: training losses, and the losses that an adaptive attacker maximizes."""
