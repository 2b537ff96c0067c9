"""Optimizers in order of complexity, gradient clipping and learning-rate schedules.

========= ====================================== ============ =================
class     the step is                            state/weight paper
========= ====================================== ============ =================
SGD       the gradient                           0 or 1
Adam      gradient / its running size            2            arXiv 1412.6980
AdamW     the same, decay kept apart             2            arXiv 1711.05101
Adafactor the same, the sizes factored           about 0      arXiv 1804.04235
Lion      the sign of a running gradient         1            arXiv 2302.06675
Muon      a running gradient made orthogonal     1            arXiv 2502.16982
========= ====================================== ============ =================

`page_state` keeps the state of any of them in a file.
"""

from minilm.optim.adafactor import Adafactor
from minilm.optim.adam import Adam, AdamW
from minilm.optim.clip import clip_grad_norm, grad_norm
from minilm.optim.lion import Lion
from minilm.optim.muon import Muon, orthogonalize
from minilm.optim.optimizer import Optimizer
from minilm.optim.paged import page_state
from minilm.optim.schedules import constant, cosine, inverse_sqrt, linear, wsd
from minilm.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adafactor",
    "Adam",
    "AdamW",
    "Lion",
    "Muon",
    "Optimizer",
    "clip_grad_norm",
    "constant",
    "cosine",
    "grad_norm",
    "inverse_sqrt",
    "linear",
    "orthogonalize",
    "page_state",
    "wsd",
]
