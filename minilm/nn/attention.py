"""Attention layers: the linear maps around `functional.attention`.

One layer covers multi-head (G = H), grouped-query (1 < G < H) and multi-query (G = 1) attention;
`CrossAttention` reads its keys and values from another sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.linear import Linear
from minilm.nn.module import Module
from minilm.nn.norms import RMSNorm
from minilm.tensor import Tensor


@dataclass(frozen=True)
class Sight:
    """What the queries of one forward may see, in every layer or in those with a window.

    mask      bool, True = may look, broadcastable to (B, H, T, S), or None
    causal    no key after the query; the last query stands at the last key
    window    with causal: only the last `window` keys, the query's own included
    bias      added to the scores, broadcastable to (B, H, T, S), or None
    rope      (cos, sin) for queries and keys, each (T, D/2) or (B, 1, T, D/2), or None
    far       where some layers have no window: what these see; else None
    """

    mask: Any = None
    causal: bool = False
    window: int | None = None
    bias: Any = None
    rope: tuple[Any, Any] | None = None
    far: Sight | None = None


OPEN = Sight()
QK_NORMS = ("head", "all")


class _Heads(Module):
    """What self- and cross-attention share: sizes, splitting, looking, and the output map."""

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int | None,
        head_size: int | None,
        bias: bool | str,
        scale: float | None,
        layout: str,
        dtype: Any,
        qk_norm: str | None = None,
        cap: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        kv_heads = heads if kv_heads is None else kv_heads
        if heads < 1 or kv_heads < 1 or heads % kv_heads:
            raise InputError(f"kv_heads is {kv_heads}; it must divide heads, which is {heads}")
        if head_size is None and channels % heads:
            raise InputError(f"channels is {channels}; it must be a multiple of heads, {heads}")
        self.heads, self.kv_heads = heads, kv_heads
        self.head_size = channels // heads if head_size is None else head_size
        self.scale, self.layout, self.qk_norm, self.cap = scale, layout, qk_norm, cap
        self._make_inputs(channels, bool(bias), dtype)
        biased = bool(bias) and bias != "qkv"
        self.out = Linear(heads * self.head_size, channels, biased, dtype=dtype)
        if qk_norm not in (None, *QK_NORMS):
            raise InputError(f"qk_norm is {qk_norm!r}; it must be None, {', '.join(QK_NORMS)}")
        if qk_norm is not None:
            widths = [1, 1] if qk_norm == "head" else [heads, kv_heads]
            self.q_norm, self.k_norm = (
                RMSNorm(n * self.head_size, eps, dtype=dtype) for n in widths
            )

    def _make_inputs(self, channels: int, bias: bool, dtype: Any) -> None:
        raise NotImplementedError

    def _split(self, x: Tensor, heads: int) -> Tensor:  # (B, T, heads D) -> (B, heads, T, D)
        batch, time, _ = x.shape
        x = x.reshape(batch, time, heads, self.head_size)  # -> (B, T, heads, D)
        return x.transpose(1, 2)  # -> (B, heads, T, D)

    def _normed(self, x: Tensor, norm: str) -> Tensor:  # (B, heads, T, D) -> (B, heads, T, D)
        """Queries or keys after their norm, where there is one: of each head, or of all at once."""
        if self.qk_norm is None:
            return x
        if self.qk_norm == "head":
            return getattr(self, norm)(x)
        batch, heads, time, size = x.shape
        x = x.transpose(1, 2).reshape(batch, time, heads * size)  # -> (B, T, heads D)
        return self._split(getattr(self, norm)(x), heads)

    def _turn(self, x: Tensor, rope: tuple[Any, Any] | None) -> Tensor:
        return x if rope is None else F.rope(x, rope[0], rope[1], layout=self.layout)

    def attend(self, q: Tensor, k: Any, v: Any, sight: Sight) -> Tensor:
        """q (B, H, T, D), k and v (B, G, S, D) -> (B, T, C)."""
        return self.out(self._look(q, k, v, sight))

    def _look(self, q: Tensor, k: Any, v: Any, sight: Sight) -> Tensor:
        """What `attend` sends through the output map: (B, T, H D)."""
        capped = {} if self.cap is None else {"cap": self.cap}
        mixed = F.attention(
            q,
            k,
            v,
            mask=sight.mask,
            causal=sight.causal,
            window=sight.window,
            bias=sight.bias,
            scale=self.scale,
            **capped,
        )  # (B, H, T, D)
        batch, heads, time, size = mixed.shape
        mixed = mixed.transpose(1, 2)  # -> (B, T, H, D)
        return mixed.reshape(batch, time, heads * size)  # -> (B, T, H D)


class Attention(_Heads):
    """Self-attention; queries, keys and values come from one packed map.

    Args:
        channels: C, width in and out.
        heads: H, query heads.
        kv_heads: G, key/value heads, a divisor of H; None: H.
        head_size: D; None: C / H.
        bias: of the linear maps; "qkv": of queries, keys and values only.
        scale: factor on the scores; None: 1 / sqrt(D).
        layout: of RoPE, "half" or "interleaved".
        qk_norm: RMS norms on queries and keys, before RoPE: "head" of each head by the same weights
            (arXiv 2302.05442), "all" of all heads at once (arXiv 2501.00656); None: none.
        cap: soft cap on the scores (arXiv 2408.00118); None: none.
        eps: of these norms.

    Parameters: `qkv.weight` ((H + 2 G) D, C), rows in the order queries, keys, values;
    `out.weight` (C, H D); `q_norm.weight` and `k_norm.weight`, (D,) or (H D,) and (G D,).

    Raises:
        InputError: kv_heads that does not divide heads, channels that heads does not divide, or
            another qk_norm.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int | None = None,
        head_size: int | None = None,
        bias: bool | str = True,
        scale: float | None = None,
        layout: str = "half",
        dtype: Any = np.float32,
        qk_norm: str | None = None,
        cap: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        sizes = (channels, heads, kv_heads, head_size)
        super().__init__(*sizes, bias, scale, layout, dtype, qk_norm, cap, eps)

    def _make_inputs(self, channels: int, bias: bool, dtype: Any) -> None:
        rows = (self.heads + 2 * self.kv_heads) * self.head_size
        self.qkv = Linear(channels, rows, bias, dtype=dtype)

    def project(self, x: Tensor, rope: tuple[Any, Any] | None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) -> q (B, H, T, D), k and v (B, G, T, D), queries and keys turned by RoPE."""
        return self.unpack(self.qkv(x), rope)

    def unpack(self, packed: Tensor, rope: tuple[Any, Any] | None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, (H + 2 G) D) -> q (B, H, T, D), k and v (B, G, T, D)."""
        turned = self.heads + self.kv_heads
        packed = self._split(packed, turned + self.kv_heads)  # -> (B, H + 2 G, T, D)
        v = packed[:, turned:]  # (B, G, T, D)
        if rope is None or self.qk_norm is not None:
            q = self._normed(packed[:, : self.heads], "q_norm")  # (B, H, T, D)
            k = self._normed(packed[:, self.heads : turned], "k_norm")  # (B, G, T, D)
            return self._turn(q, rope), self._turn(k, rope), v
        qk = self._turn(packed[:, :turned], rope)  # (B, H + G, T, D)
        return qk[:, : self.heads], qk[:, self.heads :], v

    def queries(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, H, T, D), for reading another sequence with these weights."""
        rows = self.heads * self.head_size
        bias = None if self.qkv.bias is None else self.qkv.bias[:rows]
        q = F.linear(x, self.qkv.weight[:rows], bias)  # (B, T, C) -> (B, T, H D)
        return self._normed(self._split(q, self.heads), "q_norm")  # -> (B, H, T, D)

    def keys_values(self, x: Tensor, rope: tuple[Any, Any] | None = None) -> tuple[Tensor, Tensor]:
        """(B, S, C) -> k, v (B, G, S, D), for being read by another sequence."""
        rows = self.heads * self.head_size
        bias = None if self.qkv.bias is None else self.qkv.bias[rows:]
        kv = F.linear(x, self.qkv.weight[rows:], bias)  # (B, S, C) -> (B, S, 2 G D)
        kv = self._split(kv, 2 * self.kv_heads)  # -> (B, 2 G, S, D)
        k = self._normed(kv[:, : self.kv_heads], "k_norm")
        return self._turn(k, rope), kv[:, self.kv_heads :]

    def forward(
        self,
        x: Tensor,
        sight: Sight = OPEN,
        cache: Any = None,
        layer: int = 0,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C).

        Args:
            sight: what each query may see, over all the keys there will be.
            cache: keys and values of the positions before, from `minilm.inference`.
            layer: which one this is, for the cache.
        """
        return self.out(self.mix(self.qkv(x), sight, cache, layer))

    def mix(self, packed: Tensor, sight: Sight = OPEN, cache: Any = None, layer: int = 0) -> Tensor:
        """What lies between the two linear maps: (B, T, (H + 2 G) D) -> (B, T, H D).

        For those who have maps of their own for some of the tokens; arguments as in `forward`.
        """
        plain = self.qk_norm is None and self.cap is None and cache is None
        if plain and (sight.rope is None or sight.rope[0].ndim == 2):
            return F.self_attention(
                packed,
                self.heads,
                self.kv_heads,
                rope=sight.rope,
                layout=self.layout,
                mask=sight.mask,
                causal=sight.causal,
                window=sight.window,
                bias=sight.bias,
                scale=self.scale,
            )
        q, k, v = self.unpack(packed, sight.rope)  # -> (B, H, T, D), (B, G, T, D) twice
        if cache is not None:
            k, v = cache.append(layer, k.data, v.data)  # -> (B, G, S, D), the earlier ones too
        return self._look(q, k, v, sight)


