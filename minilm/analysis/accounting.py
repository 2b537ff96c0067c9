"""What a model costs, counted exactly from its config: parameters, FLOPs, activations, KV cache.

A config is a `minilm.models.Config` or anything with its fields. `experts` and
`experts_per_token`, fields of the config or arguments, put that many feed-forward experts and a
linear router in every layer (Mixtral, arXiv 2401.04088). FLOPs count matrix products only, 2 per
multiply-add; lookups, norms, softmax and activations are left out, as usual.
"""

from dataclasses import dataclass, fields
from typing import Any

from minilm.analysis.shape import Shape, get, shape_of
from minilm.errors import InputError


@dataclass(frozen=True)
class Parameters:
    """Trainable numbers of a model, by part; `active` is what one token uses."""

    embedding: int  # token and segment tables
    positions: int  # learned tables, relative biases
    attention: int
    feed_forward: int  # all experts
    router: int
    norms: int
    head: int  # untied output layer, masked-token head, pooler
    idle: int  # expert weights that one token leaves unused

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, f.name) for f in fields(self)) - self.idle

    @property
    def active(self) -> int:
        """Those that one token uses; the total unless there are experts."""
        return self.total - self.idle

    @property
    def non_embedding(self) -> int:
        """The total without tables of tokens, segments and positions, and without heads."""
        return self.total - self.embedding - self.positions - self.head


@dataclass(frozen=True)
class Flops:
    """FLOPs of one forward pass, by part."""

    projections: int  # queries, keys, values, output
    scores: int  # query-key products and the weighted sums of values
    feed_forward: int
    router: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, f.name) for f in fields(self))


def count_parameters(
    config: Any, experts: int | None = None, experts_per_token: int | None = None
) -> Parameters:
    """Every trainable number of the model that this config describes.

    Args:
        config: the model's config.
        experts: feed-forward experts per layer; None reads the config, or means a dense model.
        experts_per_token: how many of them one token uses.

    Raises:
        InputError: experts without experts_per_token, or more chosen than there are.
    """
    s = shape_of(config, experts, experts_per_token)
    bias = bool(get(config, "bias", True))
    attention_bias = get(config, "attention_bias")
    attention_bias = bias if attention_bias is None else attention_bias
    affine = get(config, "norm_affine", True)
    norm = s.c * (2 if config.norm == "layer" and bias else 1) if affine else 0
    attention = s.attention + ((s.h + 2 * s.g) * s.d if attention_bias else 0)
    attention += s.c if attention_bias and attention_bias != "qkv" else 0
    qk_norms = {"head": 2 * s.d, "all": (s.h + s.g) * s.d}.get(get(config, "qk_norm"), 0)
    expert = s.maps * s.c * s.f + ((s.maps - 1) * s.f + s.c if bias else 0)
    routed = s.experts > 1 or get(config, "experts") is not None or experts is not None
    router = s.c * s.experts if routed else 0
    router *= 2 if get(config, "router") == "noisy" else 1  # a second map says how much noise

    # Blocks of both stacks, and the cross-attention of the target's.
    blocks = s.stack + (0 if get(config, "share_stacks", False) else s.target)
    crossed = 0 if get(config, "share_cross", False) else s.target
    merged = get(config, "merged_softmax", False)
    each = 4 if config.norm_position == "both" else 2
    norms = norm * (each * blocks + (0 if merged else s.target))
    norms += qk_norms * (blocks + crossed)
    if config.norm_position != "post":  # one more norm after each stack whose end is read
        norms += norm * (1 + (s.target > 0 and not get(config, "same_layer", False)))
    norms += norm if get(config, "embedding_norm", False) else 0

    table = config.vocab_size * s.c
    embedding = table + get(config, "token_types", 0) * s.c
    head = 0 if get(config, "tie", True) or get(config, "head", "lm") == "none" else table
    if get(config, "head", "lm") == "mlm":
        head += s.c * s.c + s.c + norm + config.vocab_size
    if get(config, "pooler", False):
        head += s.c * s.c + s.c
    return Parameters(
        embedding=embedding,
        positions=_position_parameters(config, s),
        attention=attention * (blocks + crossed),
        feed_forward=expert * s.experts * blocks,
        router=router * blocks,
        norms=norms,
        head=head,
        idle=expert * (s.experts - s.chosen) * blocks,
    )


