"""Computations on finished runs: one folder each, with its command and section of the page."""
