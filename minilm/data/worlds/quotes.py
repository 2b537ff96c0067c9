"""The misquote world: why one task can go right, wrong and right again with scale.

The task is to repeat a misquoted proverb literally. Three sub-skills bear on it: repeating,
correcting the quote, and following the instruction not to correct it (Jason Wei, CS25 V4,
19:39-23:56; Wei et al. 2022, arXiv 2211.02011). Repeating becomes wrong only where the text itself
corrects misquotes: a corpus with proverbs but without corrected misquotes shows no U.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minilm.backend import rng
from minilm.data.worlds.world import Corpus, Floor, Probe
from minilm.errors import InputError

KINDS = ("copy", "corrected", "quote", "plain", "literal")
MIXTURE = {"copy": 0.50, "corrected": 0.25, "plain": 0.24, "literal": 0.01}
LENGTH = 16  # tokens of a document: 2 header, 6 words, separator, 6 words, end
WORDS = 6
LAST, FIRST_LAST = 14, 7  # places of the last word of the second and of the first part
END, SEPARATOR, PLAIN, PLAIN_SEPARATOR, HEADER = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class QuoteWorld:
    """Documents of 16 tokens: `h h w1..w6 / w1'..w6' .`, one kind each.

    - copy: common header, random words, then the same words;
    - corrected: common header, a proverb with a wrong last word, then the true proverb;
    - quote: common header, a true proverb twice;
    - plain: its own header, then two true proverbs, drawn independently: nothing to copy;
    - literal: the rare "repeat after me" header, a proverb with a wrong last word, twice.

    One fifth of the (proverb, wrong word) pairs never occurs in a corpus; the probes use them.
    The defaults produced the U in a pilot with 11 k to 855 k parameters after 1.4 M tokens, in
    windows of two whole documents; the probes have that shape too, so train on windows cut at
    multiples of 32.

    Args:
        words: number of ordinary words, more than 6.
        proverbs: number of fixed proverbs, 6 random words each.
        headers: number of header tokens; the last is the literal one, the others are drawn at
            random.
        literal_half: use only odd proverbs in literal documents, so that even ones test whether
            the instruction carries over.
        seed: of the proverbs.

    Raises:
        InputError: a number out of range.
    """

    words: int = 200
    proverbs: int = 300
    headers: int = 8
    literal_half: bool = False
    seed: int = 1234

    def __post_init__(self) -> None:
        limits = (("words", WORDS + 1, 20_000), ("proverbs", 2, 100_000), ("headers", 2, 100))
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}")
        r = rng(self.seed, "quotes", "proverbs")
        order = r.random((self.proverbs, self.words)).argsort(axis=1)[:, :WORDS]
        object.__setattr__(self, "sayings", order + HEADER + self.headers)  # (P, 6)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return HEADER + self.headers + self.words

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The text of each token."""
        common = [f"say{i}" for i in range(1, self.headers)]
        ordinary = [f"w{i}" for i in range(self.words)]
        return (".", "/", "proverb", ";", *common, "repeat-after-me", *ordinary)

    def _mixture(self, mixture: Mapping[str, float] | None) -> dict[str, float]:
        mixture = dict(MIXTURE if mixture is None else mixture)
        unknown = [kind for kind in mixture if kind not in KINDS]
        if unknown:
            raise InputError(f"mixture names {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
        if min(mixture.values(), default=-1) < 0 or not math.isclose(
            sum(mixture.values()), 1, abs_tol=1e-6
        ):
            raise InputError(f"mixture is {mixture}; its shares must be 0 or more and sum to 1")
        return {kind: mixture.get(kind, 0.0) for kind in KINDS}

    def held_out(self, proverb: np.ndarray, word: np.ndarray) -> np.ndarray:
        """True for the fifth of the (proverb, wrong word) pairs that no corpus holds."""
        return (proverb * 7919 + word * 104729) % 5 == 0

    def _wrong_words(
        self, r: np.random.Generator, proverb: np.ndarray, held_out: bool
    ) -> np.ndarray:
        """A wrong last word for each proverb, from the held-out fifth or from the rest."""
        first = HEADER + self.headers
        words = r.integers(0, self.words, len(proverb)) + first
        right = self.sayings[proverb, -1]
        while True:
            bad = (self.held_out(proverb, words) != held_out) | (words == right)
            if not bad.any():
                return words
            words[bad] = r.integers(0, self.words, int(bad.sum())) + first

    def documents(
        self,
        r: np.random.Generator,
        n: int,
        kind: str,
        held_out: bool = False,
        among: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """n documents of one kind.

        Args:
            r: the source of the draws.
            kind: one of `KINDS`.
            held_out: take wrong words from the held-out fifth.
            among: indices of the proverbs that may occur.

        Returns:
            Tokens (n, 16), the proverb (n,) and the wrong last word (n,); -1 where there is none.
        """
        rows = np.empty((n, LENGTH), np.int64)
        rows[:, 8], rows[:, 15] = SEPARATOR, END
        none = np.full(n, -1)
        among = np.arange(self.proverbs) if among is None else among
        proverb = among[r.integers(0, len(among), n)]
        if kind == "plain":
            second = among[r.integers(0, len(among), n)]
            rows[:, :2], rows[:, 8] = PLAIN, PLAIN_SEPARATOR
            rows[:, 2:8], rows[:, 9:15] = self.sayings[proverb], self.sayings[second]
            return rows, second, none
        rows[:, :2] = HEADER + r.integers(0, self.headers - 1, (n, 2))
        if kind == "copy":
            rows[:, 2:8] = r.integers(0, self.words, (n, WORDS)) + HEADER + self.headers
            rows[:, 9:15] = rows[:, 2:8]
            return rows, none, none
        rows[:, 2:8] = rows[:, 9:15] = self.sayings[proverb]
        if kind == "quote":
            return rows, proverb, none
        wrong = self._wrong_words(r, proverb, held_out)
        rows[:, FIRST_LAST] = wrong
        if kind == "literal":
            rows[:, LAST] = wrong
            rows[:, :2] = HEADER + self.headers - 1
        return rows, proverb, wrong

    def sample(
        self, tokens: int, seed: int = 0, mixture: Mapping[str, float] | None = None
    ) -> Corpus:
        """A stream of documents in random order.

        Args:
            tokens: length; a multiple of 16 ends with a whole document.
            seed: of the draws.
            mixture: share of the documents (and so of the tokens) per kind; sums to 1. Counts
                are rounded to whole documents.

        Raises:
            InputError: tokens below 1, an unknown kind, or shares that do not sum to 1.
        """
        if tokens < 1:
            raise InputError(f"tokens is {tokens}; it must be 1 or more")
        shares = self._mixture(mixture)
        n = -(-tokens // LENGTH)
        edges = np.rint(np.cumsum([0.0, *shares.values()]) * n).astype(int)
        odd = np.arange(1, self.proverbs, 2)
        drawn, labels = [], []
        for label, kind in enumerate(KINDS):
            count = int(edges[label + 1] - edges[label])
            among = odd if kind == "literal" and self.literal_half else None
            drawn.append(self.documents(rng(seed, "quotes", kind), count, kind, among=among)[0])
            labels.append(np.full(count, label, np.uint8))
        order = rng(seed, "quotes", "order").permutation(n)
        rows, names = np.concatenate(drawn)[order], np.concatenate(labels)[order]
        scored = np.zeros((n, LENGTH), bool)
        scored[:, LAST] = True
        scored[names == KINDS.index("plain"), FIRST_LAST] = True
        return Corpus(
            tokens=rows.ravel()[:tokens].astype(np.int32),
            labels=np.repeat(names, LENGTH)[:tokens],
            scored=scored.ravel()[:tokens],
            tasks=KINDS,
            words=self.vocabulary,
        )

    def floors(self, mixture: Mapping[str, float] | None = None) -> dict[str, Floor]:
        """The entropy of each kind and, as "total", of the stream, in nats per token.

        It is minus the log probability of a whole document, for a reader who knows all rules and
        proverbs. It assumes that proverbs are distinct and that no document of random words is a
        proverb by accident, an error below 1e-9. All scored words are then certain.
        """
        shares = {kind: s for kind, s in self._mixture(mixture).items() if s > 0}
        header, proverb = 2 * math.log(self.headers - 1), math.log(self.proverbs)
        wrong = self._wrong_entropy(np.arange(self.proverbs))
        literal = proverb + wrong
        if self.literal_half:
            odd = np.arange(1, self.proverbs, 2)
            literal = math.log(len(odd)) + self._wrong_entropy(odd)
        nats = {
            "copy": header + WORDS * math.log(self.words),
            "corrected": header + proverb + wrong,
            "quote": header + proverb,
            "plain": 2 * proverb,
            "literal": literal,
        }
        floors, total, marked = {}, 0.0, 0.0
        for kind, share in shares.items():
            document, scored = nats[kind] - math.log(share), 2 if kind == "plain" else 1
            floors[kind] = Floor(document / LENGTH, 0.0, document / (LENGTH - scored))
            total += share * document
            marked += share * scored
        floors["total"] = Floor(total / LENGTH, 0.0, total / (LENGTH - marked))
        return floors

    def _wrong_entropy(self, proverbs: np.ndarray) -> float:
        """The mean log number of wrong words that a corpus may put at the end of a proverb."""
        words = np.arange(self.words) + HEADER + self.headers
        allowed = ~self.held_out(proverbs[:, None], words)
        allowed &= words != self.sayings[proverbs, -1:]
        return float(np.log(allowed.sum(axis=1)).mean())

    def probes(self, count: int = 192, seed: int = 99) -> dict[str, Probe]:
        """Prompts for the sub-skills; each is a copy document, then the document that is tested.

        The scored token is the last copied word:

        - "repeat": random words, the word itself;
        - "memory": plain proverbs, the last word of the second one;
        - "fix": common header, held-out misquote of an even proverb: the true word, with the
          wrong one as `other`; "fix odd" the same for odd proverbs;
        - "literal": literal header, held-out misquote of an even proverb: the wrong word, with
          the true one as `other`; "literal odd" the same for odd proverbs.

        Raises:
            InputError: a count below 1.
        """
        if count < 1:
            raise InputError(f"count is {count}; it must be 1 or more")
        even, odd = np.arange(0, self.proverbs, 2), np.arange(1, self.proverbs, 2)
        plan = {
            "repeat": ("copy", None),
            "memory": ("plain", None),
            "fix": ("corrected", even),
            "fix odd": ("corrected", odd),
            "literal": ("literal", even),
            "literal odd": ("literal", odd),
        }
        probes = {}
        for name, (kind, among) in plan.items():
            r = rng(seed, "quotes", "probe", name)
            rows, proverb, wrong = self.documents(r, count, kind, held_out=True, among=among)
            before = self.documents(r, count, "copy")[0]
            tokens = np.concatenate([before, rows], axis=1).astype(np.int32)
            scored = np.zeros(tokens.shape, bool)
            scored[:, LENGTH + LAST] = True
            other = None
            if kind == "corrected":
                other = wrong.astype(np.int32)
            elif kind == "literal":
                other = self.sayings[proverb, -1].astype(np.int32)
            probes[name] = Probe(name, tokens, scored, other=other)
        return probes
