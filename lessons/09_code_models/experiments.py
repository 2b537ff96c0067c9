"""What the study of lesson 09 and its page share: corpora, models, an exam, memory."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.data import encode_documents
from minilm.data.corpora import sources
from minilm.data.worlds.katas import Kata, katas
from minilm.inference import generate
from minilm.inference.solving import judge, write_programs
from minilm.models import Config
from minilm.models.language_model import LanguageModel
from minilm.sandbox.programs import Programs
from minilm.studies.runs import SIZES, config_of
from minilm.tokenizers import BPE, train_bpe
from minilm.tokenizers.infill import FIM_TOKENS

END = "<|endoftext|>"
VOCAB, CONTEXT, BATCH, SIZE = 512, 128, 8, "2x64"
LONGEST = 4000  # characters of a file that are read
KATAS, KATA_VOCAB, KATA_CONTEXT = 1500, 384, 96
KINDS, LEVELS = ("list",), (1, 2)  # of the problems: one or two steps and a return
PROBLEMS, SAMPLES, LEAK = 36, 10, 20


class World(NamedTuple):
    """Documents to train on and to test on, and the tokenizer of both."""

    train: list[str]
    test: list[str]
    tokenizer: BPE


def model_config(tokenizer: BPE) -> Any:
    """The model that reads the library: GPT-2's shape, two layers of 64 channels."""
    return config_of(SIZES[SIZE], tokenizer.vocab_size, CONTEXT)


def kata_config(tokenizer: BPE) -> Config:
    """The model that writes functions: two layers of 64 channels, with rotary positions.

    What it copies from a docstring stands at no fixed place of a window.
    """
    return Config(
        vocab_size=tokenizer.vocab_size, context=KATA_CONTEXT, layers=2, heads=4, channels=64,
        norm="rms", positions="rope", bias=False, init_std=0.06,
    )  # fmt: skip


def _tokenizer(texts: Sequence[str], vocab: int = VOCAB) -> BPE:
    return train_bpe(texts, vocab, special=[END, *FIM_TOKENS])


@functools.cache
def kata_tokenizer() -> BPE:
    """Learnt from problems of a seed that no run uses."""
    return _tokenizer(
        [one.text for one in katas(1000, 10_000, levels=LEVELS, kinds=KINDS)], KATA_VOCAB
    )


class Exam(NamedTuple):
    """Problems to train on, a benchmark that was published, and one drawn afterwards."""

    known: list[Kata]
    published: list[Kata]
    later: list[Kata]


@functools.lru_cache(maxsize=4)
def exam(seed: int) -> Exam:
    """The problems of a seed; no two of the three have one in common."""
    known = katas(KATAS, seed, levels=LEVELS, kinds=KINDS)
    keys = {one.key for one in known}
    published = katas(PROBLEMS, 1000 + seed, levels=LEVELS, kinds=KINDS, without=keys)
    keys |= {one.key for one in published}
    return Exam(
        known, published, katas(PROBLEMS, 2000 + seed, levels=LEVELS, kinds=KINDS, without=keys)
    )


def with_a_leak(seed: int, copies: int = LEAK) -> list[str]:
    """What a model of this seed reads: the known problems, and the published ones many times."""
    found = exam(seed)
    return [one.text for one in found.known] + [one.text for one in found.published] * copies


def passed(
    model: LanguageModel,
    asked: Sequence[Kata],
    temperature: float,
    seed: int,
    sandbox: Programs,
    samples: int = SAMPLES,
) -> list[int]:
    """How many of so many programs for each problem pass."""
    prompts = [one.prompt for one in asked]
    programs = write_programs(model, kata_tokenizer(), prompts, samples, temperature, 48, seed)
    return [int(n) for n in judge(asked, programs, sandbox).sum(1)]


def pieces(text: str, longest: int) -> list[str]:
    """A file in stretches of at most so many characters, each ending with a line."""
    found, part, size = [], [], 0
    for line in text.splitlines(keepends=True):
        if part and size + len(line) > longest:
            found.append("".join(part))
            part, size = [], 0
        part.append(line)
        size += len(line)
    return [*found, "".join(part)]


@functools.cache
def library(longest: int = LONGEST) -> World:
    """The standard library in pieces, a tenth of its files to test on."""
    files = sources()
    names = [list(files)[i] for i in backend.rng(0, "library").permutation(len(files))]
    test = len(names) // 10
    train = [p for name in names[test:] for p in pieces(files[name], longest) if len(p) >= 400]
    unseen = [p for name in names[:test] for p in pieces(files[name], longest)]
    return World(train, unseen, library_tokenizer())


@functools.cache
def library_tokenizer() -> BPE:
    """Learnt from a megabyte of the library."""
    texts = list(sources().values())
    chosen = backend.rng(0, "tokenizer").permutation(len(texts))[:60]
    return _tokenizer([texts[i][:20_000] for i in chosen])


def pool(seed: int, tokens: int, longest: int = LONGEST) -> list[str]:
    """Pieces of the library's training part, drawn at random, of about so many tokens in all."""
    world = library(longest)
    chosen, size = [], 0
    for i in backend.rng(seed, "pool").permutation(len(world.train)):
        if size >= tokens:
            break
        chosen.append(world.train[i])
        size += len(encode_documents(world.tokenizer, [world.train[i]], END))
    return chosen


def recited(
    model: LanguageModel, rows: Sequence[np.ndarray], seed: int, given: int = 32, asked: int = 16
) -> float:
    """The share of documents that a model continues word for word: `asked` tokens after `given`.

    Args:
        model: the model.
        rows: the ids of each document, (T,), longer than both together.
        seed: of the place in each document.
        given, asked: tokens.
    """
    rng = backend.rng(seed, "recited")
    cut = [row[at : at + given + asked] for row in rows
           for at in [int(rng.integers(0, len(row) - given - asked + 1))]]  # fmt: skip
    got = generate(model, [row[:given].tolist() for row in cut], asked, temperature=0)
    return float(np.mean([list(a) == b[given:].tolist() for a, b in zip(got, cut)]))
