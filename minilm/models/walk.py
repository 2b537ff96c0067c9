"""The walk from encoder-decoder to decoder-only (Chung, CS25 V4, 54:36-56:57), step by step."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.models.config import EncoderDecoderConfig
from minilm.models.encoder_decoder import EncoderDecoder
from minilm.models.transformer import Transformer

_SWITCHES = ("share_cross", "share_stacks", "same_layer", "causal_input")


def walk_step(
    config: EncoderDecoderConfig, count: int, merged: bool = False
) -> EncoderDecoderConfig:
    """The same encoder-decoder with the first `count` of the four differences taken away.

    Args:
        config: an encoder-decoder without any switch on.
        count: 0 (as it is); 1: cross-attention shares the self-attention's weights; 2: encoder
            and decoder share theirs; 3: target layer l reads what source layer l reads; 4: the
            source is causal too.
        merged: one softmax over [source; target] (from step 1 on).

    Returns:
        The config; target positions go on where the source's end at every step.

    Raises:
        InputError: count out of range, or merged before step 1.
    """
    if not 0 <= count <= len(_SWITCHES):
        raise InputError(f"count is {count}; it must be from 0 to {len(_SWITCHES)}")
    switches: dict[str, Any] = {name: i < count for i, name in enumerate(_SWITCHES)}
    return config.replace(**switches, merged_softmax=merged, joint_positions=True)


def single_stack(model: EncoderDecoder) -> Transformer:
    """The prefix-LM (after step 4: the decoder) that a model after step 3, merged, is equal to.

    Its logits over [source; target] with prefix = the source's length are the encoder-decoder's
    on the target. The weights are copied.

    Raises:
        InputError: a model that is not there yet.
    """
    config = model.config
    for name in (*_SWITCHES[:3], "merged_softmax"):
        if not getattr(config, name):
            raise InputError(f"{name} is false in this model; no single stack equals it")
    names = (*_SWITCHES, "merged_softmax", "joint_positions")
    kind = "decoder" if config.causal_input else "prefix-lm"
    fields: dict[str, Any] = {name: False for name in names}
    single = config.replace(kind=kind, decoder_layers=None, **fields)
    state = {}
    for name, array in model.state_dict().items():
        first, _, rest = name.partition(".")
        state[f"stack.{rest}" if first in ("encoder", "decoder") else name] = array
    twin = Transformer(single, dtype=model.tokens.weight.dtype, allocate=False)
    twin.load_state_dict(state)
    return twin
