"""Pictures as tokens: patches, and codes of a learned codebook.

- `patches`: pictures to patches and back
- `vq`: vector quantisation: the nearest code, its gradient, a codebook that follows averages

Each is imported by its own name (`from minilm.vision import patches`).
"""
