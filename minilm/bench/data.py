"""Preparing a corpus: near duplicates beside datasketch, filters, tokens, programs, processes.

`minilm bench data` prints the table. The text is the standard library's source (11 MB) with copies
of a quarter of its files, in which 0 to 30 % of the words are others. Where both sides use the
same 256 permutations (The Stack's formula), groups have to be equal before anything is timed;
datasketch's own, faster ones give other signatures, so there only the finished groups are compared
with those of brute force.
"""

import hashlib
import os
import random
import re
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minilm import backend
from minilm.bench.rows import Row, alternate, missing_row, row_of, seconds
from minilm.data import documents
from minilm.data.clean.decoding import decode_text
from minilm.data.clean.fast_minhash import run_hashes, signature
from minilm.data.clean.filters import comment_ratio, quality
from minilm.data.clean.groups import groups_of
from minilm.data.clean.limits import measure
from minilm.data.clean.near_duplicates import jaccard, permutations, shingles
from minilm.data.pipeline.run import prepare
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.workers import Processes
from minilm.kernels.numba_tools.jit import jit

THRESHOLD, COUNT = 0.7, 256
PLANTED, MOST_EDITS = 0.25, 0.3
NEAR, FILTERS, TOKENS, JUDGED = 10.0, 5.0, 4.0, 100.0  # goals; the last in programs a second


def texts_with_copies(megabytes: float | None = None) -> list[str]:
    """The standard library's files, some twice, the second time edited; shuffled."""
    texts = list(documents("python-code"))
    rng = random.Random(0)
    rng.shuffle(texts)
    if megabytes is not None:
        size = 0
        for place, text in enumerate(texts):
            size += len(text)
            if size > megabytes * 1e6:
                texts = texts[: place + 1]
                break
    chosen = rng.sample(texts, int(PLANTED * len(texts)))
    copies = [edited(text, rng.uniform(0, MOST_EDITS), rng) for text in chosen]
    together = list(dict.fromkeys([*texts, *copies]))
    rng.shuffle(together)
    return together


def edited(text: str, share: float, rng: random.Random) -> str:
    """The text with this share of its words replaced by words that occur nowhere else."""
    parts = re.split(r"(\w+)", text)
    places = range(1, len(parts), 2)
    for place in rng.sample(places, int(share * len(places))):
        parts[place] = f"w{rng.randrange(10**9)}"
    return "".join(parts)


def small_permutations() -> tuple[np.ndarray, np.ndarray]:
    """Factors below 2**31 and summands below 2**61, for which 64 bits do not overflow.

    datasketch computes `(a h + b) % p` in 64 bits; with larger factors it wraps around.
    """
    rng = backend.rng(0, "bench minhash")
    return (
        rng.integers(1, 1 << 31, COUNT, dtype=np.uint64),
        rng.integers(0, (1 << 61) - 1, COUNT, dtype=np.uint64),
    )


def our_groups(texts: Sequence[str], a: np.ndarray, b: np.ndarray) -> list[int]:
    """The group of each text, by our compiled path on one thread."""
    sets = [run_hashes(text) for text in texts]
    signatures = np.stack([signature(hashes, a, b) for hashes in sets])
    offsets = np.cumsum([0, *map(len, sets)])
    return groups_of(signatures, np.concatenate(sets), offsets, THRESHOLD).tolist()


