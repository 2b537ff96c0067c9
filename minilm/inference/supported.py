"""Which models the fast decoder runs, and their weights as its kernel reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import backend, kernels, swap
from minilm.backend import Array
from minilm.errors import InputError
from minilm.kernels.decode_step.weights import Layer, Map, Norm, Weights
from minilm.models.block import Block, Stack
from minilm.models.transformer import Transformer
from minilm.models.turning import turning
from minilm.nn import GLU, MLP, Attention, Embedding, LayerNorm, Linear, RMSNorm
from minilm.nn.positions import alibi_bias, relative_bucket, sinusoidal

WEIGHTS = ("float32", "int8")
# The gate's activation where the feed-forward is gated, else its own.
_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh"}
_NOT_ON_GPU = ("qk_norm", "attention_cap", "logit_cap")
_GPU_HEADS, _GPU_WIDTH = (64, 128), 24576  # the limits of kernels/decode_step/cuda.py


def check_weights(model: Any, weights: str) -> str | None:
    """Refuse weights that a model cannot be run with; else return what `unsupported` says of it.

    Raises:
        InputError: other weights than "float32" and "int8", or int8 for an unsupported model.
    """
    if weights not in WEIGHTS:
        raise InputError(f"weights is {weights!r}; allowed are {' and '.join(WEIGHTS)}")
    reason = unsupported(model)
    if reason and weights == "int8":
        raise InputError(f"weights is 'int8', which this model cannot use: {reason}")
    return reason


def is_overridden() -> bool:
    """Whether functions given to `use`, or another tier, are to run: no short cut is allowed."""
    return swap.is_active() or kernels.is_overridden("decode_step", "paged_step", "quantize_rows")


def unsupported(model: Any) -> str | None:
    """Why the kernel cannot run a model; None if it can.

    It runs pre-norm decoders (and prefix-LMs after their prefix) whose parts are the package's own.
    Linear maps may be of any class that says what it computes: one `dense` for its `forward`.
    Embeddings may have a `weight` that is put together.
    """
    if type(model) is not Transformer or "forward" in vars(model):
        return "it is not an unmodified Transformer"
    config = model.config
    wanted = (
        ("kind", config.kind in ("decoder", "prefix-lm"), config.kind),
        ("head", config.head == "lm", config.head),
        ("norm_position", config.norm_position == "pre", config.norm_position),
        ("token_types", not config.token_types, config.token_types),
        ("embedding_norm", not config.embedding_norm, config.embedding_norm),
        ("global_every", config.global_every is None, config.global_every),
    )
    for name, good, value in wanted:
        if not good:
            return f"the model's {name} is {value!r}"
    for name, part, kinds in _parts(model):
        own = {(Linear,): is_dense, (Embedding,): is_table}
        known_kind = own[kinds](part) if kinds in own else type(part) in kinds
        if not known_kind or "forward" in vars(part):
            return f"its {name} is a custom {type(part).__name__}"
    first = model.tokens.weight.data
    gpu = not isinstance(first, np.ndarray)
    dtypes = ("float32", "bfloat16", "float16") if gpu else ("float32",)
    known = str(first.dtype) in dtypes
    for name, parameter in model.named_parameters():
        array = parameter.data
        plain = known and type(array) is type(first) and array.dtype == first.dtype
        if not plain or not array.flags.c_contiguous:
            where = "a GPU, all of one type" if gpu else "the CPU"
            return f"its {name} is not contiguous {' or '.join(dtypes)} on {where}"
    for name in _NOT_ON_GPU:
        if gpu and getattr(config, name) is not None:
            return (
                f"the model's {name} is {getattr(config, name)!r}, which only the CPU's kernel has"
            )
    if gpu and config.D not in _GPU_HEADS:
        return f"the model's heads have size {config.D}; on a GPU it must be 64 or 128"
    if gpu and max(config.channels, config.heads * config.D, config.F) > _GPU_WIDTH:
        return f"on a GPU its maps must have at most {_GPU_WIDTH} inputs"
    return None


def is_dense(layer: Any) -> bool:
    """Whether a linear map's `dense` speaks of the `forward` that it has, not of a base class's."""
    if not isinstance(layer, Linear):
        return False
    kinds = type(layer).__mro__
    first = {name: next(k for k in kinds if name in vars(k)) for name in ("dense", "forward")}
    return issubclass(first["dense"], first["forward"])


def is_table(layer: Any) -> bool:
    """Whether an embedding looks up its `weight`, wherever that comes from, and does no more."""
    return isinstance(layer, Embedding) and type(layer).forward is Embedding.forward


def _parts(model: Transformer) -> list[tuple[str, Any, tuple[type, ...]]]:
    """(name, module, classes it may be) of all parts whose weights the kernel reads."""
    norms = (LayerNorm, RMSNorm)
    parts: list[tuple[str, Any, tuple[type, ...]]] = [
        ("tokens", model.tokens, (Embedding,)),
        ("stack", model.stack, (Stack,)),
        ("last norm", model.stack.norm, norms),
    ]
    parts += [(n, getattr(model, n), (Embedding,)) for n in ("positions",) if hasattr(model, n)]
    parts += [("head", model.head, (Linear,))] if hasattr(model, "head") else []
    for block in model.stack.blocks:
        parts += [("block", block, (Block,))]
        if type(block) is Block:
            attention, forward = block.attention, block.feed_forward
            parts += [("norm1", block.norm1, norms), ("norm2", block.norm2, norms)]
            parts += [("attention", attention, (Attention,)), ("feed_forward", forward, (MLP, GLU))]
            parts += [(n, m, (Linear,)) for n, m in vars(attention).items() if n in ("qkv", "out")]
            own = ("q_norm", "k_norm")
            parts += [(n, m, (RMSNorm,)) for n, m in vars(attention).items() if n in own]
            names = ("gate", "up", "down")
            parts += [(n, m, (Linear,)) for n, m in vars(forward).items() if n in names]
    return parts


def read(model: Transformer, length: int, weights: str = "float32") -> Weights:
    """The model's arrays for the kernel.

    Args:
        model: one that `unsupported` has no objection to.
        length: tokens that a text may have; tables of positions are made for that many.
        weights: "float32" shares memory with the model, "int8" rounds its linear maps.
    """
    config = model.config
    xp = backend.xp_of(model.tokens.weight.data)

    def linear(layer: Linear | Embedding) -> Map:
        weight, bias = layer.dense() if isinstance(layer, Linear) else (layer.weight.data, None)
        if weights == "float32":
            return Map(xp.ascontiguousarray(weight), bias)
        codes, scales = kernels.quantize_rows(weight)
        return Map(codes, bias, scales)

    def norm(layer: LayerNorm | RMSNorm) -> Norm:
        bias = getattr(layer, "bias", None)
        arrays = [None if p is None else p.data for p in (layer.weight, bias)]
        return Norm(*arrays)

    layers = []
    for block in model.stack.blocks:
        attention, forward = block.attention, block.feed_forward
        gate = linear(forward.gate) if config.gated else None
        maps = (gate, linear(forward.up), linear(forward.down))
        first = (norm(block.norm1), linear(attention.qkv), linear(attention.out))
        own = [norm(n) for n in (attention.q_norm, attention.k_norm)] if config.qk_norm else []
        layers.append(Layer(*first, norm(block.norm2), *maps, *own))
    cos = sin = None
    if config.positions == "rope":
        tables = turning(config, np.arange(length), np.float32)
        cos, sin = (xp.asarray(table) for table in tables)
    scale = config.attention_scale
    return Weights(
        layers=layers,
        norm=norm(model.stack.norm),
        head=linear(model.tokens if config.tie else model.head),
        tokens=model.tokens.weight.data,
        heads=config.heads,
        groups=config.G,
        size=config.D,
        rms=config.norm == "rms",
        eps=config.eps,
        activation=_ACTIVATIONS.get(config.activation, config.activation),
        attention_scale=config.D**-0.5 if scale is None else scale,
        window=config.window,
        positions=_positions(model, length),
        rope=config.rope.layout if config.positions == "rope" else None,
        cos=cos,
        sin=sin,
        distance=_distance(model, length),
        embedding_scale=config.embedding_scale,
        logit_scale=config.logit_scale,
        qk_norm=config.qk_norm,
        attention_cap=config.attention_cap,
        logit_cap=config.logit_cap,
    )


def _positions(model: Transformer, length: int) -> np.ndarray | None:
    """(length or more, C), added to the embedding, or None."""
    if model.config.positions == "learned":
        return model.positions.weight.data
    if model.config.positions == "sinusoidal":
        table = sinusoidal(length, model.config.channels)
        return backend.xp_of(model.tokens.weight.data).asarray(table)
    return None


def _distance(model: Transformer, length: int) -> Array | None:
    """(H, length) float32, added to the scores, the last column for distance 0; or None."""
    config = model.config
    xp = backend.xp_of(model.tokens.weight.data)
    last, keys = np.array([length - 1]), np.arange(length)
    if config.positions == "alibi":
        # (H, 1, length) -> (H, length)
        return xp.asarray(np.ascontiguousarray(alibi_bias(last, keys, config.heads)[:, 0]))
    if config.positions == "relative":
        sizes = (config.relative.buckets, config.relative.distance)
        bucket = relative_bucket(last, keys, config.kind != "decoder", *sizes)[0]
        rows = model.stack.relative.weight.data[xp.asarray(bucket)]
        # (length, H) -> (H, length)
        return xp.ascontiguousarray(rows.T.astype(np.float32, copy=False))
    return None
