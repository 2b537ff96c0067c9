"""GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415) and SiLU, element by element."""
