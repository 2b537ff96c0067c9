"""Tests of exercise set 10: steps, interval, rate, promise, forecast, verdict, marks, two states."""

import hashlib
import json
import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "A study: promise, budget, verdict"

steps_for = Question("steps_for", title="steps that cost the same", lines=1)
t_interval = Question("t_interval", title="where the mean may lie", lines=3)
pick_rate = Question("pick_rate", title="take a rate", lines=5)
promise_hash = Question("promise_hash", title="a promise that cannot be changed", lines=3)
foretell = Question("foretell", title="foretell the largest", lines=2)
verdict = Question("verdict", title="the word", lines=6)
mark = Question("mark", title="mark a study", lines=14)
scan = Question("scan", title="a state that forgets", lines=5)
linear_attention = Question("linear_attention", title="attention without a past", lines=7)


# ------------------------------------------------------------------------- steps_for


def budgets(rng, level):
    yield {"steps": 3, "off": 0.33}
    yield {"steps": 40, "off": -0.4}
    if level == "hidden":
        yield {"steps": int(rng.integers(100, 999)), "off": float(rng.uniform(-0.45, 0.45))}


@steps_for.test(points=1, hint="The nearest whole number, not the next below.", cases=budgets)
def comes_nearest(student, rng, steps, off):
    "the steps that come nearest to the budget"
    step = float(rng.uniform(1e6, 9e6))
    answer = student.steps_for((steps + off) * step, step)
    same(answer, steps)
    true(array(answer, shape=()).dtype.kind in "iu", "return a whole number", "type")


@steps_for.test(points=1, hint="max(1, ...)", cases=budgets)
def takes_at_least_one(student, rng, steps, off):
    "a step that costs more than the budget is still taken"
    step, more = float(rng.integers(10**6, 9 * 10**6)), int(rng.integers(40, 400))
    same(student.steps_for(step / (steps + 2), step), 1)
    same(student.steps_for(more * step, step), more)


# ------------------------------------------------------------------------- t_interval


def counts(rng, level):
    yield {"n": 3, "t": 4.303}
    yield {"n": 2, "t": 12.706}
    if level == "hidden":
        yield {"n": int(rng.integers(4, 9)), "t": float(rng.uniform(1, 3))}


def ends(gains, t):
    n = len(gains)
    mean = math.fsum(gains) / n
    s = math.sqrt(math.fsum((g - mean) ** 2 for g in gains) / (n - 1))
    return mean - t * s / math.sqrt(n), mean, mean + t * s / math.sqrt(n)


@t_interval.test(points=2, hint="Squares over n - 1, root of n.", cases=counts)
def reaches_t_standard_errors(student, rng, n, t):
    "low, mean and high"
    gains = rng.normal(1, 2, n)
    answer = student.t_interval(gains, t)
    true(isinstance(answer, (tuple, list)) and len(answer) == 3, "return three numbers", "type")
    close(
        np.array([float(array(x, shape=())) for x in answer]), np.array(ends(gains, t)), rtol=1e-9
    )


leaves_arguments(t_interval)


# ------------------------------------------------------------------------- pick_rate


def searches(rng, level):
    yield {"n": 4, "best": 2, "near": 1, "bad": False}
    yield {"n": 5, "best": 4, "near": 2, "bad": False}
    yield {"n": 5, "best": 2, "near": 0, "bad": True}
    yield {"n": 5, "best": 2, "near": 2, "bad": True}
    if level == "hidden":
        yield {"n": 7, "best": 6, "near": 6, "bad": False}
        yield {"n": 6, "best": int(rng.integers(2, 5)), "near": 1, "bad": True}


def searched(rng, n, best, near, bad):
    """Rates in any order, their losses, and a slack that `near` alone of the smaller ones meets."""
    rates = [float(r) for r in 1e-3 * 2.0 ** np.arange(n)]
    losses = [float(x) for x in rng.uniform(2.5, 3.5, n)]
    losses[best] = 2.0
    if near != best:
        losses[near] = 2.015
    if bad and best < n - 1:
        losses[n - 1] = math.inf
    order = rng.permutation(n)
    return {rates[i]: losses[i] for i in order}, rates[near]


def the_pair(answer):
    true(isinstance(answer, (tuple, list)) and len(answer) == 2, "return (rate, at_edge)", "type")
    return float(array(answer[0], shape=())), answer[1]


@pick_rate.test(points=2, hint="The smallest of those that are near enough.", cases=searches)
def takes_the_smallest_good_rate(student, rng, n, best, near, bad):
    "the smallest rate within the slack"
    losses, wanted = searched(rng, n, best, near, bad)
    same(the_pair(student.pick_rate(dict(losses), 0.01))[0], wanted)
    least = min(losses, key=losses.get)
    same(the_pair(student.pick_rate(dict(losses), 0.0))[0], least)