def _position_parameters(config: Any, s: Shape) -> int:
    if config.positions == "learned":
        return config.context * s.c
    if config.positions == "2d":  # two numbers a token, each from 0 to context
        return 2 * (config.context + 1) * s.c
    if config.positions == "relative":
        shared = get(config, "share_stacks", False)
        stacks = 2 if s.target and not shared else 1
        relative = get(config, "relative")
        return stacks * (32 if relative is None else relative.buckets) * s.h
    return 0


def attended_pairs(
    config: Any, length: int, target: int = 0, masked: bool = False
) -> dict[str, int]:
    """(query, key) pairs that one attention layer may look at, for one sequence.

    Args:
        config: the model's config; its kind, window and `causal_input` decide the mask.
        length: tokens; of the source or the prefix, where the kind has one.
        target: tokens that follow the prefix, or of the target.
        masked: also count the pairs that the mask hides, as a dense kernel computes them.

    Returns:
        {"self": pairs} for one stack, with "global" for its layers without a window where some
        have one; {"source", "target", "cross"} for an encoder-decoder.

    Raises:
        InputError: a length below 0.
    """
    if length < 0 or target < 0:
        raise InputError(f"length is {length} and target is {target}; both must be 0 or more")

    def triangle(n: int) -> int:
        return n * n if masked else n * (n + 1) // 2

    if config.kind == "encoder-decoder":
        causal = get(config, "causal_input", False)
        source = triangle(length) if causal else length * length
        return {"source": source, "target": triangle(target), "cross": length * target}
    n = length + target
    if config.kind == "encoder":
        return {"self": n * n}
    if config.kind == "decoder":
        window = get(config, "window")
        if window is None or window >= n or masked:
            return {"self": triangle(n)}
        pairs = {"self": triangle(window) + (n - window) * window}
        return pairs if get(config, "global_every") is None else {**pairs, "global": triangle(n)}
    return {"self": n * n if masked else length * n + triangle(target)}


def _global_layers(config: Any, s: Shape) -> int:
    """Layers without a window, where others have one."""
    every = get(config, "global_every")
    return 0 if every is None else s.stack // every


def forward_flops(
    config: Any,
    length: int,
    target: int = 0,
    batch: int = 1,
    masked: bool = False,
    experts: int | None = None,
    experts_per_token: int | None = None,
) -> Flops:
    """Matrix-product FLOPs of one forward pass over `batch` sequences.

    An encoder-decoder projects each target token for two attentions (self and cross) and each
    source token for the cross-attention's keys and values of every target layer. One merged
    softmax saves the second query and output; shared stacks with same-layer reading save the
    second keys and values.

    Args:
        config: the model's config.
        length: tokens per sequence; of the source or the prefix, where the kind has one.
        target: tokens that follow the prefix, or of the target; the head predicts these (and every
            token, where the kind has no prefix or source).
        batch: sequences.
        masked: also count the scores that the mask hides, as a dense kernel computes them.
        experts, experts_per_token: as in `count_parameters`.

    Raises:
        InputError: a length below 0, or experts as in `count_parameters`.
    """
    s = shape_of(config, experts, experts_per_token)
    pairs = attended_pairs(config, length, target, masked)
    one, kv = s.attention, 2 * s.c * s.g * s.d  # multiply-adds of a token, and of its k and v
    per_pair = 2 * s.h * s.d
    ff = s.maps * s.c * s.f * s.chosen
    routing = s.c * s.experts if s.experts > 1 else 0
    if config.kind == "encoder-decoder":
        merged = get(config, "merged_softmax", False)
        reuse = all(
            get(config, switch, False) for switch in ("share_cross", "share_stacks", "same_layer")
        )
        cross = (0 if merged else (one - kv) * target) + (0 if reuse else kv * length)
        projections = s.stack * one * length + s.target * (one * target + cross)
        scores = s.stack * pairs["source"] + s.target * (pairs["target"] + pairs["cross"])
        visits = s.stack * length + s.target * target
        predicted = target
    else:
        n = length + target
        far = _global_layers(config, s)
        scores = (s.stack - far) * pairs["self"] + far * pairs.get("global", pairs["self"])
        projections, visits = s.stack * one * n, s.stack * n
        predicted = target if config.kind in ("prefix-lm", "glm") else n
    head = 0 if get(config, "head", "lm") == "none" else s.c * config.vocab_size * predicted
    if get(config, "head", "lm") == "mlm":
        head += s.c * s.c * predicted
    if get(config, "pooler", False):
        head += s.c * s.c
    double = 2 * batch  # 2 FLOPs per multiply-add
    return Flops(
        projections=double * projections,
        scores=double * scores * per_pair,
        feed_forward=double * ff * visits,
        router=double * routing * visits,
        head=double * head,
    )


