"""Answers to set 07b that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
GIVEN, changed = SET.given, SET.changed

WRONG = [
    # the optimizer is not shared out at stage 1
    ("zero_memory", 0, changed("zero_memory", ("K / N if stage >= 1", "K / N if stage >= 2"))),
    # gradients go last, weights before
    (
        "zero_memory",
        0,
        changed(
            "zero_memory", ("2 / N if stage >= 3", "4 / N if stage >= 3"), ("else 2\n", "else 4\n")
        ),
    ),
    # Adam only
    ("zero_memory", 3, changed("zero_memory", ("K / N", "12 / N"), ("else K", "else 12"))),
    # everything shared out at once
    (
        "zero_memory",
        0,
        changed("zero_memory", ("stage >= 3", "stage >= 1"), ("stage >= 2", "stage >= 1")),
    ),
    # the table by heart
    (
        "zero_memory",
        0,
        GIVEN + "\n\ndef zero_memory(psi, N, stage, K=12):\n"
        "    table = {(7.5e9, 64): (120, 31.40625, 16.640625, 1.875),\n"
        "             (7.5e9, 4): (120, 52.5, 41.25, 30), (128e9, 64): (2048, 536, 284, 32),\n"
        "             (1e12, 64): (16000, 4187.5, 2218.75, 250)}\n"
        "    return 1e9 * table[psi, N][stage]\n",
    ),  # fmt: skip
    # the floor for the ceiling
    ("best_segments", 0, changed("best_segments", ("k - -L // k", "k + L // k"))),
    # the largest k
    (
        "best_segments",
        2,
        changed(
            "best_segments",
            ("(k - -L // k, k)", "(k - -L // k, -k)"),
            ("return (k,", "return (-k,"),
        ),
    ),
    # the pair the wrong way round
    ("best_segments", 0, changed("best_segments", ("(k, peak)", "(peak, k)"))),
    # the root alone
    (
        "best_segments",
        0,
        GIVEN + "\n\ndef best_segments(L):\n    k = int(L ** 0.5)\n    return k, 2 * k\n",
    ),  # fmt: skip
    # everybody sends whole vectors round the ring
    (
        "ring_allreduce",
        5,
        GIVEN
        + """

def ring_allreduce(bufs, send):
    N = len(bufs)
    total, moving = [x.copy() for x in bufs], [x.copy() for x in bufs]
    for t in range(N - 1):
        came = [send(r, (r + 1) % N, moving[r]) for r in range(N)]
        for r in range(N):
            moving[(r + 1) % N] = came[r]
            total[(r + 1) % N] += came[r]
    return total
""",
    ),  # fmt: skip
    # adds without a message
    (
        "ring_allreduce",
        4,
        GIVEN + "\n\ndef ring_allreduce(bufs, send):\n"
        "    return [np.sum(bufs, axis=0) for _ in bufs]\n",
    ),  # fmt: skip
    # all to rank 0
    (
        "ring_allreduce",
        4,
        GIVEN
        + """

def ring_allreduce(bufs, send):
    N = len(bufs)
    total = bufs[0].copy()
    for r in range(1, N):
        total = total + send(r, 0, bufs[r])
    return [total] + [send(0, r, total) for r in range(1, N)]
