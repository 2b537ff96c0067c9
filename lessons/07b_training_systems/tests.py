"""Tests of exercise set 07b: ZeRO's bytes and steps, a ring, a cut net, pipelines, segments, scales."""

import math

import numpy as np

from minilm.course.checking.expect import Wrong, array, close, less, same
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Training systems: many ranks, one model"

zero_memory = Question("zero_memory", title="what a rank holds", lines=3)
best_segments = Question("best_segments", title="how many segments", lines=2)
ring_allreduce = Question("ring_allreduce", title="round and round", lines=12)
tp_mlp = Question("tp_mlp", title="columns, then rows", lines=6)
loss_scaled_step = Question("loss_scaled_step", title="skip, halve, double", lines=7)
zero_train = Question("zero_train", title="ZeRO", lines=14)
simulate_pipeline = Question("simulate_pipeline", title="one forward, one backward", lines=20)
checkpointed_backward = Question("checkpointed_backward", title="forget and run again", lines=14)


# ---------------------------------------------------------------------------------- zero_memory

# Parameters, ranks, GB at stages 0 to 3 (Rajbhandari et al. 2019, figure 1 and table 1).
PAPER = [
    (7.5e9, 64, (120, 31.40625, 16.640625, 1.875)),
    (7.5e9, 4, (120, 52.5, 41.25, 30)),
    (128e9, 64, (2048, 536, 284, 32)),
    (1e12, 64, (16000, 4187.5, 2218.75, 250)),
]


def rows(rng, level):
    yield {"psi": 100, "N": 4}
    yield {"psi": 7.5e9, "N": 64}
    if level == "hidden":
        yield {"psi": float(rng.integers(1e6, 1e9)), "N": int(rng.integers(2, 500))}


@zero_memory.test(points=2, hint="psi (2 + 2 + 12), with some of the three divided.", cases=rows)
def every_stage(student, rng, psi, N):
    "all four stages, for Adam"
    for stage, whole in enumerate((16, 4, 2, 0)):
        wanted = psi * whole + psi * (16 - whole) / N
        close(student.zero_memory(psi, N, stage), wanted, rtol=1e-9, what=f"stage {stage}")


@zero_memory.test(points=1, hint="Gradients go at stage 2, weights at stage 3.")
def the_papers_table(student, rng):
    "the table of the paper, for models some times as large"
    for psi, N, gigabytes in PAPER:
        times = float(rng.uniform(0.5, 3))
        for stage, wanted in enumerate(gigabytes):
            found = array(student.zero_memory(times * psi, N, stage), shape=())
            close(found / 1e9, times * wanted, rtol=1e-9, what=f"GB at stage {stage}, {N} ranks")


@zero_memory.test(points=1, hint="K is an argument: 12 is only its default.", cases=rows)
def another_optimizer(student, rng, psi, N):
    "an optimizer with other bytes"
    K = int(rng.integers(1, 11))
    for stage, whole in enumerate((4 + K, 4, 2, 0)):
        wanted = psi * whole + psi * (4 + K - whole) / N
        close(student.zero_memory(psi, N, stage, K), wanted, rtol=1e-9, what=f"stage {stage}")


# ---------------------------------------------------------------------------------- best_segments


def depths(rng, level):
    yield {"L": 6}
    yield {"L": 24}
    if level == "hidden":
        yield {"L": 1}
        yield {"L": int(rng.integers(30, 200))}


def sums(L):
    return [k + math.ceil(L / k) for k in range(1, L + 1)]


@best_segments.test(points=1, hint="The smallest of k + ceil(L / k).", cases=depths)
def the_peak(student, rng, L):
    "the smallest sum"
    answer = student.best_segments(L)
    same(int(array(answer[1], shape=())), min(sums(L)), what="the peak")


@best_segments.test(points=1, hint="The smallest k that reaches it.", cases=depths)
def the_smallest_k(student, rng, L):
    "the smallest k with that sum"
    answer = student.best_segments(L)
    same(int(array(answer[0], shape=())), sums(L).index(min(sums(L))) + 1, what="k")


