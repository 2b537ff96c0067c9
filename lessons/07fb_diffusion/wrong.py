"""Answers to set 07fb that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
GIVEN, changed = SET.given, SET.changed

WRONG = [
    # the wrong way round
    ("cfg", 0, changed("cfg", ("named - free", "free - named"))),
    # from the named one on
    ("cfg", 0, changed("cfg", ("free + scale", "named + scale"))),
    # always 1.5
    ("cfg", 0, changed("cfg", ("scale *", "1.5 *"))),
    # in place
    (
        "cfg",
        3,
        GIVEN + "\n\ndef cfg(free, named, scale):\n"
        "    way = named - free\n    free += scale * way\n    return free\n",
    ),  # fmt: skip
    # plus for minus in v
    ("mix", 0, changed("mix", ("alpha * noise - sigma", "alpha * noise + sigma"))),
    # sine and cosine exchanged
    ("mix", 0, changed("mix", ("np.cos", "np.tan"), ("np.sin", "np.cos"), ("np.tan", "np.sin"))),
    # a straight line
    (
        "mix",
        1,
        changed(
            "mix", ("float(np.cos(np.pi * t / 2))", "1 - t"), ("float(np.sin(np.pi * t / 2))", "t")
        ),
    ),  # fmt: skip
    # NumPy's cosine lifts float32
    (
        "mix",
        4,
        changed(
            "mix",
            ("float(np.cos(np.pi * t / 2))", "np.array([np.cos(np.pi * t / 2)])"),
            ("float(np.sin(np.pi * t / 2))", "np.array([np.sin(np.pi * t / 2)])"),
        ),
    ),  # fmt: skip
    # the noise in place of v
    ("mix", 0, changed("mix", ("alpha * noise - sigma * image", "noise"))),
    # divides by alpha: the formula for noise
    ("convert", 0, changed("convert", ("alpha * x - sigma * v", "(x - sigma * v) / alpha"))),
    # the sign
    ("convert", 0, changed("convert", ("alpha * x - sigma * v", "alpha * x + sigma * v"))),
    # the noise by a division that fails at t = 0
    (
        "convert",
        3,
        changed(
            "convert",
            (
                "alpha * x - sigma * v, sigma * x + alpha * v",
                "alpha * x - sigma * v, (x - alpha * (alpha * x - sigma * v)) / sigma",
            ),
        ),
    ),  # fmt: skip
    # exchanged
    (
        "convert",
        0,
        changed(
            "convert",
            (
                "alpha * x - sigma * v, sigma * x + alpha * v",
                "sigma * x + alpha * v, alpha * x - sigma * v",
            ),
        ),
    ),  # fmt: skip
    # sums for products
    (
        "table",
        3,
        changed(
            "table",
            ("np.cumprod(1 -", "(1 - np.cumsum(1 * "),
            ("steps))", "steps)))"),
            beside=("shift_snr",),
        ),
    ),  # fmt: skip
    # beta itself
    ("table", 3, changed("table", ("np.cumprod(1 - ", "(1 - "), beside=("shift_snr",))),
    # the ratio multiplied
    (
        "table",
        3,
        changed(
            "shift_snr",
            ("factor + (1 - factor) * kept", "1 / factor + (1 - 1 / factor) * kept"),
            beside=("table",),
        ),
    ),  # fmt: skip
    # by the ratio, which is infinite at 1
    (
        "table",
        5,
        changed(
            "shift_snr",
            (
                "kept / (factor + (1 - factor) * kept)",
                "kept / (1 - kept) / (kept / (1 - kept) + factor)",
            ),
            beside=("table",),
        ),
    ),  # fmt: skip
    # kept itself divided
    (
        "table",
        3,
        changed(
            "shift_snr",
            ("kept / (factor + (1 - factor) * kept)", "kept / factor"),
            beside=("table",),
        ),
    ),  # fmt: skip
    # overflows with little noise
    ("perfect", 4, changed("perfect", ("scores - scores.max(-1, keepdims=True)", "scores"))),
    # alpha forgotten
    ("perfect", 1, changed("perfect", ("alpha * rows", "rows"))),
    # sigma not squared
    ("perfect", 1, changed("perfect", ("sigma ** 2", "sigma"))),
    # the nearest row only
    (
        "perfect",
        1,
        changed(
            "perfect", ("shares / shares.sum(-1, keepdims=True) @ rows", "rows[scores.argmax(-1)]")
        ),
    ),  # fmt: skip
    # the two is missing
    ("perfect", 1, changed("perfect", ("2 * sigma ** 2", "sigma ** 2"))),
    # sigma of the wrong time
    ("ddim_step", 0, changed("ddim_step", ("np.sin(np.pi * t / 2)", "np.sin(np.pi * after / 2)"))),
    # the image is the answer
    (
        "ddim_step",
        0,
        changed(
            "ddim_step",
            ("np.cos(np.pi * after / 2) * image + np.sin(np.pi * after / 2) * noise", "image"),
        ),
    ),  # fmt: skip
    # alpha forgotten
    ("ddim_step", 0, changed("ddim_step", ("alpha * image", "image"))),
    # not divided by sigma
    ("ddim_step", 0, changed("ddim_step", ("(x - alpha * image) / sigma", "x - alpha * image"))),
    # asks at the time it goes to
    (
        "draw",
        0,
        changed(
            "draw", ("denoise(x, float(t))", "denoise(x, float(after))"), beside=("ddim_step",)
        ),
    ),  # fmt: skip
    # one step too few
    ("draw", 0, changed("draw", ("steps + 1", "steps"), beside=("ddim_step",))),
    # starts at 1 whatever is said
    ("draw", 0, changed("draw", ("np.linspace(start", "np.linspace(1.0"), beside=("ddim_step",))),
    # asks once for all
    (
        "draw",
        1,
        GIVEN
        + "\n\n"
        + SET.right("ddim_step")
        + """

def draw(denoise, x, steps, start=0.985):
    return denoise(x, start)
""",
    ),  # fmt: skip
    # shift and scale exchanged
    ("adaln", 1, changed("adaln", ("shift, scale =", "scale, shift ="))),
    # the 1 is missing
    ("adaln", 0, changed("adaln", ("(1 + scale[:, None])", "scale[:, None]"))),
    # the norm of all tokens together
    (
        "adaln",
        0,
        changed("adaln", ("x.mean(-1,", "x.mean((1, 2),"), ("x.var(-1,", "x.var((1, 2),")),
    ),
    # the deviation, unrooted
    ("adaln", 0, changed("adaln", ("np.sqrt(variance + 1e-05)", "(variance + 1e-5)"))),
    # divided by s squared
    ("block_noise", 0, changed("block_noise", ("/ s", "/ s**2"))),
    # up and left
    ("block_noise", 1, changed("block_noise", ("(i, j), axis", "(-i, -j), axis"))),
    # the diagonal only
    ("block_noise", 0, changed("block_noise", ("for j in range(s)", "for j in (i,)"))),
    # constant blocks
    (
        "block_noise",
        0,
        GIVEN
        + """

def block_noise(noise, s):
    out = noise.copy()
    for y in range(noise.shape[-2]):
        for x in range(noise.shape[-1]):
            out[..., y, x] = noise[..., y // s * s, x // s * s]
    return out
""",
    ),  # fmt: skip
]
