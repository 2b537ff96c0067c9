"""Corpora, token files and labelled synthetic worlds."""
