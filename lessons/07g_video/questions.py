# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Video: frames in your own hands"
# ---

# %% [markdown]
# # Video: frames in your own hands
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**: it measures a
# trained autoencoder, cuts videos into tokens, and at the end lets a small program writer teach
# itself with what your function keeps.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the
# hints below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/07g_video.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, images, lines, payoff

# %% [markdown]
# ## 1. Flicker (★, 2 minutes)
#
# `flicker(made, true)`: how much a video changes from frame to frame where it should not. Both are
# (T, ...), frames first, T ≥ 2, of one shape. Take the change from each frame to the next of both, and
# the mean of the absolute difference of the changes. Returns a number. About 1 line.
#
# *By hand.* One pixel, three frames. true 1, 1, 1; made 1, 3, 1: its changes are +2 and −2, the true
# ones 0 and 0, so 2. made 3, 3, 3 is wrong in every frame and does not flicker: 0.
#
# <details><summary>Hint 1</summary>The change of a video is <code>np.diff(video, axis=0)</code>.</details>
# <details><summary>Hint 2</summary>First the difference of the two changes, then the absolute value, then
# the mean: in another order a video that trembles half a step late would pass.</details>
# <details><summary>Hint 3</summary><code>np.abs(np.diff(made, axis=0) - ...).mean()</code></details>


# %%
def flicker(made, true):
    """Mean difference of the changes from frame to frame."""
    ### BEGIN SOLUTION
    return np.abs(np.diff(made, axis=0) - np.diff(true, axis=0)).mean()
    ### END SOLUTION


# %%
check("flicker")


# %% tags=["payoff"]
@payoff("flicker")
def which_of_three_flickers():
    """Your flicker of a frozen video, of one that is too dark, and of one with noise of its own."""
    from minilm.data.images.videos import videos

    true = np.moveaxis(videos(1, 3, paper=0.4).frames[0], 1, 0)  # (T, 3, H, W)
    noise = np.random.default_rng(0).normal(0, 0.1, true.shape)
    made = {
        "first frame, frozen": true[:1] + 0 * true,
        "too dark": true - 0.2,
        "noise": true + noise,
    }
    bars(
        list(made),
        [flicker(video, true) for video in made.values()],
        ylabel="flicker",
        alt="Noise flickers most, a frozen video a little, and one that is too dark not at all.",
    )


# %% [markdown]
# ## 2. How often did it bounce? (★★, 8 minutes)
#
# `bounces(start, speed, frames, span)`: a thing moves along an axis between walls at 0 and `span`. It
# starts at `start` and moves `speed` pixels a frame, either way. How many walls does it meet **after**
# the first frame and **before** the last? All are whole numbers. About 2 lines.
#
# *By hand.* Unfold the path: behind the wall, instead of turning round, it goes on through a mirrored
# room. start 6, speed 3, 8 frames, span 8: it would get to 6 + 3 · 7 = 27. Walls stand at 8, 16, 24, so
# 3 bounces. start 0, speed 2, 9 frames: from 0 to 16; 0 and 16 are its ends, only 8 lies between: 1.
#
# <details><summary>Hint 1</summary>The last frame is reached after <code>frames - 1</code> steps.</details>
# <details><summary>Hint 2</summary>Sort the two ends: the way back meets as many walls as the way
# there.</details>
# <details><summary>Hint 3</summary>Count the multiples of span that lie strictly between:
# <code>sum(low < k * span < high for k in range(...))</code>.</details>


