"""Tests of exercise set 07fb: guidance, mixing, v, a table, a perfect denoiser, a sampler, adaLN."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, less
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Diffusion: draw with your own sampler"

cfg = Question("cfg", title="guidance", lines=1)
mix = Question("mix", title="a picture on its way, and what to ask", lines=3)
convert = Question("convert", title="image and noise from v", lines=3)
table = Question("table", title="a table, and a table moved", asks=("table", "shift_snr"), lines=2)
perfect = Question("perfect", title="the perfect denoiser", lines=6)
ddim_step = Question("ddim_step", title="one step", lines=4)
draw = Question("draw", title="from noise to a picture", lines=4)
adaln = Question("adaln", title="the norm does what it is told", lines=5)
block_noise = Question("block_noise", title="noise that is alike in blocks", lines=3)


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def angle(t):
    """Cosine and sine of a time."""
    return math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)


def some_time(rng):
    return float(rng.uniform(0.1, 0.9))


def shapes(rng, level):
    yield {"shape": (3,)}
    yield {"shape": (2, 1, 4, 4)}
    if level == "hidden":
        yield {"shape": (1, 1)}
        yield {"shape": (int(rng.integers(2, 6)), 3, 5)}


# ---------------------------------------------------------------------------------- cfg


@cfg.test(points=2, hint="free + scale * (named - free).", cases=shapes)
def goes_on(student, rng, shape):
    "goes on in the direction from free to named"
    free, named, scale = normal(rng, *shape), normal(rng, *shape), float(rng.uniform(1.5, 4))
    wanted = [f + scale * (n - f) for f, n in zip(free.ravel(), named.ravel())]
    close(student.cfg(free, named, scale), np.reshape(wanted, shape), rtol=1e-10)


@cfg.test(points=1, hint="scale = 0 is free, scale = 1 is named.", cases=shapes)
def ends(student, rng, shape):
    "0 forgets the label, 1 is the label's own"
    free, named = normal(rng, *shape), normal(rng, *shape)
    close(student.cfg(free, named, 0), free, rtol=1e-12, atol=1e-12)
    close(student.cfg(free, named, 1), named, rtol=1e-10, atol=1e-12)


leaves_arguments(cfg)

# ---------------------------------------------------------------------------------- mix


@mix.test(
    points=2, hint="x = alpha image + sigma noise; v = alpha noise - sigma image.", cases=shapes
)
def both_parts(student, rng, shape):
    "the picture on its way, and v"
    image, noise, t = normal(rng, *shape), normal(rng, *shape), some_time(rng)
    alpha, sigma = angle(t)
    x, v = student.mix(image, noise, t)
    close(x, alpha * image + sigma * noise, rtol=1e-10, what="x")
    close(v, alpha * noise - sigma * image, rtol=1e-10, what="v")


@mix.test(points=1, hint="At t = 0 there is no noise, at t = 1 no image.", cases=shapes)
def mix_ends(student, rng, shape):
    "both ends of the way"
    image, noise = normal(rng, *shape), normal(rng, *shape)
    for t, x, v in ((0.0, image, noise), (1.0, noise, -image)):
        found = student.mix(image, noise, t)
        close(found[0], x, rtol=0, atol=1e-12, what="x")
        close(found[1], v, rtol=0, atol=1e-12, what="v")


keeps_dtype(mix)
leaves_arguments(mix)

# ---------------------------------------------------------------------------------- convert


@convert.test(points=2, hint="image = alpha x - sigma v, noise = sigma x + alpha v.", cases=shapes)
def undoes_the_mixture(student, rng, shape):
    "gives image and noise back"
    image, noise, t = normal(rng, *shape), normal(rng, *shape), some_time(rng)
    alpha, sigma = angle(t)
    found = student.convert(alpha * image + sigma * noise, alpha * noise - sigma * image, t)
    close(found[0], image, rtol=1e-9, atol=1e-11, what="the image")
    close(found[1], noise, rtol=1e-9, atol=1e-11, what="the noise")


@convert.test(points=1, hint="Multiply, do not divide: alpha is 0 at t = 1.", cases=shapes)
def convert_ends(student, rng, shape):
    "at t = 0 and t = 1 too"
    x, v = normal(rng, *shape), normal(rng, *shape)
    for t, image, noise in ((0.0, x, v), (1.0, -v, x)):
        found = student.convert(x, v, t)
        close(found[0], image, rtol=1e-9, atol=1e-9, what="the image")
        close(found[1], noise, rtol=1e-9, atol=1e-9, what="the noise")


leaves_arguments(convert)

# ---------------------------------------------------------------------------------- table


def lengths(rng, level):
    yield {"steps": 2}
    yield {"steps": 1000}
    if level == "hidden":
        yield {"steps": 1}
        yield {"steps": int(rng.integers(3, 60))}


@table.test(points=2, hint="np.cumprod(1 - np.linspace(1e-4, 0.02, steps)).", cases=lengths)
def what_is_left(student, rng, steps):
    "products of 1 - beta"
    wanted, left = [], 1.0
    for i in range(steps):
        left *= 1 - (1e-4 + (0.02 - 1e-4) * i / max(steps - 1, 1))
        wanted.append(left)
    close(student.table(steps), wanted, rtol=1e-9, atol=0, dtype=np.float64)


@table.test(points=2, hint="kept / (factor + (1 - factor) kept).", cases=lengths)
def divides_the_ratio(student, rng, steps):
    "the ratio of signal to noise is divided"
    kept, factor = np.sort(rng.uniform(0.01, 0.99, steps))[::-1].copy(), float(rng.uniform(2, 20))
    found = array(student.shift_snr(kept, factor), shape=kept.shape)
    close(found / (1 - found), kept / (1 - kept) / factor, rtol=1e-8, what="the ratio")


@table.test(points=1, hint="Multiply out, so that 1 - kept = 0 divides nothing.", cases=lengths)
def all_and_nothing(student, rng, steps):
    "a table that begins with 1 and ends with 0"
    kept = np.concatenate([[1.0], np.full(steps, 0.8), [0.0]])
    wanted = np.concatenate([[1.0], np.full(steps, 0.5), [0.0]])
    close(student.shift_snr(kept, 4.0), wanted, rtol=1e-9, atol=1e-12)


leaves_arguments(table)

# ---------------------------------------------------------------------------------- perfect


def crowds(rng, level):
    yield {"B": 1, "N": 2, "P": 1}
    yield {"B": 3, "N": 5, "P": 4}
    if level == "hidden":
        yield {"B": 2, "N": 1, "P": 3}
        yield {"B": int(rng.integers(4, 7)), "N": int(rng.integers(3, 8)), "P": 6}


def expected(x, rows, t):
    """The mean by Bayes, one picture after the other."""
    alpha, sigma = angle(t)
    found = []
    for one in x:
        scores = [-sum((a - alpha * b) ** 2 for a, b in zip(one, r)) / (2 * sigma**2) for r in rows]
        e = [math.exp(s - max(scores)) for s in scores]
        found.append(sum(w / sum(e) * r for w, r in zip(e, rows)))
    return np.array(found)


@perfect.test(points=3, hint="Shares go with exp(-|x - alpha row|^2 / (2 sigma^2)).", cases=crowds)
def by_bayes(student, rng, B, N, P):
    "the mean of the rows, weighted by Bayes"
    x, rows, t = normal(rng, B, P), normal(rng, N, P), float(rng.uniform(0.3, 0.9))
    close(student.perfect(x, rows, t), expected(x, rows, t), rtol=1e-8, atol=1e-10)


@perfect.test(points=1, hint="Subtract the largest score of each row before np.exp.", cases=crowds)
def little_noise(student, rng, B, N, P):
    "with little noise the nearest row, and nothing overflows"
    rows = normal(rng, N, P) + 5 * np.arange(N)[:, None]
    which = rng.integers(0, N, B)
    alpha, sigma = angle(0.001)
    x = alpha * rows[which] + rng.uniform(-0.5, 0.5, (B, P))  # 300 times the noise's strength
    close(student.perfect(x, rows, 0.001), rows[which], rtol=0, atol=1e-9)


leaves_arguments(perfect)

# ---------------------------------------------------------------------------------- ddim_step


@ddim_step.test(points=2, hint="noise = (x - alpha image) / sigma, then mix for the time after.",
                cases=shapes)  # fmt: skip
def keeps_the_noise(student, rng, shape):
    "the same image and the same noise, at an earlier time"
    image, noise = normal(rng, *shape), normal(rng, *shape)
    t, after = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.1, 0.45))
    (alpha, sigma), (a, s) = angle(t), angle(after)
    found = student.ddim_step(image, alpha * image + sigma * noise, t, after)
    close(found, a * image + s * noise, rtol=1e-9, atol=1e-11)


@ddim_step.test(points=1, hint="At the time 0 only the image is left.", cases=shapes)
def step_ends(student, rng, shape):
    "to 0 gives the image; no step gives x"
    image, x, t = normal(rng, *shape), normal(rng, *shape), some_time(rng)
    close(student.ddim_step(image, x, t, 0.0), image, rtol=1e-9, atol=1e-11)
    close(student.ddim_step(image, x, t, t), x, rtol=1e-9, atol=1e-11)


leaves_arguments(ddim_step)

# ---------------------------------------------------------------------------------- draw


def ways(rng, level):
    yield {"steps": 1, "start": 0.985}
    yield {"steps": 5, "start": 0.985}
    if level == "hidden":
        yield {"steps": int(rng.integers(6, 12)), "start": float(rng.uniform(0.5, 0.9))}


@draw.test(points=3, hint="Ask at each time from start on, then step to the next.", cases=ways)
def all_the_way(student, rng, steps, start):
    "steps as many as asked, with an answer that depends on x and t"
    x = normal(rng, 2, 3)
    pull = normal(rng, 2, 3)

    def denoise(x, t):
        return 0.3 * x + (1 + t) * pull

    wanted = x
    for i in range(steps):
        t, after = start * (1 - i / steps), start * (1 - (i + 1) / steps)
        (alpha, sigma), (a, s) = angle(t), angle(after)
        image = denoise(wanted, t)
        wanted = a * image + s * (wanted - alpha * image) / sigma
    close(student.draw(denoise, x, steps, start), wanted, rtol=1e-7, atol=1e-9)


@draw.test(points=1, hint="One call of denoise for each step.", cases=ways)
def one_pass_a_step(student, rng, steps, start):
    "asks once a step, beginning at start; a single picture is drawn exactly"
    one, asked = normal(rng, 1, 4), []

    def denoise(x, t):
        asked.append(float(t))
        return one

    found = student.draw(denoise, normal(rng, 1, 4), steps, start)
    close(found, one, rtol=1e-8, atol=1e-9)
    less(abs(len(asked) - steps), 0.5, what="calls of denoise, less the steps")
    close(asked[0], start, rtol=1e-9, what="the first time")


@draw.test(points=1, hint="start has a value of its own: 0.985.")
def its_own_start(student, rng):
    "without a start it is 0.985"
    pull, x = normal(rng, 3), normal(rng, 3)
    found = student.draw(lambda x, t: t * pull, x, 1)
    close(found, 0.985 * pull, rtol=1e-9, atol=1e-12)


leaves_arguments(draw)

# ---------------------------------------------------------------------------------- adaln


def tokens(rng, level):
    yield {"B": 1, "T": 2, "C": 4}
    yield {"B": 3, "T": 3, "C": 6}
    if level == "hidden":
        yield {"B": 2, "T": 1, "C": 3}
        yield {"B": 4, "T": int(rng.integers(2, 6)), "C": 4}


@adaln.test(points=2, hint="The first half of the map is the shift, the last the scale.",
            cases=tokens)  # fmt: skip
def does_what_it_is_told(student, rng, B, T, C):
    "normed, scaled and shifted as each picture's condition says"
    x, c = 3 * normal(rng, B, T, C) + 1, normal(rng, B, C)
    W, b = normal(rng, 2 * C, C), normal(rng, 2 * C)
    wanted = np.zeros((B, T, C))
    for i in range(B):
        told = W @ c[i] + b
        for j in range(T):
            row = x[i, j]
            mean = sum(row) / C
            variance = sum((v - mean) ** 2 for v in row) / C
            normed = (row - mean) / math.sqrt(variance + 1e-5)
            wanted[i, j] = normed * (1 + told[C:]) + told[:C]
    close(student.adaln(x, c, W, b), wanted, rtol=1e-8, atol=1e-9)


@adaln.test(points=1, hint="With a map of zeros the scale is 1 + 0.", cases=tokens)
def told_nothing(student, rng, B, T, C):
    "a map of zeros leaves the plain norm"
    x, c = 5 * normal(rng, B, T, C) - 2, normal(rng, B, C)
    found = array(student.adaln(x, c, np.zeros((2 * C, C)), np.zeros(2 * C)), shape=x.shape)
    close(found.mean(-1), np.zeros((B, T)), rtol=0, atol=1e-8, what="the mean of a token")
    share = x.var(-1) / (x.var(-1) + 1e-5)
    close(found.var(-1), share, rtol=1e-6, what="the variance of a token")


leaves_arguments(adaln)

# ---------------------------------------------------------------------------------- block_noise


def sides(rng, level):
    yield {"shape": (4, 4), "s": 2}
    yield {"shape": (2, 6, 5), "s": 3}
    if level == "hidden":
        yield {"shape": (1, 1), "s": 2}
        yield {"shape": (2, 3, 8, 7), "s": int(rng.integers(2, 5))}


@block_noise.test(points=3, hint="The sum of np.roll(noise, (i, j)), over s.", cases=sides)
def adds_the_shifts(student, rng, shape, s):
    "the sum of all shifts, over s"
    noise = normal(rng, *shape)
    wanted, (H, W) = np.zeros(shape), shape[-2:]
    for y in range(H):
        for x in range(W):
            for i in range(s):
                for j in range(s):
                    wanted[..., y, x] += noise[..., (y - i) % H, (x - j) % W]
    close(student.block_noise(noise, s), wanted / s, rtol=1e-9, atol=1e-11)


@block_noise.test(points=1, hint="Divide by s, not by its square.")
def keeps_the_variance(student, rng):
    "variance 1, and neighbours that share half of their noise at s = 2"
    noise = normal(rng, 64, 64, 64)
    found = array(student.block_noise(noise, 2), shape=noise.shape)
    close((found * noise).mean(), 0.5, rtol=0.1, what="what is left of a pixel's own number")
    close(found.var(), 1.0, rtol=0.05, what="the variance")
    close((found * np.roll(found, 1, -1)).mean(), 0.5, rtol=0.1, what="what neighbours share")


leaves_arguments(block_noise)
