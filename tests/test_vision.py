"""Patches against loops and convolutions; quantisation against brute force and closed forms."""

import math

import numpy as np
import pytest
from checks import check_op

import minilm
from minilm import InputError, Tensor, nn
from minilm import functional as F
from minilm.vision.patches import patchify, unpatchify
from minilm.vision.vq import Codebook, ema_step, nearest_code, quantize, usage


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=0):
    return rng(seed).standard_normal(shape)


def test_the_part_can_be_named():
    assert minilm.vision.__name__ == "minilm.vision" and "vision" in dir(minilm)


# --- patches ------------------------------------------------------------------------------------


def cut_by_hand(x, p):
    b, c, h, w = x.shape
    rows = []
    for i in range(0, h, p):
        for j in range(0, w, p):
            rows.append(x[:, :, i : i + p, j : j + p].reshape(b, c * p * p))
    return np.stack(rows, 1)


@pytest.mark.parametrize(
    ("shape", "p"), [((2, 3, 6, 9), 3), ((1, 1, 8, 8), 2), ((2, 2, 4, 6), 1), ((1, 4, 5, 5), 5)]
)
def test_patches_are_cut_in_reading_order_and_put_together_again(shape, p):
    check_op([shape], lambda x: patchify(x, p), lambda x: cut_by_hand(x, p))
    x = normal(*shape)
    back = unpatchify(patchify(Tensor(x), p), p, *shape[2:])
    assert np.array_equal(back.data, x)


def test_the_gradient_of_putting_together_is_cutting():
    tokens, g = Tensor(normal(2, 6, 12), requires_grad=True), normal(2, 3, 4, 6, seed=1)
    (unpatchify(tokens, 2, 4, 6) * g).sum().backward()
    assert np.array_equal(tokens.grad, cut_by_hand(g, 2))


def test_a_linear_map_of_patches_is_a_convolution():
    x, w = Tensor(normal(2, 3, 8, 12)), normal(5, 3, 4, 4, seed=1)
    by_tokens = patchify(x, 4).data @ w.reshape(5, -1).T  # (B, T, O)
    by_window = F.conv2d(x, Tensor(w), None, 4, 0).data  # (B, O, 2, 3)
    assert np.allclose(by_tokens.transpose(0, 2, 1).reshape(2, 5, 2, 3), by_window)


# --- quantisation -------------------------------------------------------------------------------


def test_ids_are_those_of_brute_force():
    z, codes = normal(4, 25, 6), normal(40, 6, seed=1)
    brute = ((z[:, :, None] - codes) ** 2).sum(-1).argmin(-1)
    assert np.array_equal(nearest_code(z, codes), brute)
    assert nearest_code(np.zeros((1, 2)), np.array([[1.0, 0], [0, 1], [-1, 0]])).item() == 0


def test_the_gradient_goes_straight_through_and_the_loss_adds_its_own():
    z = Tensor(normal(3, 5, 4), requires_grad=True)
    codes, g, beta = Tensor(normal(7, 4, seed=1), requires_grad=True), normal(3, 5, 4, seed=2), 0.3
    found = quantize(z, codes, beta)
    ((found.codes * g).sum() + found.loss).backward()
    e = codes.data[found.ids]
    assert np.array_equal(found.codes.data, e)
    assert found.loss.item() == pytest.approx((1 + beta) * ((z.data - e) ** 2).mean())
    assert np.allclose(z.grad, g + 2 * beta * (z.data - e) / z.data.size, rtol=1e-12)
    by_code = np.zeros((7, 4))
    np.add.at(by_code, found.ids, 2 * (e - z.data) / z.data.size)
    assert np.allclose(codes.grad, by_code, rtol=1e-12)  # and nothing of g


def test_codes_that_need_no_gradient_leave_the_pull_on_the_vectors_alone():
    z, codes = Tensor(normal(9, 4), requires_grad=True), Tensor(normal(5, 4, seed=1))
    found = quantize(z, codes, 0.25)
    found.loss.backward()
    away = z.data - codes.data[found.ids]
    assert found.loss.item() == pytest.approx(0.25 * (away**2).mean())
    assert np.allclose(z.grad, 0.5 * away / away.size) and codes.grad is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("by_gradient", [False, True])
