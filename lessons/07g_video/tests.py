"""Tests of exercise set 07g: flicker, bounces, patches, key frames, captions, causality, data."""

import itertools
import re

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Video: frames in your own hands"

flicker = Question("flicker", title="flicker", lines=1)
bounces = Question("bounces", title="how often did it bounce?", lines=2)
spacetime_patchify = Question("spacetime_patchify", title="a video as tokens", lines=3)
keyframe_interp_schedule = Question("keyframe_interp_schedule", title="key frames first", lines=8)
caption = Question("caption", title="all there is to know, in words", lines=8)
causal_conv3d = Question("causal_conv3d", title="a convolution that does not look ahead", lines=8)
self_train_round = Question("self_train_round", title="teach yourself", lines=6)


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


# -------------------------------------------------------------------------------- flicker


def films(rng, level):
    yield {"shape": (3, 2)}
    yield {"shape": (5, 3, 4, 4)}
    if level == "hidden":
        yield {"shape": (2, 2)}
        yield {"shape": (int(rng.integers(3, 9)), 2, 5)}


@flicker.test(points=2, hint="The mean of |change of made - change of true|.", cases=films)
def of_two_videos(student, rng, shape):
    "the mean difference of the changes"
    made, real = normal(rng, *shape), normal(rng, *shape)
    total = 0.0
    for t in range(shape[0] - 1):
        total += float(np.abs((made[t + 1] - made[t]) - (real[t + 1] - real[t])).sum())
    close(student.flicker(made, real), total / made[1:].size, rtol=1e-9)


@flicker.test(points=1, hint="np.diff first: what does not change does not count.", cases=films)
def a_steady_error(student, rng, shape):
    "a wrong picture that stays does not flicker, and noise does"
    real, still = normal(rng, *shape), normal(rng, 1, *shape[1:])
    close(student.flicker(real + still, real), 0.0, rtol=0, atol=1e-12)
    true(np.all(array(student.flicker(real + normal(rng, *shape), real)) > 1e-3), "noise flickers")


leaves_arguments(flicker)

# -------------------------------------------------------------------------------- bounces


def walks(rng, level):
    yield {"span": 8, "frames": 8}
    yield {"span": 5, "frames": 12}
    if level == "hidden":
        yield {"span": 1, "frames": 6}
        yield {"span": int(rng.integers(6, 15)), "frames": 20}


def walked(start, speed, frames, span):
    """One pixel after the other: turns at walls, the ends of the way left out."""
    place, met, steps = start, 0, abs(speed) * (frames - 1)
    way = 1 if speed > 0 else -1
    for step in range(steps):
        if not 0 <= place + way <= span:
            way, met = -way, met + (step > 0)
        place += way
    return met


@bounces.test(points=2, hint="Unfold the path and count multiples of span between its ends.",
              cases=walks)  # fmt: skip
def as_walked(student, rng, span, frames):
    "as many as a walk of single pixels meets"
    for _ in range(12):
        start, speed = int(rng.integers(0, span + 1)), int(rng.integers(-4, 5))
        if start in (0, span):  # away from the wall
            speed = abs(speed) if start == 0 else -abs(speed)
        found = int(array(student.bounces(start, speed, frames, span), shape=()))
        wanted = walked(start, speed, frames, span)
        true(found == wanted, f"{start}, {speed}, {frames}, {span} gave {found}, not {wanted}")