@pick_rate.test(points=1, hint="Two edges: the lower for the rate taken, the upper for the best one.", cases=searches)  # fmt: skip
def sees_the_edge(student, rng, n, best, near, bad):
    "whether the search ended at its edge"
    losses, taken = searched(rng, n, best, near, bad)
    at_edge = taken == min(losses) or best == n - 1
    said = the_pair(student.pick_rate(dict(losses), 0.01))
    same(said[0], taken)
    same(bool(array(said[1], shape=())), at_edge)


leaves_arguments(pick_rate)


# ------------------------------------------------------------------------- promise_hash


def promises(rng, level):
    yield {"fields": {"b": 1, "a": "é"}}
    yield {"fields": {"hypothesis": "wider is better", "seeds": [0, 1, 2], "gain": 0.02}}
    if level == "hidden":
        words = ["größer", "better", "niño", "0", " a b "]
        yield {"fields": {words[i]: [words[j], float(j)] for j, i in enumerate(rng.permutation(5))}}


def hashed(fields):
    parts = ",".join(
        f"{json.dumps(k, ensure_ascii=False)}:"
        f"{json.dumps(fields[k], ensure_ascii=False, separators=(',', ':'))}"
        for k in sorted(fields)
    )
    return hashlib.sha256(f"{{{parts}}}".encode()).hexdigest()


@promise_hash.test(points=2, hint="Sorted keys, no spaces, ensure_ascii=False.", cases=promises)
def is_the_hash_of_the_fields(student, rng, fields):
    "SHA-256 of the fields as JSON"
    same(student.promise_hash(dict(fields)), hashed(fields))
    drawn = {**fields, "seed": int(rng.integers(10**9))}
    same(student.promise_hash(dict(drawn)), hashed(drawn))


@promise_hash.test(points=1, hint="sort_keys=True", cases=promises)
def does_not_see_the_order(student, rng, fields):
    "the same in any order of the entries, another for another value"
    names = list(fields)[::-1]
    turned = {name: fields[name] for name in names}
    same(student.promise_hash(turned), hashed(fields))
    other = {**turned, names[0]: "moved"}
    same(student.promise_hash(other), hashed(other))


# ------------------------------------------------------------------------- foretell


def curves(rng, level):
    yield {"n": 2, "b": -0.5}
    yield {"n": 6, "b": -0.12}
    if level == "hidden":
        yield {"n": int(rng.integers(8, 14)), "b": float(rng.uniform(-0.4, -0.05))}


def line_at(x, y, at):
    lx, ly = [math.log(v) for v in x], [math.log(v) for v in y]
    mx, my = math.fsum(lx) / len(lx), math.fsum(ly) / len(ly)
    b = math.fsum((p - mx) * (q - my) for p, q in zip(lx, ly)) / math.fsum(
        (p - mx) ** 2 for p in lx
    )
    return math.exp(my + b * (math.log(at) - mx))


@foretell.test(points=2, hint="Logarithms on both axes.", cases=curves)
def goes_on_a_power_law(student, rng, n, b):
    "losses that lie on a power law"
    flops = 1e9 * 2.0 ** rng.permutation(n)
    losses = 5.0 * (flops / 1e9) ** b
    answer = student.foretell(flops, losses, 64e9)
    close(answer, 5.0 * 64**b, rtol=1e-7)


@foretell.test(points=1, hint="Least squares of the logarithms: np.polyfit(..., 1).", cases=curves)
def is_the_least_squares_line(student, rng, n, b):
    "losses that scatter about it"
    flops = 1e9 * 2.0 ** rng.permutation(n)
    losses = 5.0 * (flops / 1e9) ** b * np.exp(rng.normal(0, 0.05, n))
    close(student.foretell(flops, losses, 3e11), line_at(flops, losses, 3e11), rtol=1e-7)


leaves_arguments(foretell)


# ------------------------------------------------------------------------- verdict


def outcomes(rng, level):
    yield {"n": 3, "t": 4.303, "mean": 2.0, "s": 0.1}
    yield {"n": 5, "t": 2.776, "mean": 0.3, "s": 0.1}
    if level == "hidden":
        yield {"n": int(rng.integers(4, 8)), "t": 2.5, "mean": 1.0, "s": 0.05}


def spread(rng, n, mean, s):
    """n numbers of just this mean and sample deviation, in any order."""
    raw = rng.normal(size=n)
    raw -= raw.mean()
    return mean + s * raw / np.sqrt((raw**2).sum() / (n - 1))


