"""What a Config may hold: every field alone, then those that must fit each other."""

from __future__ import annotations

import dataclasses
from typing import Any

from minilm.errors import InputError
from minilm.models.groups import GROUPS, is_count, is_positive
from minilm.nn.attention import QK_NORMS
from minilm.nn.experts import ROUTERS
from minilm.nn.positions import rope_frequencies

NORMS = ("layer", "rms")
NORM_POSITIONS = ("pre", "post", "inside", "both", "parallel")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu", "swiglu", "geglu", "geglu_tanh")
POSITIONS = ("learned", "sinusoidal", "rope", "alibi", "relative", "2d", "none")
HEADS = ("lm", "mlm", "none")


def check_sizes(c: Any) -> None:
    """Refuse a Config whose numbers are none, out of range, or do not divide each other.

    Raises:
        InputError: it names the field, its value and what is allowed.
    """
    for name in ("vocab_size", "context", "layers", "heads", "channels"):
        value = getattr(c, name)
        if not is_count(value):
            raise InputError(f"{name} is {value!r}; it must be a whole number of at least 1")
    optional = ("kv_heads", "head_size", "ff", "decoder_layers", "window")
    for name in (*optional, "experts", "experts_per_token"):
        value = getattr(c, name, None)
        if value is not None and not is_count(value):
            raise InputError(
                f"{name} is {value!r}; it must be None or a whole number of at least 1"
            )
    if c.head_size is None and c.channels % c.heads:
        raise InputError(
            f"channels is {c.channels} and heads is {c.heads}; channels must be a multiple of "
            "heads unless head_size is given"
        )
    if c.heads % c.G:
        raise InputError(f"kv_heads is {c.kv_heads}; it must divide heads, which is {c.heads}")
    if not is_count(c.token_types, 0):
        raise InputError(
            f"token_types is {c.token_types!r}; it must be a whole number of at least 0"
        )
    numbers = ("eps", "init_std", "embedding_scale", "logit_scale")
    for name in (*numbers, "attention_scale", "attention_cap", "logit_cap"):
        value = getattr(c, name)
        if not is_positive(value) and not (name not in numbers and value is None):
            raise InputError(f"{name} is {value!r}; it must be a finite number above 0")
    if not isinstance(c.dropout, (int, float)) or not 0 <= c.dropout < 1:
        raise InputError(f"dropout is {c.dropout!r}; it must be a probability in [0, 1)")


def check_choices(c: Any, kinds: tuple[str, ...]) -> None:
    """Refuse a Config with a switch that does not exist, or one that its kind does not have.

    Args:
        c: the config.
        kinds: those that its class describes.

    Raises:
        InputError: it names the field, its value and what is allowed.
    """
    for field in dataclasses.fields(c):
        value = getattr(c, field.name)
        if field.type == "bool" and not isinstance(value, bool):
            raise InputError(f"{field.name} is {value!r}; it must be true or false")
    if not isinstance(c.attention_bias, (bool, type(None))) and c.attention_bias != "qkv":
        raise InputError(
            f"attention_bias is {c.attention_bias!r}; it must be None, true, false or 'qkv'"
        )
    if c.qk_norm not in (None, *QK_NORMS):
        raise InputError(f"qk_norm is {c.qk_norm!r}; it must be None, {', '.join(QK_NORMS)}")
    for name, allowed in (
        ("kind", kinds),
        ("head", HEADS),
        ("norm", NORMS),
        ("norm_position", NORM_POSITIONS),
        ("activation", ACTIVATIONS),
        ("positions", POSITIONS),
        ("router", tuple(ROUTERS)),
    ):
        value = getattr(c, name)
        if value not in allowed:
            raise InputError(
                f"{name} is {value!r}; a {type(c).__name__} takes {', '.join(allowed)}"
            )
    if (c.positions == "2d") != (c.kind == "glm"):
        raise InputError(
            f"kind is {c.kind!r} and positions is {c.positions!r}; kind 'glm' and positions '2d' "
            "go together"
        )
    if c.window is not None and c.kind != "decoder":
        raise InputError(f"window is {c.window} and kind is {c.kind!r}; only a 'decoder' has one")
    if c.global_every is not None and (not is_count(c.global_every, 2) or c.window is None):
        raise InputError(
            f"global_every is {c.global_every!r} and window is {c.window}; it must be None, or a "
            "whole number of at least 2 beside a window"
        )
    if c.logit_cap is not None and c.head != "lm":
        raise InputError(f"logit_cap is {c.logit_cap} and head is {c.head!r}; only 'lm' has one")
    if c.pooler and c.kind != "encoder":
        raise InputError(f"pooler is true and kind is {c.kind!r}; only an 'encoder' has one")


