"""Training: the loop, checkpoints that are always whole, bits per byte.

- ``train``: batches -> gradients -> clipping -> schedule -> step, saved as it goes
- ``bits_per_byte``: how well a model predicts text it has not seen
- ``checkpoints``: ``load(folder)`` gives a model and its tokenizer back
"""

from minilm.train.checkpoints import load
from minilm.train.evaluation import bits_per_byte
from minilm.train.loop import Diverged, Run, default_optimizer, train
from minilm.train.watch import Log, plot_loss

__all__ = [
    "Diverged",
    "Log",
    "Run",
    "bits_per_byte",
    "default_optimizer",
    "load",
    "plot_loss",
    "train",
]
