"""A feed-forward layer's bias and activation in one visit, and their gradient in another."""