# %%
def bounces(start, speed, frames, span):
    """Walls met between the first frame and the last."""
    ### BEGIN SOLUTION
    low, high = sorted((start, start + speed * (frames - 1)))
    return sum(low < k * span < high for k in range(low // span, high // span + 1))
    ### END SOLUTION


# %%
check("bounces")


# %% tags=["payoff"]
@payoff("bounces")
def faster_bounces_more():
    """Your count for every speed, in a room of 12 pixels."""
    speeds = list(range(-12, 13))
    lines(
        speeds,
        {f"{frames} frames": [bounces(5, v, frames, 12) for v in speeds] for frames in (8, 16)},
        xlabel="pixels a frame",
        ylabel="bounces",
        alt="The faster a thing, the more often it bounces; twice the frames, twice the bounces.",
    )


# %% [markdown]
# ## 3. A video as tokens (★★, 8 minutes)
#
# `spacetime_patchify(v, f, p)`: cut a video `v`, (C, T, H, W), into blocks of f frames and p by p
# pixels, one token each: (N, C·f·p·p), N = (T/f)(H/p)(W/p). Earliest blocks first; those of one moment
# in reading order; inside a token the order is (C, f, p, p). f and p divide what they cut. About 3
# lines, without a loop.
#
# *By hand.* One colour, 2 frames of 1 by 2 pixels, [[[1, 2]], [[3, 4]]]. f = 1, p = 1: tokens 1, 2, 3,
# 4. f = 2, p = 1: two tokens, (1, 3) and (2, 4).
#
# <details><summary>Hint 1</summary>Split each axis in two: T becomes (T/f, f), and so on, seven axes in
# all.</details>
# <details><summary>Hint 2</summary>Then bring the three axes that count blocks to the front:
# <code>transpose(1, 3, 5, 0, 2, 4, 6)</code>.</details>
# <details><summary>Hint 3</summary>The last step is a <code>reshape</code> to (N, −1).</details>


# %%
def spacetime_patchify(v, f, p):
    """Blocks of f frames and p by p pixels."""
    ### BEGIN SOLUTION
    c, t, h, w = v.shape
    blocks = v.reshape(c, t // f, f, h // p, p, w // p, p).transpose(1, 3, 5, 0, 2, 4, 6)
    return blocks.reshape(-1, c * f * p * p)
    ### END SOLUTION


# %%
check("spacetime_patchify")


# %% tags=["payoff"]
@payoff("spacetime_patchify")
def how_many_tokens_is_a_second():
    """Tokens of a video with your cut, and the pairs that attention has to look at."""
    video = np.zeros((3, 8, 12, 12))
    for f, p in ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4)):
        n, numbers = spacetime_patchify(video, f, p).shape
        print(f"{f} frames of {p} x {p}: {n:5} tokens of {numbers:3} numbers, {n * n:9,} pairs")


# %% [markdown]
# ## 4. Key frames first (★★, 8 minutes)
#
# `keyframe_interp_schedule(n)`: in which order the frames 0 to n − 1 of a video are drawn. A list of
# rounds, each a list of frame numbers from left to right. Round one: the first frame and the last (one
# frame if n is 1). Every further round: the middle of each gap that is left between neighbours a and b,
# frame (a + b) // 2, until all are drawn. n is 1 or more. About 8 lines.
#
# *By hand.* n = 5: [[0, 4], [2], [1, 3]]. n = 6: [[0, 5], [2], [1, 3], [4]]: between 0 and 5 the
# middle is 2, then 1 and 3; 4 is left between 3 and 5.
#
# <details><summary>Hint 1</summary>Keep a sorted list of the frames that are drawn.</details>
# <details><summary>Hint 2</summary>A gap is a pair of neighbours with <code>b - a > 1</code>.</details>
# <details><summary>Hint 3</summary>All middles of a round come from the list as it was before the
# round.</details>


# %%
def keyframe_interp_schedule(n):
    """Rounds of frames: both ends, then middles of gaps."""
    ### BEGIN SOLUTION
    done = sorted({0, n - 1})
    rounds = [list(done)]
    while len(done) < n:
        middles = [(a + b) // 2 for a, b in zip(done, done[1:]) if b - a > 1]
        rounds.append(middles)
        done = sorted(done + middles)
    return rounds
    ### END SOLUTION


# %%
check("keyframe_interp_schedule")


# %% tags=["payoff"]
@payoff("keyframe_interp_schedule")
def how_errors_add_up():
    """Each frame is drawn with a small error of its own: in your order, and one after the other."""
    rng, n, runs = np.random.default_rng(0), 33, 4000
    error = np.zeros((n, runs))
    known = []
    for number, frames in enumerate(keyframe_interp_schedule(n)):
        for t in frames:
            if number:
                a, b = max(k for k in known if k < t), min(k for k in known if k > t)
                share = (t - a) / (b - a)
                error[t] = (1 - share) * error[a] + share * error[b]
            error[t] += rng.standard_normal(runs)
        known += frames
    chain = np.cumsum(rng.standard_normal((n, runs)), axis=0)
    lines(
        np.arange(n),
        {"in your order": error.std(1), "one after the other": chain.std(1)},
        xlabel="frame",
        ylabel="error (of one step)",
        alt="One after the other the error grows; in your order it stays near one step's.",
    )


# %% [markdown]
# ## 5. All there is to know, in words (★★, 8 minutes)
#
# `caption(things, level)`: `things` is a list of one or two tuples (colour, shape, row, column, down,
# right), the farther one first. Level 1: the shape of the last thing, nothing else. Level 2: colour and
# shape of each, joined by " behind ". Level 3: each as in
# `red ring from row 3 column 5 going 2 down 1 left`, joined likewise. `down` below 0 is told as `up`,
# `right` below 0 as `left`; numbers are always told without a sign, and 0 is `0 down` or `0 right`.
# About 8 lines.
#
# *By hand.* [("red", "ring", 3, 5, 2, -1)]: "ring"; "red ring"; and the sentence above.
#
# <details><summary>Hint 1</summary>An f-string for one thing, and <code>" behind ".join(...)</code>.</details>
# <details><summary>Hint 2</summary><code>"up" if down < 0 else "down"</code>, and
# <code>abs(down)</code>.</details>
# <details><summary>Hint 3</summary>The test reads your level 3 back and compares it with what it gave
# you: nothing may be missing.</details>


# %%
def caption(things, level):
    """A scene in words, at one of three levels."""
    ### BEGIN SOLUTION
    if level == 1:
        return things[-1][1]
    told = []
    for colour, shape, row, column, down, right in things:
        text = f"{colour} {shape}"
        if level == 3:
            vertical, level_ = "up" if down < 0 else "down", "left" if right < 0 else "right"
            text += f" from row {row} column {column} going {abs(down)} {vertical}"
            text += f" {abs(right)} {level_}"
        told.append(text)
    return " behind ".join(told)
    ### END SOLUTION


# %%
check("caption")


# %% tags=["payoff"]
@payoff("caption")
def drawn_from_your_words():
    """Your caption, read back by the package and drawn: it is the video it came from."""
    from minilm.data.images.video_captions import parse
    from minilm.data.images.videos import draw_video

    text = caption([("red", "square", 4, 0, 0, 1), ("blue", "ring", 4, 8, 0, -1)], 3)
    print(text)
    video = draw_video(parse(text))
    images(
        [np.moveaxis(video[:, t], 0, -1) for t in range(8)],
        titles=[f"frame {t}" for t in range(8)],
        alt="A red square passes behind a blue ring.",
    )


# %% [markdown]
# ## 6. A convolution that does not look ahead (★★★, 15 minutes)
#
# `causal_conv3d(v, w)`: `v` is a video (I, T, H, W), `w` a window (O, I, K, A, B). The answer is (O, T,
# H − A + 1, W − B + 1): every place of every output frame t is the sum over the window that has frame t
# at its **last** place, w[:, :, K − 1], frame t − 1 at the one before, and so on. Frames before the
# first count as 0. In space it is an ordinary correlation without padding. About 8 lines.
#
# *By hand.* One pixel, frames 1, 2, 3, a window of K = 2 with w = 10 (older), 1 (newest): 1, 12, 23.
#
# <details><summary>Hint 1</summary>Put K − 1 frames of 0 in front. Then the window of frame t begins at
# frame t of the longer video.</details>
# <details><summary>Hint 2</summary>Loop over the places k, a, b of the window; each adds a product of a
# shifted video and w[:, :, k, a, b], (O, I).</details>
# <details><summary>Hint 3</summary><code>np.einsum("oi,ithw->othw", w[:, :, k, a, b], shifted)</code>.
# </details>


# %%
def causal_conv3d(v, w):
    """Each output frame from its own frame and those before it."""
    ### BEGIN SOLUTION
    (_, t, h, wide), (outs, _, taps, a, b) = v.shape, w.shape
    longer = np.pad(v, ((0, 0), (taps - 1, 0), (0, 0), (0, 0)))
    y = np.zeros((outs, t, h - a + 1, wide - b + 1), v.dtype)
    for k in range(taps):
        for i in range(a):
            for j in range(b):
                part = longer[:, k : k + t, i : i + h - a + 1, j : j + wide - b + 1]
                y += np.einsum("oi,ithw->othw", w[:, :, k, i, j], part)
    return y
    ### END SOLUTION


# %%
check("causal_conv3d")


# %% tags=["payoff"]
@payoff("causal_conv3d")
def what_a_change_reaches():
    """One frame is changed: which frames of your output notice, after one, two and three layers."""
    rng, notice = np.random.default_rng(0), {}
    video, w = rng.standard_normal((2, 8, 9, 9)), rng.standard_normal((2, 2, 3, 3, 3))
    other = video.copy()
    other[:, 3] += 1
    for layer in (1, 2, 3):
        video, other = causal_conv3d(video, w), causal_conv3d(other, w)
        notice[f"after {layer}"] = np.abs(video - other).max((0, 2, 3)) > 0
    for name, row in notice.items():
        print(f"{name}: frames", *np.flatnonzero(row))


# %% [markdown]
# ## 7. Teach yourself (★★, 8 minutes)
#
# `self_train_round(write, tasks, execute, tries)`: one round of turning compute into data.
# `write(tasks, tries)` gives, for each task, a list of `tries` programs (texts). `execute(task, program)`
# says whether a program is right; running costs money, so the **same program of the same task is run
# only once**. Return a list of (task, program), only right ones, each pair once, in the order of the
# tasks and, within a task, in the order written. About 6 lines.
#
# *By hand.* Tasks A and B; written ["x", "y", "x"] and ["z", "z", "z"]; right are x and y for A, nothing
# for B: the answer is [(A, x), (A, y)], after three runs.
#
# <details><summary>Hint 1</summary>Call <code>write</code> once, with all tasks, and go through both
# lists with <code>zip</code>.</details>
# <details><summary>Hint 2</summary><code>dict.fromkeys(programs)</code> keeps the order and drops
# repeats; a <code>set</code> loses the order.</details>
# <details><summary>Hint 3</summary>A program that is right for one task may be wrong for another, so
# nothing may be remembered from task to task.</details>


# %%
def self_train_round(write, tasks, execute, tries):
    """What a model wrote and what then proved right."""
    ### BEGIN SOLUTION
    kept = []
    for task, programs in zip(tasks, write(tasks, tries)):
        for program in dict.fromkeys(programs):
            if execute(task, program):
                kept.append((task, program))
    return kept
    ### END SOLUTION


# %%
check("self_train_round")


# %% tags=["payoff"]
@payoff("self_train_round")
def three_rounds_of_your_own():
    """A small model learns from what your function keeps; tasks it never saw are the test."""
    from minilm.course import lesson_folder

    study = lesson_folder("07g").study("selftrain")
    solved = study.rounds_with(self_train_round, seed=5)
    for number, share in enumerate(solved):
        print(f"after round {number}: {100 * share:.0f} % of new tasks solved at the first try")