def test_a_codebook_keeps_dtype_shape_and_ids(dtype, by_gradient):
    book = Codebook(8, 3, by_gradient=by_gradient, dtype=dtype)
    found = book(Tensor(normal(2, 6, 3).astype(dtype)))
    assert found.codes.shape == (2, 6, 3) and found.ids.shape == (2, 6)
    assert found.codes.dtype == found.loss.dtype == dtype and found.ids.dtype == np.int64
    book.follow(normal(2, 6, 3).astype(dtype), found.ids)
    assert {held.dtype for held in (book.codes, book.counts)} == {np.dtype(dtype)}
    assert [name for name, _ in book.named_parameters()] == (["codes"] if by_gradient else [])
    assert set(book.state_dict()) == {"codes", "counts"}


# --- the codebook that follows averages ---------------------------------------------------------


def test_averages_in_closed_form():
    """After t steps with the same batch N is decay^t + (1 - decay^t) n, and m likewise."""
    z, ids = normal(10, 2), np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    counts, sums = np.ones(3), normal(3, 2, seed=1)
    first = sums.copy()
    for _ in range(6):
        counts, sums = ema_step(counts, sums, z, ids, 0.8)
    left = 0.8**6
    assert np.allclose(counts, left + (1 - left) * np.array([4, 6, 0]))
    totals = np.stack([z[:4].sum(0), z[4:].sum(0), np.zeros(2)])
    assert np.allclose(sums, left * first + (1 - left) * totals)


def test_the_fixed_point_is_the_mean_of_every_cluster():
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    z = np.concatenate([c + normal(20 + 5 * i, 2, seed=i) for i, c in enumerate(centres)])
    means = np.stack([z[:20].mean(0), z[20:45].mean(0), z[45:].mean(0)])
    book = Codebook(4, 2, decay=0.9, dtype=np.float64)
    book.codes.data[...] = [[1, 1], [9, 1], [1, 9], [50, 50]]  # the last is nobody's
    for _ in range(400):
        book.follow(z, book(Tensor(z)).ids)
    assert np.allclose(book.codes.data[:3], means, rtol=1e-12)
    assert np.allclose(book.counts.data, [20, 25, 30, 0])
    assert np.allclose(book.codes.data[3], 50)  # stays where it was
    before = book.codes.data.copy()
    book.follow(z, book(Tensor(z)).ids)
    assert np.allclose(book.codes.data, before, rtol=1e-14)


def test_a_rare_vector_has_its_code_and_an_unchosen_code_outlives_its_count():
    """One vector in two batches still moves a code; a count of 0, after underflow, moves none."""
    book = Codebook(2, 1, decay=0.5)
    book.codes.data[...] = [[0], [9]]
    for step in range(400):
        z = np.array([[8.0]] if step % 2 and step < 200 else [[0.5]], np.float32)
        book.follow(z, book(Tensor(z)).ids)
    assert book.counts.data[1] == 0
    assert np.allclose(book.codes.data, [[0.5], [8]], rtol=1e-4)


def test_a_codebook_by_gradient_counts_and_does_not_follow():
    book = Codebook(4, 2, decay=0.5, by_gradient=True)
    before = book.codes.data.copy()
    book.follow(np.ones((6, 2), np.float32), np.zeros(6, np.int64))
    assert np.array_equal(book.codes.data, before)
    assert book.counts.data.tolist() == [3.5, 0.5, 0.5, 0.5]


