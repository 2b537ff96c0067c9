"""Answers to set 07b that are right and have another shape than the solution's."""

from pathlib import Path

from minilm.course.checking.planted import Solution

START = Solution(Path(__file__).with_name("questions.py")).given

RIGHT = [
    # what is shared out and what is not, apart
    (
        "zero_memory",
        """
def zero_memory(psi, N, stage, K=12):
    sizes = [K, 2, 2]
    shared, whole = sum(sizes[:stage]), sum(sizes[stage:])
    return psi * shared / N + psi * whole
""",
    ),
    # around the root only
    (
        "best_segments",
        """
def best_segments(L):
    best = None
    k = 1
    while k <= L:
        kept = k + int(np.ceil(L / k))
        if best is None or kept < best[1]:
            best = (k, kept)
        k += 1
    return [best[0], best[1]]
""",
    ),
    # the finished pieces are those with the rank's own number, so both loops are shifted
    (
        "ring_allreduce",
        """
def ring_allreduce(bufs, send):
    N = len(bufs)
    table = np.stack([x.reshape(N, -1) for x in bufs])  # (rank, piece, n / N)
    for t in range(1, N):
        wires = {}
        for r in range(N):
            wires[(r + 1) % N] = ((r - t) % N, send(r, (r + 1) % N, table[r, (r - t) % N]))
        for r, (piece, x) in wires.items():
            table[r, piece] = table[r, piece] + x
    for t in range(N - 1):
        wires = {}
        for r in range(N):
            wires[(r + 1) % N] = ((r - t) % N, send(r, (r + 1) % N, table[r, (r - t) % N]))
        for r, (piece, x) in wires.items():
            table[r, piece] = x
    return [row.ravel() for row in table]
""",
    ),
    # slices in a loop
    (
        "tp_mlp",
        """
def tp_mlp(x, W1, W2, k, all_reduce):
    width = W1.shape[1] // k
    parts = []
    for r in range(k):
        own = slice(r * width, (r + 1) * width)
        h = x @ W1[:, own]
        h = h * (h > 0)
        parts.append(h @ W2[own])
    return all_reduce(parts)[k - 1]
""",
    ),
    # the sum is infinite or nan where one of them is
    (
        "loss_scaled_step",
        """
def loss_scaled_step(weights, gradients, scale, good, rate=0.1, patience=4):
    bad = np.isnan(gradients).any() or np.isinf(gradients).any()
    new = weights.copy()
    if bad:
        return [new, 0.5 * scale, 0]
    new -= np.float32(rate / scale) * gradients
    good = (good + 1) % patience
    return [new, scale if good else 2 * scale, good]
""",
    ),
    # gathers before it needs: once more at the end of stage 1
    (
        "zero_train",
        """
def zero_train(params, N, stage, steps, forward, backward, reduce_scatter, all_gather):
    own = params.reshape(N, -1).copy()
    for step in range(steps):
        everywhere = all_gather(list(own))
        for r in range(N):
            forward(r, step, everywhere[r])
        if stage == 3:
            everywhere = all_gather(list(own))
        slopes = [backward(r, step, everywhere[r]) for r in range(N)]
        for r, total in enumerate(reduce_scatter(slopes)):
            own[r] -= 0.1 * (total / N)
    return all_gather(list(own))[-1]
""",
    ),
    # in ticks of events: whatever can start first, starts
    (
        "simulate_pipeline",
        """
def simulate_pipeline(p, m, schedule, tf=1.0, tb=2.0):
    todo = []
    for s in range(p):
        warm = m if schedule == "gpipe" else min(m, p - s)
        row, f, b = [], 0, 0
        while b < m:
            if f < min(m, warm + b):
                row.append(("F", f))
                f += 1
            else:
                row.append(("B", b))
                b += 1
        todo.append(row)
    length, done, ready, answer = {"F": tf, "B": tb}, {}, [0.0] * p, []
    while sum(map(len, todo)):
        choices = []
        for s in range(p):
            if todo[s]:
                kind, i = todo[s][0]
                before = []
                if kind == "F" and s > 0:
                    before.append(("F", s - 1, i))
                if kind == "B":
                    before.append(("F", s, i))
                    if s + 1 < p:
                        before.append(("B", s + 1, i))
                if all(one in done for one in before):
                    choices.append((max([ready[s]] + [done[one] for one in before]), s))
        start, s = min(choices)
        kind, i = todo[s].pop(0)
        done[kind, s, i] = ready[s] = start + length[kind]
        answer.append([s, kind, i, start])
    return answer
""",
    ),
    # segments from the front in forward, with what is kept written down
    (
        "checkpointed_backward",
        """
def checkpointed_backward(L, k, run, pull, drop):
    size = (L + k - 1) // k
    kept = set(range(0, L, size))
    for i in range(L):
        run(i)
        if i not in kept:
            drop(i)
    drop(L)
    there = set(kept)
    for i in range(L - 1, -1, -1):
        if i not in there:
            start = max(j for j in there if j < i)
            for j in range(start, i):
                run(j)
                there.add(j + 1)
        pull(i)
        drop(i)
        there.discard(i)
""",
    ),
]
RIGHT = [(name, START + "\n" + code) for name, code in RIGHT]
