"""Evaluates a model on clips, clean and under conditions."""
