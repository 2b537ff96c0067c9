"""Notebooks from their sources, and their execution."""
