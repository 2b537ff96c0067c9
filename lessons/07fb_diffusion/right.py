"""Answers to set 07fb that are right and have another shape than the solution's."""

from pathlib import Path

from minilm.course.checking.planted import Solution

START = Solution(Path(__file__).with_name("questions.py")).given

RIGHT = [
    # a weighted mean whose weights may leave 0 to 1
    ("cfg", "\ndef cfg(free, named, scale):\n    return scale * named + (1 - scale) * free\n"),
    # a turn in the plane of image and noise
    (
        "mix",
        """
def mix(image, noise, t):
    turn = np.exp(0.5j * np.pi * t)
    x = image * turn.real.item() + noise * turn.imag.item()
    v = noise * turn.real.item() - image * turn.imag.item()
    return [x, v]
""",
    ),
    # two equations, solved
    (
        "convert",
        """
def convert(x, v, t):
    a, s = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
    both = np.linalg.inv(np.array([[a, s], [-s, a]])) @ np.stack([x.ravel(), v.ravel()])
    return both[0].reshape(x.shape), both[1].reshape(x.shape)
""",
    ),
    # a loop, and the ratio turned over: noise to signal times the factor
    (
        "table",
        """
def table(steps):
    betas, kept = np.linspace(0.0001, 0.02, steps), np.ones(steps + 1)
    for i, beta in enumerate(betas):
        kept[i + 1] = kept[i] * (1 - beta)
    return kept[1:]


def shift_snr(kept, factor):
    with np.errstate(divide="ignore"):
        noise_to_signal = factor * (1 / kept - 1)
        return 1 / (1 + noise_to_signal)
""",
    ),
    # a loop over pictures
    (
        "perfect",
        """
def perfect(x, rows, t):
    a, s = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
    found = []
    for one in x:
        apart = np.linalg.norm(one - a * rows, axis=1) ** 2
        w = np.exp((apart.min() - apart) / (2 * s * s))
        found.append(np.average(rows, axis=0, weights=w))
    return np.array(found)
""",
    ),
    # the image and x, each with its own factor
    (
        "ddim_step",
        """
def ddim_step(image, x, t, after):
    turn = lambda time: (np.cos(np.pi * time / 2), np.sin(np.pi * time / 2))
    (a, s), (b, r) = turn(t), turn(after)
    return (b - r * a / s) * image + r / s * x
""",
    ),
    # counts down
    (
        "draw",
        """
def draw(denoise, x, steps, start=0.985):
    t = start
    for left in reversed(range(steps)):
        after = start * left / steps
        image = denoise(x, t)
        noise = (x - np.cos(np.pi * t / 2) * image) / np.sin(np.pi * t / 2)
        x = np.cos(np.pi * after / 2) * image + np.sin(np.pi * after / 2) * noise
        t = after
    return x
""",
    ),
    # einsum, and the token's size
    (
        "adaln",
        """
def adaln(x, c, W, b):
    C = x.shape[-1]
    told = np.einsum("bc,oc->bo", c, W) + b
    centred = x - x.mean(axis=2)[..., None]
    size = ((centred**2).sum(axis=2) / C + 1e-5) ** 0.5
    return told[:, None, :C] + centred / size[..., None] * (told[:, None, C:] + 1)
""",
    ),
    # one axis after the other
    (
        "block_noise",
        """
def block_noise(noise, s):
    for axis in (-2, -1):
        noise = np.sum([np.roll(noise, by, axis) for by in range(s)], axis=0)
    return noise / s
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
