"""Small tasks with one clear difficulty each: copying, chains, translation, lengths, far tokens.

Every generator takes the number of examples and a seed; the same arguments give the same arrays.
Rules that a model has to learn (dictionaries, permutations, grammars) depend on `world`, a seed of
their own, so that training and test draws share them. The tasks come from the experiments of
lessons 1 and 3.
"""

from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE, rng
from minilm.data.pairs import Pairs, make_pairs, refuse_below
from minilm.errors import InputError


def copy(
    n: int,
    length: int | tuple[int, int],
    symbols: int = 16,
    reverse: bool = False,
    seed: int = 0,
) -> Pairs:
    """Copy or reverse a random sequence: the whole source must pass through to the target.

    Ids 0 to symbols - 1 are the symbols; pad, end and begin follow. In the source, shorter examples
    are padded on the right; their target ends with `end`, and nothing is scored after it.

    Args:
        n: number of examples.
        length: symbols in each, or the smallest and largest of a uniform draw.
        symbols: size of the alphabet.
        reverse: whether the target runs backwards.
        seed: of the draws.

    Raises:
        InputError: a number out of range.
    """
    low, high = (length, length) if isinstance(length, int) else length
    refuse_below(1, n=n, length=low, symbols=symbols)
    if high < low:
        raise InputError(f"length is {length}; its second number must be at least its first")
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
    """x + a1 + a2 + ... modulo a number, answered at once or with every partial sum written out.

    The source is the start and the addends; the target is the answer alone, or the partial sums,
    the last of which is the answer. Ids 0 to modulus - 1 are the numbers; begin follows.

    Args:
        n: number of examples.
        steps: number of additions.
        modulus: numbers run from 0 to modulus - 1.
        scratchpad: write the partial sums ("chain of thought", Wei et al. 2022, 2201.11903).
        seed: of the draws; the sources do not depend on `scratchpad`.

    Raises:
        InputError: a number out of range.
    """
    refuse_below(1, n=n, steps=steps)
    refuse_below(2, modulus=modulus)
    source = rng(seed, "toys", "chain").integers(0, modulus, (n, steps + 1))
    sums = np.cumsum(source, axis=1)[:, 1:] % modulus
    return make_pairs(source, sums if scratchpad else sums[:, -1:], modulus, modulus + 1)


@dataclass(frozen=True)
class Translation:
    """Words of one language into disjoint words of another, half of them ambiguous.

    A source word has two translations; for half the words the parity of the next source word
    decides between them (the last word looks at the first), and each block of three is reversed.
    Ids: source words, then two target words for each, then begin.

    Args:
        words: number of source words.
        length: words in a sentence, a multiple of 3.
        world: seed of the dictionary.

    Raises:
        InputError: a number out of range.
    """

    words: int = 48
    length: int = 12
    world: int = 7

    def __post_init__(self) -> None:
        refuse_below(2, words=self.words)
        refuse_below(3, length=self.length)
        if self.length % 3:
            raise InputError(f"length is {self.length}; it must be a multiple of 3")

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return 3 * self.words + 1

    def translate(self, source: np.ndarray) -> np.ndarray:
        """(n, length) source ids -> (n, length) target ids."""
        r = rng(self.world, "toys", "dictionary")
        dictionary = self.words + r.permutation(2 * self.words).reshape(self.words, 2)  # -> (w, 2)
        ambiguous = r.random(self.words) < 0.5
        sense = (np.roll(source, -1, axis=1) % 2) * ambiguous[source]
        words = dictionary[source, sense]
        # (n, length) -> (n, length / 3, 3) -> (n, length)
        return words.reshape(len(source), -1, 3)[:, :, ::-1].reshape(source.shape)

    def sample(self, n: int, seed: int = 0) -> Pairs:
        """n random sentences with their translations."""
        refuse_below(1, n=n)
        source = rng(seed, "toys", "translation").integers(0, self.words, (n, self.length))
        return make_pairs(source, self.translate(source), 3 * self.words, self.vocab_size)


def lengths(n: int, source: int, target: int, symbols: int = 32, seed: int = 0) -> Pairs:
    """One task at any ratio of source to target length, for example 120:8, 64:64, 8:120.

    Target place j shows the source symbol at place j * max(1, source // target), wrapping round,
    shifted by the number of rounds so far: `(symbol + rounds) mod symbols`. A short target reads a
    few places of a long source; a long target reads a short source again and again.

    Args:
        n: number of examples.
        source, target: tokens on each side.
        symbols: size of the alphabet; ids 0 to symbols - 1, then begin.
        seed: of the draws.

    Raises:
        InputError: a number out of range.
    """
    refuse_below(1, n=n, source=source, target=target)
    refuse_below(2, symbols=symbols)
    given = rng(seed, "toys", "lengths").integers(0, symbols, (n, source))
    place = np.arange(target) * max(1, source // target)
    answer = (given[:, place % source] + place // source) % symbols
    return make_pairs(given, answer, symbols, symbols + 1)


def expand(n: int, symbols: int = 64, seed: int = 0, world: int = 5) -> Pairs:
    """A long target from a short source: three (symbol, count) pairs become three chains.

    Each chain is s, f(s), f(f(s)) ... of `count` tokens (3 to 10), where f is a fixed permutation;
    an end token follows the last. The source has 6 tokens, the target up to 31. Ids: symbols, 11
    counts, end, begin.

    Args:
        n: number of examples.
        symbols: size of the alphabet.
        seed: of the draws.
        world: seed of the permutation.

    Raises:
        InputError: a number out of range.
    """
    refuse_below(1, n=n)
    refuse_below(2, symbols=symbols)
    step = rng(world, "toys", "expand").permutation(symbols)
    end, begin, longest = symbols + 11, symbols + 12, 10
    powers = [np.arange(symbols)]  # powers[k][s] is f applied k times
    for _ in range(longest):
        powers.append(step[powers[-1]])
    table = np.stack(powers)
    r = rng(seed, "toys", "expand", "draws")
    first, count = r.integers(0, symbols, (n, 3)), r.integers(3, longest + 1, (n, 3))
    source = np.stack([first, symbols + count], axis=2).reshape(n, 6)  # (n, 3, 2) -> (n, 6)
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

    Place 0 is a topic. Every later symbol depends on the two symbols before it, except that after a
    mark (probability `far`, from place 8 on) the topic is repeated. A narrow attention window
    learns the local part sooner and can never learn the far part.

    Args:
        symbols: size of the alphabet; the mark is one more id.
        far: probability of a mark. With 0.064, about 5 % of the tokens are far ones.
        sharpness: standard deviation of the grammar's logits.
        world: seed of the grammar.

    Raises:
        InputError: a number out of range.
    """

    symbols: int = 16
    far: float = 0.064
    sharpness: float = 2.0
    world: int = 3

    def __post_init__(self) -> None:
        refuse_below(2, symbols=self.symbols)
        if not 0 <= self.far < 1:
            raise InputError(f"far is {self.far}; it must be at least 0 and below 1")

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
            Ids (n, length + 1) int32, so that `length` tokens have a next one, and a mask of the
            tokens that repeat the topic, (n, length + 1) bool.

        Raises:
            InputError: a number out of range.
        """
        refuse_below(1, n=n)
        refuse_below(3, length=length)
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
    """Random turns of a chat, each (user tokens, answer tokens), int32: work for a cache."""
    refuse_below(1, turns=turns, user=user, answer=answer, vocab_size=vocab_size)
    r = rng(seed, "toys", "chat")
    return [
        tuple(r.integers(0, vocab_size, size).astype(np.int32) for size in (user, answer))
        for _ in range(turns)
    ]
