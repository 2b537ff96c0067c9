"""The first weights of a model, drawn name by name."""

from __future__ import annotations

from minilm import backend
from minilm.models.config import Config
from minilm.nn import Module
from minilm.nn.module import constant, normal

_RESIDUAL = ("out.weight", "down.weight")


def initialise(model: Module, config: Config, seed: int) -> None:
    """Fill every parameter; the same seed gives the same model, in float32 and in float64.

    GPT-2's rule (Radford et al. 2019, section 2.3): weights and embeddings are normal with
    standard deviation `config.init_std`; the maps that write to the residual stream (attention
    `out`, feed-forward `down`) are divided by the square root of how many such writes their stack
    makes, so that the stream's variance does not grow with depth; norms start at 1, biases at 0.
    Each parameter has a random stream of its own name: adding one changes no other.
    """
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        if parts[-1] == "bias":
            value = constant(parameter.shape, 0.0, parameter.dtype)
        elif len(parts) > 1 and "norm" in parts[-2]:
            value = constant(parameter.shape, 1.0, parameter.dtype)
        else:
            std = config.init_std
            if name.endswith(_RESIDUAL):
                std /= _writes(config, parts[0]) ** 0.5
            value = normal(backend.rng(seed, "init", name), parameter.shape, std, parameter.dtype)
        parameter.data = value


def _writes(config: Config, stack: str) -> int:
    if stack == "decoder":
        return (2 if config.merged_softmax else 3) * config.T_layers
    return 2 * config.layers
