"""Options for avrobust, kept outside its repository."""
