"""NAME: does a gate in the feed-forward pay for itself?

Change what you like: the words, the grid, and what `config` returns. Then

    minilm study run NAME --jobs 2
    minilm study report NAME
"""

from minilm.models import Config

# Written before the first run, which takes a hash of it.
HYPOTHESIS = "At equal FLOPs a small GPT with a gated feed-forward reads documentation better."
FALSIFIER = (
    "At the held-back size it gains less than GAIN, or the 95 % interval of the gain holds 0."
)
BASELINE = "plain"
GRID = {"model": ["plain", "gated"], "size": [16, 24, 32, 48]}  # the last size is held back
SEEDS = [0, 1, 2]
GAIN = 0.02  # nats per byte
BUDGET = [12e9, 24e9, 48e9, 96e9]  # FLOPs of one run at each size, the same for every model


def config(model, size):
    """The model: everything but your idea is the same on both sides."""
    return Config(
        vocab_size=256,
        context=64,
        layers=2,
        heads=2,
        channels=size,
        tie=False,
        init_std=0.5 / size**0.5,
        activation="swiglu" if model == "gated" else "gelu",
    )
