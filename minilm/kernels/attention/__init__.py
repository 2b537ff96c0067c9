"""Scaled dot-product attention with grouped heads, masks, windows and biases."""
