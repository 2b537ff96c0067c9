"""The two halves of a transformer block as one primitive each: what makes training fast.

Fewer steps on the tape, fewer arrays kept for backward, no copies between layouts.
"""

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.attention_checks import check_layout, check_sight
from minilm.functional.meeting import as_rows, as_table, meet, unbroadcast
from minilm.functional.products import column_sum
from minilm.tensor import primitive


@primitive
def self_attention(
    packed: Array,
    heads: int,
    kv_heads: int,
    rope: tuple[Array, Array] | None = None,
    layout: str = "half",
    mask: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    bias: Array | None = None,
    scale: float | None = None,
):
    """`attention` of queries, keys and values that one linear map made, without unpacking them.

    Args:
        packed: (B, T, (H + 2 G) D): for each token its query, key and value heads, in this order.
        heads, kv_heads: H and G.
        rope: (cos, sin), each (T, D/2), to turn queries and keys with; or None.
        layout: of `rope`, "half" or "interleaved".
        mask, causal, window, bias, scale: as for `attention`.

    Returns:
        (B, T, H D): the heads side by side.

    Raises:
        InputError: a width that H + 2 G heads can't share, or of 0; tables, a mask or a bias of
            another shape.
    """
    if packed.ndim != 3 or heads < 1 or kv_heads < 1:
        raise InputError(
            f"self_attention: packed is {packed.shape}, heads {heads}, kv_heads {kv_heads}; packed "
            "must be (B, T, (H + 2 G) D), with at least one head of each kind"
        )
    size, rest = divmod(packed.shape[-1], heads + 2 * kv_heads)
    if rest or not size or heads % kv_heads:
        raise InputError(
            f"self_attention: {packed.shape[-1]} channels for {heads} query and 2 x {kv_heads} "
            "key and value heads; all heads have one size, at least 1, and kv_heads divides heads"
        )
    packed, bias = meet(packed, bias)
    scale = size**-0.5 if scale is None else scale
    xp = xp_of(packed)
    b, t, width = packed.shape
    check_sight((b, heads, t, t), mask, bias, causal, window)
    bias = None if bias is None else bias.astype(packed.dtype, copy=False)
    turned = heads + kv_heads
    source = packed
    if rope is not None:
        cos, sin = rope
        check_layout(layout)
        if cos.shape != (t, size // 2) or sin.shape != cos.shape or size % 2:
            raise InputError(
                f"self_attention with {t} tokens and heads of size {size} needs cos and sin of "
                f"({t}, {size // 2}) and an even size, not {cos.shape} and {sin.shape}"
            )
        cos, sin = as_table(cos, packed), as_table(sin, packed)
        source = xp.empty((b, t, turned * size), packed.dtype)
        flat = as_rows(xp.ascontiguousarray(packed))  # (B, T, W) -> (B T, W)
        turned_rows = as_rows(source)  # (B, T, (H + G) D) -> (B T, (H + G) D)
        kernels.rope_rows(flat, turned_rows, turned, cos, sin, layout == "interleaved")
    q = _heads(source, 0, heads, size)
    k = _heads(source, heads, kv_heads, size)
    v = _heads(packed, turned, kv_heads, size)
    out, lse = kernels.attention(q, k, v, mask, bias, causal, window, scale)

    def pullback(g: Array):
        gradient = xp.empty((b, t, width), packed.dtype)
        into = (
            _heads(gradient, 0, heads, size),
            _heads(gradient, heads, kv_heads, size),
            _heads(gradient, turned, kv_heads, size),
        )
        *_, dbias = kernels.attention_backward(
            g.reshape(b, t, heads, size).transpose(0, 2, 1, 3),  # (B, T, H D) -> (B, H, T, D)
            *(q, k, v, out, lse, mask, bias, causal, window, scale),
            into,
        )
        if rope is not None:
            rows = as_rows(gradient)  # (B, T, W) -> (B T, W)
            kernels.rope_rows(rows, rows, turned, cos, -sin, layout == "interleaved")
        nothing = (None,) * 7  # heads .. window
        return gradient, *nothing, None if bias is None else unbroadcast(dbias, bias.shape)

    # (B, H, T, D) -> (B, T, H D)
    return out.transpose(0, 2, 1, 3).reshape(b, t, heads * size), pullback


def _heads(x: Array, first: int, count: int, size: int) -> Array:
    """Heads first .. first + count of packed rows: (B, T, W) -> a view (B, count, T, D)."""
    b, t, _ = x.shape
    part = x[:, :, first * size : (first + count) * size]
    # (B, T, count D) -> (B, count, T, D)
    return part.reshape(b, t, count, size).transpose(0, 2, 1, 3)


@primitive
def feed_forward(
    x: Array,
    up: Array,
    up_bias: Array | None,
    down: Array,
    down_bias: Array | None,
    activation: str = "gelu",
):
    """linear(f(linear(x, up, up_bias)), down, down_bias), keeping one array of width F.

    Args:
        x: (..., C); up (F, C), down (C, F) and their biases (F,), (C,) or None.
        activation: "gelu", "gelu_tanh", "silu" or "relu".

    Raises:
        InputError: another activation; shapes that do not fit each other.
    """
    if activation not in _ACTIVATIONS:
        raise InputError(f"activation is {activation!r}; allowed are {', '.join(_ACTIVATIONS)}")
    _check_widths(x, up, down)
    for name, bias, w in (("up", up_bias, up), ("down", down_bias, down)):
        if bias is not None and bias.shape != w.shape[:1]:
            raise InputError(
                f"feed_forward: {name}_bias has shape {bias.shape}; with {name} of shape {w.shape} "
                f"it must be {w.shape[:1]}"
            )
    x, up, up_bias, down, down_bias = meet(x, up, up_bias, down, down_bias)
    rows = as_rows(x)  # (..., C) -> (N, C)
    h = rows @ up.T  # (N, C) @ (C, F)
    y = kernels.bias_activation(h, up_bias, activation) @ down.T  # (N, F) @ (F, C)
    if down_bias is not None:
        y += down_bias

    def pullback(g: Array):
        flat = as_rows(g)  # (..., C) -> (N, C)
        dh = flat @ down
        db = kernels.bias_activation_backward(dh, h, activation)  # h now holds f(h)
        return (
            lambda: (dh @ up).reshape(x.shape),  # (N, C) -> (..., C)
            lambda: dh.T @ rows,  # (F, N) @ (N, C)
            None if up_bias is None else db,
            lambda: flat.T @ h,  # (C, N) @ (N, F)
            None if down_bias is None else lambda: column_sum(flat),
        )

    return y.reshape(*x.shape[:-1], len(down)), pullback  # (N, C) -> (..., C)


_ACTIVATIONS = ("gelu", "gelu_tanh", "silu", "relu")


@primitive
def gated_feed_forward(x: Array, gate: Array, up: Array, down: Array, activation: str = "swiglu"):
    """linear(f(linear(x, gate)) * linear(x, up), down) without biases (arXiv 2002.05202, eq. 6).

    Args:
        x: (..., C); gate and up (F, C), down (C, F).
        activation: "swiglu" or "geglu".

    Raises:
        InputError: another activation; shapes that do not fit each other.
    """
    if activation not in _GATES:
        raise InputError(f"activation is {activation!r}; allowed are {', '.join(_GATES)}")
    _check_widths(x, up, down)
    if gate.shape != up.shape:
        raise InputError(f"gated_feed_forward: gate is {gate.shape} and up {up.shape}, not alike")
    x, gate, up, down = meet(x, gate, up, down)
    forward, backward = _GATES[activation]
    rows = as_rows(x)  # (..., C) -> (N, C)
    a, b = rows @ gate.T, rows @ up.T  # (N, C) @ (C, F)
    y = forward(a, b) @ down.T  # (N, F) @ (F, C)

    def pullback(g: Array):
        flat = as_rows(g)  # (..., C) -> (N, C)
        mixed = forward(a, b)  # made again rather than kept
        da, db = backward(flat @ down, a, b)

        def dx() -> Array:
            total = da @ gate
            total += db @ up
            return total.reshape(x.shape)  # (N, C) -> (..., C)

        # (F, N) @ (N, C), twice, and (C, N) @ (N, F)
        return dx, lambda: da.T @ rows, lambda: db.T @ rows, lambda: flat.T @ mixed

    return y.reshape(*x.shape[:-1], len(down)), pullback  # (N, C) -> (..., C)


_GATES = {
    "swiglu": (kernels.swiglu, kernels.swiglu_backward),
    "geglu": (kernels.geglu, kernels.geglu_backward),
}


def _check_widths(x: Array, up: Array, down: Array) -> None:
    flat = up.ndim == down.ndim == 2 and x.ndim > 0
    if not flat or x.shape[-1] != up.shape[1] or up.shape[0] != down.shape[1]:
        raise InputError(
            f"feed_forward: x is {x.shape}, up {up.shape}, down {down.shape}; they must be "
            "(..., C), (F, C) and (C, F)"
        )