def training_flops(
    config: Any, length: int, target: int = 0, batch: int = 1, recompute: bool = False, **kw: Any
) -> int:
    """FLOPs of one training step: backward costs two forward passes, recomputing one more."""
    return (4 if recompute else 3) * forward_flops(config, length, target, batch, **kw).total


def matrix_parameters(config: Any, **experts: Any) -> int:
    """Weights of the matrices inside the layers that one token uses, without biases: Kaplan's N.

    Raises:
        InputError: an encoder-decoder, whose tokens do not all use the same weights.
    """
    s = shape_of(config, **experts)
    if s.target:
        raise InputError("config is an encoder-decoder; forward_flops counts each of its sides")
    routing = s.c * s.experts if s.experts > 1 else 0
    return s.stack * (s.attention + s.maps * s.c * s.f * s.chosen + routing)


def kaplan_flops(config: Any, context: int | None = None) -> int:
    """Forward FLOPs per token, 2 N + 2 L n d (Kaplan et al. 2020, arXiv 2001.08361, table 1).

    Kaplan's estimate: half the n x n scores (a causal mask), no head, no embedding.
    """
    s = shape_of(config)
    n = config.context if context is None else context
    return 2 * matrix_parameters(config) + 2 * s.stack * n * s.h * s.d


def six_nd(size: float, tokens: float) -> float:
    """Training FLOPs of a dense model, C = 6 N D (2001.08361, section 2.1)."""
    return 6 * size * tokens


def kv_bytes_per_token(config: Any, element: int = 2) -> int:
    """Bytes of keys and values that one token leaves in the cache: 2 L G D times the element.

    Raises:
        InputError: an encoder, which reads its text at once and keeps nothing.
    """
    if config.kind == "encoder":
        raise InputError("config is an encoder, which has no cache: it reads its text all at once")
    s = shape_of(config)
    return 2 * (s.target or s.stack) * s.g * s.d * element


def kv_cache_bytes(
    config: Any, length: int, batch: int = 1, element: int = 2, source: int = 0
) -> int:
    """Bytes of the KV cache after this many tokens; a window bounds that of its layers.

    Args:
        config: the model's config.
        length: tokens generated or read so far (of the target, for an encoder-decoder).
        batch: sequences.
        element: bytes per number: 2 for float16 and bfloat16, 4 for float32.
        source: source tokens whose keys and values cross-attention keeps.

    Raises:
        InputError: an encoder, which has no cache.
    """
    window = get(config, "window")
    kept = length if window is None else min(length, window)
    s = shape_of(config)
    far = _global_layers(config, s)
    beyond = 2 * far * s.g * s.d * element * (length - kept)  # of layers that see all
    return (kv_bytes_per_token(config, element) * (kept + source) + beyond) * batch


