"""What lesson 05b measures: models, traces of requests, and counted runs of the scheduler."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from minilm import data
from minilm.backend import rng
from minilm.data import encode_documents
from minilm.inference import ContiguousCache, LookupDraft, ModelDraft, Rules, Scheduler, speculate
from minilm.inference.drafts import Reader
from minilm.models import Config, Transformer, presets
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
    """Train both; the small one has a seventh of the weights."""
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


class Coarse(ContiguousCache):
    """Each token's keys and values in 2 bits: a control, in which rounding should be felt."""

    def append(self, layer: int, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Round to 4 levels between the least and the greatest number of each head, and store."""
        rounded = []
        for x in (k, v):
            low = x.min(-1, keepdims=True)
            step = np.maximum(x.max(-1, keepdims=True) - low, 1e-12) / 3
            rounded.append((low + step * np.rint((x - low) / step)).astype(x.dtype))
        return super().append(layer, *rounded)


def compare_caches(home: Home, seed: int, count: int = 4) -> dict[str, dict[str, float]]:
    """Per cache: how far its logits are from reading everything anew, and its perplexity."""
    from minilm.inference import PagedCache, QuantizedCache

    sizes = home.model.config
    made = {
        "one block": lambda: ContiguousCache(sizes, 1, READ),
        "pages": lambda: PagedCache.of(sizes, 1, READ, PAGE),
        "8 bits": lambda: QuantizedCache(sizes, 1, READ),
        "2 bits": lambda: Coarse(sizes, 1, READ),
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


def raced(model: Transformer, wishes: Sequence[Wish]) -> tuple[Served, Served]:
    """Batches that wait and batches that do not, in turn; the seconds are the best of two runs."""
    runs: dict[bool, list[Served]] = {True: [], False: []}
    for refill in (True, False, False, True):
        runs[refill].append(serve(model, wishes, refill=refill))
    slow, fast = (min(runs[refill], key=lambda run: run.seconds) for refill in (False, True))
    return slow, fast


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
    offered: float  # guesses a round
    same: bool  # the texts are those that the model writes alone


def speculated(home: Home, seed: int, draft: str, guesses: int, count: int = 4) -> Guessed:
    """Greedy texts with guesses, beside the same without."""
    kept = looked = offered = rounds = tokens = 0
    times, same = {0: 0.0, guesses: 0.0}, True
    prompts = texts_of(home, seed, count, 64)
    for k in times:  # what only a first call costs is not counted
        who = LookupDraft() if draft == "look-up" else ModelDraft(home.draft, Rules(0.0))
        speculate(home.model, prompts[0].tolist(), 8, who, Rules(0.0), guesses=k)
    for ids in prompts:
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
        offered += found.guessed
        same &= texts[0] == texts[1]
    gain = times[0] / times[guesses]
    return Guessed(kept / max(looked, 1), tokens / rounds, gain, offered / rounds, same)


def step_costs(home: Home, seed: int, most: int = 6) -> dict[str, list[float]]:
    """Milliseconds, the best of 20: the model's step with 0, 1, ... guesses; a draft's guess."""
    ids = texts_of(home, seed, 1, 96)[0].tolist()
    model, draft, look_up = (
        Reader(home.model, Rules(0.0)),
        Reader(home.draft, Rules(0.0)),
        LookupDraft(),
    )

    def best(call: Any) -> float:
        found = []
        for _ in range(20):
            start = time.perf_counter()
            call()
            found.append(1e3 * (time.perf_counter() - start))
        return min(found)

    return {
        "model": [best(lambda k=k: model.probabilities(ids, ids[:k])) for k in range(most + 1)],
        "small model": [best(lambda: draft.probabilities(ids, []))],
        "look-up": [best(lambda: look_up.propose(ids, 1, rng(seed)))],
    }


def experts_counted(seed: int, tokens: Sequence[int], steps: int = 4000) -> list[float]:
    """Mean number of 8 experts that a step of so many tokens reads, each token two at random."""
    r = np.random.default_rng(seed)
    found = []
    for b in tokens:
        picks = r.permuted(np.tile(np.arange(8), (steps, b, 1)), axis=2)[:, :, :2]
        picked = np.zeros((steps, 8), bool)
        np.put_along_axis(picked, picks.reshape(steps, -1), True, axis=1)
        found.append(float(picked.sum(1).mean()))
    return found


def chi_squares(
    drawn: Callable[[np.random.Generator], tuple[int, bool]], p: np.ndarray, seeds: Sequence[int],
    count: int,
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Per seed: chi-square of what is drawn against p, and the share of first guesses kept."""
    chi, kept = [], []
    for seed in seeds:
        r = np.random.default_rng(seed)
        texts, first = zip(*(drawn(r) for _ in range(count)), strict=True)
        counts = np.bincount(texts, minlength=len(p))
        chi.append(float(((counts - count * p) ** 2 / (count * p)).sum()))
        kept.append(float(np.mean(first)))
    return chi, kept


def clients_wait(
    address: str, prompts: Sequence[str], crowds: Sequence[int]
) -> dict[str, tuple[float, ...]]:
    """Milliseconds to each client's first token, and on average between tokens."""

    def times(client: int) -> tuple[float, float]:
        start = time.perf_counter()
        ticks = [
            time.perf_counter()
            for _ in ask(address, prompts[client], 24, seed=client, temperature=1.0)
        ]
        return 1e3 * (ticks[0] - start), 1e3 * float(np.mean(np.diff(ticks)))

    times(0)  # the first call opens what stays open
    rows = {}
    for clients in crowds:
        with ThreadPoolExecutor(clients) as pool:
            first, between = zip(*pool.map(times, range(clients)), strict=True)
        rows |= {f"first token, {clients}": first, f"between, {clients}": between}
    return rows


def ask(address: str, prompt: str, tokens: int = 40, **more: Any) -> Iterator[str]:
    """The pieces of an answer, each as soon as it comes over HTTP."""
    body = {"model": "docs", "prompt": prompt, "max_tokens": tokens, "stream": True, **more}
    request = urllib.request.Request(
        f"{address}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])["choices"][0]["text"]


def known_models() -> dict[str, Any]:
    """Six models whose sizes are published."""
    return {
        "GPT-2": presets.gpt2("small"),
        "Llama 2 7B": presets.llama("7b"),
        "Mistral 7B": presets.mistral(),
        "Llama 2 70B": presets.llama("2-70b"),
        "StarCoder": presets.starcoder(),
        "GPT-3": presets.gpt3(),
    }
