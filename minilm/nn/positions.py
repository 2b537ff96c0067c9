"""Where a token stands: sinusoids, rotary tables and their stretching, ALiBi, T5's buckets.

Tables are computed in float64 and given in the dtype asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilm.errors import InputError


def sinusoidal(positions: int | np.ndarray, channels: int, dtype: Any = np.float32) -> np.ndarray:
    """Sinusoids: PE(p, 2i) = sin(p / 10000^(2i/C)), PE(p, 2i+1) = cos(the same).

    Args:
        positions: how many (0, 1, ...), or an array of them of any shape.
        channels: C, even.

    Returns:
        array (..., C). Vaswani et al. 2017, arXiv 1706.03762, section 3.5.

    Raises:
        InputError: channels odd or below 2.
    """
    if channels < 2 or channels % 2:
        raise InputError(f"channels is {channels}; it must be even and at least 2")
    angles = _as_positions(positions)[..., None] * _frequencies(channels, 10000.0)  # (..., C/2)
    pairs = np.stack([np.sin(angles), np.cos(angles)], -1)  # -> (..., C/2, 2)
    return pairs.reshape(*angles.shape[:-1], channels).astype(dtype)  # -> (..., C)


def sinusoidal_time(
    time: float | np.ndarray, channels: int, scale: float = 1000.0, dtype: Any = np.float32
) -> np.ndarray:
    """A moment between 0 and 1 as cosines and sines: what tells a diffusion model how much noise.

        [cos(scale t f_0), ..., cos(scale t f_(C/2-1)), sin(scale t f_0), ...],  f_i = 10000^(-2i/C)

    The frequencies are those of `sinusoidal`, which are made for whole numbers: with `scale` a
    moment counts as one of that many steps (Ho et al. 2020, arXiv 2006.11239, appendix B; the order
    is that of DiT, arXiv 2212.09748).

    Args:
        time: one moment or an array of any shape; with scale 1 the number of a step.
        channels: C, even.
        scale: steps from 0 to 1.

    Returns:
        array (..., C).

    Raises:
        InputError: channels odd or below 2; a time that is not finite.
    """
    if channels < 2 or channels % 2:
        raise InputError(f"channels is {channels}; it must be even and at least 2")
    moments = np.asarray(time, np.float64)
    if not np.isfinite(moments).all():
        raise InputError("time holds NaN or infinity; it must be finite numbers")
    angles = scale * moments[..., None] * _frequencies(channels, 10000.0)  # (..., C/2)
    return np.concatenate([np.cos(angles), np.sin(angles)], -1).astype(dtype)  # -> (..., C)


def rope_frequencies(
    head_size: int, theta: float = 10000.0, scaling: dict[str, Any] | None = None
) -> tuple[np.ndarray, float]:
    """The angle per position of each pair, and the factor on the table (1 except for YaRN).

    Args:
        head_size: D, even.
        theta: base of the frequencies theta^(-2i/D) (Su et al. 2021, arXiv 2104.09864).
        scaling: None, or a dict with "kind" and "factor" (how many times longer the context gets):
            "linear": every frequency / factor (arXiv 2306.15595);
            "ntk": theta * factor^(D / (D-2)), so that the slowest pair is stretched by factor and
            the fastest not at all;
            "yarn" (arXiv 2309.00071): pairs that turn more than beta_fast (32) times within
            "original_context" stay, those that turn less than beta_slow (1) times are stretched,
            a ramp between; the table is multiplied by 0.1 ln(factor) + 1, or "attention_factor";
            "llama3": the rule of Llama 3.1 with "low_freq_factor" (1), "high_freq_factor" (4) and
            "original_context".

    Returns:
        (float64 array (D/2,), factor).

    Raises:
        InputError: an odd head size, or a scaling that lacks what its kind needs.
    """
    if head_size < 2 or head_size % 2:
        raise InputError(f"head_size is {head_size}; it must be even and at least 2")
    if scaling is None:
        return _frequencies(head_size, theta), 1.0
    kind, factor = scaling.get("kind"), scaling.get("factor")
    if not isinstance(factor, (int, float)) or factor < 1:
        raise InputError(f"rope scaling has factor {factor!r}; it must be a number of at least 1")
    if kind == "linear":
        return _frequencies(head_size, theta) / factor, 1.0
    if kind == "ntk":
        if head_size == 2:
            raise InputError("head_size is 2; with rope scaling 'ntk' it must be at least 4")
        return _frequencies(head_size, theta * factor ** (head_size / (head_size - 2))), 1.0
    if kind not in ("yarn", "llama3"):
        raise InputError(
            f"rope scaling has kind {kind!r}; it must be one of linear, ntk, yarn, llama3"
        )
    original = scaling.get("original_context")
    if not isinstance(original, (int, float)) or original < 1:
        raise InputError(
            f"rope scaling {kind!r} has original_context {original!r}; it must be the context "
            "that the model was trained with"
        )
    if kind == "yarn":
        return _yarn(head_size, theta, factor, original, scaling)
    return _llama3(head_size, theta, factor, original, scaling), 1.0


def _frequencies(size: int, theta: float) -> np.ndarray:
    return theta ** -(np.arange(0, size, 2, dtype=np.float64) / size)


def _yarn(
    size: int, theta: float, factor: float, original: float, scaling: dict[str, Any]
) -> tuple[np.ndarray, float]:
    def pair_that_turns(times: float) -> float:
        return size * math.log(original / (times * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_that_turns(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair_that_turns(scaling.get("beta_slow", 1))), size - 1)
    ramp = np.clip((np.arange(size // 2) - low) / max(high - low, 0.001), 0, 1)
    plain = _frequencies(size, theta)
    attention_factor = scaling.get("attention_factor")
    if attention_factor is None:
        attention_factor = 0.1 * math.log(factor) + 1.0
    return plain * (1 - ramp) + plain / factor * ramp, float(attention_factor)


def _llama3(
    size: int, theta: float, factor: float, original: float, scaling: dict[str, Any]
) -> np.ndarray:
    low, high = scaling.get("low_freq_factor", 1.0), scaling.get("high_freq_factor", 4.0)
    plain = _frequencies(size, theta)
    turns = original * plain / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return plain / factor * (1 - smooth) + plain * smooth


def rope_table(
    positions: int | np.ndarray,
    head_size: int,
    theta: float = 10000.0,
    scaling: dict[str, Any] | None = None,
    dtype: Any = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of position * frequency, as `functional.rope` takes them.

    One table serves both layouts: pair i is (x[i], x[i + D/2]) for "half" (Hugging Face) and
    (x[2i], x[2i+1]) for "interleaved" (the paper).

    Args:
        positions: how many (0, 1, ...), or an array of them: (T,) or (B, T).
        head_size, theta, scaling: see `rope_frequencies`.

    Returns:
        two arrays (T, D/2), or (B, 1, T, D/2), which broadcast over heads.

    Raises:
        InputError: as `rope_frequencies`.
    """
    frequencies, factor = rope_frequencies(head_size, theta, scaling)
    angles = _as_positions(positions)[..., None] * frequencies  # (T, D/2) or (B, T, D/2)
    if angles.ndim == 3:
        angles = angles[:, None]  # (B, T, D/2) -> (B, 1, T, D/2)
    return (np.cos(angles) * factor).astype(dtype), (np.sin(angles) * factor).astype(dtype)


