"""config.json of the families of 2022 to 2025 to a `Config`: GPT-NeoX, StarCoder2, Qwen2 and 3, ...

Most are Llama's fields and a few more, so each reader says only those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minilm.errors import InputError
from minilm.interop.hf_fields import activation_of, gate_of, refuse_other, rope_scaling
from minilm.models import Config, Rope

Fields = dict[str, Any]


def _stack(f: Fields, act: str = "hidden_act", gated: bool = True) -> Fields:
    """The fields of a Config that all of these families name alike, as a Llama has them."""
    name = f.get(act, "silu" if gated else "gelu")
    return {
        "vocab_size": f["vocab_size"],
        "context": f["max_position_embeddings"],
        "layers": f["num_hidden_layers"],
        "heads": f["num_attention_heads"],
        "kv_heads": f.get("num_key_value_heads") or f["num_attention_heads"],
        "head_size": f.get("head_dim"),
        "channels": f["hidden_size"],
        "ff": f["intermediate_size"],
        "norm": "rms",
        "eps": f.get("rms_norm_eps", 1e-6),
        "activation": gate_of(name, act) if gated else activation_of(name),
        "bias": False,
        "attention_bias": f.get("attention_bias", False),
        "tie": f.get("tie_word_embeddings", False),
        "positions": "rope",
        "rope": _rope(f),
    }


def _rope(f: Fields, part: float | None = None) -> Rope:
    """A Rope of the settings in config.json, whose older form has them flat.

    Args:
        f: config.json.
        part: of a head that turns where it does not say so; None: all of it, and it must say so.
    """
    given = {**(f.get("rope_parameters") or {}), **(f.get("rope_scaling") or {})}
    theta = float(given.get("rope_theta", f.get("rope_theta", 1e4)))
    if part is None:
        refuse_other(f, partial_rotary_factor=1.0)
        part = 1.0
    else:
        part = float(given.pop("partial_rotary_factor", f.get("partial_rotary_factor", part)))
    return Rope(theta, scaling=rope_scaling(given, f["max_position_embeddings"]), fraction=part)


def _sight(f: Fields, types: list[str]) -> Fields:
    """Which layers have a window: all, none, or all but every n-th.

    Args:
        f: config.json, which may say it of each layer.
        types: what holds where it does not.

    Raises:
        InputError: layers that take turns in another way.
    """
    given = f.get("layer_types")
    types = types if given is None else given
    window = f.get("sliding_window")
    local = [kind == "sliding_attention" for kind in types]
    if len(local) != f["num_hidden_layers"] or set(types) - {"sliding_attention", "full_attention"}:
        raise InputError(
            f"layer_types is {types}; it must say sliding_attention or full_attention of "
            f"{f['num_hidden_layers']} layers"
        )
    if not any(local) or window is None:
        return {"window": None}
    if all(local):
        return {"window": window}
    every = local.index(False) + 1
    if every == 1 or any(near != bool((i + 1) % every) for i, near in enumerate(local)):
        raise InputError(
            f"layer_types is {types}; minilm reads models where every n-th layer is "
            "'full_attention' and the others are not"
        )
    return {"window": window, "global_every": every}


def types_of(layers: int, every: int) -> list[str]:
    """Every n-th layer full, the others sliding."""
    return ["sliding_attention" if (i + 1) % every else "full_attention" for i in range(layers)]


def _gpt_neox(f: Fields) -> Config:
    rope = _rope({"rope_theta": f.get("rotary_emb_base", 1e4), **f}, f.get("rotary_pct", 0.25))
    stack = _stack(_without_rope(f), gated=False)
    stack |= {"head_size": None, "norm": "layer", "eps": f.get("layer_norm_eps", 1e-5)}
    stack |= {"bias": True, "attention_bias": f.get("attention_bias", True), "rope": rope}
    parallel = f.get("use_parallel_residual", True)
    return Config(**stack, norm_position="parallel" if parallel else "pre")


def _starcoder2(f: Fields) -> Config:
    refuse_other(f, use_bias=True, norm_type="layer_norm", mlp_type="default")
    stack = _stack({"hidden_act": "gelu_pytorch_tanh", **f}, gated=False)
    stack |= {"norm": "layer", "eps": f.get("norm_epsilon", 1e-5), "bias": True}
    stack |= {"attention_bias": None, "tie": f.get("tie_word_embeddings", True)}
    return Config(**stack, window=f.get("sliding_window"))


def _qwen2(f: Fields) -> Config:
    return Config(**{**_stack(f), "attention_bias": "qkv"}, **_qwen_sight(f))


def _qwen3(f: Fields) -> Config:
    return Config(**_stack({"head_dim": 128, **f}), qk_norm="head", **_qwen_sight(f))


def _qwen_sight(f: Fields) -> Fields:
    """Where a Qwen has a window: nowhere, unless it is switched on, from a layer on."""
    layers = f["num_hidden_layers"]
    used = f.get("use_sliding_window", False)
    full = min(f.get("max_window_layers", 28), layers) if used else layers
    types = ["full_attention"] * full + ["sliding_attention"] * (layers - full)
    return _sight(f if used else {**f, "sliding_window": None}, types)


def _olmo2(f: Fields) -> Config:
    stack = {**_stack(f), "eps": f.get("rms_norm_eps", 1e-5)}
    return Config(**stack, norm_position="inside", qk_norm="all")


def _without_rope(f: Fields) -> Fields:
    rope = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor")
    return {name: value for name, value in f.items() if name not in rope}


def _phi3(f: Fields) -> Config:
    rope = _rope(f, 1.0)
    if rope.scaling is not None:  # of these, some files call longrope "yarn"
        raise InputError(f"rope_type is {rope.scaling['kind']!r}; of a phi3 it must be default")
    stack = {**_stack(_without_rope(f)), "rope": rope, "attention_bias": None}
    stack["eps"] = f.get("rms_norm_eps", 1e-5)
    return Config(**stack, window=f.get("sliding_window"))


def _gemma2(f: Fields) -> Config:
    caps = ("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)
    scores, logits = (f.get(name, usual) for name, usual in caps)
    sight = _sight({"sliding_window": 4096, **f}, types_of(f["num_hidden_layers"], 2))
    return Config(**_gemma(f), **sight, attention_cap=scores, logit_cap=logits)


def _gemma3(f: Fields) -> Config:
    refuse_other(f, attn_logit_softcapping=None)
    pattern = f.get("sliding_window_pattern", f.get("_sliding_window_pattern", 6))
    layers = f["num_hidden_layers"]
    sight = _sight({"sliding_window": 4096, **f}, types_of(layers, pattern))
    if sight["window"] is not None:  # where no layer comes to its turn, none sees all
        sight.setdefault("global_every", max(pattern, layers + 1))
    own = {**_gemma(_without_rope(f)), "rope": _two_ropes(f, sight["window"] is not None)}
    return Config(**own, **sight, qk_norm="head", logit_cap=f.get("final_logit_softcapping"))


def _two_ropes(f: Fields, turns: bool) -> Rope:
    """Of layers that see all, and of those with a window where the two take turns."""
    given = dict(f.get("rope_parameters") or {})
    far = given.pop("full_attention", None) or f.get("rope_scaling") or {}
    near = given.pop("sliding_attention", None) or {}
    for name in sorted(given):
        raise InputError(
            f"rope_parameters has {name!r}; of a gemma3_text it must have full_attention and "
            "sliding_attention"
        )
    context = f["max_position_embeddings"]
    if rope_scaling(near, context) is not None:
        kind = near.get("rope_type", near.get("type"))
        raise InputError(f"rope_type of sliding_attention is {kind!r}; it must be default")
    return Rope(
        float(far.get("rope_theta", f.get("rope_theta", 1e6))),
        scaling=rope_scaling(far, context),
        local_theta=float(near.get("rope_theta", f.get("rope_local_base_freq", 1e4)))
        if turns
        else None,
    )


def _gemma(f: Fields) -> Fields:
    """What Gemma 2 and 3 share."""
    if f.get("use_bidirectional_attention"):
        raise InputError(
            "use_bidirectional_attention is True; minilm reads models where it is False"
        )
    filled = {"hidden_activation": "gelu_pytorch_tanh", "head_dim": 256, **f}
    return {
        **_stack(filled, act="hidden_activation"),
        "tie": f.get("tie_word_embeddings", True),
        "norm_position": "both",
        "attention_scale": f.get("query_pre_attn_scalar", 256) ** -0.5,
        "embedding_scale": f["hidden_size"] ** 0.5,
    }


READERS: dict[str, Callable[[Fields], Config]] = {
    "gpt_neox": _gpt_neox,
    "starcoder2": _starcoder2,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "olmo2": _olmo2,
    "phi3": _phi3,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
}
