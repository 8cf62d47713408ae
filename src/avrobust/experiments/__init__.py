"""Checked configs, run identities, run folders, results, sweeps."""
