"""The prepared layout on disk, and its clips as samples and batches."""