def test_a_codebook_by_gradient_goes_to_the_means_too():
    z = np.concatenate([normal(20, 2, seed=1) * 0.1, 5 + normal(20, 2, seed=2) * 0.1])
    book = Codebook(2, 2, by_gradient=True, dtype=np.float64)
    book.codes.data[...] = [[1, 1], [4, 4]]
    optimizer = minilm.optim.SGD(book.parameters(), lr=1.0)
    for _ in range(200):
        book(Tensor(z)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert np.allclose(book.codes.data, [z[:20].mean(0), z[20:].mean(0)])


def test_a_dead_code_is_put_onto_a_vector_of_the_batch():
    book = Codebook(3, 2, decay=0.5)
    book.codes.data[...] = [[0, 0], [50, 50], [60, 60]]
    z = normal(40, 2).astype(np.float32)
    for _ in range(3):
        book.follow(z, book(Tensor(z)).ids)
    assert book.revive(z, 0.2, rng(1)) == 2
    assert all((row == z).all(1).any() for row in book.codes.data[1:])
    assert book.counts.data[1:].tolist() == [1, 1] and book.revive(z, 0.2, rng(1)) == 0


def test_revival_cures_a_collapsed_codebook():
    """64 codes far from all vectors: one wins everything, unless dead ones are revived."""
    z = normal(2000, 4).astype(np.float32)

    def used(revive):
        nn.manual_seed(0)
        book, random = Codebook(64, 4, decay=0.8, std=0.1), rng(3)
        book.codes.data += 20
        for _ in range(60):
            rows = z[random.integers(0, len(z), 512)]
            book.follow(rows, book(Tensor(rows)).ids)
            if revive:
                book.revive(rows, 0.5, random)
        return usage(book(Tensor(z)).ids, 64)

    without, cured = used(False), used(True)
    assert without.used < 16 < 60 <= cured.used
    assert cured.perplexity > 4 * without.perplexity


def test_a_codebook_is_saved_and_loaded_with_its_averages():
    book, other = Codebook(5, 2), Codebook(5, 2)
    z = normal(30, 2).astype(np.float32)
    book.follow(z, book(Tensor(z)).ids)
    other.load_state_dict(book.state_dict())
    for one in (book, other):
        one.follow(z, one(Tensor(z)).ids)
    assert np.array_equal(book.codes.data, other.codes.data)


def test_usage_counts_codes_and_their_evenness():
    assert usage(np.arange(8).reshape(2, 4), 64) == (8, pytest.approx(8))
    assert usage(np.full(9, 3), 4) == (1, 1)
    half, quarter = math.log(2) / 2, math.log(4) / 4
    assert usage(np.array([0, 0, 5, 2]), 6) == (3, pytest.approx(math.exp(half + 2 * quarter)))


# --- what is refused ----------------------------------------------------------------------------

X, Z, IDS = Tensor(np.zeros((1, 1, 4, 6))), np.zeros((3, 2)), np.zeros(3, int)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: patchify(X, 0), "size is 0; it must be 1 or more"),
        (lambda: patchify(X, 3), "pictures are 4 by 6; size 3 must divide both"),
        (lambda: patchify(Tensor(Z), 2), "pictures are (3, 2); they must be (B, C, H, W)"),
        (lambda: unpatchify(Tensor(Z), 2, 4, 6), "tokens are (3, 2); they must be (B, T, C p p)"),
        (lambda: unpatchify(patchify(X, 2), 2, 4, 5), "pictures are 4 by 5; size 2 must divide"),
        (lambda: unpatchify(patchify(X, 2), 2, 4, 4), "needs 4 tokens of a multiple of 4 numbers"),
        (lambda: unpatchify(Tensor(np.zeros((1, 6, 3))), 2, 4, 6), "needs 6 tokens of a multiple"),
        (lambda: nearest_code(Z, Z[:, :1]), "z is (3, 2) and codes (3, 1); they must be"),
        (lambda: nearest_code(Z, Z[:0]), "z is (3, 2) and codes (0, 2)"),
        (lambda: quantize(Tensor(Z), Tensor(Z), -1), "beta is -1; it must be 0 or more"),
        (lambda: ema_step(np.ones(2), Z[:2], Z, IDS, 1.5), "decay is 1.5; it must be from 0 to 1"),
        (lambda: ema_step(np.ones(2), Z[:2], Z, IDS[:2], 0.5), "z is (3, 2), ids (2,), counts"),
        (lambda: usage(IDS[:0], 4), "ids are 0 of int64; they must be integers, at least one"),
        (lambda: usage(Z, 4), "ids are 6 of float64"),
        (lambda: usage(IDS + 4, 4), "ids are 4 to 4; they must be from 0 to 3"),
        (lambda: Codebook(0, 2), "size is 0; it must be 1 or more"),
        (lambda: Codebook(2, 0), "width is 0"),
        (lambda: Codebook(2, 2, beta=float("nan")), "beta is nan"),
        (lambda: Codebook(2, 2, decay=-1), "decay is -1"),
        (lambda: Codebook(2, 2).revive(np.zeros((3, 3)), 1, rng()), "z is (3, 3); it must be (..."),
        (lambda: Codebook(2, 2).revive(Z[:0], 1, rng()), "with at least one vector"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)
