"""The gradient of a table look-up: a row that was looked up twice receives two gradients."""
