"""What lesson 05b measures: models, traces of requests, and counted runs of the scheduler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import data
from minilm.backend import rng
from minilm.data import encode_documents
from minilm.inference import ContiguousCache, LookupDraft, ModelDraft, Rules, Scheduler, speculate
from minilm.models import Config, Transformer
from minilm.tensor import no_grad
from minilm.tokenizers import train_bpe
from minilm.train import train

CONTEXT, READ = 512, 128  # places of a text; of a training row
PAGE = 16


class Home(NamedTuple):
    """A model to serve, a small one to guess for it, and what both read."""

    model: Transformer
    draft: Transformer
    tokenizer: Any
    unseen: np.ndarray


def config(layers: int, channels: int, heads: int, vocab: int) -> Config:
    """A small model of the Mistral kind: grouped queries, rotary positions, gated units."""
    return Config(
        vocab_size=vocab, context=CONTEXT, layers=layers, heads=heads, kv_heads=heads // 2,
        channels=channels, norm="rms", positions="rope", activation="swiglu", bias=False,
    )  # fmt: skip


def text() -> tuple[Any, np.ndarray, np.ndarray]:
    """A tokenizer of 1,024 tokens, and ids of Python's documentation: known and unseen."""
    known, unseen = data.split(data.documents("python-docs"))
    tokenizer = train_bpe(known, 1024, special=["<|endoftext|>"])
    return tokenizer, *(encode_documents(tokenizer, part) for part in (known, unseen))


def make_home(steps: int, seed: int = 0) -> Home:
    """Train both; the small one has a thirtieth of the weights."""
    tokenizer, known, unseen = text()
    models = []
    for layers, channels, heads, batch in ((4, 96, 4, 4), (1, 48, 2, 4)):
        model = Transformer(config(layers, channels, heads, tokenizer.vocab_size), seed=seed)
        train(model, known, steps, batch=batch, context=READ, lr=5e-3, seed=seed)
        models.append(model.eval())
    return Home(*models, tokenizer, unseen)


# ------------------------------------------------------------------------------------------ caches


def follow(model: Transformer, ids: np.ndarray, cache: Any, first: int = 40) -> np.ndarray:
    """(T, V) logits: `first` tokens at once, then one at a time over a cache."""
    with no_grad():
        rows = [model(ids[None, :first], cache=cache).data[0]]
        rows += [model(ids[None, i : i + 1], cache=cache).data[0] for i in range(first, len(ids))]
    return np.concatenate(rows)


def perplexity(logits: np.ndarray, ids: np.ndarray) -> float:
    """Of each token but the first."""
    rows = logits[:-1].astype(np.float64)
    rows -= rows.max(-1, keepdims=True)
    log_p = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    return float(np.exp(-log_p[np.arange(len(rows)), ids[1:]].mean()))


def texts_of(home: Home, seed: int, count: int, length: int) -> list[np.ndarray]:
    """Pieces of text that the model has not seen."""
    places = rng(seed, "pieces").integers(0, len(home.unseen) - length, count)
    return [home.unseen[place : place + length].astype(np.int64) for place in places]


def compare_caches(home: Home, seed: int, count: int = 6) -> dict[str, dict[str, float]]:
    """Per cache: how far its logits are from reading everything anew, and its perplexity."""
    from minilm.inference import PagedCache, QuantizedCache

    sizes = home.model.config
    made = {
        "one block": lambda: ContiguousCache(sizes, 1, READ),
        "pages": lambda: PagedCache.of(sizes, 1, READ, PAGE),
        "8 bits": lambda: QuantizedCache(sizes, 1, READ),
    }
    apart: dict[str, list[float]] = {name: [] for name in made}
    logs: dict[str, list[float]] = {name: [] for name in ("anew", *made)}
    for ids in texts_of(home, seed, count, READ):
        with no_grad():
            anew = home.model(ids[None]).data[0]
        logs["anew"].append(np.log(perplexity(anew, ids)))
        for name, make in made.items():
            got = follow(home.model, ids, make())
            apart[name].append(float(np.abs(got - anew).max()))
            logs[name].append(np.log(perplexity(got, ids)))
    found = {name: {"apart": max(apart[name])} for name in made}
    for name in made:
        found[name]["worse"] = float(np.exp(np.mean(logs[name]) - np.mean(logs["anew"])) - 1)
    return found


# ---------------------------------------------------------------------------------------- requests


class Wish(NamedTuple):
    """A prompt, and how many tokens its answer will have."""

    prompt: np.ndarray
    tokens: int


def heavy_tail(home: Home, seed: int, count: int, most: int = 256) -> list[Wish]:
    """Most answers are short and a few are long, as in chats: a Pareto law, cut off."""
    r = rng(seed, "answers")
    tokens = np.minimum(8 * (1 + r.pareto(1.1, count)), most).astype(int)
    lengths = np.clip(r.lognormal(3.0, 0.6, count), 4, 96).astype(int)
    prompts = texts_of(home, seed, count, 96)
    return [Wish(prompt[:n], int(t)) for prompt, n, t in zip(prompts, lengths, tokens)]


class Served(NamedTuple):
    """What a run of the scheduler did."""

    texts: list[list[int]]
    counts: Any
    seconds: float
    stored: list[int]  # tokens in pages, after each step
    held: list[int]  # pages in use, after each step
    texts_there: list[int]  # texts under way, after each step


