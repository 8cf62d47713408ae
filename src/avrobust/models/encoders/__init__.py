"""Networks from one modality of a clip to its embedding."""
