"""The embeddings of clips, clean and attacked."""