@best_segments.test(points=1, hint="About 2 sqrt(L): 8 for 16 layers, 20 for 96.")
def many_depths(student, rng):
    "never more than 2 sqrt(L) + 1 arrays, for any depth"
    for L in (16, 96, *rng.integers(2, 300, 6).tolist()):
        k, peak = (int(array(part, shape=())) for part in student.best_segments(L))
        same(peak, k + math.ceil(L / k), what=f"the peak for {L} layers in {k} segments")
        less(peak, 2 * math.sqrt(L) + 1 + 1e-9, what=f"the peak for {L} layers")


# ---------------------------------------------------------------------------------- ring_allreduce


def rings(rng, level):
    yield {"N": 2, "n": 4}
    yield {"N": 4, "n": 12}
    if level == "hidden":
        yield {"N": 1, "n": 5}
        N = int(rng.integers(5, 8))
        yield {"N": N, "n": 3 * N}


class Wire:
    """Counts what goes from rank to rank; a dead one delivers zeros."""

    def __init__(self, N, dead=False):
        self.sent, self.strange, self.dead, self.N = [0] * N, [], dead, N

    def send(self, source, target, x):
        x = np.array(x)
        self.sent[source] += x.size
        if target != (source + 1) % self.N:
            self.strange.append((source, target))
        return np.zeros_like(x) if self.dead else x


def through(student, bufs, wire):
    """The answers of all ranks."""
    found = student.ring_allreduce(bufs, wire.send)
    if not isinstance(found, (list, tuple)) or len(found) != len(bufs):
        raise Wrong("type", f"the answer must be a list of {len(bufs)} vectors")
    return [array(x, shape=bufs[0].shape, what=f"rank {r}") for r, x in enumerate(found)]


def vectors(rng, N, n):
    return [rng.standard_normal(n) for _ in range(N)]


@ring_allreduce.test(points=3, hint="First sums travel, then finished pieces.", cases=rings)
def all_hold_the_sum(student, rng, N, n):
    "every rank holds the sum"
    bufs = vectors(rng, N, n)
    wanted = [math.fsum(column) for column in zip(*bufs)]
    for r, x in enumerate(through(student, bufs, Wire(N))):
        close(x, wanted, rtol=1e-9, atol=1e-12, what=f"rank {r}")


