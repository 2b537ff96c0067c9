"""Byte-pair encoding beside tiktoken and Hugging Face's tokenizers.

`minilm bench tokenizer` prints the table: training and encoding of 30 MB of Python source with a
vocabulary of 8192, with ids and merges compared; then texts designed to be slow; then our encoder
beside itself without its cache, which no text may make more than 10 % slower.
"""

import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from minilm import backend
from minilm.bench.rows import Row, alternate, row_of
from minilm.bench.timing import thread_counts
from minilm.data import documents
from minilm.tokenizers import BPE, train_bpe
from minilm.tokenizers.saving import spelled

MEGABYTES, VOCABULARY = 30, 8192
ENCODE = {1: 8.0, 2: 11.0}  # goal by threads
_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
_GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


def source_text(megabytes: float = MEGABYTES) -> str:
    """Python source, the standard library with its tests, cut or repeated to a size."""
    root = Path(sysconfig.get_path("stdlib"))
    texts = list(documents("python-code"))
    for path in sorted((root / "test").rglob("*.py")):
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
    text = "".join(texts)
    wanted = int(megabytes * 1e6)
    while len(text) < wanted:
        text += text
    return text[:wanted]


def hostile_texts(megabytes: float = 1) -> dict[str, str]:
    """Texts for which a cache of words gains nothing."""
    rng = np.random.default_rng(0)
    size = int(megabytes * 1e6)

    def letters(low: int, high: int, count: int) -> str:
        return "".join(map(chr, rng.integers(low, high, count)))

    def cut(text: str, lengths: np.ndarray, between: str = " ") -> str:
        ends = np.cumsum(lengths)
        return between.join(text[a:b] for a, b in zip([0, *ends], ends))

    words = letters(97, 123, size)
    return {
        "random words of 500 letters": cut(words, np.full(size // 500, 500)),
        "random words of 3 to 16 letters": cut(words, rng.integers(3, 17, size // 10)),
        "random words of 6 letters between digits": cut(words, np.full(size // 7, 6), "7"),
        "random words of 17 to 60 letters": cut(words, rng.integers(17, 61, size // 40)),
        "short words that repeat among long ones that do not": cut(
            words, np.full(size // 20, 20), " a "
        ),
        "random CJK": cut(letters(0x4E00, 0x9FA6, size // 3), rng.integers(2, 40, size // 63)),
        "one long word": words[: size // 4],
        "every code point": "".join(chr(c) for c in range(0x20, 0x30000) if c >> 11 != 27),
        "white space": "".join(rng.choice(list(" \n\t"), size // 2)),
    }


def tiktoken_like(bpe: BPE):
    """tiktoken with our vocabulary, or None where it is not installed."""
    try:
        import tiktoken
    except ImportError:
        return None
    ranks = {token: i for i, token in enumerate(bpe.ordinary) if token is not None}
    pattern = {"gpt2": _GPT2, "gpt4": _GPT4}[bpe.pattern]
    return tiktoken.Encoding(
        "ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens=bpe.special
    )


def training_row(text: str, rounds: int) -> Row:
    """Learning 8192 tokens with GPT-2's words, ours on one thread; the tokens have to agree."""
    name, goal = f"train, {len(text) / 1e6:.0f} MB, {VOCABULARY}", 10.0
    made: dict[str, list] = {}
    chunks = [text[i : i + 100_000] for i in range(0, len(text), 100_000)]

    def ours() -> None:
        made["ours"] = train_bpe(chunks, VOCABULARY, "gpt2").tokens

    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        return row_of(name, "s", None, alternate(ours, None, rounds), "tokenizers", goal)

    def peer() -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(chunks, trainer)
        made["peer"] = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])

    race = alternate(ours, peer, rounds)
    if [token for token, _ in made["peer"]] != [spelled(token) for token in made["ours"]]:
        raise AssertionError("the vocabularies differ, so nothing was timed")
    return row_of(name, "s", None, race, "tokenizers", goal)


def encoding_row(text: str, bpe: BPE, rounds: int, threads: int, goal: float) -> Row:
    """Encoding the whole text; the ids have to agree."""
    name = f"encode, {bpe.pattern}, {threads} thread{'s' * (threads > 1)}"
    peer = tiktoken_like(bpe)
    if peer is not None:
        np.testing.assert_array_equal(bpe.encode_array(text), peer.encode_to_numpy(text))
    cuts = [len(text) * k // threads for k in range(threads + 1)]
    parts = [text[a:b] for a, b in zip(cuts, cuts[1:])]

    def other() -> object:
        if threads == 1:
            return peer.encode_ordinary(text)
        return peer.encode_ordinary_batch(parts, num_threads=threads)

    backend.set_threads(threads)
    race = alternate(lambda: bpe.encode_array(text), None if peer is None else other, rounds)
    return row_of(name, "MB/s", len(text.encode()) / 1e6, race, "tiktoken", goal)


def hostile_rows(bpe: BPE, rounds: int) -> Iterator[Row]:
    """Texts designed to be slow, on one thread: beside tiktoken, and beside ours without cache."""
    backend.set_threads(1)
    plain = BPE(bpe.tokens, bpe.merges, bpe.pattern, bpe.special, cache=False)
    peer = tiktoken_like(bpe)
    for name, text in hostile_texts().items():
        size = len(text.encode()) / 1e6
        ours, theirs = partial(bpe.encode_array, text), None
        if peer is not None:
            theirs = partial(peer.encode_ordinary, text)
            np.testing.assert_array_equal(ours(), theirs())
        uncached = partial(plain.encode_array, text)
        for peer_name, other, goal in (
            ("tiktoken", theirs, 1.2),
            ("ours without cache", uncached, 0.9),
        ):
            race = alternate(ours, other, rounds)
            yield row_of(name, "MB/s", size, race, peer_name, goal)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured: 30 MB in three minutes, or 6 MB where `quick`."""
    before, rounds = backend.threads(), 3 if quick else 7
    text = source_text(6 if quick else MEGABYTES)
    try:
        backend.set_threads(1)
        yield training_row(text, 3)
        for pattern in ("gpt2", "gpt4"):
            bpe = train_bpe(text, VOCABULARY, pattern)
            for threads in thread_counts():
                yield encoding_row(text, bpe, rounds, threads, ENCODE[threads])
        yield from hostile_rows(bpe, rounds)
    finally:
        backend.set_threads(before)
