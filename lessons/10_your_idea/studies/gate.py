"""Does a gate in the feed-forward pay for itself?

    minilm study run 10/gate --out gate.json

What `minilm study new` writes, with its three smaller sizes and a third of their budgets: all of it
takes twenty seconds on one core. The gated unit is SwiGLU (Shazeer 2020, arXiv
2002.05202), with a width of 8/3 channels rounded up to 32, so that it has about as many weights;
whatever is left over is paid for in steps, as both sides get the same FLOPs.
"""

from minilm.models import Config

# Written before the first run, which takes a hash of it.
HYPOTHESIS = "At equal FLOPs a small GPT with a gated feed-forward reads documentation better."
FALSIFIER = (
    "At the held-back size it gains less than GAIN, or the 95 % interval of the gain holds 0."
)
BASELINE = "plain"
GRID = {"model": ["plain", "gated"], "size": [16, 24, 32]}  # the last size is held back
SEEDS = [0, 1, 2]
GAIN = 0.02  # nats per byte
BUDGET = [4e9, 8e9, 16e9]  # FLOPs of one run at each size, the same for every model


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
