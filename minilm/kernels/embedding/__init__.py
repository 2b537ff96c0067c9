"""The gradient of a table look-up: rows that were looked up twice get two gradients."""
