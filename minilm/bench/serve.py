"""Serving: pages beside one piece, batches that refill beside fixed ones, and what a guess saves.

`minilm bench serve` prints the table. The peers are our own code without the idea that is measured,
with the same model and the same kernels; before anything is timed, the texts are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm.bench.peers import gpt
from minilm.bench.rows import Row, row_of
from minilm.bench.timing import raced, timed_row, use_threads
from minilm.inference import Rules, generate
from minilm.inference.drafts import LookupDraft, ModelDraft
from minilm.inference.scheduler import Scheduler
from minilm.inference.speculate import Speculated, expected_speedup, speculate
from minilm.models import Transformer

MODEL = {"vocab_size": 512, "context": 512, "layers": 4, "heads": 4, "channels": 128}
LARGE = {"vocab_size": 1024, "context": 256, "layers": 6, "heads": 6, "channels": 384}
PAGED = 1 / 1.1  # of the speed over one contiguous piece
REFILLED = 2.0  # times the tokens per second of fixed batches
TURNS = 10
SHARED = 0.99 * (TURNS + 1) / 2  # lesson 3's formula; an answer's last token is read later
BATCH = 16
LOADS = (0.25, 0.5, 0.75, 0.9)  # of the tokens per second when nobody is ever idle


def made(size: dict[str, int]) -> Transformer:
    """A model with weights so large that its choices are clear."""
    model = Transformer(gpt(**size)).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= 3
    return model


def attention_rows(rounds: int) -> Iterator[Row]:
    """A step of attention over keys in pages that lie in no order, and over one piece each."""
    r = backend.rng(0, "bench", "pages")
    batch, heads, groups, size = 8, 8, 4, 64
    for length, page in ((256, 16), (1024, 16), (1024, 64), (4096, 64)):
        q = r.normal(size=(batch, heads, size)).astype(np.float32)
        k, v = (r.normal(size=(batch, groups, length, size)).astype(np.float32) for _ in "kv")
        table = r.permutation(batch * length // page).reshape(batch, -1)
        pages = []
        for whole in (k, v):
            out = np.empty((table.size, groups, page, size), np.float32)
            # (B, G, S, D) -> (B, G, n, page, D) -> (B, n, G, page, D)
            out[table] = whole.reshape(batch, groups, -1, page, size).swapaxes(1, 2)
            pages.append(out)
        lengths, scale = np.full(batch, length), size**-0.5

        def paged(q=q, pages=pages, lengths=lengths, table=table, scale=scale) -> np.ndarray:
            return kernels.decode_attention(q, *pages, lengths, table, scale)

        def contiguous(q=q, k=k, v=v, lengths=lengths, scale=scale) -> np.ndarray:
            return kernels.decode_attention(q, k, v, lengths, None, scale)

        refuse_different("attention", np.abs(paged() - contiguous()).max() < 1e-4)
        name = f"attention over pages of {page}, {batch} texts of {length}"
        yield timed_row(name, "us", paged, contiguous, "contiguous", PAGED, rounds)


def refuse_different(what: str, same: Any) -> None:
    """Refuse to go on unless both sides give the same.

    Raises:
        RuntimeError: they do not.
    """
    if not same:
        raise RuntimeError(f"{what}: the two sides give different results, so nothing was timed")


@dataclass(frozen=True)
class Wish:
    """A request of the trace: its prompt, and how many tokens its answer has."""

    ids: list[int]
    tokens: int


def trace(count: int, seed: int = 0) -> list[Wish]:
    """Requests whose answers have a heavy tail: log-normal, median 25 tokens, at most 400."""
    r = backend.rng(seed, "bench", "trace")
    tokens = np.clip(np.exp(r.normal(np.log(25), 1.3, count)), 1, 400).astype(int)
    lengths = np.clip(np.exp(r.normal(np.log(20), 0.7, count)), 1, 100).astype(int)
    return [
        Wish(r.integers(0, MODEL["vocab_size"], n).tolist(), int(t))
        for n, t in zip(lengths, tokens)
    ]


def served(model: Transformer, wishes: list[Wish], refill: bool) -> Callable[[], list[list[int]]]:
    """A call that writes all of a trace, which is there from the start."""

    def run() -> list[list[int]]:
        scheduler = Scheduler(model, most=BATCH, share=False, refill=refill)
        requests = [scheduler.add(wish.ids, wish.tokens) for wish in wishes]
        scheduler.run()
        return [request.written for request in requests]

    return run


def in_batches(model: Transformer, wishes: list[Wish]) -> Callable[[], list[list[int]]]:
    """The same with `generate`: batches of one shape, which end when their longest text does."""

    def run() -> list[list[int]]:
        texts = []
        for first in range(0, len(wishes), BATCH):
            some = wishes[first : first + BATCH]
            most = max(wish.tokens for wish in some)
            rows = generate(model, [wish.ids for wish in some], most, temperature=0)
            texts += [row[: wish.tokens] for wish, row in zip(some, rows)]
        return texts

    return run


def batching_rows(count: int, rounds: int) -> Iterator[Row]:
    """Continuous batching beside two kinds of static batches."""
    model, wishes = made(MODEL), trace(count)
    ours = served(model, wishes, True)
    peers = (
        (in_batches(model, wishes), "generate, in batches", REFILLED),
        (served(model, wishes, False), "without ended rows", None),
    )
    for peer, name, goal in peers:
        refuse_different("batching", ours() == peer())
        race, calls = raced(ours, peer, rounds)
        tokens = calls * sum(wish.tokens for wish in wishes)
        title = f"{count} texts, heavy tail, {BATCH} at once, refilled"
        yield row_of(title, "tokens/s", tokens, race, name, goal)


def load_rows(count: int) -> Iterator[Row]:
    """Waiting for the first token and between tokens, by how much of the capacity is asked for.

    Requests come at random times (exponential gaps), whether or not earlier ones have ended.
    """
    model, wishes = made(MODEL), trace(count, seed=1)
    run = served(model, wishes, True)
    run()
    begin = time.perf_counter()
    run()
    capacity = count / (time.perf_counter() - begin)  # requests per second
    for load in LOADS:
        gaps = backend.rng(2, "bench", "gaps").exponential(1 / (load * capacity), count)
        first, between = waits(model, wishes, np.cumsum(gaps))
        for what, times in (("first token", first), ("between tokens", between)):
            for share, name in ((50, "median"), (99, "99th percentile")):
                figure = 1e3 * float(np.percentile(times, share))
                title = f"load {load:.0%}, {what}, {name}"
                yield Row(title, "ms", figure, None, "", None, None, None, None)


def waits(
    model: Transformer, wishes: list[Wish], arrivals: np.ndarray
) -> tuple[list[float], list[float]]:
    """Seconds from each arrival to the first token, and from each token to the next."""
    scheduler = Scheduler(model, most=BATCH, share=False)
    first, between, came = [], [], 0
    last: dict[int, float] = {}
    begin = time.perf_counter()
    while came < len(wishes) or scheduler.busy:
        now = time.perf_counter() - begin
        while came < len(wishes) and arrivals[came] <= now:
            request = scheduler.add(wishes[came].ids, wishes[came].tokens)
            last[request.number] = arrivals[came]
            came += 1
        if not scheduler.busy:
            time.sleep(min(0.001, max(0.0, arrivals[came] - now)))
            continue
        told = scheduler.step()
        now = time.perf_counter() - begin
        for event in told:
            number = event.request.number
            (between if len(event.request.written) > 1 else first).append(now - last[number])
            last[number] = now
    return first, between


def chats(model: Transformer, share: bool, talks: int = 8, new: int = 24) -> Callable[[], tuple]:
    """A call that holds conversations of TURNS turns; the texts, and how many tokens were read."""

    def run() -> tuple[list, int]:
        scheduler, r = Scheduler(model, share=share), backend.rng(0, "bench", "chats")
        texts: list[list[int]] = [[] for _ in range(talks)]
        for _ in range(TURNS):
            asked = []
            for text in texts:
                text += r.integers(0, model.config.vocab_size, new).tolist()
                asked.append(scheduler.add(text, new))
            scheduler.run()
            for text, request in zip(texts, asked):
                text += request.written
        return texts, scheduler.counts.read

    return run


def sharing_rows(rounds: int) -> Iterator[Row]:
    """Ten-turn chats whose earlier turns are found in the cache, and whose are read again."""
    model = made(MODEL)
    ours, peer = chats(model, True), chats(model, False)
    (texts, read), (others, read_again) = ours(), peer()
    refuse_different("chats", texts == others)
    ratio = read_again / read
    name, rest = (
        f"{TURNS}-turn chats, tokens read",
        (ratio, (ratio, ratio), SHARED, ratio >= SHARED),
    )
    yield Row(name, "tokens", read, read_again, "nothing shared", *rest)
    yield timed_row(f"{TURNS}-turn chats", "s", ours, peer, "nothing shared", None, rounds)


def draft_of(model: Transformer, layers: int) -> Transformer:
    """The first blocks of a model, with its embedding, norm and head."""
    config = model.config.replace(layers=layers)
    small, own = Transformer(config).eval(), dict(model.named_parameters())
    for name, parameter in small.named_parameters():
        parameter.data[...] = own[name].data
    return small


def speculation_rows(rounds: int, guesses: int = 4, tokens: int = 120) -> Iterator[Row]:
    """Guesses of the model's own first block beside none; then the formula."""
    model = made(LARGE)
    for block in list(model.blocks)[1:]:
        for layer in (block.attention.out, block.feed_forward.down):
            layer.weight.data *= 0.05  # so that the first block alone comes near, as if trained to
    small, rules = draft_of(model, 1), Rules(0.0)
    prompt = backend.rng(0, "bench", "speculation").integers(0, LARGE["vocab_size"], 16)

    def alone(model: Transformer = model) -> list[int]:
        return speculate(model, prompt, tokens, LookupDraft(), rules, guesses=0).ids

    def guessed() -> Speculated:
        return speculate(model, prompt, tokens, ModelDraft(small, rules), rules, guesses=guesses)

    found, (cost, _) = guessed(), raced(alone, lambda: alone(small), rounds)
    refuse_different("speculation", found.ids == alone())
    race, calls = raced(guessed, alone, rounds)
    name = f"{guesses} guesses of a small model"
    yield row_of(name, "tokens/s", tokens * calls, race, "one token at a time", None)
    # The ratio of seconds, small model to large, is what a guess costs in steps.
    predicted = expected_speedup(found.acceptance, guesses, cost.ratio)
    share, spread = race.ratio / predicted, tuple(ratio / predicted for ratio in race.spread)
    title = f"{name}, {found.acceptance:.0%} kept: faster by"
    rest = share, spread, None, None
    yield Row(title, "x", race.ratio, predicted, "as predicted", *rest)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; about two minutes, or half a minute where `quick`."""
    before, rounds = backend.threads(), 3 if quick else 9
    count = 48 if quick else 128
    try:
        use_threads(1)
        yield from attention_rows(rounds)
        yield from batching_rows(count, rounds)
        yield from sharing_rows(rounds)
        yield from speculation_rows(rounds)
        yield from load_rows(count)
    finally:
        use_threads(before)
