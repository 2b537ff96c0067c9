"""Decoding: whole tokens of a decoder, from an id to the next one, in one call."""
