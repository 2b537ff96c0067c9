"""Tests of exercise set 07a: norms, turns, masks, spans, blanks."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, fails, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "History: blanks, positions, norms"

rmsnorm = Question("rmsnorm", title="a norm without a mean", lines=1)
wavelengths = Question("wavelengths", title="how long is a turn", lines=2)
rope = Question("rope", title="turn by place", lines=5)
glm_mask = Question("glm_mask", title="who sees whom in GLM", lines=3)
sample_spans = Question("sample_spans", title="where to cut", lines=14)
glm_batch = Question("glm_batch", title="GLM's training text", lines=22)
block = Question("block", title="norms before or behind", lines=8)
rmsnorm_backward = Question("rmsnorm_backward", title="the norm's way back", lines=5)


def pair(answer, what):
    true(isinstance(answer, (tuple, list)) and len(answer) == 2, f"return {what}", "type")
    return answer


# ------------------------------------------------------------------------------------ rmsnorm


def shapes(rng, level):
    yield {"shape": (3, 4)}
    yield {"shape": (2, 5, 3)}
    if level == "hidden":
        yield {"shape": (7,)}
        yield {"shape": tuple(int(n) for n in rng.integers(2, 6, 3))}


def normed(x, g, eps):
    """Row by row, with exact sums."""
    rows = x.reshape(-1, x.shape[-1])
    made = [row / math.sqrt(math.fsum(row**2) / len(row) + eps) * g for row in rows]
    return np.array(made).reshape(x.shape)


@rmsnorm.test(points=2, hint="x / sqrt(mean of x squared + eps) * g.", cases=shapes)
def divides_by_the_root_mean_square(student, rng, shape):
    "each row over its root mean square, times g"
    x, g = 3 * rng.normal(size=shape) + 1, rng.normal(size=shape[-1])
    close(student.rmsnorm(x, g, 1e-6), normed(x, g, 1e-6), rtol=1e-9, atol=1e-12)


@rmsnorm.test(points=1, hint="eps stands under the root, beside the mean.", cases=shapes)
def puts_eps_under_the_root(student, rng, shape):
    "rows of zeros, and an eps that counts"
    x, g = rng.normal(size=shape), rng.normal(size=shape[-1])
    x[..., : max(1, shape[-1] // 2)] = 0.0
    close(student.rmsnorm(x, g, 0.7), normed(x, g, 0.7), rtol=1e-9, atol=1e-12)
    close(student.rmsnorm(0 * x, g, 0.7), 0 * x, atol=1e-12)


leaves_arguments(rmsnorm)

# -------------------------------------------------------------------------------- wavelengths


@wavelengths.test(points=1, hint="2 pi times base^(2 i / D).")
def knows_a_head_of_128(student, rng):
    "base 10,000: the first turn takes 6.28 positions, the last 54,410; with a million 5.06 million"
    found = array(student.wavelengths(128, 10000.0), shape=(64,))
    close(found[:2], [2 * math.pi, 2 * math.pi / 0.8659643], rtol=1e-6)
    close(found[63], 54410.0, rtol=1e-4, what="the last one")
    million = array(student.wavelengths(128, 1e6), shape=(64,))
    close(million[63], 5.06e6, rtol=1e-3, what="the last one, base a million")
    base = float(rng.uniform(5e3, 5e6))
    other = array(student.wavelengths(128, base), shape=(64,))
    close(other[63], 2 * math.pi * base ** (126 / 128), rtol=1e-9, what="the last one, other base")


def heads(rng, level):
    yield {"D": 4, "base": 100.0}
    yield {"D": 6, "base": 10000.0}
    if level == "hidden":
        yield {"D": 2, "base": 500.0}
        yield {"D": 2 * int(rng.integers(4, 40)), "base": float(rng.integers(2, 10**6))}


@wavelengths.test(points=1, hint="Pair i turns by base^(-2 i / D) a step.", cases=heads)
def are_those_of_every_pair(student, rng, D, base):
    "each pair's own, pair 0 first"
    wanted = [2 * math.pi * math.exp(2 * i / D * math.log(base)) for i in range(D // 2)]
    close(student.wavelengths(D, base), wanted, rtol=1e-9)


# --------------------------------------------------------------------------------------- rope


def turns(rng, level):
    yield {"T": 3, "D": 4, "base": 10000.0}
    yield {"T": 5, "D": 6, "base": 100.0}
    if level == "hidden":
        yield {"T": 1, "D": 2, "base": 7.0}
        yield {"T": 9, "D": 10, "base": 5e5}


def turned(x, pos, base):
    """By complex numbers."""
    half = x.shape[1] // 2
    theta = np.exp(-np.arange(half) / half * math.log(base))
    z = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * np.outer(pos, theta))
    return np.concatenate([z.real, z.imag], axis=1)


@rope.test(
    points=2, hint="Pair i is (x[i], x[i + D/2]); its angle is pos times theta_i.", cases=turns
)
def turns_every_pair(student, rng, T, D, base):
    "every pair by its own angle"
    x, pos = rng.normal(size=(T, D)), rng.integers(0, 50, T)
    close(student.rope(x, pos, base), turned(x, pos, base), rtol=1e-9, atol=1e-10)


@rope.test(points=1, hint="A turn changes no length; place 0 is not turned at all.", cases=turns)
def keeps_lengths(student, rng, T, D, base):
    "no row gets longer or shorter, and place 0 stays"
    x, pos = rng.normal(size=(T, D)), np.arange(T) * 3
    answer = array(student.rope(x, pos, base), shape=(T, D))
    close(np.linalg.norm(answer, axis=1), np.linalg.norm(x, axis=1), rtol=1e-9)
    close(answer[0], x[0], rtol=1e-9, what="the row at place 0")
    true(T == 1 or not np.allclose(answer[-1], x[-1]), "a row at another place must be turned")


@rope.test(points=1, hint="Angles grow with pos: products depend on the difference.", cases=turns)
def depends_on_the_distance(student, rng, T, D, base):
    "query at m, key at n: the product depends on m - n"
    q, k = rng.normal(size=(2, 1, D))
    shift = int(rng.integers(1, 30))
    products = [
        float((array(student.rope(q, np.array([m + s]), base), shape=(1, D))
               * array(student.rope(k, np.array([2 + s]), base), shape=(1, D))).sum())
        for m in (2, 7) for s in (0, shift)
    ]  # fmt: skip
    products = np.array(products)
    close(products[1::2], products[::2], rtol=1e-8, atol=1e-9, what="the products, moved on")
    wanted = (turned(q, np.array([7]), base) * turned(k, np.array([2]), base)).sum()
    close(products[2], wanted, rtol=1e-8, atol=1e-9, what="the product at distance 5")


leaves_arguments(rope)

# ----------------------------------------------------------------------------------- glm_mask


def parts(rng, level):
    yield {"nA": 2, "nB": 2}
    yield {"nA": 5, "nB": 5}
    if level == "hidden":
        yield {"nA": 1, "nB": 6}
        yield {"nA": 4, "nB": 0}
        yield {"nA": int(rng.integers(2, 9)), "nB": int(rng.integers(1, 9))}


@glm_mask.test(
    points=2, hint="All see A; B also sees itself and what came before in B.", cases=parts
)
def shows_what_may_be_seen(student, rng, nA, nB):
    "place by place"
    n = nA + nB
    wanted = [[k < nA or (q >= nA and k <= q) for k in range(n)] for q in range(n)]
    answer = array(student.glm_mask(nA, nB), shape=(n, n))
    same(np.asarray(answer, int), np.array(wanted, int))


@glm_mask.test(points=1, hint="nA (nA + nB) + nB (nB + 1) / 2 of them.", cases=parts)
def counts_its_pairs(student, rng, nA, nB):
    "bools, as many of them True as the formula says"
    more = (int(n) for n in rng.integers(2, 60, 2))
    for a, b in ((nA, nB), tuple(more)):
        answer = array(student.glm_mask(a, b), shape=(a + b, a + b), dtype=bool)
        same(int(answer.sum()), a * (a + b) + b * (b + 1) // 2, what="the number of True")


# ------------------------------------------------------------------------------- sample_spans


def lengths(rng, level):
    yield {"n": 64, "ratio": 0.15, "lam": 3.0}
    yield {"n": 20, "ratio": 0.3, "lam": 2.0}
    if level == "hidden":
        yield {"n": 200, "ratio": 0.15, "lam": 3.0}
        yield {"n": 30, "ratio": 0.02, "lam": 3.0}


def spans_in(answer):
    true(isinstance(answer, (list, tuple)), "return a list of pairs", "type")
    made = []
    for span in answer:
        true(isinstance(span, (list, tuple, np.ndarray)) and len(span) == 2,
             "each span must be a pair (first, past the last)", "type")  # fmt: skip
        made.append(tuple(int(array(end, shape=(), what="an end of a span")) for end in span))
    return made


def draws_of(rng, count=12):
    return [int(s) for s in rng.integers(0, 2**31, count)]


@sample_spans.test(points=2, hint="In order, inside the text, a word between two of them.",
                   cases=lengths)  # fmt: skip
def they_lie_apart(student, rng, n, ratio, lam):
    "in order, inside the text, at least one word apart, the right number of words in all"
    for seed in draws_of(rng):
        spans, edge = spans_in(student.sample_spans(n, ratio, lam, seed)), -1
        for first, past in spans:
            true(first > edge, "a span must begin at least one word behind the one before it")
            true(past > first, "a span must hold at least one word")
            edge = past
        true(edge <= n, "a span must end inside the text")
        same(sum(b - a for a, b in spans), max(1, round(ratio * n)), what="the words cut out")


@sample_spans.test(points=1, hint="max(1, rng.poisson(lam)), only the last one shortened.")
def lengths_are_poisson(student, rng):
    "the mean length is that of max(1, Poisson(3)), 3.05"
    found, seen = [], set()
    for seed in draws_of(rng, 40):
        spans = spans_in(student.sample_spans(600, 0.15, 3.0, seed))
        seen.add(tuple(b - a for a, b in spans))
        found += [b - a for a, b in spans]
    true(len(seen) > 30, "40 seeds must give many different lists of lengths")
    mean = float(np.mean(found))
    true(2.7 < mean < 3.3, f"the mean length is {mean:.2f}; with lam = 3 it must be about 3")
    true(min(found) == 1 and max(found) > 5, "lengths must vary as Poisson's do")


@sample_spans.test(points=1, hint="Draw the places evenly: the first span often begins late.")
def places_are_random(student, rng):
    "spans lie at both ends and in the middle; another seed gives others, the same seed the same"
    cover, seen = np.zeros(40), set()
    for seed in draws_of(rng, 300):
        spans = spans_in(student.sample_spans(40, 0.15, 3.0, seed))
        seen.add(tuple(spans))
        for first, past in spans:
            cover[first:past] += 1 / 300
    again = spans_in(student.sample_spans(40, 0.15, 3.0, seed))
    true(again == spans, "the same seed must give the same spans")
    true(len(seen) > 100, "300 seeds must give many different answers")
    thirds = [float(cover[i : i + 8].mean()) for i in (0, 16, 32)]
    true(all(0.06 < c < 0.3 for c in thirds),
         f"the first, middle and last eight words are cut out in {thirds[0]:.0%}, {thirds[1]:.0%} "
         f"and {thirds[2]:.0%} of the draws; each must be near 15 %")  # fmt: skip


# ---------------------------------------------------------------------------------- glm_batch

M, S, E = 101, 102, 103


def blanks(rng, level):
    yield {"n": 6, "spans": [(2, 3), (4, 6)], "order": [1, 0]}
    yield {"n": 9, "spans": [(0, 2), (5, 6)], "order": [0, 1]}
    if level == "hidden":
        yield {"n": 5, "spans": [(0, 5)], "order": [0]}
        yield {"n": 12, "spans": [(1, 2), (4, 7), (10, 12)], "order": [2, 0, 1]}


def text_of(rng, n):
    return rng.permutation(100)[:n]


def five(answer):
    true(isinstance(answer, (tuple, list)) and len(answer) == 5,
         "return (inp, tgt, pos1, pos2, loss)", "type")  # fmt: skip
    names = ("inp", "tgt", "pos1", "pos2", "loss")
    return [array(one, what=name) for one, name in zip(answer, names)]


def part_a(ids, spans):
    """The text with masks, by marking every word with its span; and where each mask stands."""
    owner = np.full(len(ids), -1)
    for i, (first, past) in enumerate(spans):
        owner[first:past] = i
    kept = [(-1, w) if o < 0 else (o, M) for k, (o, w) in enumerate(zip(owner, ids))
            if o < 0 or k == spans[o][0]]  # fmt: skip
    return [w for _, w in kept], {o: k + 1 for k, (o, _) in enumerate(kept) if o >= 0}


@glm_batch.test(points=2, hint="A with one M a span, then S and the words, span by span.",
                cases=blanks)  # fmt: skip
def reads_a_then_b(student, rng, n, spans, order):
    "the input: part A, then the spans in their order"
    ids = text_of(rng, n)
    inp, *_ = five(student.glm_batch(ids, spans, order, M, S, E))
    wanted = part_a(ids, spans)[0]
    for i in order:
        wanted = [*wanted, S, *ids[slice(*spans[i])]]
    same(inp, np.array(wanted), what="inp")


@glm_batch.test(
    points=2, hint="Nothing in A; in B the next word, and E after the last.", cases=blanks
)
def asks_for_the_next_word(student, rng, n, spans, order):
    "the targets, and where they count"
    ids = text_of(rng, n)
    _, tgt, _, _, loss = five(student.glm_batch(ids, spans, order, M, S, E))
    wanted = [-100] * len(part_a(ids, spans)[0])
    for i in order:
        wanted = [*wanted, *ids[slice(*spans[i])], E]
    same(tgt, np.array(wanted), what="tgt")
    same(np.asarray(loss, int), np.array([int(t != -100) for t in wanted]), what="loss")


@glm_batch.test(points=2, hint="In B, pos1 is the place of the span's M; pos2 counts 1, 2, ...",
                cases=blanks)  # fmt: skip
def counts_two_places(student, rng, n, spans, order):
    "both rows of places"
    ids = text_of(rng, n)
    _, _, pos1, pos2, _ = five(student.glm_batch(ids, spans, order, M, S, E))
    a, where = part_a(ids, spans)
    one, two = list(range(1, len(a) + 1)), [0] * len(a)
    for i in order:
        size = spans[i][1] - spans[i][0] + 1
        one, two = [*one, *[where[i]] * size], [*two, *range(1, size + 1)]
    same(pos1, np.array(one), what="pos1")
    same(pos2, np.array(two), what="pos2")


leaves_arguments(glm_batch)

# -------------------------------------------------------------------------------------- block


def blocks(rng, level):
    yield {"T": 3, "C": 4, "F": 6}
    yield {"T": 2, "C": 5, "F": 3}
    if level == "hidden":
        yield {"T": 1, "C": 8, "F": 16}


def plain(z):
    return normed(z, np.ones(z.shape[1]), 1e-6)


def inner(z, W1, W2):
    return np.array([W2 @ np.maximum(W1 @ row, 0) for row in z])


def block_of(rng, T, C, F):
    return 2 * rng.normal(size=(T, C)), rng.normal(size=(F, C)), rng.normal(size=(C, F))


@block.test(points=2, hint="x + f(N(x)).", cases=blocks)
def norms_before(student, rng, T, C, F):
    "mode 'pre'"
    x, W1, W2 = block_of(rng, T, C, F)
    close(student.block(x, W1, W2, "pre"), x + inner(plain(x), W1, W2), rtol=1e-9, atol=1e-10)


@block.test(points=2, hint="N(x + f(x)).", cases=blocks)
def norms_behind(student, rng, T, C, F):
    "mode 'post'"
    x, W1, W2 = block_of(rng, T, C, F)
    close(student.block(x, W1, W2, "post"), plain(x + inner(x, W1, W2)), rtol=1e-9, atol=1e-10)


@block.test(points=1, hint="With W2 = 0, 'pre' is x itself: its shortcut is open.", cases=blocks)
def keeps_the_shortcut_open(student, rng, T, C, F):
    "with W2 = 0: x itself, and N(x); another mode is refused"
    x, W1, W2 = block_of(rng, T, C, F)
    close(student.block(x, W1, 0 * W2, "pre"), x, rtol=1e-12, atol=1e-12)
    close(student.block(x, W1, 0 * W2, "post"), plain(x), rtol=1e-9, atol=1e-12)
    fails(student.block, x, W1, W2, "both", what="mode 'both'")


leaves_arguments(block)

# --------------------------------------------------------------------------- rmsnorm_backward


def rows(rng, level):
    yield {"N": 2, "C": 3}
    yield {"N": 4, "C": 5}
    if level == "hidden":
        yield {"N": 1, "C": 7}


def nudged(loss, at):
    """The derivative of a function by an array, from differences."""
    slope = np.zeros(at.shape)
    for i in np.ndindex(at.shape):
        step = np.zeros(at.shape)
        step[i] = 1e-5
        slope[i] = (loss(at + step) - loss(at - step)) / 2e-5
    return slope


@rmsnorm_backward.test(points=3, hint="r (u - h mean(u h)) with u = dy g.", cases=rows)
def goes_back_to_x(student, rng, N, C):
    "dx is the slope of the loss by x"
    x, g, dy = rng.normal(size=(N, C)), rng.normal(size=C), rng.normal(size=(N, C))
    for eps in (1e-6, 0.5):
        dx, _ = pair(student.rmsnorm_backward(dy, x, g, eps), "(dx, dg)")
        wanted = nudged(lambda z, eps=eps: float((normed(z, g, eps) * dy).sum()), x)
        close(dx, wanted, rtol=1e-5, atol=1e-7, what="dx")


@rmsnorm_backward.test(points=1, hint="Sum dy h over the rows.", cases=rows)
def goes_back_to_g(student, rng, N, C):
    "dg is the slope of the loss by g"
    x, g, dy = rng.normal(size=(N, C)), rng.normal(size=C), rng.normal(size=(N, C))
    _, dg = pair(student.rmsnorm_backward(dy, x, g, 0.3), "(dx, dg)")
    wanted = nudged(lambda w: float((normed(x, w, 0.3) * dy).sum()), g)
    close(dg, wanted, rtol=1e-6, atol=1e-8, what="dg")


leaves_arguments(rmsnorm_backward)