def rope_relayout(weight: np.ndarray, head_size: int, to: str) -> np.ndarray:
    """Reorder the rows of a query or key weight from one RoPE layout to the other.

    Args:
        weight: (heads * D, ...): a linear map's weight, or its bias.
        head_size: D.
        to: "half" (rows are interleaved now) or "interleaved".

    Returns:
        a new array; with it the other layout gives the same scores.

    Raises:
        InputError: another layout, or rows that D does not divide.
    """
    if to not in ("half", "interleaved"):
        raise InputError(f"to is {to!r}; it must be 'half' or 'interleaved'")
    if weight.shape[0] % head_size:
        raise InputError(f"weight has {weight.shape[0]} rows; D, {head_size}, must divide them")
    split = (head_size // 2, 2) if to == "half" else (2, head_size // 2)
    heads = weight.reshape(-1, *split, *weight.shape[1:])  # (H D, ...) -> (H, D/2, 2, ...)
    return heads.swapaxes(1, 2).reshape(weight.shape)  # -> (H, 2, D/2, ...) -> (H D, ...)


def alibi_slopes(heads: int, dtype: Any = np.float32) -> np.ndarray:
    """ALiBi's slope per head: 2^(-8/H), 2^(-16/H), ... for a power of two H.

    For other H: the slopes of the power of two below, then every second one of the power above
    (Press et al. 2022, arXiv 2108.12409, and its published code).

    Returns:
        array (H,).

    Raises:
        InputError: heads below 1.
    """
    if heads < 1:
        raise InputError(f"heads is {heads}; it must be at least 1")
    below = 2 ** int(math.log2(heads))

    def powers(count: int) -> np.ndarray:
        return 2.0 ** (-8.0 / count * np.arange(1, count + 1))

    return np.concatenate([powers(below), powers(2 * below)[::2][: heads - below]]).astype(dtype)


def alibi_bias(
    query: np.ndarray, key: np.ndarray, heads: int, dtype: Any = np.float32
) -> np.ndarray:
    """-slope * |query - key|, to be added to the scores.

    Args:
        query, key: positions, (T,) and (S,).

    Returns:
        array (H, T, S).
    """
    distance = np.abs(np.asarray(query)[:, None] - np.asarray(key)[None, :])  # (T, S)
    return -alibi_slopes(heads, dtype)[:, None, None] * distance.astype(dtype)  # (H, T, S)


def relative_bucket(
    query: np.ndarray,
    key: np.ndarray,
    bidirectional: bool,
    buckets: int = 32,
    distance: int = 128,
) -> np.ndarray:
    """T5's bucket of each distance: exact when short, logarithmic up to `distance`, then one.

    Args:
        query, key: positions, (T,) and (S,).
        bidirectional: half of the buckets for keys after the query; otherwise those fall in 0.
        buckets: how many in all.
        distance: from here on every distance has the last bucket.

    Returns:
        int64 array (T, S). Raffel et al. 2020, arXiv 1910.10683, section 2.1.
    """
    relative = np.asarray(key)[None, :].astype(np.int64) - np.asarray(query)[:, None]  # (T, S)
    bucket = np.zeros(relative.shape, np.int64)
    if bidirectional:
        buckets //= 2
        bucket += (relative > 0) * buckets
        relative = np.abs(relative)
    else:
        relative = np.maximum(-relative, 0)
    exact = buckets // 2
    # float32, as T5 itself computes it: the edges of the buckets depend on the rounding.
    ratio = np.log(np.maximum(relative, 1).astype(np.float32) / np.float32(exact))
    ratio = ratio / np.float32(math.log(distance / exact)) * np.float32(buckets - exact)
    far = np.minimum(exact + ratio.astype(np.int64), buckets - 1)
    return bucket + np.where(relative < exact, relative, far)


def _as_positions(positions: int | np.ndarray) -> np.ndarray:
    if isinstance(positions, (int, np.integer)):
        return np.arange(positions, dtype=np.float64)
    return np.asarray(positions, dtype=np.float64)
