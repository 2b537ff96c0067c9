"""Softmax and its logarithm over the last axis, with their gradients."""
