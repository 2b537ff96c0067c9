"""Tests of exercise set 05b: bytes, rounds, tables, levels, trees, plans, guesses, pages."""

import math
from fractions import Fraction

import numpy as np

from minilm.course.checking.expect import close, fails, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Serving: pages, trees, guesses"

kv_bytes = Question("kv_bytes", title="what a token leaves behind", lines=1)
tokens_per_round = Question("tokens_per_round", title="tokens in a round", lines=2)
through_table = Question("through_table", title="read through a table", lines=1)
to_levels = Question("to_levels", title="eight bits", lines=4)
longest_known = Question("longest_known", title="how far a text is known", lines=10)
plan = Question("plan", title="who feeds how many", lines=7)
accept = Question("accept", title="keep it or draw", lines=10)
place_for = Question("place_for", title="a place for a token", lines=12)


def rounds(rng, level):
    for _ in range(2):
        yield {"seed": int(rng.integers(1 << 30))}
    if level == "hidden":
        for _ in range(2):
            yield {"seed": int(rng.integers(1 << 30))}


# ------------------------------------------------------------------------- kv_bytes


@kv_bytes.test(points=1, hint="A key and a value: twice.", cases=rounds)
def counts_keys_and_values(student, rng, seed):
    "2 · layers · heads · size · number"
    r = np.random.default_rng(seed)
    layers, heads, size, number = (int(r.integers(2, 99)) for _ in range(4))
    wanted = math.prod([layers, heads, size, number]) + layers * heads * size * number
    same(student.kv_bytes(layers, heads, size, number), wanted)


# ------------------------------------------------------------------------- tokens_per_round


@tokens_per_round.test(points=2, hint="1 + a + ... + a^k has k + 1 terms.", cases=rounds)
def sums_the_powers(student, rng, seed):
    "1 + a + a² + ... + aᵏ"
    r = np.random.default_rng(seed)
    for k in (1, 2, int(r.integers(3, 9))):
        a = Fraction(int(r.integers(1, 64)), 64)
        wanted = (1 - a ** (k + 1)) / (1 - a)
        close(student.tokens_per_round(float(a), k), float(wanted), rtol=1e-9)


@tokens_per_round.test(points=1, hint="a = 1 gives k + 1; a = 0 and k = 0 give 1.", cases=rounds)
def at_its_ends(student, rng, seed):
    "a = 1, a = 0 and k = 0"
    k = int(np.random.default_rng(seed).integers(2, 9))
    close(student.tokens_per_round(1.0, k), k + 1.0, rtol=1e-12)
    close(student.tokens_per_round(0.0, k), 1.0, rtol=1e-12)
    close(student.tokens_per_round(0.4, 0), 1.0, rtol=1e-12)


# ------------------------------------------------------------------------- through_table


def tables(rng, level):
    yield {"P": 6, "S": 2, "n": 3, "dtype": np.float64}
    yield {"P": 9, "S": 4, "n": 14, "dtype": np.float32}
    if level == "hidden":
        yield {"P": 12, "S": 5, "n": int(rng.integers(6, 25)), "dtype": np.float64}