@verdict.test(points=2, hint="The low end above 0; then the mean against least.", cases=outcomes)
def says_the_word(student, rng, n, t, mean, s):
    "a gain above what was promised, and one below"
    gains = spread(rng, n, mean, s)
    same(student.verdict(gains, t, 0.8 * mean), "reproduced")
    same(student.verdict(gains, t, 1.2 * mean), "partly")


@verdict.test(points=2, hint="If 0 is inside, nothing was shown.", cases=outcomes)
def needs_an_interval_above_zero(student, rng, n, t, mean, s):
    "an interval that holds 0, and a loss"
    wide = spread(rng, n, mean, 1.1 * mean * math.sqrt(n) / t)
    same(student.verdict(wide, t, 0.5 * mean), "not reproduced")
    near = spread(rng, n, mean, 0.9 * mean * math.sqrt(n) / t)
    same(student.verdict(near, t, 0.5 * mean), "reproduced")
    same(student.verdict(-spread(rng, n, mean, s), t, 0.5 * mean), "not reproduced")


@verdict.test(points=1, hint="Ask for n first.", cases=outcomes)
def one_seed_shows_nothing(student, rng, n, t, mean, s):
    "a single seed, and three"
    same(student.verdict(np.array([mean]), t, 0.5 * mean), "not reproduced")
    same(student.verdict(spread(rng, 3, mean, 0.01 * mean), 4.303, 0.5 * mean), "reproduced")


leaves_arguments(verdict)


# ------------------------------------------------------------------------- mark

PART = ("promise", "seeds", "compute", "baseline", "forecast")


def sizes(rng, level):
    yield {"sizes": [1, 2, 3]}
    yield {"sizes": [16, 24, 48]}
    if level == "hidden":
        yield {"sizes": sorted(int(x) for x in rng.choice(np.arange(4, 90), 4, replace=False))}


def whole(rng, grid):
    """A study with every part, its runs in any order; the largest size begins at 100."""
    runs = [
        {"model": m, "size": s, "seed": seed, "flops": 1000.0 + i + j, "began": 10.0 * i + seed}
        for i, s in enumerate(grid)
        for j, m in enumerate(("plain", "mine"))
        for seed in (3, 4, 5)
    ]
    for run in runs:
        if run["size"] == grid[-1]:
            run["began"] = 100.0 + run["seed"]
    runs = [runs[i] for i in rng.permutation(len(runs))]
    study = {"promised": 1.0, "foretold": 60.0, "baseline": "plain", "held": grid[-1]}
    return {**study, "runs": runs, "rates": {"mine": 6, "plain": 3}}


def marked(student, study, wrong):
    answer = student.mark(study)
    true(isinstance(answer, dict), "return a dictionary", "type")
    true(set(answer) == set(PART), f"the keys must be {', '.join(PART)}", "type")
    for part in PART:
        found = array(answer[part], shape=(), what=part)
        true(found.dtype.kind == "b", f"{part} must be True or False", "type")
        if bool(found) != (part not in wrong):
            true(False, f"{part} is {bool(found)}, expected {part not in wrong}")


def without(study, **changes):
    return {**study, **changes}


@mark.test(points=1, hint="All five hold here, then none.", cases=sizes)
def a_good_study(student, rng, sizes):
    "a study with every part, and one with none"
    study = whole(rng, sizes)
    marked(student, study, ())
    runs = [
        {**run, "flops": run["flops"] * (1.5 if run["model"] == "mine" else 1)}
        for run in study["runs"]
        if run["seed"] == 3
    ]
    bad = without(study, promised=None, foretold=None, rates={"mine": 6}, runs=runs)
    marked(student, bad, PART)


@mark.test(points=2, hint="Compare with the first run; None is no promise; 0 is one.", cases=sizes)
def the_times(student, rng, sizes):
    "promise and forecast before, at, and after the first run"
    study = whole(rng, sizes)
    first = min(run["began"] for run in study["runs"])
    marked(student, without(study, promised=first), ())
    marked(student, without(study, promised=first + 0.5), ("promise",))
    marked(student, without(study, promised=None), ("promise",))
    marked(student, without(study, promised=0), ())
    marked(student, without(study, foretold=103.0), ())
    marked(student, without(study, foretold=103.5), ("forecast",))
    marked(student, without(study, foretold=None), ("forecast",))


