"""Raw videos to the prepared layout: `avrobust prepare`."""
