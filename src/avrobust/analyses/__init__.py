"""What is computed of a finished run: one folder an analysis, with its command and its section of the page."""
