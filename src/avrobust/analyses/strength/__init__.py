"""The smallest budgets that fool each clip."""