""",
    ),  # fmt: skip
    # one round too few
    ("ring_allreduce", 0, changed("ring_allreduce", ("range(N - 1)", "range(N - 2)"))),
    # the finished piece is the rank's own
    (
        "ring_allreduce",
        0,
        changed("ring_allreduce", ("(r + 1 - t) % N", "(r - t) % N")),
    ),
    # works in what it was given
    ("ring_allreduce", 6, changed("ring_allreduce", ("piece.copy()", "piece"))),
    # rows of W1
    (
        "tp_mlp",
        0,
        changed(
            "tp_mlp",
            ("np.split(W1, k, axis=1)", "np.split(W1, k, axis=0)"),
        ),
    ),
    # no relu
    ("tp_mlp", 0, changed("tp_mlp", ("np.maximum(x @ A, 0)", "(x @ A)"))),
    # relu of the sum
    (
        "tp_mlp",
        0,
        changed(
            "tp_mlp",
            ("np.maximum(x @ A, 0) @ B", "x @ A @ B"),
            ("all_reduce(parts)[0]", "np.maximum(all_reduce(parts)[0], 0)"),
        ),
    ),
    # every rank computes everything
    (
        "tp_mlp",
        3,
        GIVEN + "\n\ndef tp_mlp(x, W1, W2, k, all_reduce):\n"
        "    whole = np.maximum(x @ W1, 0) @ W2\n"
        "    return all_reduce([whole / k] * k)[0]\n",
    ),  # fmt: skip
    # adds by itself
    ("tp_mlp", 3, changed("tp_mlp", ("all_reduce(parts)[0]", "sum(parts)"))),
    # gradients are not divided
    ("loss_scaled_step", 2, changed("loss_scaled_step", ("gradients / scale", "gradients"))),
    # only nan is bad
    (
        "loss_scaled_step",
        5,
        changed(
            "loss_scaled_step", ("not np.isfinite(gradients).all()", "np.isnan(gradients).any()")
        ),
    ),
    # the good steps are not forgotten
    ("loss_scaled_step", 5, changed("loss_scaled_step", ("scale / 2, 0)", "scale / 2, good)"))),
    # one step too late
    ("loss_scaled_step", 5, changed("loss_scaled_step", ("good == patience", "good > patience"))),
    # divided by the scale after it doubled
    (
        "loss_scaled_step",
        5,
        changed(
            "loss_scaled_step",
            ("gradients / scale", "gradients / (scale * 2 if good + 1 == patience else scale)"),
        ),
    ),
    # float64
    (
        "loss_scaled_step",
        4,
        changed("loss_scaled_step", (".astype(np.float32)", ".astype(np.float64)")),
    ),
    # the sum for the mean
    ("zero_train", 0, changed("zero_train", ("0.1 * g / N", "0.1 * g"))),
    # stage 1 at every stage: weights are never let go
    (
        "zero_train",
        6,
        changed(
            "zero_train",
            ("if stage == 3:\n            whole", "if False:\n            whole"),
            ("if stage == 1:", "if True:"),
            ("all_gather(pieces) if stage == 3 else whole", "whole"),
        ),
    ),
    # stage 3 at every stage
    (
        "zero_train",
        6,
        changed(
            "zero_train",
            ("if stage == 3:\n            whole", "if True:\n            whole"),
            (
                "all_gather(pieces) if stage == 3 else whole",
                "whole if stage == 1 else all_gather(pieces)",
            ),
        ),
    ),
    # the new weights are never handed out
    ("zero_train", 0, changed("zero_train", ("if stage == 1:", "if False:"))),
    # no forward
    ("zero_train", 4, changed("zero_train", ("forward(r, step, whole[r])", "pass"))),
    # adds the gradients by itself
    (
        "zero_train",
        6,
        changed(
            "zero_train",
            (
                "reduce_scatter([backward(r, step, whole[r]) for r in range(N)])",
                "np.split(sum(backward(r, step, whole[r]) for r in range(N)), N)",
            ),
        ),
    ),
    # all backwards wait in 1f1b, too
    (
        "simulate_pipeline",
        5,
        changed("simulate_pipeline", ("m if schedule == 'gpipe' else min(p - s, m)", "m")),
    ),
    # by turns in gpipe, too
    (
        "simulate_pipeline",
        5,
        changed(
            "simulate_pipeline", ("m if schedule == 'gpipe' else min(p - s, m)", "min(p - s, m)")
        ),
    ),
    # one forward less ahead: the pipe runs half empty
    (
        "simulate_pipeline",
        3,
        changed("simulate_pipeline", ("min(p - s, m)", "max(1, min(p - s - 1, m))")),
    ),
    # backward does not wait for the next stage
    (
        "simulate_pipeline",
        2,
        changed("simulate_pipeline", ("[(s, 'F', i), (s + 1, 'B', i)]", "[(s, 'F', i)]")),
    ),
    # backward as long as forward
    ("simulate_pipeline", 0, changed("simulate_pipeline", ("tf if kind == 'F' else tb", "tf"))),
    # keeps everything
    (
        "checkpointed_backward",
        5,
        GIVEN + "\n\ndef checkpointed_backward(L, k, run, pull, drop):\n"
        "    for i in range(L):\n        run(i)\n"
        "    for i in reversed(range(L)):\n        pull(i)\n",
    ),  # fmt: skip
    # runs from the start again for every layer
    (
        "checkpointed_backward",
        6,
        GIVEN + "\n\ndef checkpointed_backward(L, k, run, pull, drop):\n"
        "    for i in range(L):\n        run(i)\n"
        "        if i:\n            drop(i)\n"
        "    drop(L)\n"
        "    for end in reversed(range(L)):\n"
        "        for i in range(end):\n            run(i)\n"
        "            if i:\n                drop(i)\n"
        "        pull(end)\n        if end:\n            drop(end)\n",
    ),  # fmt: skip
    # forgets to run the segment again
    (
        "checkpointed_backward",
        0,
        changed("checkpointed_backward", ("range(start, end - 1)", "range(0)")),
    ),
    # pulls from the front
    (
        "checkpointed_backward",
        0,
        changed(
            "checkpointed_backward",
            ("for i in reversed(range(start, end))", "for i in range(start, end)"),
        ),
    ),
    # drops nothing on the way back
    (
        "checkpointed_backward",
        5,
        changed("checkpointed_backward", ("pull(i)\n            drop(i)", "pull(i)")),
    ),
]
