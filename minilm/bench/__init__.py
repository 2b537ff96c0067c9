"""Ours beside the others: what is claimed to be faster, measured."""
