"""Mamba's config.json and arrays in Hugging Face's words; `hf.load_hf` and `save_hf` use them.

Their names are the authors' own, as ours are, below `backbone.`; the convolution has one axis more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.models import Mamba, MambaConfig

# What a `Mamba` cannot be told: theirs must say the same.
_FIXED = {"hidden_act": "silu", "use_bias": False, "use_conv_bias": True}
_CONTEXT = 2048  # tokens of the authors' training; their config does not say


def mamba_config_from_hf(fields: dict[str, Any], context: int = _CONTEXT) -> MambaConfig:
    """Our config out of their config.json.

    Args:
        fields: the file's contents.
        context: longest sequence that ours allows, which theirs does not name.

    Raises:
        InputError: another kind of model, a missing field, or a setting that ours does not have.
    """
    if fields.get("model_type") != "mamba":
        raise InputError(f"config has model_type {fields.get('model_type')!r}; it must be 'mamba'")
    for name, value in _FIXED.items():
        if fields.get(name, value) != value:
            raise InputError(f"config has {name} {fields[name]!r}; a Mamba here has {value!r}")
    for name in ("vocab_size", "num_hidden_layers", "hidden_size"):
        if name not in fields:
            raise InputError(f"config lacks {name!r}")
    channels = fields["hidden_size"]
    rank = fields.get("time_step_rank", "auto")
    return MambaConfig(
        vocab_size=fields["vocab_size"],
        context=context,
        layers=fields["num_hidden_layers"],
        channels=channels,
        inner=fields.get("intermediate_size", int(fields.get("expand", 2) * channels)),
        states=fields.get("state_size", 16),
        conv=fields.get("conv_kernel", 4),
        rank=None if rank == "auto" else rank,
        tie=fields.get("tie_word_embeddings", True),
        eps=fields.get("layer_norm_epsilon", 1e-5),
    )


def mamba_config_to_hf(config: MambaConfig) -> dict[str, Any]:
    """Their config.json out of ours.

    Raises:
        InputError: an inner width that is not a multiple of the channels, which theirs cannot say.
    """
    expand, rest = divmod(config.E, config.channels)
    if rest:
        raise InputError(
            f"config has inner {config.E}; for Hugging Face it must be a multiple of channels, "
            f"{config.channels}"
        )
    return {
        "architectures": ["MambaForCausalLM"],
        "model_type": "mamba",
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.layers,
        "hidden_size": config.channels,
        "expand": expand,
        "intermediate_size": config.E,
        "state_size": config.states,
        "conv_kernel": config.conv,
        "time_step_rank": config.R,
        "tie_word_embeddings": config.tie,
        "layer_norm_epsilon": config.eps,
        "residual_in_fp32": True,
        **_FIXED,
    }


def _names(config: MambaConfig) -> dict[str, str]:
    """Our name of each array -> theirs."""
    names = {"tokens.weight": "backbone.embeddings.weight", "norm.weight": "backbone.norm_f.weight"}
    if not config.tie:
        names["head.weight"] = "lm_head.weight"
    for name, _ in Mamba(config, allocate=False).named_parameters():
        if name.startswith("blocks."):
            names[name] = f"backbone.layers.{name.removeprefix('blocks.')}"
    return names


def mamba_from_hf(state: dict[str, Any], config: MambaConfig) -> dict[str, np.ndarray]:
    """Our state dict out of theirs.

    Args:
        state: their name -> array.
        config: what the arrays are for.

    Raises:
        InputError: an array is missing, has another shape, or is not asked for; a head that differs
            from the embedding it is tied to.
    """
    shapes = {n: p.shape for n, p in Mamba(config, allocate=False).named_parameters()}
    names, ours = _names(config), {}
    for name, other in names.items():
        if other not in state:
            raise InputError(f"state lacks {other!r}, which a model of this config needs")
        value = np.asarray(state[other])
        if other.endswith("conv1d.weight") and value.ndim == 3:
            value = value[:, 0]  # (E, 1, K) -> (E, K)
        if value.shape != shapes[name]:
            raise InputError(
                f"state has {other!r} of shape {value.shape}; the config asks for {shapes[name]}"
            )
        ours[name] = value
    left = set(state) - set(names.values())
    copy = left & {"lm_head.weight"} if config.tie else set()
    if copy and not np.array_equal(state["lm_head.weight"], ours["tokens.weight"]):
        raise InputError(
            "state has 'lm_head.weight' beside another embedding; the config ties them"
        )
    for other in sorted(left - copy):
        raise InputError(f"state has {other!r}; a model of this config does not ask for it")
    return ours


def mamba_to_hf(state: dict[str, Any], config: MambaConfig) -> dict[str, np.ndarray]:
    """Their state dict out of ours (`model.state_dict()`).

    Raises:
        InputError: an array is missing.
    """
    theirs = {}
    for name, other in _names(config).items():
        if name not in state:
            raise InputError(f"state lacks {name!r}, which a model of this config has")
        value = to_numpy(state[name])
        theirs[other] = np.ascontiguousarray(value[:, None] if "conv1d.weight" in name else value)
    return theirs
