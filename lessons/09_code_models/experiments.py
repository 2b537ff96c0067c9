"""What the studies of lesson 09 and its page share: corpora, a model's size, holes, memory."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.data import encode_documents
from minilm.data.corpora import sources
from minilm.data.worlds.katas import Kata, katas
from minilm.inference import generate
from minilm.models import Config
from minilm.models.language_model import LanguageModel
from minilm.studies.runs import SIZES, config_of
from minilm.tokenizers import BPE, fim_prompt, train_bpe
from minilm.tokenizers.infill import FIM_TOKENS

END = "<|endoftext|>"
VOCAB, CONTEXT, BATCH, SIZE = 512, 128, 8, "2x64"
LONGEST = 4000  # characters of a file that are read
KATAS, HELD_OUT, KATA_VOCAB = 4000, 120, 400
KINDS = ("list",)  # of problems: one kind is learnt in a third of the time


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
        vocab_size=tokenizer.vocab_size, context=CONTEXT, layers=2, heads=4, channels=64,
        norm="rms", positions="rope", bias=False, init_std=0.06,
    )  # fmt: skip


def _tokenizer(texts: Sequence[str], vocab: int = VOCAB) -> BPE:
    return train_bpe(texts, vocab, special=[END, *FIM_TOKENS])


@functools.cache
def kata_tokenizer() -> BPE:
    """Learnt from problems of a seed that no study uses."""
    return _tokenizer([one.text for one in katas(2000, 10_000, kinds=KINDS)], KATA_VOCAB)


@functools.lru_cache(maxsize=2)
def kata_world(seed: int, count: int = KATAS) -> tuple[list[Kata], list[Kata]]:
    """Problems to train on, and fresh ones, drawn after the first and not among them."""
    known = katas(count, seed, kinds=KINDS)
    keys = {one.key for one in known}
    return known, katas(HELD_OUT, 1000 + seed, kinds=KINDS, without=keys)


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


def line_hole(one: Kata, rng: np.random.Generator) -> tuple[str, str, str]:
    """A problem's text with one line of its solution cut out: before, the line, after."""
    lines = one.solution.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    before = one.prompt + "".join(lines[:at]) + "    "
    return before, lines[at].strip(), "\n" + "".join(lines[at + 1 :])


def written(
    model: LanguageModel, tokenizer: BPE, prompts: Sequence[np.ndarray], tokens: int, **how: Any
) -> list[str]:
    """What a model writes after each prompt, up to the end of the document or `tokens` ids."""
    ends = list(tokenizer.special.values())
    rows = generate(model, [list(map(int, p)) for p in prompts], tokens, stop=ends, **how)
    return [tokenizer.decode([i for i in row if i not in ends]) for row in rows]


def filled(
    model: LanguageModel, tokenizer: BPE, problems: Sequence[Kata], order: str, seed: int = 0
) -> float:
    """The share of one-line holes that are filled exactly, greedily.

    `order` is "psm" or "spm"; "prefix" gives the text before the hole alone, as a model that
    never saw a hole would be asked, and takes the first line that it writes.
    """
    rng = backend.rng(seed, "holes")
    holes = [line_hole(one, rng) for one in problems]
    if order == "prefix":
        prompts = [tokenizer.encode_array(before.rstrip(" ")) for before, _, _ in holes]
    else:
        prompts = [fim_prompt(tokenizer, before, after, order) for before, _, after in holes]
    got = []
    for first in range(0, len(prompts), 40):
        got += written(model, tokenizer, prompts[first : first + 40], 32, temperature=0)
    lines = [text.strip().split("\n")[0] if order == "prefix" else text for text in got]
    return float(np.mean([line == hole[1] for line, hole in zip(lines, holes)]))


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
