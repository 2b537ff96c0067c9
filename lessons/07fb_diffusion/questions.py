# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Diffusion: draw with your own sampler"
# ---

# %% [markdown]
# # Draw with your own sampler
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**; at the end your
# sampler draws digits with a network that is trained while you wait.
#
# The first two take two minutes each. The stars say how hard a question is, from ★ to ★★★, and the
# hints below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/07fb_diffusion.ipynb). A time t gives α = cos(πt/2) and σ = sin(πt/2).

# %%
import numpy as np

from minilm.course import bars, check, images, lines, payoff

# %% [markdown]
# ## 1. Guidance (★, 2 minutes)
#
# `cfg(free, named, scale)`: go on from what is expected without a label, `free`, towards what is
# expected with it, `named`, `scale` times as far. Both arrays have the same shape; so has the
# answer. scale = 0 gives `free`, 1 gives `named`. About 1 line.
#
# *By hand.* free 0.2, named 0.6, scale 1.5: 0.2 + 1.5 · 0.4 = 0.8.
#
# <details><summary>Hint 1</summary>How far is it from one to the other?</details>
# <details><summary>Hint 2</summary><code>named - free</code> is the whole way.</details>
# <details><summary>Hint 3</summary>Start at <code>free</code> and add <code>scale</code> times the
# way.</details>


# %%
def cfg(free, named, scale):
    """What guidance expects."""
    ### BEGIN SOLUTION
    return free + scale * (named - free)
    ### END SOLUTION


# %%
check("cfg")


# %% tags=["payoff"]
@payoff("cfg")
def bolder_sevens():
    """Your guidance between the mean of all digits and the mean of the sevens."""
    from minilm.data.images import digits

    pictures, names = digits()
    free, seven = pictures.mean(0), pictures[names == 7].mean(0)
    scales = [0, 0.5, 1, 1.5, 3, 6]
    images(
        [1 - cfg(free, seven, w) for w in scales],
        titles=[f"w = {w}" for w in scales],
        alt="From a blur to a bold seven as guidance grows.",
    )


# %% [markdown]
# ## 2. Mix and ask (★, 3 minutes)
#
# `mix(image, noise, t)`: `(x, v)`. x is the picture at time t, α·image + σ·noise; v is what the
# network should answer, α·noise − σ·image. `image` and `noise` have the same shape, t is a number
# from 0 to 1. float32 in gives float32 out. About 3 lines.
#
# *By hand.* t = 0: α = 1, σ = 0, so x is the image and v the noise. t = 1: x is the noise and v is
# minus the image.
#
# <details><summary>Hint 1</summary>First α and σ: <code>np.cos(np.pi * t / 2)</code> and the
# sine.</details>
# <details><summary>Hint 2</summary>NumPy's cosine is a float64, and would lift float32. Make it a
# plain number with <code>float(...)</code>.</details>
# <details><summary>Hint 3</summary>Mind the sign of v, and which of the two is multiplied by
# σ.</details>


# %%
def mix(image, noise, t):
    """(x, v) at time t."""
    ### BEGIN SOLUTION
    alpha, sigma = float(np.cos(np.pi * t / 2)), float(np.sin(np.pi * t / 2))
    return alpha * image + sigma * noise, alpha * noise - sigma * image
    ### END SOLUTION


# %%
check("mix")


# %% tags=["payoff"]
@payoff("mix")
def a_digit_drowns():
    """A real digit on its way to noise, mixed by you."""
    from minilm.data.images import digits

    digit, noise = 2 * digits()[0][3] - 1, np.random.default_rng(0).standard_normal((8, 8))
    times = [0, 0.2, 0.4, 0.6, 0.8, 1]
    images(
        [-mix(digit, noise, t)[0] for t in times],
        titles=[f"t = {t}" for t in times],
        low=-2,
        high=2,
        alt="A handwritten three disappears in noise.",
    )


# %% [markdown]
# ## 3. Back from v (★★, 5 minutes)
#
# `convert(x, v, t)`: `(image, noise)` from the noisy picture and a network's answer v. It must undo
# `mix`: `convert(*mix(image, noise, t), t)` gives both back, at every t, 0 and 1 included. About 3
# lines.
#
# *By hand.* α = 0.6, σ = 0.8, x = 2.2, v = 0.4: the image is 0.6 · 2.2 − 0.8 · 0.4 = 1, the noise
# 0.8 · 2.2 + 0.6 · 0.4 = 2.
#
# <details><summary>Hint 1</summary>Two equations, x = α·image + σ·noise and v = α·noise − σ·image, and
# two unknowns. Multiply one by α and the other by σ.</details>
# <details><summary>Hint 2</summary>α² + σ² = 1, so no division is needed. A division by α would fail
# at t = 1.</details>
# <details><summary>Hint 3</summary>image = α·x − σ·v.</details>