def their_groups(texts: Sequence[str], **how: Any) -> list[int]:
    """The same by datasketch: its signatures and its index; pairs are verified as ours are."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=COUNT, params=(25, 10))
    sets, group = [], list(range(len(texts)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for i, text in enumerate(texts):
        sets.append(shingles(text))
        one = MinHash(num_perm=COUNT, **how)
        one.update_batch([run.encode("utf-8", "replace") for run in sets[-1]])
        for j in index.query(one):
            r, s = root(i), root(j)
            if r != s and jaccard(sets[i], sets[j]) >= THRESHOLD:
                group[max(r, s)] = min(r, s)
        index.insert(i, one)
    return [root(i) for i in range(len(texts))]


@jit
def _all_pairs(hashes, offsets, threshold, group, found):
    """Every pair that is similar enough: how many, and how many of them share a group."""
    count = offsets.size - 1
    for i in range(count):
        for j in range(i):
            a, a_end, b, b_end = offsets[i], offsets[i + 1], offsets[j], offsets[j + 1]
            sizes = (a_end - a) + (b_end - b)
            small = min(a_end - a, b_end - b)
            if small < threshold * (sizes - small):
                continue
            both = 0
            while a < a_end and b < b_end:
                x, y = hashes[a], hashes[b]
                both += x == y
                a += x <= y
                b += y <= x
            if both >= threshold * (sizes - both):
                found[0] += 1
                found[1] += group[i] == group[j]


def recall(texts: Sequence[str], group: Sequence[int]) -> tuple[int, float]:
    """The number of similar pairs, by brute force, and the share of them in one group."""
    sets = [run_hashes(text) for text in texts]
    found = np.zeros(2, np.int64)
    offsets = np.cumsum([0, *map(len, sets)]).astype(np.int64)
    _all_pairs(np.concatenate(sets), offsets, THRESHOLD, np.array(group, np.int64), found)
    return int(found[0]), float(found[1] / max(found[0], 1))


def near_rows(texts: list[str], rounds: int) -> Iterator[Row]:
    """Near duplicates beside datasketch, on one thread; and what brute force would have found."""
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    a, b = small_permutations()
    ours = our_groups(texts, a, b)
    try:
        import datasketch  # noqa: F401
    except ImportError:
        yield missing_row("near duplicates", "MB/s", "datasketch", NEAR)
        return

    def work(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        return lambda: our_groups(texts, x, y)

    same = {"scheme": "legacy", "permutations": (a, b)}
    if their_groups(texts, **same) != ours:
        raise AssertionError("the groups differ, so nothing was timed")
    race = alternate(work(a, b), lambda: their_groups(texts, **same), rounds)
    yield row_of("near duplicates, same groups", "MB/s", size, race, "datasketch", NEAR)
    yield row_of("near duplicates, same groups", "docs/s", len(texts), race, "datasketch", NEAR)
    x, y = permutations(COUNT)
    race = alternate(work(x, y), lambda: their_groups(texts), rounds)
    name = "near duplicates, its default permutations"
    yield row_of(name, "MB/s", size, race, "datasketch", NEAR)
    pairs, mine = recall(texts, our_groups(texts, x, y))
    _, theirs = recall(texts, their_groups(texts))
    name = f"share of the {pairs} pairs from J {THRESHOLD} found"
    yield Row(name, "", mine, theirs, "datasketch", mine / theirs, (mine / theirs,) * 2, None, None)


def memory_rows(counts: Sequence[int]) -> Iterator[Row]:
    """What grouping needs for each document besides what is mapped from disk."""
    a, b = permutations(COUNT)
    for count in counts:
        rng = backend.rng(0, "bench memory")
        hashes = np.sort(rng.integers(0, 2**32, (count, 8), dtype=np.uint32), axis=1)
        signatures = np.stack([signature(row, a, b) for row in hashes])
        offsets = np.arange(count + 1) * 8
        groups_of(signatures[:3], hashes.reshape(-1), offsets[:4])
        tracemalloc.start()
        groups_of(signatures, hashes.reshape(-1), offsets)
        peak = tracemalloc.get_traced_memory()[1] / count
        tracemalloc.stop()
        name = f"grouping {count:,} documents, memory of each"
        yield Row(name, "B", peak, 100.0, "limit", 100 / peak, (100 / peak,) * 2, 1.0, peak <= 100)


def filter_rows(texts: list[str], rounds: int) -> Iterator[Row]:
    """All measures of the filters, and exact duplicates, beside plain loops over the same texts."""
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6

    def ours() -> list[dict[str, float]]:
        return [measure(text, "python") for text in texts]

    def plain() -> list[tuple]:
        return [(quality(text), comment_ratio(text)) for text in texts]

    race = alternate(ours, plain, rounds)
    yield row_of("filters", "MB/s", size, race, "a plain Python loop", FILTERS)

    def digests() -> int:
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16] for text in texts]
        found = np.frombuffer(b"".join(keys), "<u8").reshape(-1, 2)
        return len(np.unique(found, axis=0))

    def loop() -> int:
        seen = set()
        for text in texts:
            seen.add(hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())
        return len(seen)

    if digests() != loop():
        raise AssertionError("the numbers of texts differ, so nothing was timed")
    race = alternate(digests, loop, rounds)
    yield row_of("exact duplicates", "MB/s", size, race, "a plain Python loop", None)


def token_row(texts: list[str], rounds: int) -> Row:
    """Tokenising document by document, on one thread, beside Hugging Face's tokenizers."""
    from minilm.tokenizers import train_bpe

    name = "tokenise, 8192 tokens"
    bpe = train_bpe(texts, 8192, "gpt2")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return missing_row(name, "MB/s", "tokenizers", TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        bpe.save(Path(folder) / "tokenizer.json")
        peer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    before = backend.threads()
    backend.set_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        for text in texts[:50]:
            if bpe.encode_ordinary(text) != peer.encode(text).ids:
                raise AssertionError("the ids differ, so nothing was timed")
        size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
        race = alternate(
            lambda: [bpe.encode_array(text) for text in texts],
            lambda: [peer.encode(text).ids for text in texts],
            rounds,
        )
        return row_of(name, "MB/s", size, race, "tokenizers", TOKENS)
    finally:
        backend.set_threads(before)


def judging_row(count: int, rounds: int) -> Row:
    """Programs with tests that the sandbox judges in a second, warm, in two places."""
    from minilm.sandbox.programs import Programs

    jobs = [
        (
            f"def f(values):\n    return sorted(values)[-1] + {i}\n",
            [("f", ([3, i, 1],), max(3, i) + i), ("f", ([5],), 5 + i)],
        )
        for i in range(count)
    ]
    rates = []
    with Programs(places=2) as programs:
        if not all(outcome.passed for outcome in programs.run_many(jobs[:20])):
            raise AssertionError("a good program failed, so nothing was timed")
        for _ in range(rounds):
            rates.append(count / seconds(lambda: programs.run_many(jobs)))
    rates.sort()
    middle = rates[len(rates) // 2]
    spread = rates[0] / JUDGED, rates[-1] / JUDGED
    name = "programs judged, two places"
    ratio = middle / JUDGED
    return Row(name, "per s", middle, JUDGED, "goal", ratio, spread, 1.0, ratio >= 1)


def process_row(texts: list[str], rounds: int) -> Row:
    """The whole pipeline in two processes beside one."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "source"
        source.mkdir()
        for i, text in enumerate(texts):
            if decode_text(text.encode("utf-8", "replace"))[0]:
                (source / f"{i:05}.py").write_text(text, encoding="utf-8", newline="\n")
        settings = Settings(roots=(str(source),), part=500_000)
        with Processes(2) as two, Processes(1) as one:

            def run(workers: Processes) -> Callable[[], Any]:
                out = Path(place) / f"out-{workers.count}"
                return lambda: prepare(settings, out, workers, restart=True)

            race = alternate(run(two), run(one), rounds)
    return row_of("minilm data, 2 processes", "s", None, race, "1 process", 1.5)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured: five minutes, or one where `quick`."""
    rounds = 3 if quick else 7
    texts = texts_with_copies(2 if quick else None)
    yield from near_rows(texts, rounds)
    yield from memory_rows((10_000, 20_000) if quick else (50_000, 100_000))
    yield from filter_rows(texts, rounds)
    yield token_row(texts, rounds)
    yield judging_row(100 if quick else 400, rounds)
    yield process_row(texts, 1 if quick else 3)
