"""Raw videos to prepared clips, prepared clips to samples."""