# %%
def convert(x, v, t):
    """(image, noise) that x and v mean."""
    ### BEGIN SOLUTION
    alpha, sigma = float(np.cos(np.pi * t / 2)), float(np.sin(np.pi * t / 2))
    return alpha * x - sigma * v, sigma * x + alpha * v
    ### END SOLUTION


# %%
check("convert")


# %% tags=["payoff"]
@payoff("convert")
def which_question_is_harmless():
    """A network's answer is wrong by 0.1: how wrong is the image? By your conversion, for v."""
    times = np.linspace(0.05, 0.95, 19)
    alpha, sigma = np.cos(np.pi * times / 2), np.sin(np.pi * times / 2)
    zero, tenth = np.zeros(1), np.full(1, 0.1)
    by_v = [float(abs(convert(zero, tenth, t)[0][0])) for t in times]
    lines(
        times,
        {"v": by_v, "noise": np.minimum(0.1 * sigma / alpha, 0.6)},
        xlabel="time",
        ylabel="error of the image",
        alt="By v the error stays below 0.1; by noise it grows beyond all bounds near t = 1.",
    )


# %% [markdown]
# ## 4. A table, and a table moved (★★, 8 minutes)
#
# Older models count steps from 1 to T and keep a table: `kept[t - 1]`, the share of the picture's
# variance that is left after step t. Each step keeps $1 - \beta_t$ of what is there, and DDPM's
# $\beta_t$ grow in a line from 0.0001 to 0.02.
#
# - `table(steps)`: (steps,) float64, the products of $1 - \beta$ up to each step;
# - `shift_snr(kept, factor)`: the table whose signal to noise ratio, kept / (1 − kept), is `factor`
#   times *smaller* at every step. About 1 line each.
#
# *By hand.* table(2): β is 0.0001 and 0.02, so (0.9999, 0.9999 · 0.98). shift_snr of 0.8 by 4: the
# ratio 0.8 / 0.2 = 4 becomes 1, so the answer is 0.5.
#
# <details><summary>Hint 1</summary><code>np.linspace</code> and <code>np.cumprod</code>.</details>
# <details><summary>Hint 2</summary>Call the ratio r = kept / (1 − kept). A ratio of r / factor means
# kept = r / (r + factor).</details>
# <details><summary>Hint 3</summary>A table may begin with 1, where the ratio is infinite. Multiply
# out: kept / (factor + (1 − factor)·kept).</details>


# %%
def table(steps):
    """DDPM's table of what is left."""
    ### BEGIN SOLUTION
    return np.cumprod(1 - np.linspace(1e-4, 0.02, steps))
    ### END SOLUTION


def shift_snr(kept, factor):
    """The table with its signal to noise ratio divided by a factor."""
    ### BEGIN SOLUTION
    return kept / (factor + (1 - factor) * kept)
    ### END SOLUTION


# %%
check("table")


# %% tags=["payoff"]
@payoff("table")
def a_schedule_for_a_larger_picture():
    """Your table, and moved for pictures of 2 and 4 times the side."""
    kept = table(1000)
    rows = {
        f"s = {s}": np.log(shift_snr(kept, s * s) / (1 - shift_snr(kept, s * s))) for s in (1, 2, 4)
    }
    lines(
        np.arange(1, 1001),
        rows,
        xlabel="step",
        ylabel="log of signal to noise",
        alt="Three parallel curves fall; the larger the picture, the lower.",
    )


# %% [markdown]
# ## 5. The perfect denoiser (★★, 10 minutes)
#
# `perfect(x, rows, t)`: the picture that is expected behind each x, if it was one of `rows`. `x` is
# (B, P), `rows` is (N, P), t a number above 0; the answer is (B, P). The share of row i goes with
# exp(−|x − α·rowᵢ|² / 2σ²); shares add up to 1. At small t the exponents are in the hundreds of
# thousands: nothing may overflow or become nan. About 6 lines.
#
# *By hand.* One pixel, rows −1 and 1, x = 0: both are equally far, so the mean, 0. At t small and x =
# 0.9: 1, nearly exactly.
#
# <details><summary>Hint 1</summary><code>x[:, None] - alpha * rows</code> is (B, N, P).</details>
# <details><summary>Hint 2</summary>Scores, softmax, weighted mean: <code>shares @ rows</code>.</details>
# <details><summary>Hint 3</summary>Subtract the largest score of each row before
# <code>np.exp</code>.</details>


# %%
def perfect(x, rows, t):
    """The expected picture behind each x."""
    ### BEGIN SOLUTION
    alpha, sigma = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
    scores = -((x[:, None] - alpha * rows) ** 2).sum(-1) / (2 * sigma**2)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True) @ rows
    ### END SOLUTION


