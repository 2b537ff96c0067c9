"""Slides, the site, the claims board and the reference of the package."""
