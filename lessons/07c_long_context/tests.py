"""Tests of exercise set 07c: a fair cut, work, merging, the ring, heads, BM25, costs."""

import math
from collections import Counter

import numpy as np

from minilm.course.checking.expect import array, close, fails, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Long context: merge, turn, balance, search and count"

zigzag_partition = Question("zigzag_partition", title="a fair cut", lines=2)
unpartition = Question("unpartition", title="and back", lines=3)
work_per_rank = Question("work_per_rank", title="who works how much", lines=3)
merge = Question("merge", title="two halves of a softmax", lines=3)
ring_attention = Question("ring_attention", title="the ring", lines=15)
ulysses = Question("ulysses", title="text for heads", asks=("to_heads", "to_text"), lines=6)
bm25 = Question("bm25", title="a search by words", lines=8)
prefill_decode_cost = Question("prefill_decode_cost", title="read long, write short", lines=5)


def normal(rng, *shape):
    return rng.standard_normal(shape)


def parts(answer, count, names):
    true(isinstance(answer, (tuple, list)) and len(answer) == count, f"return {names}", "type")
    return answer


# ---------------------------------------------------------------------------------- zigzag


def cuts(rng, level):
    yield {"P": 2, "each": 2}
    yield {"P": int(rng.integers(3, 40)), "each": int(rng.integers(3, 40))}
    if level == "hidden":
        yield {"P": 1, "each": 4}
        yield {"P": int(rng.integers(5, 9)), "each": int(rng.integers(1, 5))}


