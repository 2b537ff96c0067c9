"""A short convolution over time, each channel by itself, that sees nothing of the future."""
