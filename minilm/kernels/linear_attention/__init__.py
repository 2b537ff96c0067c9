"""Attention without a softmax, as a sum that can be carried on (arXiv 2006.16236)."""
