"""One token for each row, drawn from the softmax of its logits."""