# %%
check("perfect")


# %% tags=["payoff"]
@payoff("perfect")
def what_is_behind_the_noise():
    """What your denoiser expects behind one noisy digit, as the noise grows."""
    from minilm.data.images import digits

    rows = (2 * digits()[0] - 1).reshape(-1, 64).astype(np.float64)
    noise, times = np.random.default_rng(1).standard_normal(64), [0.2, 0.6, 0.8, 0.9, 0.95, 0.99]
    expected = [
        perfect((np.cos(np.pi * t / 2) * rows[7] + np.sin(np.pi * t / 2) * noise)[None], rows, t)[0]
        for t in times
    ]
    images(
        [-e.reshape(8, 8) for e in expected],
        titles=[f"t = {t}" for t in times],
        low=-1,
        high=1,
        alt="A digit is recognised in much noise and becomes the mean of all digits in more.",
    )


# %% [markdown]
# ## 6. A step (★★, 8 minutes)
#
# `ddim_step(image, x, t, after)`: from time t to an earlier time `after`. `image` is what is expected,
# `x` the noisy picture, both of one shape. What is left of x when α·image is taken away is σ times
# the noise; mix `image` and that noise for the time `after`. About 4 lines.
#
# *By hand.* after = 0: the noise has no share any more, so the answer is `image`. after = t: nothing
# happens, the answer is x.
#
# <details><summary>Hint 1</summary>noise = (x − α·image) / σ, with α and σ of t.</details>
# <details><summary>Hint 2</summary>The answer is <code>mix(image, noise, after)[0]</code>.</details>
# <details><summary>Hint 3</summary>Four numbers are needed: cosine and sine of t, cosine and sine of
# <code>after</code>.</details>


# %%
def ddim_step(image, x, t, after):
    """x at the time after."""
    ### BEGIN SOLUTION
    alpha, sigma = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
    noise = (x - alpha * image) / sigma
    return np.cos(np.pi * after / 2) * image + np.sin(np.pi * after / 2) * noise
    ### END SOLUTION


# %%
check("ddim_step")


# %% tags=["payoff"]
@payoff("ddim_step")
def one_pixel_decides():
    """Your steps with the perfect denoiser of a pixel that is −1 or 1: how far each has come."""
    ends = np.array([[-1.0], [1.0]])
    x, times = np.linspace(-2, 2, 9)[:, None], np.linspace(0.985, 0, 21)
    ways = [x]
    for t, after in zip(times, times[1:]):
        ways.append(ddim_step(perfect(ways[-1], ends, t), ways[-1], t, after))
    lines(
        1 - times,
        {f"from {start:g}": way for start, way in zip(x[:, 0], np.stack(ways)[..., 0].T)},
        xlabel="1 - t",
        ylabel="the pixel",
        alt="Nine paths end at -1 or 1, but for the one that started at 0.",
    )


# %% [markdown]
# ## 7. Draw (★★★, 12 minutes)
#
# `draw(denoise, x, steps, start=0.985)`: all the way. `denoise(x, t)` is a function that says which
# picture is expected; `x` is the noise, of any shape. Divide the time from `start` to 0 into `steps`
# equal parts, ask `denoise` once for each, and step. The answer has the shape of x. You may call
# `ddim_step`. About 4 lines.
#
# *By hand.* steps = 1: the answer is `denoise(x, start)`.
#
# <details><summary>Hint 1</summary><code>np.linspace(start, 0, steps + 1)</code> are the times.</details>
# <details><summary>Hint 2</summary>Go through neighbouring pairs: <code>zip(times,
# times[1:])</code>.</details>
# <details><summary>Hint 3</summary>Ask at the time you are at, not at the one you go to; pass it as
# <code>float(t)</code>.</details>


# %%
def draw(denoise, x, steps, start=0.985):
    """From noise to a picture."""
    ### BEGIN SOLUTION
    times = np.linspace(start, 0.0, steps + 1)
    for t, after in zip(times, times[1:]):
        x = ddim_step(denoise(x, float(t)), x, float(t), float(after))
    return x
    ### END SOLUTION


# %%
check("draw")


# %% tags=["payoff"]
@payoff("draw")
def your_sampler_draws_digits():
    """A small network learns the digits for a few seconds; your sampler draws with it."""
    from minilm.data.images import split_digits
    from minilm.diffusion.dit import DiT, DiTConfig
    from minilm.diffusion.generate import denoiser
    from minilm.diffusion.training import fit, noisy_batches

    split = split_digits(0)
    known = 2 * split.images[:, None] - 1
    model = DiT(DiTConfig(), seed=0)
    fit(model, noisy_batches(known, split.labels, np.int64(10)), 350, ema=0.98)
    asked = np.arange(10).repeat(2)
    noise = np.random.default_rng(0).standard_normal((20, 1, 8, 8)).astype(np.float32)
    said = denoiser(model, asked, guidance=1.5)
    drawn = draw(lambda x, t: np.clip(said(x.astype(np.float32), t), -1, 1), noise, 20)
    images(
        -drawn[:, 0], titles=asked, low=-1, high=1, alt="Two of each digit, drawn by your sampler."
    )


