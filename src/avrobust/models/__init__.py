"""The classifier, its encoders and its fusions."""
