"""Cross-entropy of integer targets straight from logits, with its gradient."""
