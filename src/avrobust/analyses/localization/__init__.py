"""Where a model takes the sound to come from, clean and attacked."""
