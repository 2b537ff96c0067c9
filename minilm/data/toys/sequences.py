"""Small tasks with one clear difficulty each: copying, chains, translation, lengths, far tokens.

Every generator takes the number of examples and a seed; the same arguments give the same arrays.
Rules that a model must learn (dictionaries, permutations, grammars) hang on `world`, a seed of
their own, so that train and test draws share them. Sources are the experiments of lessons 1 and 3.
"""

from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE, rng
from minilm.data.pairs import Pairs, at_least, make_pairs
from minilm.errors import InputError


def copy(
    n: int,
    length: int | tuple[int, int],
    symbols: int = 16,
    reverse: bool = False,
    seed: int = 0,
) -> Pairs:
    """Copy or reverse a random sequence: the whole source must pass through to the target.

    Ids 0..symbols-1 are the symbols, then pad, end and begin. Shorter examples are padded on the
    right in the source; their target ends with `end`, and nothing is scored after it.

    Args:
        n: examples.
        length: symbols of each, or the smallest and largest of a uniform draw.
        symbols: size of the alphabet.
        reverse: the target runs backwards.
        seed: of the draws.
    """
    low, high = (length, length) if isinstance(length, int) else length
    at_least(1, n=n, length=low, symbols=symbols)
    if high < low:
        raise InputError(f"length is {length}; its second number must not be below its first")
    r = rng(seed, "toys", "copy")
    pad, end, begin = symbols, symbols + 1, symbols + 2
    sizes = r.integers(low, high + 1, (n, 1))
    places = np.arange(high)
    values = r.integers(0, symbols, (n, high))
    source = np.where(places < sizes, values, pad)
    order = np.where(places < sizes, sizes - 1 - places if reverse else places, 0)
    target = np.full((n, high + 1), IGNORE)
    target[:, :high] = np.where(places < sizes, np.take_along_axis(values, order, 1), IGNORE)
    np.put_along_axis(target, sizes, end, axis=1)
    return make_pairs(source, target, begin, symbols + 3, fill=pad)


def modular_chain(
    n: int, steps: int = 3, modulus: int = 17, scratchpad: bool = False, seed: int = 0
) -> Pairs:
    """x + a1 + a2 + ... modulo a number, answered at once or with every partial sum written.

    The source is the start and the steps' addends; the target the answer alone, or the partial
    sums, of which the last is the answer. Ids 0..modulus-1 are numbers, then begin.

    Args:
        n: examples.
        steps: additions.
        modulus: numbers run from 0 to modulus - 1.
        scratchpad: write the partial sums ("chain of thought", Wei et al. 2022, 2201.11903).
        seed: of the draws; the sources do not depend on `scratchpad`.
    """
    at_least(1, n=n, steps=steps)
    at_least(2, modulus=modulus)
    source = rng(seed, "toys", "chain").integers(0, modulus, (n, steps + 1))
    sums = np.cumsum(source, axis=1)[:, 1:] % modulus
    return make_pairs(source, sums if scratchpad else sums[:, -1:], modulus, modulus + 1)


@dataclass(frozen=True)
class Translation:
    """Words of one language into disjoint words of another, half of them ambiguous.

    A source word has two translations; for half the words the parity of the next source word
    decides between them (the last word looks at the first), and each block of three is turned
    round. Ids: source words, then two target words for each, then begin.

    Args:
        words: source words.
        length: words of a sentence, a multiple of 3.
        world: seed of the dictionary.
    """

    words: int = 48
    length: int = 12
    world: int = 7

    def __post_init__(self) -> None:
        at_least(2, words=self.words)
        at_least(3, length=self.length)
        if self.length % 3:
            raise InputError(f"length is {self.length}; it must be a multiple of 3")

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return 3 * self.words + 1

    def translate(self, source: np.ndarray) -> np.ndarray:
        """(n, length) source ids -> (n, length) target ids."""
        r = rng(self.world, "toys", "dictionary")
        dictionary = self.words + r.permutation(2 * self.words).reshape(self.words, 2)
        ambiguous = r.random(self.words) < 0.5
        sense = (np.roll(source, -1, axis=1) % 2) * ambiguous[source]
        words = dictionary[source, sense]
        return words.reshape(len(source), -1, 3)[:, :, ::-1].reshape(source.shape)

    def sample(self, n: int, seed: int = 0) -> Pairs:
        """n random sentences with their translations."""
        at_least(1, n=n)
        source = rng(seed, "toys", "translation").integers(0, self.words, (n, self.length))
        return make_pairs(source, self.translate(source), 3 * self.words, self.vocab_size)


