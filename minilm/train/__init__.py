"""Training: the step, the loop, checkpoints that are always whole, bits per byte.

- `take_step`: one step of any batch and any loss, on what `choose_engine` chose: threads or a GPU
- `train`: batches -> steps under a schedule, logged, saved and reported as it goes
- `Plan`, `Keep`: its settings; `EMA`: averaged weights
- `checkpoints`: `load(folder)` gives a model and its tokenizer back
- `bits_per_byte`: how well a model predicts text it has not seen
"""

from minilm.train.batch import examples
from minilm.train.checkpoints import load
from minilm.train.ema import EMA
from minilm.train.engine import Diverged, EndOfBatches, choose_engine
from minilm.train.evaluation import bits_per_byte
from minilm.train.loop import Run, default_optimizer, take_step, train
from minilm.train.plan import Keep, Plan
from minilm.train.watch import Log, plot_loss

__all__ = [
    "EMA",
    "Diverged",
    "EndOfBatches",
    "Keep",
    "Log",
    "Plan",
    "Run",
    "bits_per_byte",
    "choose_engine",
    "default_optimizer",
    "examples",
    "load",
    "plot_loss",
    "take_step",
    "train",
]