@through_table.test(points=2, hint="Pages in the table's order, then one row.", cases=tables)
def brings_them_in_order(student, rng, P, S, n, dtype):
    "the text's keys, place by place"
    pages = rng.normal(size=(P, S, 3)).astype(dtype)
    table = [int(i) for i in rng.permutation(P)[: -(-n // S)]]
    wanted = np.array([pages[table[t // S], t % S] for t in range(n)])
    close(student.through_table(pages, list(table), n), wanted, rtol=1e-7, dtype=dtype)


@through_table.test(points=1, hint="Only `length` rows come back.", cases=tables)
def stops_at_the_length(student, rng, P, S, n, dtype):
    "one token, and a page that is just full"
    pages = rng.normal(size=(P, S, 2)).astype(dtype)
    table = [int(i) for i in rng.permutation(P)[:2]]
    close(student.through_table(pages, table[:1], 1), pages[table[0], :1], rtol=1e-7)
    both = np.concatenate([pages[i] for i in table])
    close(student.through_table(pages, table, 2 * S), both, rtol=1e-7)


leaves_arguments(through_table)


# ------------------------------------------------------------------------- to_levels


def arrays(rng, level):
    yield {"shape": (5,), "dtype": np.float64}
    yield {"shape": (3, 8), "dtype": np.float32}
    if level == "hidden":
        yield {"shape": (2, 3, 7), "dtype": np.float64}


def parts(student, x):
    answer = student.to_levels(x)
    true(isinstance(answer, tuple) and len(answer) == 3, "return codes, step and low", "type")
    return answer


def check_rounded(student, x):
    """Codes, step and low of every row, and what comes back; the three."""
    codes, step, low = parts(student, x)
    rows, kept = x.reshape(-1, x.shape[-1]).astype(float), (*x.shape[:-1], 1)
    least, one = rows.min(1)[:, None], ((rows.max(1) - rows.min(1)) / 255)[:, None]
    close(low, least.reshape(kept), rtol=1e-6, atol=1e-7)
    close(step, one.reshape(kept), rtol=1e-5, atol=1e-9)
    true(getattr(codes, "dtype", None) == np.uint8, "codes must be uint8", "dtype")
    true(np.shape(codes) == x.shape, f"codes must have shape {x.shape}", "shape")
    back = least + np.asarray(codes, float).reshape(rows.shape) * one
    near = np.abs(back - rows) <= 0.5 * one * (1 + 1e-3) + 1e-7
    true(near.all(), "a number is more than half a step off")
    return codes, step, low


@to_levels.test(points=2, hint="np.rint((x - low) / step), as uint8.", cases=arrays)
def rounds_to_the_nearest(student, rng, shape, dtype):
    "codes, step and low of every row"
    check_rounded(student, 3 * rng.normal(size=shape).astype(dtype))


@to_levels.test(points=1, hint="Where step is 0, divide by 1.", cases=arrays)
def a_flat_row(student, rng, shape, dtype):
    "a row whose numbers are all equal, above one where they are not"
    x = rng.normal(size=(2, 6)).astype(dtype)
    x[0] = x[0, 0]
    codes, step, _ = check_rounded(student, x)
    close(np.asarray(codes, float)[0], np.zeros(6), atol=0)
    close(np.asarray(step)[0], np.zeros(1), atol=0)


@to_levels.test(points=1, hint="low.dtype and step.dtype are those of x.", cases=arrays)
def keeps_the_type(student, rng, shape, dtype):
    "step and low have x's type"
    for one in check_rounded(student, rng.normal(size=shape).astype(dtype))[1:]:
        true(getattr(one, "dtype", None) == dtype, f"must be {np.dtype(dtype)}", "dtype")


leaves_arguments(to_levels)


# ------------------------------------------------------------------------- longest_known


def grown(texts):
    """A tree of runs from texts, by splitting where they part."""
    tree = {}
    for first in dict.fromkeys(t[0] for t in texts if t):
        group = [t for t in texts if t and t[0] == first]
        n = 1
        while all(len(t) > n for t in group) and len({t[n] for t in group}) == 1:
            n += 1
        n = min(n, min(map(len, group)))
        tree[first] = (group[0][:n], grown([t[n:] for t in group]))
    return tree


def agreeing(texts, ids):
    return max(
        next((i for i, (a, b) in enumerate(zip(t, ids)) if a != b), min(len(t), len(ids)))
        for t in texts
    )


def forests(rng, level):
    yield {"seed": int(rng.integers(1 << 30)), "count": 2}
    yield {"seed": int(rng.integers(1 << 30)), "count": 6}
    if level == "hidden":
        yield {"seed": int(rng.integers(1 << 30)), "count": 15}


def some_texts(r, count):
    texts = [tuple(int(t) for t in r.integers(0, 4, r.integers(3, 7)))]
    while len(texts) < count:
        old = texts[r.integers(len(texts))]
        cut = int(r.integers(1, len(old) + 1))
        texts.append(old[:cut] + tuple(int(t) for t in r.integers(0, 4, r.integers(1, 6))))
    return texts


@longest_known.test(points=2, hint="Follow runs; go below only after a whole one.", cases=forests)
def follows_runs(student, rng, seed, count):
    "texts that go through several runs, and on beyond the tree"
    r = np.random.default_rng(seed)
    texts = some_texts(r, count)
    tree = grown(texts)
    for text in texts:
        same(student.longest_known(tree, text), len(text))
        longer = text + (9, 9)
        same(student.longest_known(tree, longer), agreeing(texts, longer))


@longest_known.test(points=2, hint="What agrees inside a run counts.", cases=forests)
def parts_inside_a_run(student, rng, seed, count):
    "texts that end or part in the middle of a run, and ones that are unknown"
    r = np.random.default_rng(seed)
    texts = some_texts(r, count)
    tree = grown(texts)
    for text in texts:
        cut = int(r.integers(1, len(text)))
        same(student.longest_known(tree, text[:cut]), cut)
        other = text[:cut] + (9,) + text[cut:]
        same(student.longest_known(tree, other), agreeing(texts, other))
    same(student.longest_known(tree, (8, 1)), 0)
    same(student.longest_known(tree, ()), 0)
    same(student.longest_known({}, (1, 2)), 0)


leaves_arguments(longest_known)


# ------------------------------------------------------------------------- plan


@plan.test(points=2, hint="Writers first, then prompts, each in order of arrival.", cases=rounds)
def writers_then_prompts(student, rng, seed):
    "each kind in order of arrival, until the room is full"
    r = np.random.default_rng(seed)
    for _ in range(4):
        unread = [int(n) for n in np.where(r.random(7) < 0.5, 1, r.integers(2, 9, 7))]
        room = int(r.integers(3, sum(unread)))
        writers = sum(n == 1 for n in unread)
        # by counting: what each may have is what those before it have left
        wanted = []
        for i, n in enumerate(unread):
            before = [m for j, m in enumerate(unread) if (m > 1, j) < (n > 1, i)]
            wanted.append(max(0, min(n, room - sum(before))))
        same(
            student.plan(list(unread), room),
            wanted,
            what=f"{unread}, room {room}, {writers} writers",
        )


@plan.test(points=1, hint="Room for all, for one, and no text at all.", cases=rounds)
def at_the_ends(student, rng, seed):
    "room for everybody, room for one, nobody there"
    r = np.random.default_rng(seed)
    unread = [int(n) for n in r.integers(1, 9, 5)]
    same(student.plan(list(unread), 100), unread)
    same(student.plan([5, 1, 1], 1), [0, 1, 0])
    same(student.plan([4], 3), [3])
    same(student.plan([], 8), [])


leaves_arguments(plan)


# ------------------------------------------------------------------------- accept


def guesses(rng, level):
    yield {"k": 1, "V": 3, "seed": int(rng.integers(1 << 30))}
    yield {"k": 3, "V": 4, "seed": int(rng.integers(1 << 30))}
    if level == "hidden":
        yield {"k": int(rng.integers(4, 7)), "V": 6, "seed": int(rng.integers(1 << 30))}


def by_intervals(weights, u):
    """The token whose piece of a line of this length holds the point."""
    total, at = math.fsum(weights), 0.0
    for token, weight in enumerate(weights):
        at += weight
        if at > u * total:
            return token
    raise AssertionError


def round_of(guessed, q, p, u):
    for i, x in enumerate(guessed):
        if u[i] >= p[i, x] / q[i, x]:
            return [
                *guessed[:i],
                by_intervals([max(0.0, a - b) for a, b in zip(p[i], q[i])], u[-1]),
            ]
    return [*guessed, by_intervals(p[-1], u[-1])]


def asked(r, k, V):
    q, p = r.dirichlet(np.ones(V), k), r.dirichlet(np.ones(V), k + 1)
    return [int(r.choice(V, p=row)) for row in q], q, p, r.random(k + 1)


@accept.test(points=3, hint="Keep while u · q < p; then draw from max(0, p - q).", cases=guesses)
def keeps_and_draws(student, rng, k, V, seed):
    "kept guesses, then one more token"
    r = np.random.default_rng(seed)
    for _ in range(12):
        guessed, q, p, u = asked(r, k, V)
        answer = student.accept(list(guessed), q, p, u)
        same([int(t) for t in answer], round_of(guessed, q, p, u))


@accept.test(points=1, hint="All kept: one more from p[k].", cases=guesses)
def all_are_kept(student, rng, k, V, seed):
    "guesses that the model likes at least as much"
    r = np.random.default_rng(seed)
    p = r.dirichlet(np.ones(V), k + 1)
    guessed = [int(r.integers(V)) for _ in range(k)]
    u = np.array([0.999] * k + [float(r.random())])
    answer = student.accept(list(guessed), p[:k].copy(), p, u)
    same([int(t) for t in answer], [*guessed, by_intervals(p[-1], u[-1])])


@accept.test(points=1, hint="A token with p = 0 is never kept and never drawn.", cases=guesses)
def nothing_impossible(student, rng, k, V, seed):
    "a guess that the model rules out, and no guess at all"
    r = np.random.default_rng(seed)
    q, p = np.full((1, V), 1 / V), np.zeros((2, V))
    p[0, 1:] = 1 / (V - 1)
    p[1, 0] = 1
    for u in ((0.0, 0.0), (0.0, 0.5), (0.9, 0.99)):
        answer = student.accept([0], q, p, np.array(u))
        same([int(t) for t in answer], round_of([0], q, p, u))
    answer = student.accept([], np.zeros((0, V)), p[:1], np.array([float(r.random() * 0.99)]))
    true(len(answer) == 1 and int(answer[0]) > 0, "without guesses, one token drawn from p")


leaves_arguments(accept)


# ------------------------------------------------------------------------- place_for


def states(rng, level):
    yield {"seed": int(rng.integers(1 << 30)), "size": 2}
    yield {"seed": int(rng.integers(1 << 30)), "size": 4}
    if level == "hidden":
        yield {"seed": int(rng.integers(1 << 30)), "size": 5}


def placed(student, table, place, size, free, holders):
    """The answer, and the three after the call."""
    given = table, place, size, free, holders
    (page, copied), after = student.call_inplace("place_for", *given)
    return (page, copied), after[0], after[3], after[4]


@place_for.test(points=1, hint="A new page: the last of free, one holder.", cases=states)
def a_new_page(student, rng, seed, size):
    "the place begins a page"
    r = np.random.default_rng(seed)
    pages = [int(i) for i in r.permutation(12)]
    first, second, last = pages[0], pages[1], pages[5]
    given = [first, second], 2 * size, size, pages[2:6], {first: 2, second: 1}
    answer, table, free, holders = placed(student, *given)
    same(answer, (last, None))
    same(table, [first, second, last])
    same(free, pages[2:5])
    same(holders, {first: 2, second: 1, last: 1})


@place_for.test(points=1, hint="Its own page: nothing changes.", cases=states)
def its_own_page(student, rng, seed, size):
    "the page is the text's alone"
    r = np.random.default_rng(seed)
    first, second, spare = (int(i) for i in r.permutation(12)[:3])
    place = size + int(r.integers(1, size))
    given = [first, second], place, size, [spare], {first: 3, second: 1}
    answer, table, free, holders = placed(student, *given)
    same(answer, (second, None))
    same((table, free), ([first, second], [spare]))
    same(holders, {first: 3, second: 1})


@place_for.test(points=2, hint="Shared: a page from free replaces it; count both.", cases=states)
def a_shared_page(student, rng, seed, size):
    "others hold the page too"
    r = np.random.default_rng(seed)
    a, b, c, spare, new = (int(i) for i in r.permutation(12)[:5])
    many, place = int(r.integers(2, 5)), 2 * size + int(r.integers(1, size))
    given = [a, b, c], place, size, [spare, new], {a: 1, b: 2, c: many}
    answer, table, free, holders = placed(student, *given)
    same(answer, (new, c))
    same((table, free), ([a, b, new], [spare]))
    same(holders, {a: 1, b: 2, c: many - 1, new: 1})


@place_for.test(points=1, hint="free.pop() of an empty list raises IndexError.", cases=states)
def no_page_is_left(student, rng, seed, size):
    "an error where a page is needed and none is free, and none where one is"
    answer, *_ = placed(student, [4, 7], size + 1, size, [9, 2], {4: 1, 7: 2})
    same(answer, (2, 7))
    fails(
        student.place_for, [4, 7], 2 * size, size, [], {4: 1, 7: 1}, what="place_for without a page"
    )
    fails(
        student.place_for, [4, 7], size + 1, size, [], {4: 1, 7: 2}, what="place_for without a page"
    )
