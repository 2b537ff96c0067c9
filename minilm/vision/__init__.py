"""Pictures as tokens: patches, codes of a learned codebook, and language models that see.

- `patches`: pictures to patches and back
- `vq`: vector quantisation: the nearest code, its gradient, a codebook that follows averages
- `vqvae`: an encoder and a decoder around a codebook, on convolutions; `minilm.train.vq` trains it
- `sequence`: text and picture in one sequence, pixels as tokens, the loop that draws
- `coglm`: one model that draws, tells and fills in, by masks
- `spacetime`: blocks of frames and pixels as tokens, flicker, key frames and what lies between
- `video_ae`: autoencoders of videos, frame by frame or causal in time
- `frame_reader`: a transformer that foretells frames and answers questions on a video

Seeing, from the eye to the answer:

- `vit`: the eye, a Vision Transformer; `overlapping`: its patches reach over their neighbours
- `clip`, `reconstruct`, `naming`: an eye trained on captions, on covered patches, on what is where
- `projectors`, `qformer`: from what an eye sees to what a language model reads
- `language`: the language model that sees; `expert`: weights of its own for pictures' tokens
- `narrow`, `high_resolution`: a large picture beside the sequence; `vary`: two eyes in one token
- `zoom`: looking again, closer; `agent`: a screen worked by clicks

Each is imported by its own name (`from minilm.vision import patches`).
"""
