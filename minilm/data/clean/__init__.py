"""Cleaning a corpus: quality filters and near duplicates."""
