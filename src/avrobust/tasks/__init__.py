"""What the command line does: train, attack."""
