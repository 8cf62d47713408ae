"""Whether a robust accuracy is to be trusted, or the attack may have failed."""
