"""The synthetic data set: films of eleven instruments, drawn and synthesized from a seed."""
