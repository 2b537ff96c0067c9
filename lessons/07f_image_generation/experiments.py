"""What lesson 07f and its studies run: real digits, their tokens, and models that write them."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minilm import nn
from minilm.analysis.pictures import frechet, sample_class_gaussians
from minilm.backend import rng
from minilm.data.images import split_digits
from minilm.diffusion.judge import Judge, measure, train_judge
from minilm.models import Config, Transformer
from minilm.optim import AdamW
from minilm.tensor import no_grad
from minilm.train import train
from minilm.train.vq import train_vqvae
from minilm.vision.coglm import masked
from minilm.vision.sequence import Layout, grey_levels, next_token, of_grey_levels, write
from minilm.vision.vq import usage
from minilm.vision.vqvae import VqVae

PATCH, CODES, LEVELS = 2, 64, 17  # 8 by 8 pixels of 17 grey levels; patches of 2 by 2
SIDE, DOWN = 8, 8 // PATCH
EACH = 50  # pictures of each digit that are asked for
LABELS = np.repeat(np.arange(10), EACH)
BATCH = 64
TOKENS = Layout(CODES, 10, 1, DOWN**2)
PIXELS = Layout(LEVELS, 10, 1, SIDE**2)
READABLE = 0.95  # reconstructions named right, before any generator is compared


class Digits(NamedTuple):
    """Real digits of one split, -1 (paper) to 1 (ink), and a judge that saw the known ones."""

    known: np.ndarray  # (N, 1, 8, 8)
    labels: np.ndarray  # (N,)
    held: np.ndarray  # (500, 1, 8, 8)
    held_labels: np.ndarray  # (500,)
    judge: Judge

    def measure(self, fake: np.ndarray, labels: np.ndarray = LABELS) -> dict[str, float]:
        """Right, Frechet distance, precision, recall and copies of pictures (N, 1, 8, 8)."""
        return measure(self.judge, fake.clip(-1, 1), labels, self.known, self.held)._asdict()


@lru_cache(maxsize=4)
def digits(seed: int, steps: int = 1500) -> Digits:
    """The digits of a split, and their judge."""
    split = split_digits(seed)
    known, held = (2 * images[:, None] - 1 for images in (split.images, split.held_images))
    judge = train_judge(known, split.labels, seed, steps, progress=False)
    return Digits(known, split.labels, held, split.held_labels, judge)


def yardsticks(seed: int) -> dict[str, dict[str, float]]:
    """What costs nothing: a Gaussian per class; and real pictures against real ones."""
    data, random = digits(seed), rng(seed, "yardsticks")
    fake, labels = sample_class_gaussians(data.known, data.labels, EACH, random)
    real = random.permutation(len(data.known))[: len(LABELS)]
    return {
        "gaussian": data.measure(fake, labels),
        "real": data.measure(data.known[real], data.labels[real]),
    }


# --- the codebook -------------------------------------------------------------------------------


def make_vqvae(seed: int, steps: int, revive: float = 0.5, lr: float = 4e-3, **how: Any) -> VqVae:
    """A VQ-VAE of the split's digits."""
    nn.manual_seed(seed)
    model = VqVae(**{"patch": PATCH, "codes": CODES, **how})
    train_vqvae(model, digits(seed).known, steps, BATCH, lr, revive, seed)
    return model


def reconstructed(model: VqVae, seed: int) -> dict[str, float]:
    """What the held-out digits lose on their way through the codes, and how codes are used."""
    data, size = digits(seed), len(model.codebook.codes.data)
    tokens = model.tokens(data.held)
    down = SIDE // model.patch
    made = model.pictures(tokens, down, down).clip(-1, 1)
    seen, real = data.judge.features(made), data.judge.features(data.held)
    used = usage(tokens, size)
    return {
        "used": used.used,
        "perplexity": used.perplexity,
        "mse": float(((made - data.held) ** 2).mean()),
        "right": float((data.judge.names(made) == data.held_labels).mean()),
        "frechet": frechet(seen, real),
    }


def through(model: VqVae, seed: int) -> dict[str, float]:
    """Held-out digits after their way through the codes: the ceiling of all that is drawn."""
    data = digits(seed)
    return data.measure(model.pictures(model.tokens(data.held), DOWN, DOWN), data.held_labels)


# --- models that write --------------------------------------------------------------------------


