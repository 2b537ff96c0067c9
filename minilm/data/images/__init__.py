"""Images without a download."""

from minilm.data.images.photos import digits, photographs

__all__ = ["digits", "photographs"]
