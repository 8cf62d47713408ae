"""Adversarial perturbations of clips under a threat."""
