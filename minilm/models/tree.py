"""What each family of models changed since 2017, read off their configs: one row a preset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minilm.models import families, presets
from minilm.models.build import count_parameters
from minilm.models.config import Config


@dataclass(frozen=True)
class Family:
    """One row of the tree.

    name        of the model
    year        of its first publication
    arxiv       identifier of its paper, or "" where there is none on arXiv
    config      of the size named
    traits      aspect -> how it has it, the aspects of `traits`
    changes     the traits in which it differs from the Transformer of 2017, in the same order
    """

    name: str
    year: int
    arxiv: str
    config: Config
    traits: dict[str, str]
    changes: dict[str, str]

    @property
    def parameters(self) -> int:
        """How many it has; nothing is allocated."""
        return count_parameters(self.config)


_MEMBERS: tuple[tuple[str, int, str, Callable[[], Config]], ...] = (
    ("Transformer", 2017, "1706.03762", presets.vaswani),
    ("BERT base", 2018, "1810.04805", presets.bert),
    ("GPT-2", 2019, "", presets.gpt2),
    ("T5 small", 2019, "1910.10683", presets.t5),
    ("GPT-3", 2020, "2005.14165", presets.gpt3),
    ("GLM base", 2021, "2103.10360", presets.glm),
    ("GPT-NeoX 20B", 2022, "2204.06745", families.gpt_neox),
    ("Llama 7B", 2023, "2302.13971", presets.llama),
    ("StarCoder", 2023, "2305.06161", presets.starcoder),
    ("Mistral 7B", 2023, "2310.06825", presets.mistral),
    ("Mixtral 8x7B", 2024, "2401.04088", presets.mixtral),
    ("StarCoder2 3B", 2024, "2402.19173", families.starcoder2),
    ("Phi-3 mini", 2024, "2404.14219", families.phi3),
    ("Qwen2 0.5B", 2024, "2407.10671", families.qwen2),
    ("Llama 3 8B", 2024, "2407.21783", lambda: presets.llama("3-8b")),
    ("Gemma 2 2B", 2024, "2408.00118", families.gemma2),
    ("OLMo 2 7B", 2024, "2501.00656", families.olmo2),
    ("Gemma 3 1B", 2025, "2503.19786", families.gemma3),
    ("Qwen3 0.6B", 2025, "2505.09388", families.qwen3),
)


def family_tree() -> list[Family]:
    """Every family that has a preset, in order of year, with what it changed since 2017.

    Nothing is allocated. `family.changes` is computed from the config, so a row cannot say what the
    model does not do.
    """
    first = traits(presets.vaswani())
    tree = []
    for name, year, arxiv, make in _MEMBERS:
        config = make()
        own = traits(config)
        changes = {aspect: how for aspect, how in own.items() if how != first[aspect]}
        tree.append(Family(name, year, arxiv, config, own, changes))
    return tree


def traits(config: Config) -> dict[str, str]:
    """How a model has each thing that families differ in: aspect -> a few words."""
    return {
        "stacks": _STACKS[config.kind],
        "norm": {"layer": "layer norm", "rms": "RMS norm"}[config.norm],
        "norm stands": _NORMS[config.norm_position],
        "queries and keys": _QK_NORMS[config.qk_norm],
        "positions": _positions(config),
        "heads of keys": _heads(config),
        "window": _window(config),
        "feed-forward": _feed_forward(config),
        "biases": _biases(config),
        "caps": _caps(config),
        "head": "its own map" if not config.tie else "the embedding's weight",
    }


_STACKS = {
    "encoder-decoder": "encoder and decoder",
    "decoder": "decoder",
    "encoder": "encoder",
    "prefix-lm": "decoder with a prefix",
    "glm": "decoder that fills blanks",
}
_NORMS = {
    "post": "after the sum",
    "pre": "before the sub-layer",
    "inside": "behind the sub-layer",
    "both": "before and behind the sub-layer",
    "parallel": "before both sub-layers, side by side",
}
_QK_NORMS = {None: "no norm", "head": "a norm for each head", "all": "a norm over all heads"}


def _positions(config: Config) -> str:
    if config.positions != "rope":
        return {"2d": "two learned tables", "relative": "relative biases"}.get(
            config.positions, config.positions
        )
    rope = config.rope
    part = "" if rope.fraction == 1 else f" on {rope.fraction:.0%} of a head"
    bases = f"{rope.theta:.0f}"
    if rope.local_theta is not None:
        bases += f" and {rope.local_theta:.0f}"
    return f"RoPE{part}, base {bases}"


def _heads(config: Config) -> str:
    if config.G == config.heads:
        return "one for each query head"
    return "one for all" if config.G == 1 else f"one for {config.heads // config.G} query heads"


def _window(config: Config) -> str:
    if config.window is None:
        return "none"
    if config.global_every is None:
        return f"{config.window} tokens"
    return f"{config.window} tokens in {config.global_every - 1} of {config.global_every} layers"


def _feed_forward(config: Config) -> str:
    names = {"relu": "ReLU", "swiglu": "SwiGLU", "silu": "SiLU"}
    names |= {"gelu": "GELU", "gelu_tanh": "GELU", "geglu": "GEGLU", "geglu_tanh": "GEGLU"}
    name = names[config.activation]
    if config.experts is None:
        return name
    return f"{name}, {config.experts_per_token} of {config.experts} experts"


def _biases(config: Config) -> str:
    own = config.bias if config.attention_bias is None else config.attention_bias
    if own == "qkv":
        return "in queries, keys and values"
    if own == config.bias:
        return "everywhere" if own else "nowhere"
    return "in attention" if own else "outside attention"


def _caps(config: Config) -> str:
    caps = [("scores", config.attention_cap), ("logits", config.logit_cap)]
    return ", ".join(f"{what} at {cap:g}" for what, cap in caps if cap is not None) or "none"
