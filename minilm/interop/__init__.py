"""Checkpoints and tokenizer files of others, in and out."""
