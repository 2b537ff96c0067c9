"""Images without a download: real ones, drawn letters, and a world with captions and an oracle."""

from minilm.data.images import sprites
from minilm.data.images.glyphs import glyphs
from minilm.data.images.photos import digits, photographs, split_digits

__all__ = ["digits", "glyphs", "photographs", "split_digits", "sprites"]
