"""What the readers of Hugging Face's config.json share: names of activations, RoPE, refusals."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "silu"}
# Other names of the same; we write the first.
ACTIVATIONS |= {"gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_python": "gelu"}
ACTIVATIONS |= {"swish": "silu"}
GATES = {"silu": "swiglu", "gelu": "geglu", "gelu_tanh": "geglu_tanh"}
ROPE_KINDS = ("linear", "yarn", "llama3")
ROPE_FIELDS = {
    "factor": "factor",
    "original_max_position_embeddings": "original_context",
    "beta_fast": "beta_fast",
    "beta_slow": "beta_slow",
    "attention_factor": "attention_factor",
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
}
# Of the rope settings, those that a Rope does not express, and the value that they must have.
_ROPE_ONLY = {
    "partial_rotary_factor": 1.0,
    "truncate": True,
    "mscale": None,
    "mscale_all_dim": None,
}


def activation_of(name: str) -> str:
    """Our name of an activation.

    Raises:
        InputError: one that we do not have.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def gate_of(name: str, field: str) -> str:
    """Our name of the gated unit with their activation.

    Args:
        name: the activation.
        field: of config.json, for the refusal.

    Raises:
        InputError: one that no gated unit of ours has.
    """
    ours = GATES.get(ACTIVATIONS.get(name, ""))
    if ours is None:
        known = [theirs for theirs, plain in ACTIVATIONS.items() if plain in GATES]
        raise InputError(f"{field} is {name!r}; it must be one of {', '.join(known)}")
    return ours


def theirs(ours: str) -> str:
    """Their name of one of our activations, gated or plain, as PyTorch computes it."""
    plain = next((plain for plain, gated in GATES.items() if gated == ours), ours)
    if plain == "gelu_tanh":
        return "gelu_pytorch_tanh"
    return next((name for name, own in ACTIVATIONS.items() if own == plain), plain)


def refuse_other(fields: dict[str, Any], **normal: Any) -> None:
    """Refuse settings that change what a model computes and that no Config expresses.

    Raises:
        InputError: a field has another value than the one named.
    """
    for name, value in normal.items():
        if fields.get(name, value) != value:
            raise InputError(
                f"{name} is {fields[name]!r}; minilm reads models where it is {value!r}"
            )


def rope_scaling(given: dict[str, Any], context: int) -> dict[str, Any] | None:
    """How rotations are stretched, as a `Rope` says it.

    Args:
        given: their rope settings.
        context: for kinds that leave out the length of the training texts.

    Raises:
        InputError: a kind or a setting that no Rope expresses.
    """
    kind = given.get("rope_type", given.get("type", "default"))
    refuse_other(given, **_ROPE_ONLY)
    known = {"rope_type", "type", "rope_theta", *_ROPE_ONLY, *ROPE_FIELDS}
    for name in sorted(given.keys() - known):
        raise InputError(
            f"the rope settings have {name!r}; minilm knows {', '.join(sorted(known))}"
        )
    if kind == "default":
        return None
    if kind not in ROPE_KINDS:
        raise InputError(
            f"rope_type is {kind!r}; it must be one of default, {', '.join(ROPE_KINDS)}"
        )
    ours = {ours: given[name] for name, ours in ROPE_FIELDS.items() if given.get(name)}
    if kind != "linear":
        ours.setdefault("original_context", context)
    return {"kind": kind, **ours}


def scaling_to_hf(scaling: dict[str, Any] | None) -> dict[str, Any]:
    """Their settings of a `Rope.scaling`; none for a kind that they do not have."""
    if not scaling or scaling["kind"] not in ROPE_KINDS:
        return {}
    back = {ours: name for name, ours in ROPE_FIELDS.items()}
    named = {back[key]: value for key, value in scaling.items() if key != "kind"}
    return {"rope_type": scaling["kind"], **named}
