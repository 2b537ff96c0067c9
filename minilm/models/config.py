"""What a model is: one dataclass for a single stack, one that adds an encoder-decoder's choices."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from minilm.errors import InputError
from minilm.models.config_checks import (
    check_choices,
    check_experts,
    check_positions,
    check_sizes,
    check_walk,
)
from minilm.models.groups import GROUPS, Relative, Rope, grouped

GATED = ("swiglu", "geglu", "geglu_tanh")


@dataclass(frozen=True)
class Config:
    """The shape and the switches of a `Transformer`: one stack of blocks.

    Sizes are counts. Fields that are None take the value named beside them; the properties
    `G`, `D` and `F` give what holds in the end.

    Sizes
      vocab_size        V, number of token ids
      context           longest sequence, in tokens
      layers            L, blocks of the stack
      heads             H, query heads
      channels          C, width of the residual stream
      kv_heads          G, key/value heads; None: heads. 1 is multi-query (arXiv 1911.02150),
                        a divisor of heads is grouped-query (arXiv 2305.13245)
      head_size         D, width of one head; None: channels / heads
      ff                F, feed-forward width; None: 4 C, or 8/3 C rounded up to 32 when gated
    Kind
      kind              "decoder", "encoder", "prefix-lm" or "glm"
      head              "lm": a linear map to the vocabulary; "mlm": BERT's; "none": hidden states
      tie               the head uses the token embedding's weight
      pooler            BERT's tanh layer over the first token
      token_types       number of segment ids (BERT: 2)
    Blocks
      norm, eps         "layer" (arXiv 1607.06450) or "rms" (arXiv 1910.07467), and its epsilon
      norm_position     "pre": x + f(norm(x)); "post": norm(x + f(x)) (arXiv 2002.04745);
                        "inside": x + norm(f(x)) (OLMo 2, 2501.00656); "both":
                        x + norm(f(norm(x))) (Gemma 2, 2408.00118); "parallel":
                        x + attention(norm(x)) + feed_forward(norm(x)) (GPT-NeoX, 2204.06745)
      norm_affine       norms have a weight (and, with `bias`, a bias)
      activation        of the feed-forward; swiglu and geglu are gated (arXiv 2002.05202)
      bias              linear maps and layer norms have a bias
      attention_bias    the attention's linear maps have one; "qkv": queries, keys and values only
                        (Qwen2, arXiv 2407.10671); None: bias
      dropout           probability in [0, 1), on embeddings and on what a sub-layer adds
      attention_scale   factor on the scores; None: 1 / sqrt(D)
      attention_cap     soft cap on the scaled scores, cap * tanh(score / cap); None: none
      qk_norm           RMS norms on queries and keys: "head" (each head by the same weights) or
                        "all" (all heads at once); None: none
    Experts (arXiv 2401.04088)
      experts           E, feed-forwards of width F per block; None: one, which every token uses
      experts_per_token K, how many of them a token uses
      router            who chooses: "top_k", "noisy" (arXiv 1701.06538) or "balanced" (2408.15664)
    Positions
      positions         "learned", "sinusoidal", "rope", "alibi", "relative" (T5), "2d" (GLM) or
                        "none"
      rope              a `Rope`, for positions "rope"; None: Rope()
      relative          a `Relative`, for positions "relative"; None: Relative()
      window            each query sees itself and the window - 1 keys before it (decoder only)
      global_every      every so many layers, one has no window: n - 1 that have one, then one that
                        sees all; None: all layers have it
    Embedding and head
      embedding_norm    a norm right after the embeddings (BERT)
      embedding_scale   factor on the token embedding (2017: sqrt(C))
      logit_scale       factor on the hidden state before the head (tied T5: 1 / sqrt(C))
      logit_cap         soft cap on the logits (head "lm"); None: none
    Start
      init_std          standard deviation of the initial weights
    """

    KINDS: ClassVar[tuple[str, ...]] = ("decoder", "encoder", "prefix-lm", "glm")

    vocab_size: int
    context: int
    layers: int
    heads: int
    channels: int
    kv_heads: int | None = None
    head_size: int | None = None
    ff: int | None = None
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
    attention_bias: bool | str | None = None
    dropout: float = 0.0
    attention_scale: float | None = None
    attention_cap: float | None = None
    qk_norm: str | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    router: str = "top_k"
    positions: str = "learned"
    rope: Rope | None = None
    relative: Relative | None = None
    window: int | None = None
    global_every: int | None = None
    embedding_norm: bool = False
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    logit_cap: float | None = None
    init_std: float = 0.02

    def __post_init__(self) -> None:
        if self.kind in EncoderDecoderConfig.KINDS and self.kind not in self.KINDS:
            raise InputError(f"kind is {self.kind!r}; its config is an EncoderDecoderConfig")
        group = GROUPS.get(self.positions)
        if group and getattr(self, self.positions) is None:
            object.__setattr__(self, self.positions, group())  # frozen for everybody else
        check_sizes(self)
        check_choices(self, self.KINDS)
        check_experts(self)
        check_positions(self)

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
    def gated(self) -> bool:
        """The feed-forward is a gated linear unit."""
        return self.activation in GATED

    def sees_all(self, layer: int) -> bool:
        """Whether a layer, counted from 0, has no window."""
        every = self.global_every
        return self.window is None or (every is not None and (layer + 1) % every == 0)

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields changed, checked again.

        Another kind may make it a config of the other class; other positions leave behind the
        group that served the old ones.
        """
        fields = self.to_dict()
        if changes.get("positions", self.positions) != self.positions:
            fields |= dict.fromkeys(GROUPS)
        return Config.from_dict({**fields, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON; a group is an object of its own."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Config:
        """The config that `to_dict` wrote, also by versions whose fields were all flat.

        Returns:
            a `Config`, or an `EncoderDecoderConfig` for kind "encoder-decoder".

        Raises:
            InputError: a field that does not exist, is missing or has a value it cannot have.
        """
        fields = grouped(fields)
        both = fields.get("kind", cls.kind) in EncoderDecoderConfig.KINDS
        made = EncoderDecoderConfig if both else Config
        known = {field.name: field for field in dataclasses.fields(made)}
        for name in OF_TWO_STACKS - known.keys():
            value = fields.pop(name, None)
            if value:  # absent, None or False where there is one stack
                raise InputError(f"{name} is {value!r}; only kind 'encoder-decoder' has it")
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise InputError(f"config has {unknown[0]!r}; its fields are {', '.join(known)}")
        for name, field in known.items():
            if field.default is dataclasses.MISSING and name not in fields:
                raise InputError(f"config lacks the field {name!r}, which has no default")
        return made(**fields)


@dataclass(frozen=True)
class EncoderDecoderConfig(Config):
    """The shape and the switches of an `EncoderDecoder`: a stack that reads, one that writes.

    All fields of `Config`, of which `context` bounds source and target each (their sum with
    `joint_positions`) and `layers` counts the encoder's blocks, and these:

    Sizes
      decoder_layers    blocks of the decoder; None: layers
    The walk from encoder-decoder to decoder-only (Chung, CS25 V4, 54:36-56:57)
      share_cross       step 1: cross-attention uses the self-attention's weights
      share_stacks      step 2: encoder and decoder are one stack of weights
      same_layer        step 3: target layer l reads what source layer l reads, not the last layer
      causal_input      step 4: the source is causal too
      merged_softmax    one softmax over [source; target] instead of two sub-layers
      joint_positions   target positions go on where the source's end, instead of from 0
    """

    KINDS: ClassVar[tuple[str, ...]] = ("encoder-decoder",)

    kind: str = "encoder-decoder"
    decoder_layers: int | None = None
    share_cross: bool = False
    share_stacks: bool = False
    same_layer: bool = False
    causal_input: bool = False
    merged_softmax: bool = False
    joint_positions: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_walk(self)

    @property
    def T_layers(self) -> int:
        """Blocks of the decoder's stack."""
        return self.layers if self.decoder_layers is None else self.decoder_layers


OF_TWO_STACKS = {f.name for f in dataclasses.fields(EncoderDecoderConfig)} - {
    f.name for f in dataclasses.fields(Config)
}
