"""Tests of exercise set 07f: grey levels, quantisation, averages, revival, usage, masks, chance."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Images as tokens: build the quantizer, the masks and the loop that draws"

grey = Question("grey", title="pixels as tokens", lines=1)
vq = Question("vq", title="the nearest code, and the way back", lines=5)
vq_ema = Question("vq_ema", title="codes that follow averages", lines=4)
revive = Question("revive", title="wake dead codes", lines=5)
usage = Question("usage", title="how many codes are in use, and how evenly", lines=4)
sequence = Question("sequence", title="text and picture in one sequence", lines=2)
coglm_mask = Question("coglm_mask", title="three tasks, one mask", lines=9)
pick = Question("pick", title="draw an id by its probability", lines=7)


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def parts(answer, count, names):
    true(isinstance(answer, (tuple, list)) and len(answer) == count, f"return ({names})", "type")
    return answer


# ---------------------------------------------------------------------------------- grey


def pages(rng, level):
    yield {"shape": (2, 3), "levels": 5}
    yield {"shape": (8, 8), "levels": 17}
    if level == "hidden":
        yield {"shape": (1, 6), "levels": 2}
        yield {"shape": (int(rng.integers(3, 9)), 4), "levels": int(rng.integers(3, 40))}


@grey.test(points=1, hint="Multiply by levels - 1 and round.", cases=pages)
def nearest_level(student, rng, shape, levels):
    "each pixel takes the nearest level, in reading order"
    wanted = rng.integers(0, levels, shape)
    wanted.flat[:2] = 0, levels - 1
    near = (wanted + rng.uniform(-0.45, 0.45, shape)) / (levels - 1)
    found = array(student.grey(near.clip(0, 1), levels), shape=(wanted.size,), dtype=np.int64)
    same(found, wanted.ravel())


leaves_arguments(grey)


# ---------------------------------------------------------------------------------- vq


def books(rng, level):
    yield {"N": 1, "K": 2, "D": 2}
    yield {"N": 6, "K": 4, "D": 3}
    if level == "hidden":
        yield {"N": int(rng.integers(7, 30)), "K": int(rng.integers(5, 12)), "D": 5}


def given(rng, N, K, D, dtype=np.float64):
    return (
        normal(rng, N, D, dtype=dtype),
        normal(rng, K, D, dtype=dtype),
        normal(rng, N, D, dtype=dtype),
    )


def brute(z, codes):
    """Ids by the definition, one pair at a time."""
    return np.array(
        [min(range(len(codes)), key=lambda k: sum((a - b) ** 2 for a, b in zip(v, codes[k])))
         for v in z]
    )  # fmt: skip


@vq.test(points=1, hint="The squared distance, summed over D, least over K.", cases=books)
def the_nearest(student, rng, N, K, D):
    "ids are those of brute force, and e are their codes"
    z, codes, up = given(rng, N, K, D)
    codes[-1] *= 20  # long codes have large dot products
    answer = parts(student.vq(z, codes, up, 0.25), 4, "ids, e, loss, grad_z")
    ids = brute(z, codes)
    same(array(answer[0], shape=(N,), what="ids").astype(np.int64), ids, what="ids")
    close(answer[1], codes[ids], rtol=0, atol=0, what="e")


@vq.test(points=1, hint="(1 + beta) times the mean over all N D numbers.", cases=books)
def its_loss(student, rng, N, K, D):
    "the loss counts both pulls"
    (z, codes, up), beta = given(rng, N, K, D), float(rng.uniform(0.1, 2))
    found = parts(student.vq(z, codes, up, beta), 4, "ids, e, loss, grad_z")
    e = codes[brute(z, codes)]
    close(found[2], (1 + beta) * sum((z - e).ravel() ** 2) / z.size, rtol=1e-9, what="loss")


@vq.test(points=2, hint="grad_code itself, plus 2 beta (z - e) / z.size.", cases=books)
def straight_through(student, rng, N, K, D):
    "the gradient goes straight through and adds the pull, by differences"
    (z, codes, up), beta = given(rng, N, K, D), float(rng.uniform(0.1, 2))
    e, step = codes[brute(z, codes)], 1e-5
    wanted = up.copy()
    for place in np.ndindex(N, D):
        moved = np.zeros((N, D))
        moved[place] = step
        wanted[place] += (
            beta * (((z + moved - e) ** 2).mean() - ((z - moved - e) ** 2).mean()) / (2 * step)
        )
    found = parts(student.vq(z, codes, up, beta), 4, "ids, e, loss, grad_z")
    close(found[3], wanted, rtol=1e-6, atol=1e-8, what="grad_z")


@vq.test(points=1, hint="Python numbers leave float32 alone.", cases=books)
def vq_in_float32(student, rng, N, K, D):
    "float32 in, float32 out"
    z, codes, up = given(rng, N, K, D, np.float32)
    found = parts(student.vq(z, codes, up, 0.25), 4, "ids, e, loss, grad_z")
    e = codes[brute(z, codes)]
    close(found[1], e, rtol=0, atol=0, dtype=np.float32, what="e")
    wanted = up + 0.5 * (z.astype(np.float64) - e) / z.size
    close(found[3], wanted, rtol=1e-5, atol=1e-6, dtype=np.float32, what="grad_z")


leaves_arguments(vq)


# ---------------------------------------------------------------------------------- vq_ema


@vq_ema.test(points=2, hint="Each vector adds 1 to the count and itself to the sum.", cases=books)
def one_batch(student, rng, N, K, D):
    "counts and sums after one batch, equal ids counted each"
    z, ids = normal(rng, 2 * N + 3, D), rng.integers(0, K, 2 * N + 3)
    counts, sums, gamma = rng.uniform(0, 3, K), normal(rng, K, D), float(rng.uniform(0.3, 0.9))
    new_counts, new_sums = gamma * counts, gamma * sums
    for v, k in zip(z, ids):
        new_counts[k] += 1 - gamma
        new_sums[k] += (1 - gamma) * v
    found = parts(student.vq_ema(counts, sums, ids, z, gamma), 2, "N, m")
    close(found[0], new_counts, rtol=1e-9, atol=1e-12, what="N")
    close(found[1], new_sums, rtol=1e-9, atol=1e-12, what="m")


@vq_ema.test(points=1, hint="Where nothing changes, m / N is the mean of the cluster.", cases=books)
def fixed_point(student, rng, N, K, D):
    "the fixed point is the mean of every cluster"
    ids = np.concatenate([np.arange(K), rng.integers(0, K, 3 * K)])
    z = normal(rng, 4 * K, D) + 3 * ids[:, None]
    counts = np.bincount(ids, minlength=K).astype(float)
    sums = np.stack([z[ids == k].sum(0) for k in range(K)])
    found = parts(student.vq_ema(counts, sums, ids, z, 0.9), 2, "N, m")
    close(found[0], counts, rtol=1e-9, what="N")
    close(found[1], sums, rtol=1e-9, atol=1e-9, what="m")


leaves_arguments(vq_ema)


# ---------------------------------------------------------------------------------- revive


def graves(rng, level):
    yield {"K": 3, "dead": 2, "n": 2}
    yield {"K": 6, "dead": 5, "n": 3}
    if level == "hidden":
        yield {"K": int(rng.integers(7, 12)), "dead": int(rng.integers(3, 7)), "n": 2}


def cemetery(rng, K, dead, n):
    least = float(rng.uniform(0.3, 1.5))
    counts = least + rng.uniform(0.1, 3, K)
    counts[rng.permutation(K)[:dead]] = least * rng.uniform(0, 0.9, dead)
    return counts, normal(rng, K, 3), normal(rng, n, 3), least


@revive.test(points=2, hint="Dead code i takes vector i % n, with the count 1.", cases=graves)
def the_dead_are_moved(student, rng, K, dead, n):
    "dead codes go onto vectors in turn, with a count of 1; the others stay"
    counts, sums, z, least = cemetery(rng, K, dead, n)
    wanted_counts, wanted, turn = counts.copy(), sums.copy(), 0
    for k in range(K):
        if counts[k] < least:
            wanted_counts[k], wanted[k] = 1, z[turn % n]
            turn += 1
    found = parts(student.revive(counts, sums, z, least), 2, "N, m")
    close(found[0], wanted_counts, rtol=0, atol=0, what="N")
    close(found[1], wanted, rtol=0, atol=0, what="m")


def edges_of_death(rng, level):
    yield {"value": 0.5, "dead": False}
    yield {"value": 0.0, "dead": True}
    if level == "hidden":
        yield {"value": 0.75, "dead": False}


@revive.test(points=1, hint="Below least is dead; equal to it is not.", cases=edges_of_death)
def nobody_or_everybody(student, rng, value, dead):
    "a count equal to least lives; all dead are all moved"
    counts, sums, z = np.full(4, value), normal(rng, 4, 2), normal(rng, 4, 2)
    found = parts(student.revive(counts, sums, z, value if not dead else 0.5), 2, "N, m")
    close(found[1], z if dead else sums, rtol=0, atol=0, what="m")
    close(found[0], np.ones(4) if dead else counts, rtol=0, atol=0, what="N")


leaves_arguments(revive)


# ---------------------------------------------------------------------------------- usage


def counted(rng, level):
    yield {"shape": (7,), "size": 8}
    yield {"shape": (5, 4), "size": 6}
    if level == "hidden":
        yield {"shape": (int(rng.integers(20, 60)),), "size": 9}


@usage.test(points=2, hint="e to the entropy of the shares above 0.", cases=counted)
def used_and_even(student, rng, shape, size):
    "codes in use, and e to the entropy of their shares"
    ids = rng.integers(0, size - 2, shape)  # the last two are nobody's
    listed = ids.ravel().tolist()
    shares = [listed.count(k) / len(listed) for k in set(listed)]
    answer = parts(student.usage(ids, size), 2, "used, perplexity")
    same(int(array(answer[0], shape=(), what="used")), len(shares), what="used")
    entropy = -sum(p * math.log(p) for p in shares)
    close(answer[1], math.exp(entropy), rtol=1e-9, what="perplexity")


@usage.test(points=1, hint="One code alone has perplexity 1; all alike have their number.",
            cases=counted)  # fmt: skip
def the_two_ends(student, rng, shape, size):
    "one code alone, and all of them equally often"
    one = parts(student.usage(np.full(shape, size - 1), size), 2, "used, perplexity")
    close(np.array([float(x) for x in one]), [1, 1], rtol=1e-9)
    even = parts(student.usage(rng.permutation(np.tile(np.arange(size), 3)), size), 2,
                 "used, perplexity")  # fmt: skip
    close(np.array([float(x) for x in even]), [size, size], rtol=1e-9)


# ---------------------------------------------------------------------------------- sequence


def texts(rng, level):
    yield {"B": 1, "n": 1, "t": 2, "size": 4, "vocabulary": 3}
    yield {"B": 3, "n": 2, "t": 5, "size": 8, "vocabulary": 6}
    if level == "hidden":
        yield {"B": int(rng.integers(2, 6)), "n": 4, "t": 9, "size": 16, "vocabulary": 12}


@sequence.test(points=2, hint="start = size + vocabulary, words + size, codes.", cases=texts)
def start_text_picture(student, rng, B, n, t, size, vocabulary):
    "start, words after all codes, then the codes"
    words, codes = rng.integers(0, vocabulary, (B, n)), rng.integers(0, size, (B, t))
    wanted = [
        [size + vocabulary] + [size + int(w) for w in row] + [int(c) for c in line]
        for row, line in zip(words, codes)
    ]
    found = student.sequence(words, codes, size, vocabulary)
    same(array(found, shape=(B, 1 + n + t), dtype=np.int64), np.array(wanted))


leaves_arguments(sequence)


# ---------------------------------------------------------------------------------- coglm_mask


def kinds(rng, level):
    for kind in ("draw", "tell", "fill"):
        yield {"kind": kind, "nt": 2, "ni": 5}
    if level == "hidden":
        for kind in ("draw", "tell", "fill"):
            yield {"kind": kind, "nt": int(rng.integers(3, 7)), "ni": int(rng.integers(6, 12))}


def hidden_in(rng, kind, nt, ni):
    covered = rng.permutation(ni) < ni // 2 if kind == "fill" else None
    hidden = [False] * (1 + nt + ni)
    for place in range(1, len(hidden)):
        text = place <= nt
        hidden[place] = {
            "draw": not text,
            "tell": text,
            "fill": not text and bool(covered[place - 1 - nt]) if kind == "fill" else False,
        }[kind]
    return covered, hidden


@coglm_mask.test(points=2, hint="~hidden for all, hidden pairs below the diagonal.", cases=kinds)
def by_the_rules(student, rng, kind, nt, ni):
    "all see what is shown; hidden ones see themselves and the hidden ones before them"
    covered, hidden = hidden_in(rng, kind, nt, ni)
    wanted = [
        [not hidden[j] or (hidden[i] and j <= i) for j in range(len(hidden))]
        for i in range(len(hidden))
    ]
    found = student.coglm_mask(kind, nt, ni, covered)
    same(array(found, shape=(len(hidden),) * 2, dtype=bool), np.array(wanted))


@coglm_mask.test(points=1, hint="n n + n m + m (m + 1) / 2.", cases=kinds)
def by_count(student, rng, kind, nt, ni):
    "the number of pairs follows the formula, and no target reaches the row that predicts it"
    covered, hidden = hidden_in(rng, kind, nt, ni)
    m, n = sum(hidden), len(hidden) - sum(hidden)
    found = array(student.coglm_mask(kind, nt, ni, covered), shape=(m + n,) * 2, dtype=bool)
    same(int(found.sum()), n * n + n * m + m * (m + 1) // 2)
    same([int(found[place - 1, place]) for place in np.flatnonzero(hidden)], [0] * m)
    same([int(found[place, place]) for place in range(m + n)], [1] * (m + n))


# ---------------------------------------------------------------------------------- pick


def draws(rng, level):
    yield {"N": 4, "V": 3, "temperature": 1.0}
    yield {"N": 40, "V": 6, "temperature": 0.5}
    if level == "hidden":
        yield {"N": 60, "V": int(rng.integers(4, 12)), "temperature": 2.0}


@pick.test(points=2, hint="The first k whose running sum of p is above u.", cases=draws)
def walks_along(student, rng, N, V, temperature):
    "the id at which the running sum passes u"
    logits, wanted = normal(rng, N, V), rng.integers(0, V, N)
    e = np.exp(logits / temperature)
    p = e / e.sum(1, keepdims=True)
    u = np.array(
        [p[i, : wanted[i]].sum() + rng.uniform(0.05, 0.95) * p[i, wanted[i]] for i in range(N)]
    )
    found = array(student.pick(logits, u, temperature), shape=(N,))
    same(found.astype(np.int64), wanted)


@pick.test(points=1, hint="At 0 the largest logit, whatever u is.", cases=draws)
def the_likeliest(student, rng, N, V, temperature):
    "temperature 0 takes the largest logit"
    logits = normal(rng, N, V)
    wanted = np.array([max(range(V), key=lambda k: row[k]) for row in logits])
    same(array(student.pick(logits, rng.random(N), 0), shape=(N,)).astype(np.int64), wanted)


@pick.test(points=1, hint="Subtract the largest logit of the row before np.exp.", cases=draws)
def large_logits(student, rng, N, V, temperature):
    "logits of a thousand, of either sign"
    wanted = rng.integers(0, V, N)
    logits = 1000 * rng.choice([-1.0, 1.0], (N, 1)) + normal(rng, N, V)
    logits[np.arange(N), wanted] += 60 * temperature
    found = student.pick(logits, rng.uniform(0.01, 0.99, N), temperature)
    same(array(found, shape=(N,)).astype(np.int64), wanted)


leaves_arguments(pick)
