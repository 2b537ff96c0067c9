"""Mixtral's experts in a Hugging Face state: counted, and taken out of arrays of all of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.interop.hf_names_llama import MIXTURE
from minilm.models import Config

_TOGETHER = re.compile(r"(.*\.)mlp\.(gate\.weight|experts\.gate_up_proj|experts\.down_proj)")
_ONE = re.compile(rf"(.*{MIXTURE})\.experts\.(\d+)\..*")


def one_by_one(state: dict[str, Any]) -> dict[str, Any]:
    """The state with a matrix per expert, as files have it, where it held one array for all.

    In memory `transformers` keeps gate and up of all experts in one array (E, 2 F, C) and down in
    another (E, C, F).
    """
    apart = {}
    for name, value in state.items():
        match = _TOGETHER.fullmatch(name)
        if match is None:
            apart[name] = value
            continue
        base, part = f"{match[1]}{MIXTURE}", match[2]
        if part == "gate.weight":
            apart[f"{base}.{part}"] = value
            continue
        for e, matrix in enumerate(np.asarray(value)):
            if part.endswith("down_proj"):
                apart[f"{base}.experts.{e}.w2.weight"] = matrix
            else:  # (2 F, C) -> gate (F, C) and up (F, C)
                gate, up = np.split(matrix, 2)
                apart[f"{base}.experts.{e}.w1.weight"] = gate
                apart[f"{base}.experts.{e}.w3.weight"] = up
    return apart


def check_experts(state: dict[str, Any], config: Config) -> None:
    """Refuse a state whose layers have another number of experts than the config says.

    Raises:
        InputError: it names the layer and both numbers.
    """
    found: dict[str, set[int]] = {}
    for name in state:
        match = _ONE.fullmatch(name)
        if match is not None:
            found.setdefault(match[1], set()).add(int(match[2]))
    for layer, experts in found.items():
        if len(experts) != config.experts:
            raise InputError(
                f"state has {len(experts)} experts in {layer}; the config asks for {config.experts}"
            )
