"""Answers to set 07g that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
GIVEN, changed = SET.given, SET.changed

WRONG = [
    # the error itself, and not its change
    (
        "flicker",
        0,
        changed("flicker", ("np.diff(made, axis=0) - np.diff(true, axis=0)", "made - true")),
    ),  # fmt: skip
    # along the wrong axis
    ("flicker", 0, changed("flicker", ("axis=0", "axis=-1"))),
    # squares
    (
        "flicker",
        1,
        changed(
            "flicker",
            (
                "np.abs(np.diff(made, axis=0) - np.diff(true, axis=0))",
                "((np.diff(made, axis=0) - np.diff(true, axis=0)) ** 2)",
            ),
        ),
    ),  # fmt: skip
    # sizes of the changes, whatever their signs
    (
        "flicker",
        1,
        changed(
            "flicker",
            (
                "np.abs(np.diff(made, axis=0) - np.diff(true, axis=0))",
                "np.abs(np.abs(np.diff(made, axis=0)) - np.abs(np.diff(true, axis=0)))",
            ),
        ),
    ),  # fmt: skip
    # the sum
    ("flicker", 1, changed("flicker", (".mean()", ".sum()"))),
    # as many steps as frames
    ("bounces", 0, changed("bounces", ("frames - 1", "frames"))),
    # walls at the ends count
    ("bounces", 0, changed("bounces", ("low < k * span < high", "low <= k * span <= high"))),
    # whole rooms only
    (
        "bounces",
        0,
        GIVEN + "\n\ndef bounces(start, speed, frames, span):\n"
        "    return abs(speed) * (frames - 1) // span\n",
    ),  # fmt: skip
    # only the way to the right
    (
        "bounces",
        0,
        changed(
            "bounces",
            (
                "sorted((start, start + speed * (frames - 1)))",
                "(start, start + speed * (frames - 1))",
            ),
        ),
    ),  # fmt: skip
    # frames stay apart
    (
        "spacetime_patchify",
        0,
        changed(
            "spacetime_patchify",
            ("transpose(1, 3, 5, 0, 2, 4, 6)", "transpose(3, 1, 5, 0, 2, 4, 6)"),
        ),
    ),  # fmt: skip
    # colours last, as pictures are kept elsewhere
    (
        "spacetime_patchify",
        1,
        changed(
            "spacetime_patchify",
            ("transpose(1, 3, 5, 0, 2, 4, 6)", "transpose(1, 3, 5, 2, 4, 6, 0)"),
        ),
    ),  # fmt: skip
    # the outer and the inner half of each axis exchanged
    (
        "spacetime_patchify",
        0,
        changed(
            "spacetime_patchify",
            ("transpose(1, 3, 5, 0, 2, 4, 6)", "transpose(2, 4, 6, 0, 1, 3, 5)"),
        ),
    ),  # fmt: skip
    # no transpose
    (
        "spacetime_patchify",
        0,
        changed("spacetime_patchify", (".transpose(1, 3, 5, 0, 2, 4, 6)", "")),
    ),
    # one frame after the other
    (
        "keyframe_interp_schedule",
        0,
        GIVEN + "\n\ndef keyframe_interp_schedule(n):\n    return [[t] for t in range(n)]\n",
    ),  # fmt: skip
    # everything at once
    (
        "keyframe_interp_schedule",
        1,
        GIVEN + "\n\ndef keyframe_interp_schedule(n):\n    return [list(range(n))]\n",
    ),  # fmt: skip
    # one middle after the other
    (
        "keyframe_interp_schedule",
        1,
        changed(
            "keyframe_interp_schedule",
            ("rounds.append(middles)", "middles = middles[:1]\n        rounds.append(middles)"),
        ),
    ),  # fmt: skip
    # the last frame twice where n is 1
    (
        "keyframe_interp_schedule",
        3,
        changed("keyframe_interp_schedule", ("sorted({0, n - 1})", "[0, n - 1]")),
    ),
    # n counted from 1
    (
        "keyframe_interp_schedule",
        0,
        changed(
            "keyframe_interp_schedule", ("{0, n - 1}", "{1, n}"), ("len(done) < n", "len(done) < n")
        ),
    ),  # fmt: skip
    # signs left in
    ("caption", 2, changed("caption", ("abs(down)", "down"), ("abs(right)", "right"))),
    # no way up
    ("caption", 2, changed("caption", ("'up' if down < 0 else 'down'", "'down'"))),
    # 0 is up
    ("caption", 2, changed("caption", ("down < 0", "down <= 0"))),
    # row and column exchanged
    ("caption", 2, changed("caption", ("row {row} column {column}", "row {column} column {row}"))),
    # the farther one first at level 1 too
    ("caption", 3, changed("caption", ("things[-1][1]", "things[0][1]"))),
    # the middle tap meets frame t: looks ahead
    (
        "causal_conv3d",
        0,
        changed(
            "causal_conv3d", ("(taps - 1, 0)", "((taps - 1) // 2, taps - 1 - (taps - 1) // 2)")
        ),
    ),  # fmt: skip
    # padded behind
    ("causal_conv3d", 0, changed("causal_conv3d", ("(taps - 1, 0)", "(0, taps - 1)"))),
    # turned round in time
    (
        "causal_conv3d",
        2,
        changed("causal_conv3d", ("w[:, :, k, i, j]", "w[:, :, taps - 1 - k, i, j]")),
    ),
    # turned round in space, as a convolution in the strict sense
    (
        "causal_conv3d",
        2,
        changed("causal_conv3d", ("w[:, :, k, i, j]", "w[:, :, k, a - 1 - i, b - 1 - j]")),
    ),
    # float64 whatever came
    ("causal_conv3d", 6, changed("causal_conv3d", (", v.dtype", ""))),
    # keeps everything
    (
        "self_train_round",
        0,
        changed(
            "self_train_round",
            ("if execute(task, program):", "execute(task, program)\n            if True:"),
        ),
    ),
    # runs repeats again, keeps them once
    (
        "self_train_round",
        3,
        GIVEN
        + """

def self_train_round(write, tasks, execute, tries):
    kept = []
    for task, programs in zip(tasks, write(tasks, tries)):
        for program in programs:
            if execute(task, program) and (task, program) not in kept:
                kept.append((task, program))
    return kept
""",
    ),
    # the first right one only
    (
        "self_train_round",
        1,
        changed(
            "self_train_round",
            ("kept.append((task, program))", "kept.append((task, program))\n                break"),
        ),
    ),  # fmt: skip
    # remembers a program from task to task
    (
        "self_train_round",
        0,
        GIVEN
        + """

def self_train_round(write, tasks, execute, tries):
    kept, known = [], {}
    for task, programs in zip(tasks, write(tasks, tries)):
        for program in dict.fromkeys(programs):
            if program not in known:
                known[program] = execute(task, program)
            if known[program]:
                kept.append((task, program))
    return kept
""",
    ),
    # asks for each task by itself
    (
        "self_train_round",
        0,
        changed(
            "self_train_round",
            ("zip(tasks, write(tasks, tries))", "((t, write([t], tries)[0]) for t in tasks)"),
        ),
    ),  # fmt: skip
    # in the order of the alphabet
    (
        "self_train_round",
        2,
        changed("self_train_round", ("dict.fromkeys(programs)", "sorted(set(programs))")),
    ),
]