@bounces.test(
    points=1, hint="A wall at the first or at the last frame does not count.", cases=walks
)
def ends_do_not_count(student, rng, span, frames):
    "walls at the very ends, a thing that rests, a single frame"
    for start, speed, count, met in (
        (0, span, 2, 0), (span, -span, 2, 0), (0, span, 3, 1), (span, -span, 4, 2),
        (0, 0, frames, 0), (span // 2, 3, 1, 0),
    ):  # fmt: skip
        found = int(array(student.bounces(start, speed, count, span), shape=()))
        true(found == met, f"{start}, {speed}, {count}, {span} gave {found}, not {met}")


# -------------------------------------------------------------------------------- patches


def cuts(rng, level):
    yield {"C": 1, "grid": (2, 2, 3), "f": 1, "p": 1}
    yield {"C": 3, "grid": (2, 3, 2), "f": 2, "p": 2}
    if level == "hidden":
        yield {"C": 2, "grid": (3, 1, 2), "f": 2, "p": 3}
        yield {"C": 2, "grid": (1, 2, 2), "f": 4, "p": 1}


def many(rng, level):
    yield from (case for case in cuts(rng, level) if case["f"] * case["p"] > 1)


def blocks(v, f, p):
    """Cut out one after the other."""
    _, t, h, w = v.shape
    corners = itertools.product(range(0, t, f), range(0, h, p), range(0, w, p))
    return np.stack([v[:, a : a + f, b : b + p, c : c + p].ravel() for a, b, c in corners])


@spacetime_patchify.test(points=3, hint="Earliest first, then reading order; inside (C, f, p, p).",
                         cases=many)  # fmt: skip
def block_by_block(student, rng, C, grid, f, p):
    "every block a token, in order, and the numbers inside in order"
    v = normal(rng, C, grid[0] * f, grid[1] * p, grid[2] * p)
    close(student.spacetime_patchify(v, f, p), blocks(v, f, p), rtol=0, atol=0)


@spacetime_patchify.test(points=1, hint="Nothing is lost: all numbers are there once.", cases=many)
def all_numbers(student, rng, C, grid, f, p):
    "each number of the video is in one token"
    shape = C, grid[0] * f, grid[1] * p, grid[2] * p
    v = rng.permutation(int(np.prod(shape))).astype(np.float64).reshape(shape)
    count = grid[0] * grid[1] * grid[2]
    found = array(student.spacetime_patchify(v, f, p), shape=(count, C * f * p * p))
    same(np.sort(np.asarray(found, np.float64).ravel()), np.arange(float(v.size)))
    here = [set(row) for row in blocks(v, f, p).tolist()]
    true([set(row) for row in np.asarray(found).tolist()] == here, "a token mixes two blocks")


leaves_arguments(spacetime_patchify)
keeps_dtype(spacetime_patchify)

# -------------------------------------------------------------------------------- key frames


def lengths(rng, level):
    yield {"n": 5}
    yield {"n": int(rng.integers(20, 60))}
    if level == "hidden":
        yield {"n": int(rng.integers(7, 30))}
        yield {"n": 100}


def listed(answer):
    true(isinstance(answer, (list, tuple)), "return a list of rounds", "type")
    for one in answer:
        true(isinstance(one, (list, tuple)), "each round is a list of frames", "type")
    return [[int(t) for t in one] for one in answer]


@keyframe_interp_schedule.test(points=2, hint="Middles of all gaps of the round before.",
                               cases=lengths)  # fmt: skip
def the_rounds(student, rng, n):
    "both ends, then the middle of every gap"
    known, wanted = [0, n - 1], [[0, n - 1]]
    while len(known) < n:
        known.sort()
        middles = []
        for i in range(len(known) - 1):
            if known[i + 1] - known[i] > 1:
                middles.append((known[i] + known[i + 1]) // 2)
        wanted.append(middles)
        known += middles
    found = listed(student.keyframe_interp_schedule(n))
    true(found == wanted, f"for n = {n} the first rounds are {found[:3]}, expected {wanted[:3]}")


@keyframe_interp_schedule.test(points=1, hint="Every frame is in one round, and in one only.",
                               cases=lengths)  # fmt: skip
def each_once(student, rng, n):
    "each frame once, in about log2 n rounds"
    found = listed(student.keyframe_interp_schedule(n))
    order = [t for one in found for t in one]
    true(sorted(order) == list(range(n)), f"for n = {n} not every frame comes once")
    most = 1 + int(np.ceil(np.log2(n - 1)))
    true(len(found) <= most, f"{len(found)} rounds for n = {n}; {most} are enough")


@keyframe_interp_schedule.test(
    points=1, hint="n = 1 has one frame, which is first and last.", cases=lengths
)
def short_ones(student, rng, n):
    "one, two and three frames, and how a longer one begins"
    for count, wanted in ((1, [[0]]), (2, [[0, 1]]), (3, [[0, 2], [1]])):
        found = listed(student.keyframe_interp_schedule(count))
        true(found == wanted, f"n = {count} gave {found}, expected {wanted}")
    found = listed(student.keyframe_interp_schedule(n))[:2]
    true(found == [[0, n - 1], [(n - 1) // 2]], f"n = {n} begins with {found}")


# -------------------------------------------------------------------------------- captions

COLOURS, SHAPES = ("red", "green", "blue", "white"), ("square", "ring", "bar", "post")
ONE = re.compile(
    r"(\w+) (\w+) from row (\d+) column (\d+) going (\d+) (down|up) (\d+) (right|left)"
)


def some_things(rng, count):
    return [
        (
            COLOURS[rng.integers(4)],
            SHAPES[rng.integers(4)],
            *(int(n) for n in rng.integers(0, 9, 2)),
            *(int(n) for n in rng.integers(-3, 4, 2)),
        )
        for _ in range(count)
    ]


def counts(rng, level):
    yield {"count": 1}
    yield {"count": 2}
    if level == "hidden":
        yield {"count": 2}


@caption.test(points=1, hint="One word; then colour and shape of each.", cases=counts)
def little_words(student, rng, count):
    "levels 1 and 2"
    things = some_things(rng, count)
    same(student.caption(list(things), 1), things[-1][1])
    same(student.caption(list(things), 2), " behind ".join(f"{t[0]} {t[1]}" for t in things))


@caption.test(points=3, hint="red ring from row 3 column 5 going 2 down 1 left.", cases=counts)
def read_back(student, rng, count):
    "level 3 tells everything: it is read back"
    for _ in range(8):
        things = some_things(rng, count)
        text = student.caption(list(things), 3)
        true(isinstance(text, str), "return a text", "type")
        again = []
        for part in text.split(" behind "):
            found = ONE.fullmatch(part)
            true(found, f"{part!r} is not in the form asked for")
            colour, shape, row, column, down, v, right, h = found.groups()
            down, right = int(down), int(right)
            true(not (v == "up" and down == 0 or h == "left" and right == 0), "0 is down or right")
            signs = (-1 if v == "up" else 1), (-1 if h == "left" else 1)
            again.append((colour, shape, int(row), int(column), signs[0] * down, signs[1] * right))
        true(again == things, f"{text!r} was read as {again}, and not as {things}")


leaves_arguments(caption)

# -------------------------------------------------------------------------------- causal_conv3d


def windows(rng, level):
    yield {"sizes": (1, 3, 1, 1), "window": (1, 2, 1, 1)}
    yield {"sizes": (2, 4, 4, 5), "window": (3, 3, 2, 3)}
    if level == "hidden":
        yield {"sizes": (3, 2, 3, 3), "window": (2, 4, 3, 1)}  # more taps than frames
        yield {"sizes": (1, 5, 4, 3), "window": (2, 1, 2, 2)}


def convolved(v, w):
    """Every output by the definition."""
    (_, t, h, wide), (outs, _, taps, a, b) = v.shape, w.shape
    y = np.zeros((outs, t, h - a + 1, wide - b + 1))
    for at in itertools.product(*map(range, y.shape)):
        o, s, i, j = at
        for k in range(taps):
            frame = s - (taps - 1) + k
            if frame >= 0:
                y[at] += (w[o, :, k] * v[:, frame, i : i + a, j : j + b]).sum()
    return y


@causal_conv3d.test(points=3, hint="K - 1 frames of 0 in front; the last tap meets frame t.",
                    cases=windows)  # fmt: skip
def by_the_definition(student, rng, sizes, window):
    "every output is the sum over its window"
    v, w = normal(rng, *sizes), normal(rng, window[0], sizes[0], *window[1:])
    close(student.causal_conv3d(v, w), convolved(v, w), rtol=1e-9, atol=1e-11)


def several(rng, level):
    yield {"frame": 2}
    yield {"frame": 0}
    if level == "hidden":
        yield {"frame": 4}


@causal_conv3d.test(points=2, hint="Frame t may not change an output before t.", cases=several)
def never_ahead(student, rng, frame):
    "a change of frame t changes outputs from t on, and none before"
    v, w = normal(rng, 2, 5, 4, 4), normal(rng, 2, 2, 3, 2, 2)
    before = array(student.causal_conv3d(v, w), shape=(2, 5, 3, 3))
    other = v.copy()
    other[:, frame] += 1
    after = array(student.causal_conv3d(other, w), shape=(2, 5, 3, 3))
    moved = np.abs(np.asarray(after) - np.asarray(before)).max((0, 2, 3)) > 1e-9
    true(not moved[:frame].any(), f"frame {frame} changed an output before it")
    true(moved[frame : frame + 3].all(), f"frame {frame} did not change outputs from it on")


leaves_arguments(causal_conv3d)
keeps_dtype(causal_conv3d)

# -------------------------------------------------------------------------------- self-training


def rounds(rng, level):
    yield {"count": 2, "tries": 3}
    yield {"count": 6, "tries": 8}
    if level == "hidden":
        yield {"count": 1, "tries": 1}
        yield {"count": 12, "tries": 5}


def a_round(rng, count, tries):
    """Tasks, what was written, what is right."""
    tasks = [f"task {i}" for i in rng.permutation(count)]
    letters = list("abcdef")
    written = [[letters[k] for k in rng.integers(0, 6, tries)] for _ in tasks]
    right = {(task, letter): bool(rng.integers(2)) for task in tasks for letter in letters}
    for task, programs in zip(tasks[:1], written):
        right[task, programs[0]] = True
    return tasks, written, right


@self_train_round.test(points=2, hint="Only what execute calls right, in the order written.",
                       cases=rounds)  # fmt: skip
def only_verified(student, rng, count, tries):
    "right ones only, each once, in order"
    tasks, written, right = a_round(rng, count, tries)
    asked = []

    def write(given, number):
        asked.append((list(given), int(number)))
        return [list(programs) for programs in written]

    answer = student.self_train_round(write, list(tasks), lambda t, p: right[t, p], tries)
    true(isinstance(answer, list), "return a list of (task, program)", "type")
    wanted = [
        (task, program)
        for task, programs in zip(tasks, written)
        for program in dict.fromkeys(programs)
        if right[task, program]
    ]
    true([tuple(pair) for pair in answer] == wanted, f"kept {answer[:4]}, expected {wanted[:4]}")
    true(asked == [(tasks, tries)], "call write once, with all tasks and the number of tries")


@self_train_round.test(points=1, hint="Drop repeats before you run them.", cases=rounds)
def runs_nothing_twice(student, rng, count, tries):
    "the same program of a task is run once, and of another task again"
    tasks, written, right = a_round(rng, count, tries)
    ran = []

    def execute(task, program):
        ran.append((task, program))
        return right[task, program]

    write = lambda given, number: [list(programs) for programs in written]  # noqa: E731
    kept = student.self_train_round(write, list(tasks), execute, tries)
    wanted = {(task, p) for task, programs in zip(tasks, written) for p in programs}
    true(len(ran) == len(set(ran)), "a program was run twice for one task")
    true(set(ran) == wanted, "not every program was run, or one that was not written")
    good = {pair for pair in wanted if right[pair]}
    true({tuple(pair) for pair in kept} == good, "what ran and was right is not what was kept")


@self_train_round.test(points=1, hint="A task without a right program gives nothing.", cases=rounds)
def one_right(student, rng, count, tries):
    "nothing right, nothing kept; one right, that one kept"
    tasks, written, _ = a_round(rng, count, tries)
    at = int(rng.integers(count)), int(rng.integers(tries))
    only = tasks[at[0]], written[at[0]][at[1]]
    write = lambda given, number: [list(programs) for programs in written]  # noqa: E731
    for right in ((), (only,)):
        kept = student.self_train_round(
            write, list(tasks), lambda t, p, right=right: (t, p) in right, tries
        )
        true([tuple(pair) for pair in kept] == list(right), f"kept {kept}, expected {list(right)}")
