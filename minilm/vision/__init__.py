"""Pictures as tokens: patches, and codes of a learned codebook.

- `patches`: pictures to patches and back
- `vq`: vector quantisation: the nearest code, its gradient, a codebook that follows averages
- `vqvae`: an encoder and a decoder around a codebook, on convolutions; `minilm.train.vq` trains it
- `sequence`: text and picture in one sequence, pixels as tokens, the loop that draws
- `coglm`: one model that draws, tells and fills in, by masks
- `spacetime`: blocks of frames and pixels as tokens, flicker, key frames and what lies between
- `video_ae`: autoencoders of videos, frame by frame or causal in time
- `frame_reader`: a transformer that foretells frames and answers questions on a video

Each is imported by its own name (`from minilm.vision import patches`).
"""
