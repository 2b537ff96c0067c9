"""Images without a download: real ones, drawn letters, and worlds with captions and oracles.

`sprites` is still; `videos` moves, with `video_captions` for its words and `video_oracle` to read
it.
"""

from minilm.data.images import sprites
from minilm.data.images.glyphs import glyphs
from minilm.data.images.photos import digits, photographs, split_digits

__all__ = ["digits", "glyphs", "photographs", "split_digits", "sprites"]
