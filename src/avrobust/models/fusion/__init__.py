"""Networks from the two embeddings to the feature that is classified."""
