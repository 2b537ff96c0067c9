"""Tests of exercise set 06: counts, ciphers, a solved layer, SAFFU's weights, a lamp's loop, CTC."""

import itertools
import math

import numpy as np

from minilm.course.checking.expect import array, close, fails, less, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Precision models: count, solve, listen"

cooc = Question("cooc", title="how often features and targets occur together", lines=1)
average_norm = Question("average_norm", title="the average number of features", lines=1)
bit_cipher = Question("bit_cipher", title="vectors by rank", lines=8)
explicit_solution = Question("explicit_solution", title="a layer solved by counting", lines=4)
saffu_attend = Question("saffu_attend", title="weights from comparisons", lines=4)
compare_table = Question("compare_table", title="all comparisons at once", lines=1)
attend_cached = Question("attend_cached", title="weights from looked-up comparisons", lines=4)
context_features = Question("context_features", title="block, radius, document", lines=10)
prequential = Question("prequential", title="tested before it is taught", lines=7)
ctc_forward = Question("ctc_forward", title="all the ways to say it", lines=12)


def shares(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---------------------------------------------------------------------------------- cooc


def tables(rng, level):
    yield {"N": 4, "D": 3, "V": 2}
    yield {"N": 1, "D": 2, "V": 5}
    if level == "hidden":
        yield {"N": int(rng.integers(8, 20)), "D": 4, "V": int(rng.integers(5, 9))}


@cooc.test(points=2, hint="X.T @ Y", cases=tables)
def sums_outer_products(student, rng, N, D, V):
    "is the sum of outer products"
    X, Y = rng.random((N, D)), rng.random((N, V))
    wanted = [[sum(X[n, j] * Y[n, i] for n in range(N)) for i in range(V)] for j in range(D)]
    close(student.cooc(X, Y), wanted, rtol=1e-10, atol=1e-12)


@cooc.test(points=1, hint="A sum over examples needs no mean.", cases=tables)
def shards_add_up(student, rng, N, D, V):
    "two shards add up to the whole"
    X, Y = rng.random((2 * N, D)), rng.random((2 * N, V))
    first, second = student.cooc(X[:N], Y[:N]), student.cooc(X[N:], Y[N:])
    whole = array(student.cooc(X, Y), shape=(D, V))
    close(array(first, shape=(D, V)) + array(second, shape=(D, V)), whole, rtol=1e-10)
    close(whole, np.einsum("nd,nv->dv", X, Y), rtol=1e-10)


leaves_arguments(cooc)


# ---------------------------------------------------------------------------------- average_norm


def widths(rng, level):
    yield {"N": 3, "D": 2}
    yield {"N": 5, "D": 7}
    if level == "hidden":
        yield {"N": int(rng.integers(6, 20)), "D": int(rng.integers(3, 9))}


@average_norm.test(points=2, hint="Sum each row, then take the mean.", cases=widths)
def mean_of_the_sums(student, rng, N, D):
    "is the mean of the rows' sums"
    X = rng.random((N, D)) * 5
    wanted = sum(sum(row) for row in X.tolist()) / N
    close(student.average_norm(X), wanted, rtol=1e-10)


@average_norm.test(points=1, hint="K vectors that sum to 1 each sum to K.", cases=widths)
def counts_vectors_side_by_side(student, rng, N, D):
    "is K for K vectors side by side that each sum to 1"
    k = int(rng.integers(2, 6))
    X = np.concatenate([shares(rng.standard_normal((N, D))) for _ in range(k)], axis=1)
    close(student.average_norm(X), k, rtol=1e-10)


# ---------------------------------------------------------------------------------- bit_cipher


def vocabularies(rng, level):
    yield {"V": 7, "bits": 3}
    yield {"V": 5, "bits": 4}
    if level == "hidden":
        yield {"V": int(rng.integers(20, 31)), "bits": 5}
        yield {"V": 1, "bits": 1}


def rows_by_rank(counts, bits):
    order = sorted(range(len(counts)), key=lambda token: (-counts[token], token))
    wanted = np.zeros((len(counts), bits))
    places = (p for ones in range(1, bits + 1) for p in itertools.combinations(range(bits), ones))
    for token, at in zip(order, places):
        for place in at:
            wanted[token, place] = 1 / len(at)
    return wanted


@bit_cipher.test(points=3, hint="Sort by -counts, stable; give out places in order.",
                 cases=vocabularies)  # fmt: skip
def rows_go_by_rank(student, rng, V, bits):
    "the more frequent a token, the fewer ones in its row"
    counts = rng.permutation(np.arange(V)) + 1
    close(student.bit_cipher(counts, bits), rows_by_rank(counts.tolist(), bits), atol=1e-12)


@bit_cipher.test(points=1, hint='kind="stable" keeps equal counts in the order of their ids.',
                 cases=vocabularies)  # fmt: skip
def equal_counts_go_by_id(student, rng, V, bits):
    "of equally frequent tokens the smaller id comes first"
    counts = rng.integers(1, 3, V)
    close(student.bit_cipher(counts, bits), rows_by_rank(counts.tolist(), bits), atol=1e-12)


@bit_cipher.test(points=1, hint="Raise a ValueError where V > 2**bits - 1.", cases=vocabularies)
def too_many_are_refused(student, rng, V, bits):
    "one token too many is refused, the last that fits is not"
    most = 2**bits - 1
    counts = rng.permutation(most) + 1
    close(student.bit_cipher(counts, bits), rows_by_rank(counts.tolist(), bits), atol=1e-12)
    fails(student.bit_cipher, np.ones(most + 1, int), bits, what="a vocabulary too large")


leaves_arguments(bit_cipher)


# ---------------------------------------------------------------------------------- explicit_solution


def counted(rng, level):
    yield {"D": 3, "V": 2, "K": 2}
    yield {"D": 4, "V": 5, "K": 3}
    if level == "hidden":
        yield {"D": int(rng.integers(5, 9)), "V": int(rng.integers(3, 7)), "K": 6}


@explicit_solution.test(points=2, hint="With K = 1 only the log is left.", cases=counted)
def one_feature_is_the_optimum(student, rng, D, V, K):
    "K = 1: the loss is the conditional entropy, and the gradient is 0"
    x = np.concatenate([np.repeat(np.arange(D), V), rng.integers(0, D, 60)])
    y = np.concatenate([np.tile(np.arange(V), D), rng.integers(0, V, 60)])
    F = np.zeros((D, V))
    np.add.at(F, (x, y), 1)
    p = shares(array(student.explicit_solution(F.copy(), 1, 0.0), shape=(D, V)))[x]
    found = -np.log(p[np.arange(len(y)), y]).mean()
    share = F / F.sum(1, keepdims=True)
    entropy = -(F / F.sum() * np.log(share)).sum()
    close(found, entropy, rtol=0, atol=1e-12, what="the loss")
    gradient = np.eye(D)[x].T @ (p - np.eye(V)[y]) / len(y)
    close(gradient, np.zeros((D, V)), rtol=0, atol=1e-12, what="the gradient")


@explicit_solution.test(points=3, hint="Subtract (K - 1) / K times the log of the column's sum.",
                        cases=counted)  # fmt: skip
def many_features_are_naive_bayes(student, rng, D, V, K):
    "K features: the shares are those of multinomial naive Bayes"
    F = rng.integers(1, 9, (D, V)).astype(float)
    X = rng.multinomial(K, np.full(D, 1 / D), 6).astype(float)
    U = array(student.explicit_solution(F.copy(), K, 0.0), shape=(D, V))
    for row, found in zip(X, shares(X @ U)):
        posterior = F.sum(0) / F.sum()
        for feature in range(D):
            posterior = posterior * (F[feature] / F.sum(0)) ** row[feature]
        close(found, posterior / posterior.sum(), rtol=0, atol=1e-10, what="the shares")


@explicit_solution.test(points=2, hint="alpha times the share of each target, before both logs.",
                        cases=counted)  # fmt: skip
def smoothing_keeps_the_priors(student, rng, D, V, K):
    "smoothing gives what was never seen its share"
    F = rng.integers(1, 9, (D, V)).astype(float)
    F[0, 0] = 0
    alpha = float(rng.uniform(0.5, 3))
    smooth = [[F[j, i] + alpha * F[:, i].sum() / F.sum() for i in range(V)] for j in range(D)]
    total = [sum(row[i] for row in smooth) for i in range(V)]
    wanted = [[math.log(row[i]) - (K - 1) / K * math.log(total[i]) for i in range(V)]
              for row in smooth]  # fmt: skip
    close(student.explicit_solution(F.copy(), K, alpha), wanted, rtol=1e-10)


@explicit_solution.test(points=1, hint="np.maximum(F, 1e-300) before the log.", cases=counted)
def zeros_stay_finite(student, rng, D, V, K):
    "an entry of 0 gives the log of 1e-300"
    F = rng.integers(1, 9, (D, V)).astype(float)
    F[1, 1] = 0
    wanted = np.log(np.where(F > 0, F, 1e-300)) - (K - 1) / K * np.log(F.sum(0))
    close(student.explicit_solution(F.copy(), K, 0.0), wanted, rtol=1e-10)


leaves_arguments(explicit_solution)


# ---------------------------------------------------------------------------------- saffu_attend


def blocks(rng, level):
    yield {"k": 4, "K": 4, "d": 3}
    yield {"k": 2, "K": 2, "d": 5}
    if level == "hidden":
        yield {"k": int(rng.integers(5, 9)), "K": 9, "d": int(rng.integers(2, 6))}


def short(rng, level):
    yield {"k": 2, "K": 5, "d": 3}
    yield {"k": 3, "K": 4, "d": 3}
    if level == "hidden":
        yield {"k": int(rng.integers(2, 6)), "K": int(rng.integers(7, 10)), "d": 4}


def weights(compared, W):
    k = len(compared)
    corner = [row[-k:] for row in W.tolist()[-k:]]
    scores = [sum(w * c for w, c in zip(row, compared)) for row in corner]
    e = [math.exp(score - max(scores)) for score in scores]
    return [one / sum(e) for one in e]


@saffu_attend.test(points=2, hint="softmax(W @ (block @ block[-1]))", cases=blocks)
def weighs_by_comparisons(student, rng, k, K, d):
    "full blocks: the softmax of W times the comparisons with the last row"
    block, W = rng.random((k, d)), 2 * rng.standard_normal((k, k))
    compared = [sum(a * b for a, b in zip(row, block[-1])) for row in block]
    close(student.saffu_attend(block, W), weights(compared, W), rtol=1e-10)


@saffu_attend.test(points=2, hint="W[len(W) - k :, len(W) - k :]", cases=short)
def shorter_contexts(student, rng, k, K, d):
    "a shorter block uses the lower right corner of W"
    block, W = rng.random((k, d)), 2 * rng.standard_normal((K, K))
    compared = [sum(a * b for a, b in zip(row, block[-1])) for row in block]
    close(student.saffu_attend(block, W), weights(compared, W), rtol=1e-10)


@saffu_attend.test(points=1, hint="Subtract the largest score before np.exp.", cases=blocks)
def large_scores(student, rng, k, K, d):
    "scores of a thousand"
    block, W = 1 + rng.random((k, d)), 700 * rng.standard_normal((k, k))
    compared = [sum(a * b for a, b in zip(row, block[-1])) for row in block]
    close(student.saffu_attend(block, W), weights(compared, W), rtol=1e-8, atol=1e-12)


leaves_arguments(saffu_attend)


# ---------------------------------------------------------------------------------- compare_table


@compare_table.test(points=2, hint="C @ C.T", cases=widths)
def every_pair(student, rng, N, D):
    "holds the dot product of every pair"
    C = rng.random((N, D))
    wanted = [[sum(a * b for a, b in zip(u, v)) for v in C] for u in C]
    close(student.compare_table(C), wanted, rtol=1e-10)


# ---------------------------------------------------------------------------------- attend_cached


def caches(rng, level):
    yield {"V": 6, "k": 4, "K": 4}
    yield {"V": 5, "k": 2, "K": 5}
    if level == "hidden":
        yield {"V": int(rng.integers(8, 20)), "k": int(rng.integers(3, 7)), "K": 8}


@attend_cached.test(points=2, hint="table[ids, ids[-1]] are the comparisons.", cases=caches)
def equals_the_uncached(student, rng, V, k, K):
    "equals the weights that are computed from vectors, to 1e-12"
    C, W = shares(rng.standard_normal((V, 5))), 3 * rng.standard_normal((K, K))
    ids = rng.integers(0, V, k)
    compared = [float(C[i] @ C[ids[-1]]) for i in ids]
    close(student.attend_cached(ids, C @ C.T, W), weights(compared, W), rtol=0, atol=1e-12)


@attend_cached.test(points=2, hint="Read the table; it need not come from any vectors.",
                    cases=caches)  # fmt: skip
def reads_the_table(student, rng, V, k, K):
    "reads the pivot's column of the table, whatever stands in it"
    table, W = rng.standard_normal((V, V)), 2 * rng.standard_normal((K, K))
    ids = rng.integers(0, V, k)
    wanted = weights([float(table[i, ids[-1]]) for i in ids], W)
    close(student.attend_cached(ids, table, W), wanted, rtol=1e-9, atol=1e-12)


leaves_arguments(attend_cached)


# ---------------------------------------------------------------------------------- context_features


def texts(rng, level):
    yield {"T": 5, "block": 2, "radius": 3}
    yield {"T": 7, "block": 4, "radius": 2}
    if level == "hidden":
        yield {"T": int(rng.integers(9, 16)), "block": 5, "radius": 4}
        yield {"T": 3, "block": 6, "radius": 5}


def asked(student, rng, T, block, radius):
    vectors, ids = rng.random((6, 3)), rng.integers(0, 6, T)
    found = student.context_features(ids, vectors, block, radius)
    found = array(found, shape=(T, (block + radius + 1) * 3))
    return vectors[ids], np.split(found, [3 * block, 3 * (block + radius)], axis=1)


@context_features.test(points=2, hint="Position p stands in slot p % block.", cases=texts)
def blocks_start_anew(student, rng, T, block, radius):
    "the block part: absolute places, empty slots are 0"
    x, (found, _, _) = asked(student, rng, T, block, radius)
    wanted = np.zeros((T, block, 3))
    for t in range(T):
        for p in range(t - t % block, t + 1):
            wanted[t, p % block] = x[p]
    close(found, wanted.reshape(T, -1), atol=1e-12)


@context_features.test(points=2, hint="The token at t stands in the last slot.", cases=texts)
def the_radius_forgets(student, rng, T, block, radius):
    "the radius part: the last tokens, older ones are gone"
    x, (_, found, _) = asked(student, rng, T, block, radius)
    wanted = np.zeros((T, radius, 3))
    for t in range(T):
        for back in range(min(radius, t + 1)):
            wanted[t, radius - 1 - back] = x[t - back]
    close(found, wanted.reshape(T, -1), atol=1e-12)


@context_features.test(points=2, hint="np.cumsum(vectors[ids], axis=0)", cases=texts)
def the_document_grows(student, rng, T, block, radius):
    "the document part: grows by one vector a step"
    x, (_, _, found) = asked(student, rng, T, block, radius)
    close(found, [x[: t + 1].sum(0) for t in range(T)], rtol=1e-10, atol=1e-12)


leaves_arguments(context_features)


# ---------------------------------------------------------------------------------- prequential

SYMBOLS = ("lit", "dark", "nothing")


def streams(rng, level):
    yield {"N": 6, "window": 10.0}
    yield {"N": 9, "window": 3.0}
    if level == "hidden":
        yield {"N": int(rng.integers(10, 20)), "window": float(rng.integers(4, 9))}


def talk(student, rng, N, window, late, learns=True):
    """What a model that knows by heart what it was taught was asked, and what it should have been.

    Args:
        late: the most that a correction takes, in windows.
        learns: whether what was learnt changes what is guessed.
    """
    words = [f"w{rng.integers(0, N // 2 + 1)}" for _ in range(N)]
    stream = [(w, str(rng.choice(SYMBOLS)), float(rng.uniform(0, late * window))) for w in words]
    stream[0] = (stream[0][0], "lit", window)  # just in time
    first = {word: str(rng.choice(SYMBOLS)) for word in words}
    first[words[0]] = "dark"

    def follow(run):
        log, known = [], dict(first)

        def guess(text):
            log.append(("guess", text))
            return known[text]

        def learn(text, symbol):
            log.append(("learn", text, symbol))
            if learns:
                known[text] = symbol

        return log, run(guess, learn, list(stream), window)

    log, answer = follow(student.prequential)
    wanted_log, wanted = follow(by_the_rules)
    same(answer, wanted)
    return log, wanted_log


def by_the_rules(guess, learn, stream, window):
    guesses = []
    for text, meant, delay in stream:
        guesses.append(guess(text))
        in_time = guesses[-1] != meant and delay <= window
        learn(text, meant if in_time else guesses[-1])
    return guesses


@prequential.test(points=2, hint="Guess, then learn, then go on; return the guesses.",
                  cases=streams)  # fmt: skip
def guesses_before_it_learns(student, rng, N, window):
    "every sentence is guessed once, and then learnt once; all guesses come back"
    log, wanted = talk(student, rng, N, window, late=2, learns=False)
    same([e[:2] for e in log], [e[:2] for e in wanted], what="the order of guesses and lessons")


@prequential.test(points=2, hint="A wrong guess is learnt as what was meant.", cases=streams)
def corrections_in_time(student, rng, N, window):
    "corrections within the window count"
    log, wanted = talk(student, rng, N, window, late=1)
    same(log, wanted, what="what was guessed and learnt")


@prequential.test(points=2, hint="At most window seconds: meant; later: what was guessed.",
                  cases=streams)  # fmt: skip
def late_corrections_change_nothing(student, rng, N, window):
    "later corrections change nothing"
    log, wanted = talk(student, rng, N, window, late=3)
    same(log, wanted, what="what was guessed and learnt")


# ---------------------------------------------------------------------------------- ctc_forward


def spoken(rng, level):
    yield {"T": 3, "target": [1]}
    yield {"T": 4, "target": [1, 2]}
    if level == "hidden":
        yield {"T": 5, "target": [2, 1, 2]}
        yield {"T": 4, "target": [2, 1]}


def twins(rng, level):
    yield {"T": 4, "target": [1, 1]}
    yield {"T": 5, "target": [2, 2, 1]}
    if level == "hidden":
        yield {"T": 5, "target": [1, 2, 2]}


def long(rng, level):
    yield {"T": 400}
    yield {"T": 700}
    if level == "hidden":
        yield {"T": int(rng.integers(800, 1000))}


def log_shares(rng, T, V=3):
    return np.log(shares(2 * rng.standard_normal((T, V))))


def by_paths(logp, target):
    """(T, S) by trying every path of states."""
    states = [0]
    for symbol in target:
        states += [symbol, 0]
    T, S = len(logp), len(states)
    found = np.zeros((T, S))
    for t in range(T):
        for path in itertools.product(range(S), repeat=t + 1):
            ok = path[0] < 2
            for a, b in zip(path, path[1:]):
                skip = b == a + 2 and states[b] != 0 and states[b] != states[a]
                ok = ok and (b in (a, a + 1) or skip)
            if ok:
                found[t, path[-1]] += math.exp(sum(logp[i, states[s]] for i, s in enumerate(path)))
    with np.errstate(divide="ignore"):
        return np.log(found)


def compared(answer, wanted):
    found = array(answer, shape=wanted.shape)
    true(not np.isnan(found).any(), "the answer holds nan")
    close(np.exp(found), np.exp(wanted), rtol=1e-8, atol=1e-12, what="exp of the answer")


@ctc_forward.test(points=3, hint="Stay, go on by one, or skip a blank.", cases=spoken)
def adds_up_all_paths(student, rng, T, target):
    "equals the sum over all paths, one by one"
    logp = log_shares(rng, T)
    compared(student.ctc_forward(logp, np.array(target)), by_paths(logp, target))


@ctc_forward.test(points=2, hint="Between equal symbols the blank must not be skipped.",
                  cases=twins)  # fmt: skip
def equal_neighbours(student, rng, T, target):
    "equal symbols need a blank between them"
    logp = log_shares(rng, T)
    compared(student.ctc_forward(logp, np.array(target)), by_paths(logp, target))


@ctc_forward.test(points=1, hint="Stay in logs: np.logaddexp.", cases=long)
def hundreds_of_frames(student, rng, T):
    "hundreds of frames do not underflow"
    p = float(rng.uniform(0.3, 0.7))
    logp = np.log(np.tile([1 - p, p / 2, p / 2], (T, 1)))
    found = array(student.ctc_forward(logp, np.array([1])), shape=(T, 3))[-1]
    # blanks, then n frames of the symbol, then blanks: T - n + 1 places for each n
    logs = [math.log(T - n + 1) + n * math.log(p / 2) + (T - n) * math.log(1 - p)
            for n in range(1, T + 1)]  # fmt: skip
    top = max(logs)
    wanted = top + math.log(sum(math.exp(one - top) for one in logs))
    less(np.abs(np.logaddexp(found[-1], found[-2]) - wanted), 1e-6, what="the error of log p")


leaves_arguments(ctc_forward)
