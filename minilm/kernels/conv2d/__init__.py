"""Convolution of pictures and the two gradients of it (LeCun et al. 1989)."""