@ring_allreduce.test(points=2, hint="Pieces of n / N travel, and not whole vectors.", cases=rings)
def sends_little(student, rng, N, n):
    "a rank sends 2 (N - 1) / N n numbers, and what it gets matters"
    bufs, wire = vectors(rng, N, n), Wire(N)
    wanted = [math.fsum(column) for column in zip(*bufs)]
    for x in through(student, bufs, wire):
        close(x, wanted, rtol=1e-9, atol=1e-12)
    less(max(wire.sent), 2 * (N - 1) * n // N + 0.5, what="numbers sent by a rank")
    if N > 1:
        cut_off = through(student, bufs, Wire(N, dead=True))
        if any(np.allclose(x, wanted) for x in cut_off):
            raise Wrong("value", "a rank knows the sum although nothing reaches it through send")


@ring_allreduce.test(points=1, hint="target is (source + 1) % N.", cases=rings)
def to_the_right_only(student, rng, N, n):
    "everybody talks to the right neighbour only"
    bufs, wire = vectors(rng, N, n), Wire(N)
    wanted = [math.fsum(column) for column in zip(*bufs)]
    close(through(student, bufs, wire)[0], wanted, rtol=1e-9, atol=1e-12)
    if wire.strange:
        source, target = wire.strange[0]
        raise Wrong("value", f"rank {source} sends to rank {target} of {N}")
    if N > 1 and not all(wire.sent):
        raise Wrong("value", f"rank {wire.sent.index(0)} sends nothing")


leaves_arguments(ring_allreduce)

# ---------------------------------------------------------------------------------- tp_mlp


def nets(rng, level):
    yield {"B": 1, "C": 2, "F": 2, "k": 2}
    yield {"B": 3, "C": 4, "F": 12, "k": 3}
    if level == "hidden":
        yield {"B": 2, "C": 3, "F": 5, "k": 1}
        k = int(rng.integers(2, 6))
        yield {"B": 4, "C": 5, "F": 3 * k, "k": k}


def dense(x, W1, W2):
    """The whole net, and the part of each hidden channel."""
    parts = []
    for f in range(W1.shape[1]):
        h = np.array([max(sum(a * b for a, b in zip(row, W1[:, f])), 0.0) for row in x])
        parts.append(np.outer(h, W2[f]))
    return np.array(parts)  # (F, B, C)


def cut(rng, B, C, F):
    return rng.standard_normal((B, C)), rng.standard_normal((C, F)), rng.standard_normal((F, C))


@tp_mlp.test(points=2, hint="relu(x A) B for each rank, then the sum.", cases=nets)
def the_whole_net(student, rng, B, C, F, k):
    "the answer of the whole net"
    x, W1, W2 = cut(rng, B, C, F)

    def add(parts):
        return [sum(np.array(p) for p in parts)] * k

    close(student.tp_mlp(x, W1, W2, k, add), dense(x, W1, W2).sum(0), rtol=1e-9, atol=1e-11)


@tp_mlp.test(points=3, hint="One all_reduce, of k parts (B, C).", cases=nets)
def one_message(student, rng, B, C, F, k):
    "one all_reduce, of each rank's own part"
    x, W1, W2 = cut(rng, B, C, F)
    calls = []

    def add(parts):
        calls.append([np.array(p) for p in parts])
        return [sum(calls[-1])] * k

    answer = student.tp_mlp(x, W1, W2, k, add)
    same(len(calls), 1, what="calls of all_reduce")
    same(len(calls[0]), k, what="parts")
    for r, wanted in enumerate(np.split(dense(x, W1, W2), k)):
        close(calls[0][r], wanted.sum(0), rtol=1e-9, atol=1e-11, what=f"the part of rank {r}")
    close(answer, sum(calls[0]), rtol=1e-9, atol=1e-11)


leaves_arguments(tp_mlp)

# ---------------------------------------------------------------------------------- loss_scaled_step


def steps(rng, level):
    yield {"size": 1, "good": 0}
    yield {"size": 5, "good": 2}
    if level == "hidden":
        yield {"size": 8, "good": 1}


def case(rng, size):
    weights = rng.standard_normal(size).astype(np.float32)
    return weights, rng.standard_normal(size).astype(np.float32), float(2 ** rng.integers(4, 12))


def told(student, *args, **named):
    """The three answers."""
    found = student.loss_scaled_step(*args, **named)
    if not isinstance(found, (list, tuple)) or len(found) != 3:
        raise Wrong("type", "the answer must be (weights, scale, good)")
    return found


@loss_scaled_step.test(points=2, hint="Divide the gradients by the scale.", cases=steps)
def a_good_step(student, rng, size, good):
    "a step with the gradients divided by the scale"
    weights, slopes, scale = case(rng, size)
    found = told(student, weights, slopes * np.float32(scale), scale, good)
    wanted = weights.astype(np.float64) - 0.1 * slopes.astype(np.float64)
    close(found[0], wanted, rtol=1e-5, atol=1e-6, dtype=np.float32, what="the weights")
    close(found[1], scale, what="the scale")
    close(found[2], good + 1, what="good")


@loss_scaled_step.test(points=2, hint="np.isfinite, before anything changes.", cases=steps)
def a_bad_step(student, rng, size, good):
    "infinite or no number: nothing moves and the scale halves"
    for bad in (np.inf, -np.inf, np.nan):
        weights, slopes, scale = case(rng, size)
        slopes[rng.integers(size)] = bad
        found = told(student, weights, slopes, scale, good)
        close(found[0], weights, rtol=0, atol=0, what="the weights")
        close(found[1], scale / 2, what="the scale")
        close(found[2], 0, atol=0, what="good")


@loss_scaled_step.test(points=2, hint="When good reaches patience the scale doubles.")
def doubles(student, rng):
    "after patience good steps the scale doubles, and good starts again"
    for patience in (4, int(rng.integers(5, 9))):
        weights, slopes, scale = case(rng, 3)
        g = slopes * np.float32(scale)
        named = {} if patience == 4 else {"patience": patience}
        found = told(student, weights, g, scale, patience - 1, **named)
        wanted = weights.astype(np.float64) - 0.1 * slopes.astype(np.float64)
        close(found[0], wanted, rtol=1e-5, atol=1e-6, what="the weights")
        close(found[1], 2 * scale, what="the scale")
        close(found[2], 0, atol=0, what="good")
        close(told(student, weights, g, scale, patience - 2, **named)[2], patience - 1, what="good")


leaves_arguments(loss_scaled_step)

# ---------------------------------------------------------------------------------- zero_train


def trainings(rng, level):
    for stage in (1, 3):
        yield {"n": 2, "N": 2, "stage": stage, "steps": 1}
        yield {"n": 12, "N": 4, "stage": stage, "steps": 3}
    if level == "hidden":
        for stage in (1, 3):
            N = int(rng.integers(3, 6))
            yield {"n": 2 * N, "N": N, "stage": stage, "steps": int(rng.integers(2, 5))}


class Cluster:
    """A quadratic for each rank, and a record of all that was called."""

    def __init__(self, rng, n, N):
        self.params, self.N = rng.standard_normal(n), N
        self.goals = rng.standard_normal((50, N, n))  # of each step and rank
        self.log = []

    def path(self, steps):
        """The parameters before each step, and after the last, as one process has them."""
        w, found = self.params, []
        for step in range(steps):
            found.append(w)
            w = w - 0.1 * np.mean([w - goal for goal in self.goals[step]], axis=0)
        return [*found, w]

    def forward(self, r, step, params):
        self.log.append(("F", int(r), int(step), np.array(params)))

    def backward(self, r, step, params):
        self.log.append(("B", int(r), int(step), np.array(params)))
        return np.array(params) - self.goals[int(step), int(r)]

    def reduce_scatter(self, arrays):
        self.log.append(("R", len(arrays), 0, None))
        return np.split(np.sum([np.array(a) for a in arrays], axis=0), self.N)

    def all_gather(self, pieces):
        self.log.append(("G", len(pieces), 0, None))
        return [np.concatenate([np.array(p) for p in pieces])] * self.N

    def train(self, student, stage, steps):
        return student.zero_train(self.params, self.N, stage, steps, self.forward, self.backward,
                                  self.reduce_scatter, self.all_gather)  # fmt: skip


@zero_train.test(
    points=3, hint="Divide the sum by N, and each rank updates its piece.", cases=trainings
)
def as_one_process(student, rng, n, N, stage, steps):
    "the parameters of one process"
    many = Cluster(rng, n, N)
    close(many.train(student, stage, steps), many.path(steps)[-1], rtol=1e-9, atol=1e-11)


@zero_train.test(
    points=2, hint="Every rank runs once a step, with whole parameters.", cases=trainings
)
def every_rank_runs(student, rng, n, N, stage, steps):
    "every rank runs forward and backward in each step, with the parameters of that step"
    many = Cluster(rng, n, N)
    many.train(student, stage, steps)
    path = many.path(steps)
    for kind in "FB":
        ran = sorted((step, r) for k, r, step, _ in many.log if k == kind)
        same(
            ran,
            [(step, r) for step in range(steps) for r in range(N)],
            what=f"{kind} of (step, rank)",
        )
    for kind, r, step, params in many.log:
        if kind in "FB":
            close(
                params, path[step], rtol=1e-9, atol=1e-11, what=f"params of rank {r}, step {step}"
            )


@zero_train.test(points=3, hint="2 n a step at stage 1, 3 n at stage 3.", cases=trainings)
def the_price(student, rng, n, N, stage, steps):
    "sends 2 n or 3 n numbers a step, and lets weights go at stage 3"
    many = Cluster(rng, n, N)
    close(many.train(student, stage, steps), many.path(steps)[-1], rtol=1e-9, atol=1e-11)
    kinds = [kind for kind, *_ in many.log]
    same(kinds.count("R"), steps, what="calls of reduce_scatter")
    least = steps if stage == 1 else 2 * steps + 1
    most = steps + 1 if stage == 1 else 2 * steps + 1
    if not least <= kinds.count("G") <= most:
        raise Wrong("cost", f"all_gather is called {kinds.count('G')} times; {least} are needed")
    if stage == 3:
        order = "".join(kinds)
        step = f"G{'F' * N}G{'B' * N}R"
        if order != step * steps + "G":
            raise Wrong("value", f"the order of a step is {order[: len(step)]}, and not {step}")


leaves_arguments(zero_train)

# ---------------------------------------------------------------------------------- simulate_pipeline


def pipes(rng, level):
    for schedule in ("gpipe", "1f1b"):
        yield {"p": 2, "m": 1, "schedule": schedule, "tf": 1.0, "tb": 2.0}
        yield {"p": 4, "m": 8, "schedule": schedule, "tf": 1.0, "tb": 2.0}
        yield {"p": 3, "m": int(rng.integers(3, 6)), "schedule": schedule,
               "tf": float(rng.uniform(1, 2)), "tb": float(rng.uniform(2, 4))}  # fmt: skip
    if level == "hidden":
        for schedule in ("gpipe", "1f1b"):
            yield {"p": 1, "m": 3, "schedule": schedule, "tf": 1.0, "tb": 2.0}
            yield {"p": 5, "m": 3, "schedule": schedule, "tf": 1.0, "tb": 2.0}
            yield {"p": int(rng.integers(3, 7)), "m": int(rng.integers(7, 12)), "schedule": schedule,
                   "tf": float(rng.integers(1, 4)), "tb": float(rng.integers(2, 6))}  # fmt: skip


def chart(student, p, m, schedule, tf, tb):
    """(stage, kind, batch) -> (start, end)."""
    found = student.simulate_pipeline(p, m, schedule, tf, tb)
    if not isinstance(found, (list, tuple)) or not all(
        isinstance(task, (list, tuple)) and len(task) == 4 for task in found
    ):
        raise Wrong("type", "the answer must be a list of (stage, kind, batch, start)")
    times = {}
    for stage, kind, batch, start in found:
        times[int(stage), str(kind), int(batch)] = (
            float(start),
            float(start) + (tf if kind == "F" else tb),
        )
    wanted = {(s, kind, i) for s in range(p) for kind in "FB" for i in range(m)}
    if len(found) != 2 * p * m or set(times) != wanted:
        raise Wrong("value", f"{2 * p * m} tasks are wanted, each once; there are {len(found)}")
    return times


@simulate_pipeline.test(
    points=3, hint="A task waits for its stage and for what it needs.", cases=pipes
)
def nobody_cheats(student, rng, p, m, schedule, tf, tb):
    "a stage does one thing at a time, and nothing before what it needs"
    times = chart(student, p, m, schedule, tf, tb)
    for (stage, kind, batch), (start, _) in times.items():
        needs = (
            [(stage - 1, "F", batch)]
            if kind == "F"
            else [(stage, "F", batch), (stage + 1, "B", batch)]
        )
        for need in needs:
            if need in times and times[need][1] > start + 1e-9:
                raise Wrong(
                    "value", f"{kind} of batch {batch} on stage {stage} starts before {need} ends"
                )
    for stage in range(p):
        busy = sorted(span for (s, *_), span in times.items() if s == stage)
        for (_, end), (start, _) in zip(busy, busy[1:]):
            if start < end - 1e-9:
                raise Wrong("value", f"stage {stage} does two things at {start:g}")


@simulate_pipeline.test(points=2, hint="(m + p - 1)(tf + tb).", cases=pipes)
def as_short_as_it_can_be(student, rng, p, m, schedule, tf, tb):
    "the whole takes (m + p - 1)(tf + tb)"
    times = chart(student, p, m, schedule, tf, tb)
    close(min(start for start, _ in times.values()), 0.0, what="the first start")
    close(max(end for _, end in times.values()), (m + p - 1) * (tf + tb), rtol=1e-9, what="the end")


@simulate_pipeline.test(
    points=2, hint="1f1b: at most p - s batches wait; gpipe: all m.", cases=pipes
)
def what_is_held(student, rng, p, m, schedule, tf, tb):
    "each stage holds p - s batches at most, or all m, and takes them in order"
    times = chart(student, p, m, schedule, tf, tb)
    for s in range(p):
        for kind in "FB":
            starts = [times[s, kind, i][0] for i in range(m)]
            same(
                starts == sorted(starts), True, what=f"{kind} of stage {s} in the order of batches"
            )
        held = [
            sum(times[s, "F", i][0] <= times[s, "F", j][0] and times[s, "B", i][1] > times[s, "F", j][0] + 1e-9
                for i in range(m))
            for j in range(m)
        ]  # fmt: skip
        wanted = m if schedule == "gpipe" else min(p - s, m)
        same(max(held), wanted, what=f"batches held on stage {s}")


# ---------------------------------------------------------------------------------- checkpointed_backward


def deep(rng, level):
    yield {"L": 2, "k": 1}
    yield {"L": 16, "k": 4}
    if level == "hidden":
        yield {"L": 1, "k": 1}
        yield {"L": 9, "k": 9}
        L = int(rng.integers(17, 40))
        yield {"L": L, "k": int(rng.integers(3, 8))}


class Store:
    """The arrays of a deep net; counts them, and remembers the first order that cannot be."""

    def __init__(self, L):
        self.L, self.there, self.peak, self.wrong = L, {0}, 1, ""
        self.runs, self.pulled, self.reached = [0] * L, [], False

    def _need(self, i, what):
        if not self.wrong and not (0 <= i < self.L and i in self.there):
            self.wrong = f"{what}({i}) needs array {i}, which is not there"

    def run(self, i):
        i = int(i)
        self._need(i, "run")
        if 0 <= i < self.L:
            self.runs[i] += 1
        self.there.add(i + 1)
        self.reached |= i + 1 == self.L
        self.peak = max(self.peak, len(self.there))

    def pull(self, i):
        i = int(i)
        self._need(i, "pull")
        due = self.L - 1 - len(self.pulled)
        if not self.wrong and (i != due or not self.reached):
            self.wrong = f"pull({i}) comes where " + (
                f"pull({due}) is due" if self.reached else "forward has not reached the end"
            )
        self.pulled.append(i)

    def drop(self, i):
        self.there.discard(int(i))


def carried_out(student, L, k):
    store = Store(L)
    student.checkpointed_backward(L, k, store.run, store.pull, store.drop)
    if store.wrong:
        raise Wrong("value", store.wrong)
    if store.pulled != list(range(L))[::-1]:
        raise Wrong("value", f"{len(store.pulled)} of {L} layers were pulled")
    return store


@checkpointed_backward.test(points=3, hint="Forward to the end; pull L - 1 first.", cases=deep)
def reaches_the_start(student, rng, L, k):
    "forward to the end, then every layer backward, with what it needs"
    carried_out(student, L, k)


@checkpointed_backward.test(points=3, hint="Drop what is no start of a segment.", cases=deep)
def keeps_little(student, rng, L, k):
    "never more than k + L / k + 1 arrays"
    store = carried_out(student, L, k)
    less(store.peak, k + math.ceil(L / k) + 1.5, what="arrays there at one time")


@checkpointed_backward.test(points=2, hint="Once in forward, once in its segment.", cases=deep)
def runs_twice_at_most(student, rng, L, k):
    "no layer runs more than twice"
    store = carried_out(student, L, k)
    less(max(store.runs), 2.5, what="runs of a layer")