def tokens_of(P, each):
    """Places of each rank, token by token."""
    chunk = [place // each for place in range(2 * P * each)]
    return [[i for i, c in enumerate(chunk) if c in (r, 2 * P - 1 - r)] for r in range(P)]


@zigzag_partition.test(points=2, hint="Chunks r and 2 P - 1 - r, early one first.", cases=cuts)
def early_and_late(student, rng, P, each):
    "each rank gets an early chunk and the late one that goes with it"
    found = parts(student.zigzag_partition(2 * P * each, P), P, "a list of P arrays")
    for rank, (got, due) in enumerate(zip(found, tokens_of(P, each))):
        same(array(got, shape=(2 * each,), what=f"rank {rank}").astype(np.int64), np.array(due))


@unpartition.test(points=2, hint="Put each part where its tokens came from.", cases=cuts)
def the_way_back(student, rng, P, each):
    "what was taken apart comes together again, whatever a token holds"
    for shape in ((), (3,), (2, 2)):
        text = normal(rng, 2 * P * each, *shape)
        held = [text[own] for own in tokens_of(P, each)]
        close(student.unpartition(held), text, rtol=0, atol=0)


leaves_arguments(unpartition)

# ---------------------------------------------------------------------------------- work


def texts(rng, level):
    for plan in ("contiguous", "zigzag"):
        yield {"n": 8, "P": 2, "plan": plan}
        P = int(rng.integers(3, 12))
        yield {"n": 2 * P * int(rng.integers(2, 20)), "P": P, "plan": plan}
        if level == "hidden":
            yield {"n": 64, "P": 4, "plan": plan}


def plain(rng, level):
    for case in texts(rng, level):
        if case["plan"] == "contiguous":
            yield case


def even(rng, level):
    for case in texts(rng, level):
        if case["plan"] == "zigzag":
            yield case


def counted(n, P, plan):
    own = tokens_of(P, n // (2 * P))
    if plan == "contiguous":
        own = [range(r * n // P, (r + 1) * n // P) for r in range(P)]
    return [sum(sum(j <= i for j in range(n)) for i in places) for places in own]


@work_per_rank.test(points=1, hint="Place i has i + 1 keys.", cases=plain)
def the_plain_cut(student, rng, n, P, plan):
    "the plain cut, by counting pairs"
    found = parts(student.work_per_rank(n, P, plan), P, "a list of P numbers")
    same([int(w) for w in found], counted(n, P, plan))


@work_per_rank.test(points=1, hint="The places are those of zigzag_partition.", cases=even)
def the_fair_cut(student, rng, n, P, plan):
    "zigzag, by counting pairs"
    found = parts(student.work_per_rank(n, P, plan), P, "a list of P numbers")
    same([int(w) for w in found], counted(n, P, plan))


# ---------------------------------------------------------------------------------- merge


def halves(rng, level):
    yield {"shape": (3,), "D": 2}
    yield {"shape": (2, 5), "D": 4}
    if level == "hidden":
        yield {"shape": (int(rng.integers(2, 5)), int(rng.integers(2, 6))), "D": 3}


def attended(scores, values):
    """Means and log totals by the definition: scores (..., T, S), values (S, D)."""
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - top)
    return e @ values / e.sum(-1, keepdims=True), top[..., 0] + np.log(e.sum(-1))


@merge.test(points=2, hint="The second's share is e^l2 / (e^l1 + e^l2).", cases=halves)
def as_if_at_once(student, rng, shape, D):
    "two halves give what all keys give at once"
    scores, values = 3 * normal(rng, *shape, 7), normal(rng, 7, D)
    first, second = (attended(scores[..., at], values[at]) for at in (slice(0, 3), slice(3, 7)))
    o, total = parts(student.merge(*first, *second), 2, "(o, l)")
    wanted, both = attended(scores, values)
    close(o, wanted, rtol=1e-10, atol=1e-12, what="o")
    close(total, both, rtol=1e-10, atol=1e-12, what="l")


@merge.test(points=1, hint="np.logaddexp never overflows.", cases=halves)
def huge_scores(student, rng, shape, D):
    "log totals of ten thousand, of either sign"
    o1, o2 = normal(rng, 2, *shape, D)
    for size in (1e4, -1e4):
        base = np.full(shape, size)
        o, total = parts(student.merge(o1, base, o2, base + math.log(3)), 2, "(o, l)")
        close(o, 0.25 * o1 + 0.75 * o2, rtol=1e-8, atol=1e-8, what="o")
        close(total, base + math.log(4), rtol=1e-12, what="l")


@merge.test(points=1, hint="e to the minus infinity is 0; minus infinity less itself is nan.",
            cases=halves)  # fmt: skip
def nothing_counts_as_nothing(student, rng, shape, D):
    "a half in which nothing was seen changes nothing"
    o1, l1, none = normal(rng, *shape, D), normal(rng, *shape), np.full(shape, -np.inf)
    for given in ((o1, l1, 0 * o1, none), (0 * o1, none, o1, l1)):
        o, total = parts(student.merge(*given), 2, "(o, l)")
        close(o, o1, rtol=1e-12, atol=1e-14, what="o")
        close(total, l1, rtol=1e-12, atol=1e-14, what="l")


leaves_arguments(merge)

# ---------------------------------------------------------------------------------- ring


def rings(rng, level):
    yield {"P": 2, "t": 1, "D": 1}
    yield {"P": 4, "t": 3, "D": 4}
    if level == "hidden":
        yield {"P": 1, "t": 5, "D": 2}
        yield {"P": int(rng.integers(3, 7)), "t": int(rng.integers(2, 5)), "D": 6}


class Turning:
    """Moves blocks on by one and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, blocks):
        self.calls += 1
        return [blocks[-1], *blocks[:-1]]


def whole(q, k, v, causal):
    """Dense attention, query by query."""
    rows = []
    for i in range(len(q)):
        last = i + 1 if causal else len(q)
        scores = [
            sum(a * b for a, b in zip(q[i], k[j])) / math.sqrt(len(q[i])) for j in range(last)
        ]
        top = max(scores)
        e = np.array([math.exp(s - top) for s in scores])
        rows.append(e @ v[:last] / e.sum())
    return np.array(rows)


def around(student, rng, P, t, D, causal, size=1.0):
    q, k, v = (size * normal(rng, P * t, D), size * normal(rng, P * t, D), normal(rng, P * t, D))
    turning = Turning()
    split = [np.split(x, P) for x in (q, k, v)]
    found = student.ring_attention(*split, causal, turning)
    found = parts(found, P, "a list of P outputs")
    for rank, part in enumerate(found):
        array(part, shape=(t, D), what=f"rank {rank}")
    close(np.concatenate(found), whole(q, k, v, causal), rtol=1e-9, atol=1e-10)
    return turning.calls


@ring_attention.test(points=2, hint="After s turns rank r has the keys of rank r - s.", cases=rings)
def no_later_key(student, rng, P, t, D):
    "causal: equal to dense attention"
    around(student, rng, P, t, D, causal=True)


@ring_attention.test(points=1, hint="Without the mask all keys count.", cases=rings)
def all_keys(student, rng, P, t, D):
    "not causal: equal to dense attention"
    around(student, rng, P, t, D, causal=False)


@ring_attention.test(points=1, hint="P - 1 turns of keys, P - 1 of values.", cases=rings)
def no_turn_too_many(student, rng, P, t, D):
    "keys and values are turned P - 1 times each"
    calls = around(student, rng, P, t, D, causal=False)
    true(calls == 2 * (P - 1), f"turn was called {calls} times; {2 * (P - 1)} are enough")


@ring_attention.test(points=1, hint="Subtract the largest score of each query.", cases=rings)
def sharp_scores(student, rng, P, t, D):
    "scores of a thousand and more do not overflow"
    around(student, rng, P, t, D, causal=True, size=60.0)


leaves_arguments(ring_attention, needs=["no_later_key"])

# ---------------------------------------------------------------------------------- ulysses


def swaps(rng, level):
    yield {"P": 2, "t": 1, "H": 2, "D": 1}
    yield {"P": 2, "t": 3, "H": 4, "D": 2}
    if level == "hidden":
        P = int(rng.integers(3, 6))
        yield {"P": P, "t": int(rng.integers(2, 5)), "H": 2 * P, "D": 3}


class Exchange:
    """The all-to-all, counted."""

    def __init__(self):
        self.calls = 0

    def __call__(self, table):
        self.calls += 1
        return [[table[s][r] for s in range(len(table))] for r in range(len(table))]


def texts_and_heads(rng, P, t, H, D):
    text = normal(rng, P * t, H, D)
    each = H // P
    return text, np.split(text, P), [text[:, r * each : (r + 1) * each] for r in range(P)]


def by_exchange(function, given, P):
    exchange = Exchange()
    found = parts(function(given, exchange), P, "a list of P arrays")
    true(exchange.calls == 1, f"exchange was called {exchange.calls} times; once is asked for")
    return found


@ulysses.test(points=2, hint="Cut the heads, exchange, join the text.", cases=swaps)
def all_of_the_text(student, rng, P, t, H, D):
    "to_heads: all of the text, a share of the heads, one exchange"
    _, shards, heads = texts_and_heads(rng, P, t, H, D)
    for got, due in zip(by_exchange(student.to_heads, shards, P), heads):
        close(array(got, shape=due.shape), due, rtol=0, atol=0)


@ulysses.test(points=2, hint="Cut the text, exchange, join the heads.", cases=swaps)
def all_of_the_heads(student, rng, P, t, H, D):
    "to_text: the way back, one exchange"
    _, shards, heads = texts_and_heads(rng, P, t, H, D)
    for got, due in zip(by_exchange(student.to_text, heads, P), shards):
        close(array(got, shape=due.shape), due, rtol=0, atol=0)


def uneven(rng, level):
    yield {"P": 2, "H": 3}
    yield {"P": 4, "H": 6}
    if level == "hidden":
        yield {"P": 5, "H": int(rng.choice([3, 7, 12]))}


@ulysses.test(points=1, hint="if H % P: raise ValueError(...)", cases=uneven)
def heads_that_do_not_divide(student, rng, P, H):
    "heads that P does not divide are refused, others are not"
    _, shards, heads = texts_and_heads(rng, P, 1, 2 * P, 1)
    for got, due in zip(by_exchange(student.to_heads, shards, P), heads):
        close(array(got, shape=due.shape), due, rtol=0, atol=0)
    bad = [normal(rng, 2, H, 1) for _ in range(P)]
    fails(student.to_heads, bad, Exchange(), what=f"{H} heads on {P} ranks")


# ---------------------------------------------------------------------------------- bm25


def searches(rng, level):
    yield {"N": 2, "words": 3, "k1": 1.2, "b": 0.75}
    yield {"N": 5, "words": 4, "k1": 0.9, "b": 0.4}
    if level == "hidden":
        yield {"N": int(rng.integers(6, 12)), "words": 6, "k1": 2.0, "b": 1.0}
        yield {"N": 4, "words": 3, "k1": 1.5, "b": 0.0}


def library(rng, N, words):
    names = "ape bee cow dog eel fox".split()[:words]
    docs = [[str(w) for w in rng.choice(names, int(rng.integers(1, 9)))] for _ in range(N)]
    return names, docs


def scored(q, docs, k1, b):
    usual = sum(map(len, docs)) / len(docs)
    rows = []
    for doc in docs:
        count, score = Counter(doc), 0.0
        for w in q:
            n, f = sum(w in d for d in docs), count[w]
            idf = math.log(1 + (len(docs) - n + 0.5) / (n + 0.5))
            score += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(doc) / usual))
        rows.append(score)
    return rows


@bm25.test(points=2, hint="f, n, the lengths and their mean.", cases=searches)
def by_the_formula(student, rng, N, words, k1, b):
    "scores of different words, by the formula"
    names, docs = library(rng, N, words)
    q = [str(w) for w in rng.permutation(names)[:2]]
    found = student.bm25(q, docs, k1, b)
    close(array(found, shape=(N,)), scored(q, docs, k1, b), rtol=1e-10, atol=1e-12)


@bm25.test(points=1, hint="k1 = 1.2, b = 0.75 where nothing is said.", cases=searches)
def by_default(student, rng, N, words, k1, b):
    "k1 and b have defaults, and a word that is nowhere adds nothing"
    names, docs = library(rng, N, words)
    found = student.bm25([names[0], "yak"], docs)
    close(array(found, shape=(N,)), scored([names[0]], docs, 1.2, 0.75), rtol=1e-10, atol=1e-12)


@bm25.test(
    points=1, hint="Go through the words of q one by one, not through a set.", cases=searches
)
def twice_is_more(student, rng, N, words, k1, b):
    "a word that comes twice in the question counts twice"
    names, docs = library(rng, N, words)
    q = [names[0], names[1], names[0]]
    found = student.bm25(q, docs, k1, b)
    close(array(found, shape=(N,)), scored(q, docs, k1, b), rtol=1e-10, atol=1e-12)


leaves_arguments(bm25)

# ---------------------------------------------------------------------------------- cost


def shapes(rng, level):
    yield {"n": 2, "m": 2, "cfg": {"weights": 12, "layers": 1, "channels": 4, "kv_channels": 2}}
    n, m, weights, layers = (int(x) for x in rng.integers(3, 90, 4))
    cfg = {"weights": weights, "layers": layers, "channels": 8, "kv_channels": 8}
    yield {"n": n, "m": m, "cfg": cfg}
    if level == "hidden":
        cfg = {"weights": 1001, "layers": m, "channels": 12, "kv_channels": 4}
        yield {"n": layers, "m": 1, "cfg": cfg}


def walked(n, m, cfg):
    """Token by token."""
    read = write = moved = 0
    for place in range(1, n + m + 1):
        cost = 2 * cfg["weights"] + 4 * cfg["layers"] * cfg["channels"] * place
        if place <= n:
            read += cost
            continue
        write += cost
        moved += 2 * cfg["weights"] + 2 * 2 * cfg["layers"] * cfg["kv_channels"] * place
    return read, write, moved


@prefill_decode_cost.test(points=1, hint="n (n + 1) / 2 pairs.", cases=shapes)
def reading(student, rng, n, m, cfg):
    "the operations of reading"
    found = parts(student.prefill_decode_cost(n, m, cfg), 3, "three numbers")
    same(int(array(found[0], shape=())), walked(n, m, cfg)[0])


@prefill_decode_cost.test(points=1, hint="n m + m (m + 1) / 2 pairs.", cases=shapes)
def writing(student, rng, n, m, cfg):
    "the operations of writing"
    found = parts(student.prefill_decode_cost(n, m, cfg), 3, "three numbers")
    same(int(array(found[1], shape=())), walked(n, m, cfg)[1])


@prefill_decode_cost.test(points=1, hint="Every token reads all weights again.", cases=shapes)
def bytes_of_writing(student, rng, n, m, cfg):
    "the bytes that writing reads"
    found = parts(student.prefill_decode_cost(n, m, cfg), 3, "three numbers")
    same(int(array(found[2], shape=())), walked(n, m, cfg)[2])
