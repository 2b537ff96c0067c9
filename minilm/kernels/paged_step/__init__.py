"""A step of many texts at once: any number of tokens of each, over keys and values in pages."""
