"""Answers to set 07g that are right and have another shape than the solution's."""

from pathlib import Path

from minilm.course.checking.planted import Solution

START = Solution(Path(__file__).with_name("questions.py")).given

RIGHT = [
    # the change of the difference is the difference of the changes
    (
        "flicker",
        START
        + """
def flicker(made, true):
    apart = made - true
    return float(np.mean(np.abs(apart[1:] - apart[:-1])))
""",
    ),
    # a formula: multiples strictly between two numbers
    (
        "bounces",
        """
def bounces(start, speed, frames, span):
    end = start + speed * (frames - 1)
    low, high = min(start, end), max(start, end)
    return max(0, -(-high // span) - 1 - low // span)
""",
    ),
    # a walk
    (
        "bounces",
        """
def bounces(start, speed, frames, span):
    x, met = start, 0
    for _ in range(frames - 1):
        for _ in range(abs(speed)):
            before, x = x, x + (1 if speed > 0 else -1)
            if before % span == 0 and before != start:
                met += 1
    return met
""",
    ),
    # one block after the other
    (
        "spacetime_patchify",
        START
        + """
def spacetime_patchify(v, f, p):
    c, t, h, w = v.shape
    tokens = []
    for a in range(0, t, f):
        for b in range(0, h, p):
            for d in range(0, w, p):
                tokens.append(v[:, a:a + f, b:b + p, d:d + p].flatten())
    return np.array(tokens)
""",
    ),
    # gaps that are halved, and no list of what is done
    (
        "keyframe_interp_schedule",
        """
def keyframe_interp_schedule(n):
    if n < 3:
        return [list(range(n))]
    rounds, gaps = [[0, n - 1]], [(0, n - 1)]
    while True:
        gaps = [(a, b) for a, b in gaps if b - a > 1]
        if not gaps:
            return rounds
        rounds.append([(a + b) // 2 for a, b in gaps])
        gaps = [g for a, b in gaps for g in ((a, (a + b) // 2), ((a + b) // 2, b))]
""",
    ),
    # words in a list
    (
        "caption",
        """
def caption(things, level):
    if level == 1:
        return things[len(things) - 1][1]
    parts = []
    for c, s, row, column, down, right in things:
        words = [c, s]
        if level == 3:
            words += ["from row", str(row), "column", str(column), "going"]
            words += [str(-down), "up"] if down < 0 else [str(down), "down"]
            words += [str(-right), "left"] if right < 0 else [str(right), "right"]
        parts.append(" ".join(words))
    return parts[0] if len(parts) == 1 else parts[0] + " behind " + parts[1]
""",
    ),
    # all windows as a view, one product
    (
        "causal_conv3d",
        START
        + """
def causal_conv3d(v, w):
    k, a, b = w.shape[2:]
    zeros = np.zeros((v.shape[0], k - 1, *v.shape[2:]), v.dtype)
    long = np.concatenate([zeros, v], axis=1)
    seen = np.lib.stride_tricks.sliding_window_view(long, (k, a, b), axis=(1, 2, 3))
    return np.tensordot(w, seen, axes=([1, 2, 3, 4], [0, 4, 5, 6]))
""",
    ),
    # remembers what it has seen of each task
    (
        "self_train_round",
        """
def self_train_round(write, tasks, execute, tries):
    written = write(tasks, tries)
    kept = []
    for i in range(len(tasks)):
        seen = []
        for program in written[i]:
            if program in seen:
                continue
            seen.append(program)
            kept.extend([(tasks[i], program)] if execute(tasks[i], program) else [])
    return kept
""",
    ),
]