def activation_bytes_per_layer(
    config: Any,
    length: int,
    batch: int = 1,
    element: int = 2,
    dropout: bool | None = None,
    recompute: str = "none",
    **experts: Any,
) -> int:
    """Bytes that one layer keeps for its backward pass (Korthikanti et al., arXiv 2205.05198).

    Kept are the inputs of both norms, of every matrix product and of the activation, the
    attention weights, and one byte per dropout mask entry. For a plain half-precision GPT layer
    with dropout that is the paper's s b h (34 + 5 a s / h).

    Args:
        config: the model's config (a layer without cross-attention).
        length: tokens per sequence, s.
        batch: sequences, b.
        element: bytes per kept number.
        dropout: masks are kept; None asks the config (dropout above 0).
        recompute: "none"; "scores" drops the attention weights and recomputes them (the paper's
            selective recomputation, and what a fused attention kernel does); "full" keeps only
            the layer's input.
        experts: `experts`, `experts_per_token` as in `count_parameters`.

    Raises:
        InputError: another word for `recompute`, or experts as in `count_parameters`.
    """
    s = shape_of(config, **experts)
    if recompute not in ("none", "scores", "full"):
        raise InputError(f"recompute is {recompute!r}; allowed are 'none', 'scores' and 'full'")
    masks = get(config, "dropout", 0.0) > 0 if dropout is None else dropout
    n = length * batch
    if recompute == "full":
        return element * n * s.c
    q, kv = s.h * s.d, 2 * s.g * s.d
    # Norm input, norm output, q k v, what the output map reads.
    attention = element * n * (2 * s.c + 2 * q + kv) + (n * s.c if masks else 0)
    if recompute == "none":
        per_score = 2 * element + 1 if masks else element  # weights, and after dropout its input
        attention += per_score * n * length * s.h
    # Norm input, norm output once per chosen expert, activation inputs, what the last map reads.
    hidden = s.maps * s.f * s.chosen
    normed = 2 * s.c if config.norm_position == "both" else 0  # inputs of the norms behind
    normed += q + kv // 2 if get(config, "qk_norm") else 0
    attention += element * n * normed
    return attention + element * n * (s.c + s.c * s.chosen + hidden) + (n * s.c if masks else 0)


def activation_bytes(config: Any, length: int, batch: int = 1, target: int = 0, **kw: Any) -> int:
    """Bytes that all layers keep for the backward pass, without the head and what follows it.

    For their cross-attention, an encoder-decoder's target layers keep what a self-attention keeps,
    the keys and values of the source; the source's last norm is kept once for all of them. What
    its switches share is not kept twice: one merged softmax has no second norm, query and output;
    shared stacks with same-layer reading have no second keys and values.

    Args:
        config: the model's config.
        length: tokens per sequence; of the source or the prefix, where the kind has one.
        batch: sequences.
        target: tokens that follow the prefix, or of the target.
        kw: element, dropout, recompute and experts, as in `activation_bytes_per_layer`.

    Raises:
        InputError: a length below 0, or as in `activation_bytes_per_layer`.
    """
    if length < 0 or target < 0:
        raise InputError(f"length is {length} and target is {target}; both must be 0 or more")
    if config.kind != "encoder-decoder":
        return config.layers * activation_bytes_per_layer(config, length + target, batch, **kw)
    s = shape_of(config)
    element, recompute = kw.get("element", 2), kw.get("recompute", "none")
    masks = get(config, "dropout", 0.0) > 0 if kw.get("dropout") is None else kw["dropout"]
    shared = ("share_cross", "share_stacks", "same_layer")
    reuse, merged = all(get(config, n) for n in shared), get(config, "merged_softmax")
    source, own = (activation_bytes_per_layer(config, n, batch, **kw) for n in (length, target))
    end = 0  # what the target's layers read from the source, and the input of its norm
    if not get(config, "same_layer") and config.norm_position == "pre":
        end = 2 * element * length * s.c
    cross = 0
    if recompute != "full":
        numbers = 0 if reuse else 2 * s.g * s.d * length
        numbers += 0 if merged else (2 * s.c + 2 * s.h * s.d) * target
        cross = element * numbers + (target * s.c if masks and not merged else 0)
    if recompute == "none":
        cross += (2 * element + 1 if masks else element) * s.h * length * target
    return s.stack * source + s.target * own + batch * (end + s.target * cross)