def serve(model: Transformer, wishes: Sequence[Wish], **sizes: Any) -> Served:
    """All wishes at once; their answers in order."""
    scheduler = Scheduler(model, **{"page": PAGE, "most": 16, "share": False, **sizes})
    requests = [scheduler.add(wish.prompt, wish.tokens) for wish in wishes]
    stored, held, there = [], [], []
    start = time.perf_counter()
    while scheduler.busy:
        scheduler.step()
        stored.append(sum(r.table.length for r in scheduler.running if r.table))
        held.append(scheduler.pages.pool.used)
        there.append(len(scheduler.running))
    seconds = time.perf_counter() - start
    return Served([r.written for r in requests], scheduler.counts, seconds, stored, held, there)


def speeds(model: Transformer, seed: int, batches: Sequence[int], tokens: int = 64) -> list[float]:
    """Tokens a second, for so many texts at once; the best of three runs."""
    first = rng(seed, "first").integers(0, model.config.vocab_size, max(batches))
    found = []
    for batch in batches:
        wishes = [Wish(first[i : i + 1], tokens) for i in range(batch)]
        runs = [serve(model, wishes, most=batch, chunk=max(batch, 16)).seconds for _ in range(3)]
        found.append(batch * tokens / min(runs))
    return found


def reading_speed(model: Transformer, seed: int, length: int = 256) -> float:
    """Tokens a second while a prompt is read in one step; the best of three runs."""
    ids = rng(seed, "prompt").integers(0, model.config.vocab_size, length)
    runs = [serve(model, [Wish(ids, 1)], chunk=length).seconds for _ in range(3)]
    return length / min(runs)


def chat_reads(
    model: Transformer, turns: int, user: int, answer: int, page: int, share: bool, seed: int = 0
) -> list[int]:
    """Tokens that were read up to each turn of a chat whose whole history comes with each turn."""
    scheduler = Scheduler(model, page=page, most=1, share=share)
    r, said, reads = rng(seed, "chat"), [], []
    for _ in range(turns):
        said = [*said, *map(int, r.integers(0, model.config.vocab_size, user))]
        request = scheduler.add(said, answer)
        scheduler.run()
        said = list(request.ids)
        reads.append(scheduler.counts.read)
    return reads


def alone_and_together(home: Home, seed: int, count: int = 16) -> tuple[int, int]:
    """Of greedy and sampled texts: how many say the same alone and among the others."""
    wishes, same = heavy_tail(home, seed, count, 48), []
    for heat in (0.0, 0.8):
        rules = Rules(heat)
        together = Scheduler(home.model, most=count)
        crowd = [together.add(w.prompt, w.tokens, rules, seed=i) for i, w in enumerate(wishes)]
        together.run()
        alike = 0
        for i, wish in enumerate(wishes):
            alone = Scheduler(home.model, most=1)
            request = alone.add(wish.prompt, wish.tokens, rules, seed=i)
            alone.run()
            alike += request.written == crowd[i].written
        same.append(alike)
    return same[0], same[1]


def waits(home: Home, seed: int, load: float, rounds: int = 400, slots: int = 8) -> np.ndarray:
    """Steps from a request's arrival to its first token, for those that came; a queue of its own.

    Args:
        load: tokens asked for, as a share of what the slots can write: one a step each.
        rounds: steps in which requests come.
        slots: texts that may be under way.
    """
    scheduler = Scheduler(home.draft, most=slots, page=PAGE, share=False)
    r = rng(seed, "arrivals")
    answers = np.minimum(8 * (1 + r.pareto(1.5, 4 * rounds)), 64).astype(int)
    gap, at, came, waited = float(answers.mean()) / (slots * load), 0.0, {}, []
    place, step = 0, 0
    while step < rounds or scheduler.busy:
        while at <= step < rounds:
            request = scheduler.add([1 + place % 100], int(answers[place]))
            came[request] = step
            place, at = place + 1, at + float(r.exponential(gap))
        for event in scheduler.step():
            if len(event.request.written) == 1:
                waited.append(step - came[event.request])
        step += 1
    return np.array(waited)


# ------------------------------------------------------------------------------------- speculation


class Guessed(NamedTuple):
    """Speculation on some texts."""

    acceptance: float
    per_round: float
    gain: float  # times as fast as without
    same: bool  # the texts are those that the model writes alone


def speculated(home: Home, seed: int, draft: str, guesses: int, count: int = 4) -> Guessed:
    """Greedy texts with guesses, beside the same without."""
    kept = looked = rounds = tokens = 0
    times, same = {0: 0.0, guesses: 0.0}, True
    for ids in texts_of(home, seed, count, 64):
        texts = []
        for k in times:
            rules = Rules(0.0)
            who = LookupDraft() if draft == "look-up" else ModelDraft(home.draft, rules)
            start = time.perf_counter()
            found = speculate(home.model, ids.tolist(), 96, who, rules, guesses=k)
            times[k] += time.perf_counter() - start
            texts.append(found.ids)
        kept, looked = kept + found.kept, looked + found.kept + found.refused
        rounds, tokens = rounds + found.rounds, tokens + len(found.ids)
        same &= texts[0] == texts[1]
    return Guessed(kept / max(looked, 1), tokens / rounds, times[0] / times[guesses], same)
