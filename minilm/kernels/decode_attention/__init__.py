"""Attention of one new query per sequence over its cached keys, contiguous or paged."""
