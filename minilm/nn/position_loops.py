"""Positions as plain loops: what each scheme means, one number at a time.

Slow and exact (float64). The tests hold `minilm.nn.positions` and `functional.rope` to these;
ALiBi, which acts on the scores, is in `attention_loops`.
"""

from __future__ import annotations

import math

import numpy as np


def learned(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Row t of a (context, C) table added to token t of x (B, T, C)."""
    out = np.zeros(x.shape)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            for c in range(x.shape[2]):
                out[b, t, c] = float(x[b, t, c]) + float(table[t, c])
    return out


def sinusoidal(count: int, channels: int) -> np.ndarray:
    """(count, C): sines in the even channels, cosines in the odd (arXiv 1706.03762, 3.5)."""
    out = np.zeros((count, channels))
    for position in range(count):
        for i in range(channels // 2):
            angle = position / 10000.0 ** (2 * i / channels)
            out[position, 2 * i] = math.sin(angle)
            out[position, 2 * i + 1] = math.cos(angle)
    return out


def rope(
    x: np.ndarray, theta: float = 10000.0, layout: str = "half", stretch: float = 1.0
) -> np.ndarray:
    """Turn pair i of token t by t theta^(-2i/D) / stretch (arXiv 2104.09864, eq. 34).

    Args:
        x: (B, H, T, D).
        theta: base of the frequencies.
        layout: pair i is (i, i + D/2) for "half", (2i, 2i + 1) for "interleaved".
        stretch: what linear scaling divides positions by (arXiv 2306.15595).
    """
    batch, heads, time, size = x.shape
    out = np.zeros(x.shape)
    for b in range(batch):
        for h in range(heads):
            for t in range(time):
                for i in range(size // 2):
                    angle = t / stretch * theta ** (-2 * i / size)
                    first, second = (i, i + size // 2) if layout == "half" else (2 * i, 2 * i + 1)
                    p, q = float(x[b, h, t, first]), float(x[b, h, t, second])
                    out[b, h, t, first] = p * math.cos(angle) - q * math.sin(angle)
                    out[b, h, t, second] = p * math.sin(angle) + q * math.cos(angle)
    return out
