"""Experts that stay in a file, and come to memory when a token asks for them.

A model of experts is mostly experts (96.6 % of Mixtral), and a token uses a few. Their matrices
are mapped from the checkpoint's own file; a budget of bytes says how many experts are in memory at
once, and the one used least recently makes room (as in arXiv 2312.17238). What the model computes
stays the same; what changes is how long it waits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from minilm import functional as F
from minilm import kernels, nn
from minilm.errors import InputError
from minilm.interop.safetensors import map_safetensors
from minilm.models import Config, Transformer
from minilm.nn.experts import Experts, Router, Routing
from minilm.tensor import Tensor

_PARTS = ("gate", "up", "down")
Matrices = tuple[np.ndarray, ...]


class ResidentExperts:
    """The experts that are in memory: the least recently used leaves when the budget is spent.

    Args:
        layers: for each layer its gate and up (E, F, C) and down (E, C, F), mapped from a file.
        budget: bytes that experts in memory may take together.

    Attributes:
        hits, misses: how often an expert asked for was in memory, and was not.
        nbytes: bytes of those that are in memory now.
        read: bytes copied from the file so far.

    Raises:
        InputError: a budget that one expert does not fit in.
    """

    def __init__(self, layers: list[Matrices], budget: int) -> None:
        largest = max(sum(m[0].nbytes for m in matrices) for matrices in layers)
        if budget < largest:
            raise InputError(f"budget is {budget} bytes; one expert takes {largest}")
        self.layers, self.budget = layers, budget
        self.hits = self.misses = self.nbytes = self.read = 0
        self._held: OrderedDict[tuple[int, int], Matrices] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, layer: int, expert: int) -> Matrices:
        """Gate (F, C), up (F, C) and down (C, F) of one expert, in memory."""
        with self._lock:
            key = (layer, expert)
            if key in self._held:
                self.hits += 1
                self._held.move_to_end(key)
                return self._held[key]
            self.misses += 1
            matrices = self.layers[layer]
            size = sum(m[expert].nbytes for m in matrices)
            while self.nbytes + size > self.budget:
                _, gone = self._held.popitem(last=False)
                self.nbytes -= sum(m.nbytes for m in gone)
            self._held[key] = tuple(np.array(m[expert]) for m in matrices)
            self.nbytes += size
            self.read += size
            return self._held[key]

    @property
    def resident(self) -> list[tuple[int, int]]:
        """(layer, expert) of those in memory, the next to leave first."""
        return list(self._held)

    @property
    def hit_rate(self) -> float:
        """The share of requests that found their expert in memory; 0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class OffloadedExperts(Experts):
    """`Experts` whose matrices are fetched one expert at a time; for reading, not for training.

    Args:
        router: the layer's own.
        held: where the experts come from.
        layer: which one this is.
    """

    def __init__(self, router: Router, held: ResidentExperts, layer: int) -> None:
        self.router, self.held, self.layer = router, held, layer

    def mix(self, rows: Tensor, routing: Routing) -> Tensor:
        """(N, C) -> (N, C): the weighted answers of the experts that a routing names.

        Raises:
            InputError: a gradient is wanted.
        """
        if rows.requires_grad:
            raise InputError("offloaded experts have no gradient; train the model before it is "
                             "offloaded")  # fmt: skip
        count, choices = len(self.held.layers[self.layer][0]), routing.experts.shape[1]
        order, _, offsets = kernels.sort_by_expert(routing.experts, count)
        weights = routing.weights.data.reshape(-1)  # (N, K) -> (N K,)
        out = np.zeros(rows.shape, rows.dtype)
        for e in range(count):
            places = order[offsets[e] : offsets[e + 1]]
            if not len(places):
                continue
            tokens = places // choices
            y = F.gated_feed_forward(rows.data[tokens], *self.held.get(self.layer, e)).data
            out[tokens] += weights[places, None] * y  # a token names an expert once
        return Tensor(out)


def open_offloaded(
    config: Config, path: str | Path, budget: int
) -> tuple[Transformer, ResidentExperts]:
    """The model of a checkpoint, with its experts left in the file.

    Args:
        config: the checkpoint's, with experts.
        path: its model.safetensors, as `minilm train` writes it.
        budget: bytes that experts in memory may take together.

    Returns:
        The model, ready to read, and its experts: hits and bytes are counted there.

    Raises:
        InputError: a config without experts; a file that does not fit it; a budget that is too
            small.
    """
    if config.experts is None:
        raise InputError("config.experts is None; there is nothing to offload")
    arrays = map_safetensors(path)
    model = Transformer(config, allocate=False)
    wanted = model.state_dict()
    for name, like in wanted.items():
        if name not in arrays:
            raise InputError(f"{path} lacks {name!r}, which a model of this config has")
        if arrays[name].shape != like.shape:
            raise InputError(
                f"{path} has {name!r} of shape {arrays[name].shape}; the config asks for "
                f"{like.shape}"
            )
    paths = [n for n, module in model.named_modules() if isinstance(module, Experts)]
    layers = [tuple(arrays[f"{n}.{part}.weight"] for part in _PARTS) for n in paths]
    held = ResidentExperts(layers, budget)
    blocks = dict(model.named_modules())
    model.replace_modules(
        {n: OffloadedExperts(blocks[n].router, held, i) for i, n in enumerate(paths)}
    )
    model.load_state_dict({name: np.asarray(arrays[name]) for name in model.state_dict()})
    return model.requires_grad_(False).eval(), held


def expert_bytes(model: nn.Module) -> int:
    """Bytes that the experts of a model take in memory when all of them are there."""
    return sum(
        getattr(module, part).weight.data.nbytes
        for module in model.modules()
        if isinstance(module, Experts) and not isinstance(module, OffloadedExperts)
        for part in _PARTS
    )