def check_experts(c: Any) -> None:
    """Refuse a mixture of experts that lacks a number, or whose experts have no gate.

    Raises:
        InputError: it names the field, its value and what is allowed.
    """
    if (c.experts is None) != (c.experts_per_token is None):
        raise InputError(
            f"experts is {c.experts} and experts_per_token is {c.experts_per_token}; both must be "
            "given or neither"
        )
    if c.experts is None:
        if c.router != "top_k":
            raise InputError(f"router is {c.router!r} and experts is None; there is none to choose")
        return
    if c.experts_per_token > c.experts:
        raise InputError(
            f"experts_per_token is {c.experts_per_token}; it must be from 1 to {c.experts}, the "
            "number of experts"
        )
    if c.activation != "swiglu" or c.bias:
        raise InputError(
            f"activation is {c.activation!r} and bias is {c.bias}; experts have 'swiglu' and False"
        )


def check_positions(c: Any) -> None:
    """Refuse positions that the sizes do not allow, or a group that they do not use.

    Raises:
        InputError: it names the field, its value and what is allowed.
    """
    if c.positions == "sinusoidal" and c.channels % 2:
        raise InputError(f"channels is {c.channels}; with positions 'sinusoidal' it must be even")
    for name, kind in GROUPS.items():
        group = getattr(c, name)
        if not isinstance(group, kind if c.positions == name else type(None)):
            wanted = f"a {kind.__name__}" if c.positions == name else "None"
            raise InputError(
                f"{name} is {group!r}; with positions {c.positions!r} it must be {wanted}"
            )
    if c.positions == "rope":
        if c.D % 2:
            raise InputError(f"the head size is {c.D}; with positions 'rope' it must be even")
        turned = c.rope.turned(c.D)
        if turned < 2 or turned % 2:
            raise InputError(
                f"rope fraction is {c.rope.fraction} and the head size is {c.D}; of a head "
                f"{turned} numbers would turn, and it must be an even count of at least 2"
            )
        if c.rope.local_theta is not None and c.global_every is None:
            raise InputError(
                f"rope local_theta is {c.rope.local_theta} and global_every is None; only layers "
                "that take turns have two bases"
            )
        rope_frequencies(turned, c.rope.theta, c.rope.scaling)  # says what a scaling lacks


def check_walk(c: Any) -> None:
    """Refuse switches of the walk that need others.

    Raises:
        InputError: it names the switch and what it needs.
    """
    if c.norm_position not in ("pre", "post"):
        raise InputError(
            f"norm_position is {c.norm_position!r}; in a model of two stacks it must be pre or post"
        )
    for name in ("share_stacks", "same_layer"):
        if getattr(c, name) and c.T_layers != c.layers:
            raise InputError(
                f"decoder_layers is {c.T_layers} and layers is {c.layers}; with {name} they must "
                "be equal"
            )
    if c.merged_softmax and not c.share_cross:
        raise InputError("merged_softmax needs share_cross: one softmax has one set of queries")
    if c.merged_softmax and not c.joint_positions:
        raise InputError("merged_softmax needs joint_positions: one softmax spans one sequence")
    if c.same_layer and c.norm_position == "post":
        raise InputError("norm_position is 'post'; with same_layer it must be 'pre'")
