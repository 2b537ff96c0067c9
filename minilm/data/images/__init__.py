"""Images without a download: real ones, drawn letters, and worlds with an exact oracle.

`sprites` has captions; `scenes` and `asking` also questions and answers; `documents` are forms in
small print, `screens` pages on which a task is done by clicking (`screen_play` plays them);
`videos` moves, with `video_captions` for its words and `video_oracle` to read it. Beside `sprites`
each is imported by its own name.
"""

from minilm.data.images import sprites
from minilm.data.images.glyphs import glyphs
from minilm.data.images.photos import digits, photographs, split_digits

__all__ = ["digits", "glyphs", "photographs", "split_digits", "sprites"]