class CrossAttention(_Heads):
    """Attention whose queries come from one sequence and whose keys and values from another.

    Parameters: `query.weight` (H D, C), `key_value.weight` (2 G D, C), `out.weight` (C, H D).
    Arguments as in `Attention`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int | None = None,
        head_size: int | None = None,
        bias: bool | str = True,
        scale: float | None = None,
        layout: str = "half",
        dtype: Any = np.float32,
        qk_norm: str | None = None,
        cap: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        sizes = (channels, heads, kv_heads, head_size)
        super().__init__(*sizes, bias, scale, layout, dtype, qk_norm, cap, eps)

    def _make_inputs(self, channels: int, bias: bool, dtype: Any) -> None:
        self.query = Linear(channels, self.heads * self.head_size, bias, dtype=dtype)
        self.key_value = Linear(channels, 2 * self.kv_heads * self.head_size, bias, dtype=dtype)

    def queries(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, H, T, D)."""
        return self._normed(self._split(self.query(x), self.heads), "q_norm")  # -> (B, H, T, D)

    def keys_values(self, x: Tensor, rope: tuple[Any, Any] | None = None) -> tuple[Tensor, Tensor]:
        """(B, S, C) -> k, v (B, G, S, D)."""
        kv = self._split(self.key_value(x), 2 * self.kv_heads)  # (B, S, C) -> (B, 2 G, S, D)
        k = self._normed(kv[:, : self.kv_heads], "k_norm")
        return self._turn(k, rope), kv[:, self.kv_heads :]

    def forward(self, x: Tensor, source: Tensor, sight: Sight = OPEN) -> Tensor:
        """x (B, T, C) reads source (B, S, C) -> (B, T, C)."""
        k, v = self.keys_values(source)
        return self.attend(self.queries(x), k, v, sight)
