"""Weights & Biases, TensorBoard, dashboards."""