@mark.test(points=2, hint="Different seeds, of each model at each size.", cases=sizes)
def the_runs(student, rng, sizes):
    "seeds and FLOPs, size by size"
    study = whole(rng, sizes)
    double = [{**r, "seed": 3 if r["seed"] == 4 else r["seed"]} if r["size"] == sizes[0] and
              r["model"] == "mine" else r for r in study["runs"]]  # fmt: skip
    marked(student, without(study, runs=double), ("seeds",))
    more = [{**r, "flops": 1.03 * r["flops"]} if r["size"] == sizes[1] and r["model"] == "mine"
            else r for r in study["runs"]]  # fmt: skip
    marked(student, without(study, runs=more), ("compute",))
    grows = [{**r, "flops": 7.0 * r["size"] * r["flops"]} for r in study["runs"]]
    marked(student, without(study, runs=grows), ())  # sizes may differ, models at one may not


@mark.test(points=1, hint="Three rates, and nobody tried more than twice as many.", cases=sizes)
def the_rates(student, rng, sizes):
    "how many rates were tried"
    study = whole(rng, sizes)
    marked(student, without(study, rates={"plain": 2, "mine": 2}), ("baseline",))
    marked(student, without(study, rates={"plain": 3, "mine": 7}), ("baseline",))
    marked(student, without(study, rates={"plain": 9, "mine": 1}), ())


leaves_arguments(mark)


# ------------------------------------------------------------------------- scan


def shapes(rng, level):
    yield {"T": 4, "C": 1}
    yield {"T": 9, "C": 3}
    if level == "hidden":
        yield {"T": 1, "C": 2}
        yield {"T": int(rng.integers(20, 60)), "C": 5}


def states(a, b):
    out, h = [], [0.0] * b.shape[1]
    for t in range(len(b)):
        h = [float(a[t, c]) * h[c] + float(b[t, c]) for c in range(b.shape[1])]
        out.append(h)
    return np.array(out)


@scan.test(points=2, hint="h[t] = a[t] h[t-1] + b[t].", cases=shapes)
def keeps_and_adds(student, rng, T, C):
    "the state at every time"
    a, b = rng.uniform(0.2, 1.1, (T, C)), rng.normal(size=(T, C))
    close(student.scan(a, b), states(a, b), rtol=1e-9, atol=1e-12)
    a, b = a.astype(np.float32), b.astype(np.float32)
    close(student.scan(a, b), states(a, b), rtol=1e-4, atol=1e-4)


@scan.test(points=1, hint="Divide by nothing.", cases=shapes)
def may_forget_everything(student, rng, T, C):
    "an a of 0, and a negative one"
    a, b = rng.uniform(-1, 1, (T, C)), rng.normal(size=(T, C))
    a[rng.random((T, C)) < 0.4] = 0.0
    a[0] = rng.normal(size=C)  # never used
    close(student.scan(a, b), states(a, b), rtol=1e-9, atol=1e-12)


keeps_dtype(scan)
leaves_arguments(scan)


# ------------------------------------------------------------------------- linear_attention


def texts(rng, level):
    yield {"T": 2, "D": 1, "E": 1}
    yield {"T": 6, "D": 3, "E": 4}
    if level == "hidden":
        yield {"T": 1, "D": 2, "E": 3}
        yield {"T": int(rng.integers(9, 20)), "D": 5, "E": 2}


def means(q, k, v):
    weights = np.tril(q @ k.T)
    return weights @ v / weights.sum(1, keepdims=True)


@linear_attention.test(points=3, hint="Sums up to t, and not beyond.", cases=texts)
def is_the_weighted_mean(student, rng, T, D, E):
    "the weighted mean of what came before"
    q, k = (rng.uniform(0.1, 2, (T, D)) for _ in range(2))
    v = rng.normal(size=(T, E))
    close(student.linear_attention(q, k, v), means(q, k, v), rtol=1e-8, atol=1e-10)


def lengths(rng, level):
    yield {"T": 60_000}


@linear_attention.test(
    points=2, hint="A state of D x E and D numbers, updated token by token.", cases=lengths
)
def needs_no_table(student, rng, T):
    "a text of 60,000 tokens: a table of T x T would need 29 GB"
    q, k = (rng.uniform(0.1, 2, (T, 2)) for _ in range(2))
    v = rng.normal(size=(T, 2))
    answer = array(student.linear_attention(q, k, v), shape=(T, 2))
    S = np.cumsum(k[:, :, None] * v[:, None, :], 0)  # (T, D, E)
    wanted = np.einsum("td,tde->te", q, S) / (q * np.cumsum(k, 0)).sum(1, keepdims=True)
    close(answer, wanted, rtol=1e-6, atol=1e-8)


leaves_arguments(linear_attention, again=("is_the_weighted_mean",))
