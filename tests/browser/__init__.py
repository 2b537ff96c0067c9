"""Tests that a real browser runs (pytest -m browser)."""
