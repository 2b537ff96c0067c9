"""Names and arrays that some files hold otherwise than `hf_names` says: taken apart, joined."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

_BOTH = re.compile(r"(.*\.mlp\.)gate_up_proj\.weight")
_GATE = re.compile(r"(.*\.mlp\.)gate_proj\.weight")


def renamed(name: str, kind: str) -> str:
    """The name that files of today give an array: BERT's old norms, GPT-NeoX's head in memory."""
    if kind == "gpt_neox" and name == "lm_head.weight":
        return "embed_out.weight"
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def gates_apart(state: dict[str, Any]) -> dict[str, Any]:
    """The state with gate and up, (F, C) each, where it held both in one array (Phi-3)."""
    apart = {}
    for name, value in state.items():
        match = _BOTH.fullmatch(name)
        if match is None:
            apart[name] = value
            continue
        half = len(value) // 2
        apart[f"{match[1]}gate_proj.weight"] = value[:half]
        apart[f"{match[1]}up_proj.weight"] = value[half:]
    return apart


def gates_together(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The way back: (2 F, C), the gate's rows first."""
    together = dict(state)
    for name in state:
        match = _GATE.fullmatch(name)
        if match is not None:
            parts = together.pop(name), together.pop(f"{match[1]}up_proj.weight")
            together[f"{match[1]}gate_up_proj.weight"] = np.concatenate(parts)
    return together
