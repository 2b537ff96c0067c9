"""The fast way to decode: which models it knows, and their weights as its kernel reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import backend, kernels, swap
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference.cache import ContiguousCache
from minilm.kernels.decode_step.weights import Layer, Map, Norm, Weights
from minilm.models.block import Block, Stack
from minilm.models.transformer import Transformer
from minilm.nn import GLU, MLP, Attention, Embedding, LayerNorm, Linear, RMSNorm
from minilm.nn.positions import alibi_bias, relative_bucket, rope_table, sinusoidal

WEIGHTS = ("float32", "int8")
# The gate's activation where the feed-forward is gated, else its own.
_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh"}
_AT_ONCE = 200_000_000  # bytes of weights read per call of the kernel: some milliseconds
_MOST_AT_ONCE = 32
_GPU_HEADS, _GPU_WIDTH = (64, 128), 24576  # what kernels/decode_step/cuda.py can do


class Decoder:
    """A decoder and its cache, one token per row at a time: on the CPU in float32, or on a GPU.

    The weights are the model's own memory: what an optimizer or an assignment in place does to them
    is seen. int8 weights are made once, here.

    Args:
        model: a Transformer that `unsupported` has nothing against.
        cache: what holds the prompts' keys and values already, as `model(ids, cache=cache)` left
            them; each step adds to it. It has the layers, kv_heads, head_size, dtype and device of
            the model.
        begin: (B,) whole numbers, where each row's text starts in the cache (its padding before);
            None: 0.
        weights: "float32", or "int8": each row of a matrix rounded to 255 steps. What meets it is
            rounded too, to 16 bits, which changes far less.

    Raises:
        InputError: a model that this cannot run, other weights, or a cache or begin that does not
            fit.
    """

    def __init__(
        self,
        model: Any,
        cache: ContiguousCache,
        begin: np.ndarray | None = None,
        weights: str = "float32",
    ) -> None:
        reason = check_weights(model, weights)
        if reason:
            raise InputError(f"{reason}; the fast decoder cannot run this model")
        _check_cache(model, cache)
        self.cache = cache
        self.begin = _whole("begin", np.zeros(cache.batch, int) if begin is None else begin, cache)
        self._latest = int(self.begin.max())
        if self.begin.min() < 0:
            raise InputError(f"begin has {int(self.begin.min())}; it must be 0 or more")
        self.length = min(cache.capacity, model.config.context)
        self.weights = read(model, self.length, weights)
        xp = backend.xp_of(model.tokens.weight.data)
        self.logits = xp.empty((cache.batch, model.config.vocab_size), np.float32)
        self.at_once = max(1, min(_MOST_AT_ONCE, _AT_ONCE // self.weights.nbytes))

    def step(self, ids: Any) -> Array:
        """Feed one token per row.

        Args:
            ids: (B,) whole numbers.

        Returns:
            (B, V) float32 logits after them, where the model is, overwritten by the next step.

        Raises:
            InputError: ids of another shape, outside the vocabulary or not whole numbers; a full
                cache, or one that ends before a row's `begin`.
        """
        self.greedy(ids, 1)
        return self.logits

    def greedy(self, ids: Any, count: int) -> np.ndarray:
        """Feed one token per row, then the likeliest after it, and so on.

        Args:
            ids: (B,) whole numbers.
            count: how many tokens are fed, at least 1.

        Returns:
            (count, B) int64, the likeliest token after each one fed.

        Raises:
            InputError: as `step`; a count below 1.
        """
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise InputError(f"count is {count!r}; it must be a whole number of at least 1")
        ids = _whole("ids", ids, self.cache)
        if ids.min() < 0 or ids.max() >= self.logits.shape[1]:
            raise InputError(
                f"ids has {ids.tolist()}; all must be from 0 to {self.logits.shape[1] - 1}"
            )
        place = self.cache.length
        if self._latest > place:  # looked at here because a cache can be truncated
            raise InputError(f"begin is {self._latest}, beyond the {place} tokens that are cached")
        if place + count > self.length:
            raise InputError(f"{place + count} tokens are needed; there is room for {self.length}")
        new = kernels.decode_step(
            self.logits,
            self.weights,
            self.cache._keys,
            self.cache._values,
            ids,
            self.begin,
            place,
            count,
            backend.threads(),
        )
        self.cache.advance(count)
        return new


def _check_cache(model: Transformer, cache: Any) -> None:
    """Refuse a cache that compiled code would read or write past its end."""
    if not isinstance(cache, ContiguousCache):
        kind = type(cache).__name__
        raise InputError(f"cache is a {kind}; it must be a ContiguousCache or a RollingCache")
    config, weight, keys = model.config, model.tokens.weight.data, cache._keys
    layers, _, groups, slots, size = keys.shape
    if (layers, groups, size) != (config.layers, config.G, config.D):
        raise InputError(
            f"the cache was made for layers, kv_heads, head_size {(layers, groups, size)}; "
            f"the model has {(config.layers, config.G, config.D)}"
        )
    if type(keys) is not type(weight) or keys.dtype != weight.dtype:
        here, there = (
            f"{array.dtype} on the {'CPU' if isinstance(array, np.ndarray) else 'GPU'}"
            for array in (keys, weight)
        )
        raise InputError(f"the cache holds {here}; the model is {there}")
    if slots < min(cache.capacity, config.context):  # it goes round
        window, gpu = config.window, not isinstance(keys, np.ndarray)
        if window is None or slots < window or (gpu and slots > window):
            raise InputError(
                f"the cache keeps the last {slots} tokens; the model's window is {window}"
                f"{', and on a GPU they must be equal' if gpu else ''}"
            )


def _whole(name: str, given: Any, cache: ContiguousCache) -> np.ndarray:
    """One whole number per row of the cache, (B,) int64 in memory of its own.

    Raises:
        InputError: another shape or dtype.
    """
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # ragged, or on a GPU
        array = np.empty((), object)
    if array.shape != (cache.batch,) or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} is {array.dtype} of shape {array.shape}; it must be whole numbers of shape "
            f"{(cache.batch,)}"
        )
    return np.array(array, np.int64)  # a copy, which nobody changes after it was checked


def check_weights(model: Any, weights: str) -> str | None:
    """Refuse weights that a model cannot be run with; else what `unsupported` says of it.

    Raises:
        InputError: other than "float32" or "int8", or int8 for a model not known here.
    """
    if weights not in WEIGHTS:
        raise InputError(f"weights is {weights!r}; allowed are {' and '.join(WEIGHTS)}")
    reason = unsupported(model)
    if reason and weights == "int8":
        raise InputError(
            f"weights is 'int8' and {reason}; only models that the fast decoder runs can have them"
        )
    return reason


def overridden() -> bool:
    """Whether somebody's functions or another tier should run: then nothing may be short-cut."""
    return swap.active() or kernels.overridden("decode_step", "quantize_rows")


