"""What is computed of a finished run: one folder an analysis."""
