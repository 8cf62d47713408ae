"""Where a model puts clips, clean and attacked."""
