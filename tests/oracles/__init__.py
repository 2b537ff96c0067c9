"""Comparisons with other libraries: `make oracles`."""