# %% [markdown]
# ## 8. The norm does what it is told (★★, 10 minutes)
#
# `adaln(x, c, W, b)`: `x` is (B, T, C), the condition `c` is (B, C). The map `c @ W.T + b`, with W (2C,
# C) and b (2C,), gives each picture a shift (the first C numbers) and a scale (the last C). The
# answer is norm(x)·(1 + scale) + shift, (B, T, C); norm brings each token to mean 0 and variance 1,
# with 1e-5 added to the variance before the root. About 5 lines.
#
# *By hand.* W and b zero: the answer is norm(x). A token (1, 3) has mean 2 and variance 1: norm (−1,
# 1). With shift (1, 1) and scale (0.5, 0.5): (−0.5, 2.5).
#
# <details><summary>Hint 1</summary>The mean and variance are those of the last axis; keep it with
# <code>keepdims=True</code>.</details>
# <details><summary>Hint 2</summary><code>np.split(told, 2, axis=-1)</code> cuts (B, 2C) in
# two.</details>
# <details><summary>Hint 3</summary>Shift and scale are (B, C); for all tokens of a picture they become
# (B, 1, C) with <code>[:, None]</code>.</details>


# %%
def adaln(x, c, W, b):
    """Tokens, normed and then moved as the condition says."""
    ### BEGIN SOLUTION
    shift, scale = np.split(c @ W.T + b, 2, axis=-1)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    normed = (x - mean) / np.sqrt(variance + 1e-5)
    return normed * (1 + scale[:, None]) + shift[:, None]
    ### END SOLUTION


# %%
check("adaln")


# %% tags=["payoff"]
@payoff("adaln")
def beside_a_block_of_the_package():
    """Your adaLN with the weights of a DiT's last layer, beside the package's."""
    from minilm.diffusion.conditioning import Modulation, modulate
    from minilm.nn import LayerNorm
    from minilm.tensor import Tensor

    random = np.random.default_rng(0)
    told, norm = Modulation(16, 2, np.float64), LayerNorm(16, affine=False)
    told.map.weight.data[...] = random.standard_normal((32, 16))
    x, c = random.standard_normal((3, 5, 16)), random.standard_normal((3, 16))
    theirs = modulate(norm(Tensor(x)), *told(Tensor(c))).data
    yours = adaln(x, c, told.map.weight.data, told.map.bias.data)
    print("largest difference from the package:", np.abs(yours - theirs).max())


# %% [markdown]
# ## 9. Block noise (★★, 8 minutes)
#
# `block_noise(noise, s)`: `noise` is (..., H, W), independent numbers. Add up its s² circular shifts,
# by 0 to s − 1 rows *down* and 0 to s − 1 columns to the *right*, and divide by s, so that the variance
# stays 1. s = 1 changes nothing. About 3 lines.
#
# *By hand.* s = 2, one row and one column: four shifts, of which each is the noise itself; 4 / 2 =
# twice the noise. On a large picture two pixels side by side share half of their numbers.
#
# <details><summary>Hint 1</summary><code>np.roll(noise, (i, j), axis=(-2, -1))</code> shifts both
# ways.</details>
# <details><summary>Hint 2</summary>s² numbers of variance 1 have a sum of variance s²; divide by its
# root.</details>
# <details><summary>Hint 3</summary>First down, then right: s shifts along one axis, added, and s of the
# sum along the other.</details>


# %%
def block_noise(noise, s):
    """Noise that is alike within s pixels."""
    ### BEGIN SOLUTION
    shifted = [np.roll(noise, (i, j), axis=(-2, -1)) for i in range(s) for j in range(s)]
    return sum(shifted) / s
    ### END SOLUTION


# %%
check("block_noise")


# %% tags=["payoff"]
@payoff("block_noise")
def what_averaging_leaves():
    """The variance that is left when blocks of s x s pixels are averaged, of your noise."""
    from minilm.diffusion import pool

    noise, sides = np.random.default_rng(0).standard_normal((200, 32, 32)), (2, 4, 8)
    bars(
        [f"s = {s}" for s in sides],
        {
            "independent": [float(pool(noise, s).var()) for s in sides],
            "your block noise": [float(pool(block_noise(noise, s), s).var()) for s in sides],
        },
        ylabel="variance left",
        alt="Independent noise is averaged away; block noise keeps nearly half.",
    )
