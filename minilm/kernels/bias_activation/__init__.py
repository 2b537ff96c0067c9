"""A feed-forward layer's bias and activation in one pass, and their gradient in another."""