def lengths(n: int, source: int, target: int, symbols: int = 32, seed: int = 0) -> Pairs:
    """One task at any ratio of source to target length, for example 120:8, 64:64, 8:120.

    Target place j shows the source symbol at place j * max(1, source // target), wrapping round,
    moved by the number of rounds so far: `(symbol + rounds) mod symbols`. A short target reads a
    few places of a long source; a long target reads a short source again and again.

    Args:
        n: examples.
        source, target: tokens of each side.
        symbols: size of the alphabet; ids 0..symbols-1, then begin.
        seed: of the draws.
    """
    at_least(1, n=n, source=source, target=target)
    at_least(2, symbols=symbols)
    given = rng(seed, "toys", "lengths").integers(0, symbols, (n, source))
    place = np.arange(target) * max(1, source // target)
    answer = (given[:, place % source] + place // source) % symbols
    return make_pairs(given, answer, symbols, symbols + 1)


def expand(n: int, symbols: int = 64, seed: int = 0, world: int = 5) -> Pairs:
    """A long target from a short source: three (symbol, count) pairs become three chains.

    Each chain is s, f(s), f(f(s)) ... of `count` tokens (3 to 10), f a fixed permutation; then an
    end token. The source has 6 tokens, the target up to 31. Ids: symbols, 11 counts, end, begin.

    Args:
        n: examples.
        symbols: size of the alphabet.
        seed: of the draws.
        world: seed of the permutation.
    """
    at_least(1, n=n)
    at_least(2, symbols=symbols)
    step = rng(world, "toys", "expand").permutation(symbols)
    end, begin, longest = symbols + 11, symbols + 12, 10
    powers = [np.arange(symbols)]  # powers[k][s] is f applied k times
    for _ in range(longest):
        powers.append(step[powers[-1]])
    table = np.stack(powers)
    r = rng(seed, "toys", "expand", "draws")
    first, count = r.integers(0, symbols, (n, 3)), r.integers(3, longest + 1, (n, 3))
    source = np.stack([first, symbols + count], axis=2).reshape(n, 6)
    places = np.arange(3 * longest + 1)
    target, start = np.full((n, len(places)), IGNORE), np.zeros((n, 1), np.int64)
    for j in range(3):
        k = places - start
        inside = (k >= 0) & (k < count[:, j : j + 1])
        chain = table[np.clip(k, 0, longest), first[:, j : j + 1]]
        target = np.where(inside, chain, target)
        start = start + count[:, j : j + 1]
    np.put_along_axis(target, start, end, axis=1)
    return make_pairs(source, target, begin, symbols + 13, fill=end)


@dataclass(frozen=True)
class LocalGrammar:
    """A second-order random grammar in which a few tokens depend on the far beginning.

    Place 0 is a topic. Every later symbol depends on the two symbols before it, but after a mark
    (probability `far`, from place 8 on) the topic is repeated. A narrow attention window learns
    the local part sooner and can never learn the far part.

    Args:
        symbols: size of the alphabet; the mark is one more id.
        far: probability of a mark. 0.064 makes about 5 % of the tokens far ones.
        sharpness: standard deviation of the grammar's logits.
        world: seed of the grammar.
    """

    symbols: int = 16
    far: float = 0.064
    sharpness: float = 2.0
    world: int = 3

    def __post_init__(self) -> None:
        at_least(2, symbols=self.symbols)
        if not 0 <= self.far < 1:
            raise InputError(f"far is {self.far}; it must lie in 0..1, below 1")

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.symbols + 1

    def table(self) -> np.ndarray:
        """P(next | before, last), (symbols, symbols, symbols) float64, rows sum to 1."""
        shape = (self.symbols,) * 3
        logits = rng(self.world, "toys", "grammar").normal(0, self.sharpness, shape)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    def sample(self, n: int, length: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """n sequences.

        Returns:
            Ids (n, length + 1) int32, so that length tokens have a next one, and a mask of the
            tokens that repeat the topic, (n, length + 1) bool.
        """
        at_least(1, n=n)
        at_least(3, length=length)
        r, mark = rng(seed, "toys", "local"), self.symbols
        cumulative = np.cumsum(self.table(), axis=-1)
        ids = np.zeros((n, length + 1), np.int32)
        is_far = np.zeros(ids.shape, bool)
        ids[:, :3] = r.integers(0, self.symbols, (n, 3))
        before, last = ids[:, 1].copy(), ids[:, 2].copy()
        marked = np.zeros(n, bool)
        for t in range(3, length + 1):
            draw = r.random((n, 1)) > cumulative[before, last]
            local = np.minimum(draw.sum(axis=1), self.symbols - 1)
            new = np.where(marked, ids[:, 0], local)
            now = (r.random(n) < self.far) & ~marked & (t >= 8)
            is_far[:, t] = marked
            ids[:, t] = np.where(now, mark, new)
            before, last = np.where(now, before, last), np.where(now, last, new)
            marked = now
        return ids, is_far


def chat(
    turns: int, user: int, answer: int, vocab_size: int = 256, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random turns of a chat, (user tokens, answer tokens) each, int32: work for a cache."""
    at_least(1, turns=turns, user=user, answer=answer, vocab_size=vocab_size)
    r = rng(seed, "toys", "chat")
    return [
        tuple(r.integers(0, vocab_size, size).astype(np.int32) for size in (user, answer))
        for _ in range(turns)
    ]