def unsupported(model: Any) -> str | None:
    """Why the kernel cannot run a model; None if it can.

    It runs pre-norm decoders (and prefix-LMs after their prefix) whose parts are the package's own:
    a map wrapped by an adapter must be called, not looked into.
    """
    if type(model) is not Transformer or "forward" in vars(model):
        return f"the model is a {type(model).__name__} and not Transformer itself"
    config = model.config
    wanted = (
        ("kind", config.kind in ("decoder", "prefix-lm"), config.kind),
        ("head", config.head == "lm", config.head),
        ("norm_position", config.norm_position == "pre", config.norm_position),
        ("token_types", not config.token_types, config.token_types),
        ("embedding_norm", not config.embedding_norm, config.embedding_norm),
    )
    for name, good, value in wanted:
        if not good:
            return f"the model's {name} is {value!r}"
    for name, part, kinds in _parts(model):
        if type(part) not in kinds or "forward" in vars(part):
            return f"the model's {name} is a {type(part).__name__} of its own"
    first = model.tokens.weight.data
    gpu = not isinstance(first, np.ndarray)
    dtypes = ("float32", "bfloat16", "float16") if gpu else ("float32",)
    known = str(first.dtype) in dtypes
    for name, parameter in model.named_parameters():
        array = parameter.data
        plain = known and type(array) is type(first) and array.dtype == first.dtype
        if not plain or not array.flags.c_contiguous:
            where = "a GPU in one type" if gpu else "the CPU"
            return f"the model's {name} is not {' or '.join(dtypes)} in one piece on {where}"
    if gpu and config.D not in _GPU_HEADS:
        return f"the model's heads have size {config.D}; on a GPU it must be 64 or 128"
    if gpu and max(config.channels, config.heads * config.D, config.F) > _GPU_WIDTH:
        return f"the model's maps are wider than the {_GPU_WIDTH} channels that a GPU takes"
    return None


def _parts(model: Transformer) -> list[tuple[str, Any, tuple[type, ...]]]:
    """(name, module, classes it may be) of all that the kernel looks into."""
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
            names = ("gate", "up", "down")
            parts += [(n, m, (Linear,)) for n, m in vars(forward).items() if n in names]
    return parts


def read(model: Transformer, length: int, weights: str = "float32") -> Weights:
    """The model's arrays for the kernel.

    Args:
        length: tokens that a text may have; tables of positions are made for that many.
        weights: "float32" shares memory with the model, "int8" rounds its linear maps.
    """
    config = model.config
    xp = backend.xp_of(model.tokens.weight.data)

    def linear(layer: Linear | Embedding) -> Map:
        bias = getattr(layer, "bias", None)
        bias = None if bias is None else bias.data
        if weights == "float32":
            return Map(layer.weight.data, bias)
        codes, scales = kernels.quantize_rows(layer.weight.data)
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
        layers.append(Layer(*first, norm(block.norm2), *maps))
    cos = sin = None
    if config.positions == "rope":
        tables = rope_table(length, config.D, config.rope.theta, config.rope.scaling)
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
    )


def _positions(model: Transformer, length: int) -> np.ndarray | None:
    """(length or more, C) added to the embedding, or None."""
    if model.config.positions == "learned":
        return model.positions.weight.data
    if model.config.positions == "sinusoidal":
        table = sinusoidal(length, model.config.channels)
        return backend.xp_of(model.tokens.weight.data).asarray(table)
    return None


def _distance(model: Transformer, length: int) -> Array | None:
    """(H, length) float32 added to the scores, the last column for distance 0; or None."""
    config = model.config
    xp = backend.xp_of(model.tokens.weight.data)
    last, keys = np.array([length - 1]), np.arange(length)
    if config.positions == "alibi":
        return xp.asarray(np.ascontiguousarray(alibi_bias(last, keys, config.heads)[:, 0]))
    if config.positions == "relative":
        sizes = (config.relative.buckets, config.relative.distance)
        bucket = relative_bucket(last, keys, config.kind != "decoder", *sizes)[0]
        rows = model.stack.relative.weight.data[xp.asarray(bucket)]
        return xp.ascontiguousarray(rows.T.astype(np.float32, copy=False))
    return None
