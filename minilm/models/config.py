"""What a model is: one dataclass, from which `Transformer` builds GPT-2, Llama, BERT and T5."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError
from minilm.nn.positions import rope_frequencies

KINDS = ("decoder", "encoder", "encoder-decoder", "prefix-lm", "glm")
NORMS = ("layer", "rms")
NORM_POSITIONS = ("pre", "post")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu", "swiglu", "geglu", "geglu_tanh")
GATED = ("swiglu", "geglu", "geglu_tanh")
POSITIONS = ("learned", "sinusoidal", "rope", "alibi", "relative", "2d", "none")
HEADS = ("lm", "mlm", "none")
ROPE_SCALINGS = ("linear", "ntk", "yarn", "llama3")
ROPE_LAYOUTS = ("half", "interleaved")


@dataclass(frozen=True)
class Config:
    """The shape and the switches of one Transformer.

    Sizes are counts. Fields that are None take the value named beside them; the properties
    `G`, `D`, `F` and `T_layers` give what holds in the end.

    Sizes
      vocab_size        V, number of token ids
      context           longest sequence, in tokens (for encoder-decoder: source and target each,
                        or their sum with joint_positions)
      layers            L, blocks of the stack (of the encoder, for encoder-decoder)
      heads             H, query heads
      channels          C, width of the residual stream
      kv_heads          G, key/value heads; None: heads. 1 is multi-query (arXiv 1911.02150),
                        a divisor of heads is grouped-query (arXiv 2305.13245)
      head_size         D, width of one head; None: channels / heads
      ff                F, feed-forward width; None: 4 C, or 8/3 C rounded up to 32 when gated
      decoder_layers    blocks of the decoder; None: layers
    Kind
      kind              "decoder", "encoder", "encoder-decoder", "prefix-lm" or "glm"
      head              "lm": a linear map to the vocabulary; "mlm": BERT's; "none": hidden states
      tie               the head uses the token embedding's weight
      pooler            BERT's tanh layer over the first token
      token_types       number of segment ids (BERT: 2)
    Blocks
      norm, eps         "layer" (arXiv 1607.06450) or "rms" (arXiv 1910.07467), and its epsilon
      norm_position     "pre": x + f(norm(x)); "post": norm(x + f(x)) (arXiv 2002.04745)
      norm_affine       norms have a weight (and, with `bias`, a bias)
      activation        of the feed-forward; swiglu and geglu are gated (arXiv 2002.05202)
      bias              linear maps and layer norms have a bias
      attention_bias    the attention's linear maps have one; None: bias
      dropout           probability in [0, 1), on embeddings and on what a sub-layer adds
      attention_scale   factor on the scores; None: 1 / sqrt(D)
    Positions
      positions         "learned", "sinusoidal", "rope", "alibi", "relative" (T5), "2d" (GLM) or
                        "none"
      rope_theta, rope_layout, rope_scaling   see `minilm.nn.positions.rope_table`
      relative_buckets, relative_distance     see `minilm.nn.positions.relative_bucket`
      window            each query sees itself and the window - 1 keys before it (decoder only)
    Embedding and head
      embedding_norm    a norm right after the embeddings (BERT)
      embedding_scale   factor on the token embedding (2017: sqrt(C))
      logit_scale       factor on the hidden state before the head (tied T5: 1 / sqrt(C))
    The walk from encoder-decoder to decoder-only (Chung, CS25 V4, 54:36-56:57)
      share_cross       step 1: cross-attention uses the self-attention's weights
      share_stacks      step 2: encoder and decoder are one stack of weights
      same_layer        step 3: target layer l reads what source layer l reads, not the last layer
      causal_input      step 4: the source is causal too
      merged_softmax    one softmax over [source; target] instead of two sub-layers
      joint_positions   target positions go on where the source's end, instead of from 0
    Start
      init_std          standard deviation of the initial weights
    """

    vocab_size: int
    context: int
    layers: int
    heads: int
    channels: int
    kv_heads: int | None = None
    head_size: int | None = None
    ff: int | None = None
    decoder_layers: int | None = None
    kind: str = "decoder"
    head: str = "lm"
    tie: bool = True
    pooler: bool = False
    token_types: int = 0
    norm: str = "layer"
    eps: float = 1e-5
    norm_position: str = "pre"
    norm_affine: bool = True
    activation: str = "gelu"
    bias: bool = True
    attention_bias: bool | None = None
    dropout: float = 0.0
    attention_scale: float | None = None
    positions: str = "learned"
    rope_theta: float = 10000.0
    rope_layout: str = "half"
    rope_scaling: dict[str, Any] | None = None
    relative_buckets: int = 32
    relative_distance: int = 128
    window: int | None = None
    embedding_norm: bool = False
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    share_cross: bool = False
    share_stacks: bool = False
    same_layer: bool = False
    causal_input: bool = False
    merged_softmax: bool = False
    joint_positions: bool = False
    init_std: float = 0.02

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_choices(self)
        _check_walk(self)

    @property
    def G(self) -> int:
        """Key/value heads."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def D(self) -> int:
        """Width of one head."""
        return self.channels // self.heads if self.head_size is None else self.head_size

    @property
    def F(self) -> int:
        """Feed-forward width."""
        if self.ff is not None:
            return self.ff
        if self.activation in GATED:
            return -(-8 * self.channels // (3 * 32)) * 32
        return 4 * self.channels

    @property
    def T_layers(self) -> int:
        """Blocks of the decoder stack of an encoder-decoder."""
        return self.layers if self.decoder_layers is None else self.decoder_layers

    @property
    def gated(self) -> bool:
        """The feed-forward is a gated linear unit."""
        return self.activation in GATED

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields changed, checked again."""
        return Config.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Config:
        """The config that `to_dict` wrote.

        Raises: InputError for a field that does not exist or one that is missing.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise InputError(
                f"config has no field {unknown[0]!r}; the fields are {', '.join(known)}."
            )
        missing = [
            name
            for name, field in known.items()
            if field.default is dataclasses.MISSING and name not in fields
        ]
        if missing:
            raise InputError(f"config lacks the field {missing[0]!r}, which has no default.")
        return cls(**fields)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_sizes(c: Config) -> None:
    for name in ("vocab_size", "context", "layers", "heads", "channels"):
        value = getattr(c, name)
        if not _is_count(value) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
    for name in ("kv_heads", "head_size", "ff", "decoder_layers", "window"):
        value = getattr(c, name)
        if value is not None and (not _is_count(value) or value < 1):
            raise InputError(f"{name} must be None or a whole number of at least 1, not {value!r}.")
    if c.head_size is None and c.channels % c.heads:
        raise InputError(
            f"channels must be a multiple of heads unless head_size is given; "
            f"channels is {c.channels} and heads is {c.heads}."
        )
    if c.heads % c.G:
        raise InputError(f"kv_heads must divide heads, which is {c.heads}; it is {c.kv_heads}.")
    if not _is_count(c.token_types) or c.token_types < 0:
        raise InputError(
            f"token_types must be a whole number of at least 0, not {c.token_types!r}."
        )
    for name in ("eps", "rope_theta", "init_std", "embedding_scale", "logit_scale"):
        value = getattr(c, name)
        if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise InputError(f"{name} must be a positive number, not {value!r}.")
    scale = c.attention_scale
    if scale is not None and (not isinstance(scale, (int, float)) or not 0 < scale < float("inf")):
        raise InputError(f"attention_scale must be None or a positive number, not {scale!r}.")
    if not isinstance(c.dropout, (int, float)) or not 0 <= c.dropout < 1:
        raise InputError(f"dropout must be a probability in [0, 1), not {c.dropout!r}.")


def _check_choices(c: Config) -> None:
    for field in dataclasses.fields(c):
        value = getattr(c, field.name)
        if field.type == "bool" and not isinstance(value, bool):
            raise InputError(f"{field.name} must be true or false, not {value!r}.")
    if not isinstance(c.attention_bias, (bool, type(None))):
        raise InputError(f"attention_bias must be None, true or false, not {c.attention_bias!r}.")
    for name, allowed in (
        ("kind", KINDS),
        ("head", HEADS),
        ("norm", NORMS),
        ("norm_position", NORM_POSITIONS),
        ("activation", ACTIVATIONS),
        ("positions", POSITIONS),
        ("rope_layout", ROPE_LAYOUTS),
    ):
        value = getattr(c, name)
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    if c.positions == "rope" and c.D % 2:
        raise InputError(f"positions 'rope' needs an even head size, not {c.D}.")
    if c.positions == "sinusoidal" and c.channels % 2:
        raise InputError(f"positions 'sinusoidal' needs even channels, not {c.channels}.")
    if c.positions == "relative":
        if not _is_count(c.relative_buckets) or c.relative_buckets < 4 or c.relative_buckets % 4:
            raise InputError(
                f"relative_buckets must be a positive multiple of 4, not {c.relative_buckets!r}."
            )
        if not _is_count(c.relative_distance) or c.relative_distance <= c.relative_buckets // 2:
            raise InputError(
                f"relative_distance must exceed half of relative_buckets "
                f"({c.relative_buckets // 2}), not be {c.relative_distance!r}."
            )
    if (c.positions == "2d") != (c.kind == "glm"):
        raise InputError(
            f"positions '2d' and kind 'glm' go together; kind is {c.kind!r} and "
            f"positions is {c.positions!r}."
        )
    if c.window is not None and c.kind != "decoder":
        raise InputError(f"window is for kind 'decoder', not {c.kind!r}.")
    if c.decoder_layers is not None and c.kind != "encoder-decoder":
        raise InputError(f"decoder_layers is for kind 'encoder-decoder', not {c.kind!r}.")
    if c.pooler and c.kind != "encoder":
        raise InputError(f"pooler is for kind 'encoder', not {c.kind!r}.")
    scaling = c.rope_scaling
    if scaling is not None and (
        not isinstance(scaling, dict) or scaling.get("kind") not in ROPE_SCALINGS
    ):
        raise InputError(
            f"rope_scaling must be None or a dict whose 'kind' is one of "
            f"{', '.join(ROPE_SCALINGS)}, not {scaling!r}."
        )
    if c.positions == "rope":
        rope_frequencies(c.D, c.rope_theta, scaling)  # says what a scaling lacks


def _check_walk(c: Config) -> None:
    switches = ("share_cross", "share_stacks", "same_layer", "causal_input", "merged_softmax")
    for name in (*switches, "joint_positions"):
        if getattr(c, name) and c.kind != "encoder-decoder":
            raise InputError(f"{name} is a switch of kind 'encoder-decoder', not of {c.kind!r}.")
    for name in ("share_stacks", "same_layer"):
        if getattr(c, name) and c.T_layers != c.layers:
            raise InputError(
                f"{name} needs as many decoder_layers as layers; they are "
                f"{c.T_layers} and {c.layers}."
            )
    if c.merged_softmax and not c.share_cross:
        raise InputError("merged_softmax needs share_cross: one softmax has one set of queries.")
    if c.merged_softmax and not c.joint_positions:
        raise InputError("merged_softmax needs joint_positions: one softmax spans one sequence.")
    if c.same_layer and c.norm_position == "post":
        raise InputError("same_layer needs norm_position 'pre'; it is 'post'.")
