"""Every optimizer by name, and the parameters and gradients that tests give them."""

import numpy as np

from minilm import Tensor, optim

MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.8),
    "nesterov": lambda p: optim.SGD(p, lr=0.02, momentum=0.8, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.05),
    "adamw": lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.0),
    "adafactor": lambda p: optim.Adafactor(p, lr=0.1),
    "lion": lambda p: optim.Lion(p, lr=0.02, betas=(0.9, 0.95)),
    "muon": lambda p: optim.Muon(p, lr=0.05, weight_decay=0.0),
}


def parameter(array, dtype=np.float32):
    return Tensor(np.array(array, dtype), requires_grad=True)


def gradients(shape, steps, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, *shape)).astype(np.float32)