def make_writer(layout: Layout, seed: int, kind: str = "decoder") -> Transformer:
    """The one model of the lesson: three layers of 48 channels."""
    config = Config(
        layout.vocabulary, layout.length, layers=3, heads=4, channels=48, kind=kind, tie=False,
        dropout=0.1,
    )  # fmt: skip
    return Transformer(config, seed=seed)


def flops(layout: Layout, batch: int = BATCH) -> float:
    """Operations of a training step: 6 per weight of the layers and the head, and token."""
    weights = 12 * 3 * 48**2 + 48 * layout.vocabulary
    return 6.0 * weights * (layout.length - 1) * batch


def vqvae_flops(steps: int, batch: int = BATCH) -> float:
    """Operations of the training of `make_vqvae`: 6 per weight and place, convolution by
    convolution; and 2 for the encoder that the codebook follows."""
    hidden, width = 32, 8
    encoder = PATCH**2 * hidden + 2 * 9 * hidden**2 + hidden * width
    return steps * batch * DOWN**2 * encoder * (6.0 * 2 + 2)


def fit_writer(
    model: Transformer,
    rows: np.ndarray,
    layout: Layout,
    steps: int,
    lr: float,
    seed: int,
    after_step: Callable | None = None,
) -> Any:
    """Train it to write the picture of every row; the averaged weights are put into it."""
    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.05)

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = rng(seed, "rows", step).integers(0, len(rows), BATCH)
        return next_token(rows[chosen], layout.of_picture)

    how = {"optimizer": optimizer, "ema": 0.99, "progress": False, "after_step": after_step}
    run = train(model, draw, steps, **how)
    for name, parameter in model.named_parameters():
        parameter.data[...] = run.ema.averages[name]
        parameter.touch()
    return run


def rows_of(layout: Layout, seed: int, held: bool, vqvae: VqVae | None = None) -> np.ndarray:
    """Sequences of the split's digits: their tokens by a VQ-VAE, or their grey levels."""
    data = digits(seed)
    pictures, labels = (data.held, data.held_labels) if held else (data.known, data.labels)
    if vqvae is None:
        codes = grey_levels(pictures, LEVELS, -1, 1).reshape(len(pictures), -1)  # (N, 64)
    else:
        codes = vqvae.tokens(pictures)
    return layout.rows(labels[:, None], codes)


def loss_on(model: Transformer, rows: np.ndarray, layout: Layout) -> float:
    """Nats per token of the picture."""
    model.eval()
    with no_grad():
        return model.loss(*next_token(rows, layout.of_picture)).item()


def drawn(
    model: Transformer,
    layout: Layout,
    vqvae: VqVae | None,
    labels: np.ndarray,
    seed: int,
    temperature: float = 1.0,
) -> np.ndarray:
    """Pictures that a model writes for labels: (N, 1, 8, 8)."""
    codes = write(model, layout, labels[:, None], rng(seed, "drawn"), temperature)
    if vqvae is None:
        return of_grey_levels(codes, LEVELS, -1, 1).reshape(-1, 1, SIDE, SIDE)  # (N, 64) ->
    return vqvae.pictures(codes, DOWN, DOWN).clip(-1, 1)


def leaks(row: np.ndarray, hidden: Mapping[str, np.ndarray]) -> int:
    """How many hidden tokens of a sequence reach, in a real model, the logits that predict them."""
    model = make_writer(TOKENS, 0, kind="encoder")
    model.eval()
    found = 0
    for kind in hidden.values():
        for place in np.flatnonzero(kind):
            other = row.copy()
            first, end = (int(bound[place]) for bound in TOKENS.allowed())
            other[place] = first + (row[place] - first + 1) % (end - first)
            with no_grad():
                parts = (masked(line[None], kind[None]) for line in (row, other))
                one, two = (model(part.ids, mask=part.mask).data[0, place - 1] for part in parts)
            found += not np.array_equal(one, two)
    return found


def letters(pictures: np.ndarray) -> str:
    """Pictures in one letter a pixel, 0 (paper) to f (ink)."""
    grey = np.clip(np.rint((pictures.ravel() + 1) * 7.5), 0, 15).astype(int)
    return "".join("0123456789abcdef"[g] for g in grey)


def of_letters(text: str) -> np.ndarray:
    """What `letters` wrote: (N, 8, 8), 0 to 1."""
    return np.array([int(letter, 16) for letter in text]).reshape(-1, SIDE, SIDE) / 15
