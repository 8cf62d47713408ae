"""Charts for the page (inline SVG) and for the paper (PDF and PNG), each drawn by one function."""
