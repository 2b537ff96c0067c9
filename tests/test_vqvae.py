"""The VQ-VAE and its training: shapes, gradients, revival, and what is refused."""

import numpy as np
import pytest

from minilm import InputError, Tensor, nn
from minilm import functional as F
from minilm.data.images import split_digits
from minilm.diffusion.judge import train_judge
from minilm.train.vq import train_vqvae
from minilm.vision.vq import usage
from minilm.vision.vqvae import VqVae


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("patch", "colours", "side"), [(2, 1, 8), (4, 3, 12), (3, 2, 6), (1, 1, 2)]
)
def test_pictures_become_one_token_a_patch_and_pictures_again(patch, colours, side):
    model, x = VqVae(patch, 16, colours, depth=2), pictures(5, colours, side, side)
    tokens, down = model.tokens(x), side // patch
    assert tokens.shape == (5, down**2) and tokens.dtype == np.int64
    made, pull = model(Tensor(x))
    assert made.shape == x.shape and made.dtype == np.float32 and pull.shape == ()
    assert np.allclose(model.pictures(tokens, down, down), made.data, atol=1e-5)


def test_without_blocks_a_token_depends_on_its_own_patch():
    """A convolution with a stride of the patch is a linear map of patches, in reading order."""
    model, x = VqVae(2, 16, depth=0), pictures(1, 1, 6, 4)
    before = model.encode(Tensor(x)).data
    x[0, 0, 2:4, 2:4] += 1  # second row of patches, second column
    moved = np.abs(model.encode(Tensor(x)).data - before).max(-1)[0]
    assert np.flatnonzero(moved > 1e-6).tolist() == [3]


def test_the_loss_is_what_is_lost_and_the_pull_of_the_codebook():
    model, x = VqVae(2, 8, by_gradient=True, dtype=np.float64), pictures(3, 1, 4, 4).astype(float)
    z = model.encode(Tensor(x)).data
    e = model.codebook.codes.data[model.tokens(x)]
    made = model.pictures(model.tokens(x), 2, 2)
    wanted = ((made - x) ** 2).mean() + 1.25 * ((z - e) ** 2).mean()
    assert model.loss(Tensor(x)).item() == pytest.approx(wanted, rel=1e-12)


def test_the_decoder_gradient_reaches_the_encoder_straight_through():
    model, x = VqVae(2, 8, beta=0.0, dtype=np.float64), pictures(2, 1, 4, 4).astype(float)
    model.loss(Tensor(x)).backward()
    codes = Tensor(model.codebook.codes.data[model.tokens(x)], requires_grad=True)
    F.mse(model.decode(codes, 2, 2), x).backward()
    z = model.encode(Tensor(x))
    found = model.cut.weight.grad.copy()
    model.cut.weight.grad = None
    (z * codes.grad).sum().backward()
    assert np.allclose(found, model.cut.weight.grad, rtol=1e-10) and np.abs(found).max() > 0


def test_a_codebook_that_follows_moves_between_steps_and_one_by_gradient_in_them():
    x = pictures(40, 1, 4, 4)
    for by_gradient in (False, True):
        nn.manual_seed(0)
        model = VqVae(2, 8, by_gradient=by_gradient)
        before = model.codebook.codes.data.copy()
        seen = []
        train_vqvae(model, x, 3, batch=8, after_step=lambda run, seen=seen: seen.append(run.step))
        assert seen == [1, 2, 3] and np.abs(model.codebook.codes.data - before).max() > 0
        assert model.codebook.counts.data.sum() != pytest.approx(8)  # the counts move either way


def test_the_same_seed_gives_the_same_model_and_averages_of_its_weights():
    x, found = pictures(30, 1, 4, 4), []
    for _ in range(2):
        nn.manual_seed(3)
        model = VqVae(2, 8)
        run = train_vqvae(model, x, 4, batch=8, revive=0.5, seed=1, ema=0.9)
        assert run.ema.steps == 4
        found.append(model.state_dict())
    assert all(np.array_equal(a, b) for a, b in zip(*(each.values() for each in found)))


def test_revival_uses_the_codebook_and_digits_stay_readable():
    """The issue's bounds at a third of the study's steps: 60 of 64 codes, 95 % named right."""
    data = split_digits(0)
    x, held = (2 * images[:, None] - 1 for images in (data.images, data.held_images))
    judge = train_judge(x[:, 0], data.labels, steps=500, progress=False)
    used = {}
    for revive in (0.0, 0.5):
        nn.manual_seed(0)
        model = VqVae(2)
        train_vqvae(model, x, 250, revive=revive)
        used[revive] = usage(model.tokens(held), 64)
    made = model.pictures(model.tokens(held), 4, 4)
    assert used[0.0].used < 50 < 60 <= used[0.5].used
    assert used[0.5].perplexity > 1.5 * used[0.0].perplexity
    assert (judge.names(made) == data.held_labels).mean() >= 0.95


X = pictures(4, 1, 6, 6)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: VqVae(0), "patch is 0; it must be 1 or more"),
        (lambda: VqVae(2, depth=-1), "depth is -1; it must be 0 or more"),
        (lambda: VqVae(4).tokens(X), "pictures are 6 by 6; patch 4 must divide both"),
        (lambda: VqVae(2, colours=3).tokens(X), "pictures are (4, 1, 6, 6); they must be (B, 3, H"),
        (lambda: VqVae(2).decode(Tensor(X[0]), 2, 2), "there are 6 codes; 2 by 2 patches need as"),
        (lambda: VqVae(2).pictures(np.array([[64]]), 1, 1), "tokens are 64 to 64; they must be"),
        (lambda: train_vqvae(VqVae(4), X, 1), "pictures are 6 by 6; patch 4 must divide both"),
        (lambda: train_vqvae(VqVae(2), X * np.nan, 1), "pictures hold nan or inf"),
        (lambda: train_vqvae(VqVae(2), X[:0], 1), "pictures are float32 of shape (0, 1, 6, 6); th"),
        (lambda: train_vqvae(VqVae(2), X.astype(int), 1), "pictures are int64 of shape"),
        (lambda: train_vqvae(VqVae(2), X, 1, revive=-1), "revive is -1; it must be 0 or more"),
        (lambda: train_vqvae(VqVae(2), X, 1, batch=0), "batch is 0; it must be 1 or more"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)
