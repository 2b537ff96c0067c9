"""The model that is yours: tokenizer, attention, norm, loss, optimizer and sampler by one student.

What is left of minilm in it is said: matrix products, the embedding, the tape that carries
gradients back, and the loop that calls everything.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import minilm
from minilm.course.checking.own_model import counted, in_place
from minilm.errors import InputError
from minilm.files import make_folder, parse_json, write_atomically, write_text
from minilm.models import Config, Transformer
from minilm.tokenizers import bpe_basic

# what a GPT is made of -> the parts of minilm that may be it, the first that is there
ROLES = {
    "tokenizer": ("merge",),
    "attention": ("self_attention", "attention"),
    "norm": ("layer_norm",),
    "loss": ("cross_entropy",),
    "optimizer": ("adamw",),
    "sampler": ("top_p",),
}
MORE = ("softmax", "gelu", "attention")  # taken as well where they are there
OF_MINILM = "matrix products, the embedding, the tape, and the loop that calls all these"
MERGES, LEARNT, TEXT = 64, 20_000, 120_000  # tokens beyond bytes; bytes they and the model see
CONTEXT, BATCH, LR = 64, 8, 4e-3
WEIGHTS, FACTS = "weights.npz", "own.json"


class OwnTokenizer:
    """Byte pairs joined by the student's `merge`.

    Args:
        pairs: what was learnt, in order.
    """

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self.pairs = [tuple(pair) for pair in pairs]
        self.words = [bytes([b]) for b in range(256)]
        for left, right in self.pairs:
            self.words.append(self.words[left] + self.words[right])

    @property
    def vocab_size(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """Text -> ids."""
        return list(bpe_basic.encode(list(text.encode()), self.pairs))

    def decode(self, ids: list[int]) -> str:
        """Ids -> text; bytes that are no UTF-8 become a mark."""
        return b"".join(self.words[int(i)] for i in ids).decode("utf-8", errors="replace")


@dataclass
class OwnGPT:
    """A trained model, with what was measured on the way.

    Attributes:
        losses: of every step, in nats per token.
        calls: how often each of the student's functions was called.
        bytes_per_token: of the text that it learnt.
        seconds: of the training.
    """

    model: Transformer
    tokenizer: OwnTokenizer
    parts: dict[str, Callable]
    losses: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    bytes_per_token: float = 1.0
    seconds: float = 0.0

    @contextmanager
    def own_code(self) -> Iterator[None]:
        """Inside, minilm runs on the student's functions, and their calls are counted."""
        before = dict(self.calls)
        fitted = {n: in_place(n, counted(p, self.calls, n)) for n, p in self.parts.items()}
        self.calls |= before  # counting goes on
        with minilm.use(**fitted):
            yield

    def write(self, prompt: str, tokens: int = 60, seed: int = 0, share: float = 0.9) -> str:
        """Go on with a text, by the student's sampler.

        Raises:
            InputError: the prompt is empty, or tokens do not fit into the context.
        """
        from minilm.inference import generate

        if not prompt:
            raise InputError("prompt is empty; the model needs at least one letter to begin with")
        if not 1 <= tokens < CONTEXT:
            raise InputError(f"tokens is {tokens}; it must be from 1 to {CONTEXT - 1}")
        with self.own_code():
            ids = self.tokenizer.encode(prompt)[-(CONTEXT - tokens) :]
            new = generate(self.model, ids, tokens, temperature=0.8, top_p=share, seed=seed)
        return self.tokenizer.decode(new)


def chosen(parts: dict[str, Callable]) -> dict[str, Callable]:
    """Those of a student's parts that a GPT is made of.

    Raises:
        InputError: a role has none; it names the questions that fill it.
    """
    lacking = [role for role, names in ROLES.items() if not set(names) & parts.keys()]
    if lacking:
        which = ", ".join(f"{role} ({' or '.join(ROLES[role])})" for role in lacking)
        raise InputError(
            f"your GPT still lacks {which}; pass the questions of these names in the exercises "
            "(minilm progress shows where they are)"
        )
    names = {next(n for n in names if n in parts) for names in ROLES.values()}
    return {name: parts[name] for name in parts if name in names | set(MORE)}


def config_for(vocab_size: int) -> Config:
    """The shape of everybody's first own model."""
    shape = {"layers": 2, "heads": 4, "channels": 64, "init_std": 0.5 / 64**0.5}
    return Config(vocab_size=vocab_size, context=CONTEXT, **shape)


def train_gpt(
    parts: dict[str, Callable], steps: int = 300, seed: int = 0, progress: bool = False
) -> OwnGPT:
    """Learn tokens, then a GPT on the Python documentation, by the student's functions.

    Args:
        parts: by public name of minilm, see `own_model.own_parts`.
        steps: of 8 windows of 64 tokens.
        seed: of weights and windows.
        progress: show a bar.

    Raises:
        InputError: a role without a part, steps below 1, or a part that was never called.
    """
    from minilm.data import corpus
    from minilm.train import train

    if steps < 1:
        raise InputError(f"--steps is {steps}; it must be 1 or more")
    own = OwnGPT(Transformer(config_for(256 + MERGES), seed=seed), OwnTokenizer([]), chosen(parts))
    text = corpus("python-docs")[:TEXT]
    began = time.monotonic()
    with own.own_code():
        own.tokenizer = OwnTokenizer(bpe_basic.train(list(text[:LEARNT].encode()), MERGES))
        ids = own.tokenizer.encode(text)
        own.model = Transformer(config_for(own.tokenizer.vocab_size), seed=seed)
        run = train(
            own.model,
            np.asarray(ids, np.int32),
            steps,
            batch=BATCH,
            lr=LR,
            warmup=min(20, steps),
            seed=seed,
            progress=progress,
        )
    own.losses, own.seconds = run.losses, time.monotonic() - began
    own.bytes_per_token = len(text.encode()) / len(ids)
    return own


def save(own: OwnGPT, folder: Path) -> None:
    """Weights, tokens and what was measured, for `load`."""
    make_folder(folder, "--out")
    buffer = io.BytesIO()
    np.savez(buffer, **own.model.state_dict())
    write_atomically(folder / WEIGHTS, buffer.getvalue())
    facts = {
        "pairs": own.tokenizer.pairs,
        "losses": own.losses,
        "calls": own.calls,
        "bytes_per_token": own.bytes_per_token,
        "seconds": own.seconds,
    }
    write_text(folder / FACTS, json.dumps(facts) + "\n")


def load(folder: Path, parts: dict[str, Callable]) -> OwnGPT:
    """What `save` has left, to run on the student's functions of today.

    Raises:
        InputError: the folder holds no such model.
    """
    try:
        facts = parse_json((folder / FACTS).read_bytes())
        with np.load(folder / WEIGHTS) as file:
            weights = {name: file[name] for name in file.files}
        tokenizer = OwnTokenizer([tuple(pair) for pair in facts["pairs"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--out is {str(folder)!r}; there is no model of yours in it ({error}): train one first"
        ) from None
    model = Transformer(config_for(tokenizer.vocab_size), seed=0)
    model.load_state_dict(weights)
    rest = {name: facts[name] for name in ("losses", "calls", "bytes_per_token", "seconds")}
    return OwnGPT(model, tokenizer, chosen(parts), **rest)
