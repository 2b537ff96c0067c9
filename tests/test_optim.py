"""Optimizers against closed forms and against each paper's formula in float64."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizer_kinds import MAKERS, gradients, parameter

from minilm import InputError, Tensor, backend, kernels, nn, optim
from minilm import functional as F
from minilm.nn import Parameter


@pytest.mark.parametrize("name", MAKERS)
def test_each_finds_the_bottom_of_a_bowl_and_keeps_float32(name):
    target = gradients((4, 6), 1, seed=3)[0]
    curvature = np.linspace(0.5, 3.0, 6, dtype=np.float32)
    p = parameter(np.zeros((4, 6)))
    optimizer = MAKERS[name]([p])
    for step in range(400):
        p.grad = curvature * (p.data - target)
        optimizer.step(optim.cosine(step, 400))
    assert p.dtype == np.float32
    assert all(s.dtype == np.float32 for state in optimizer.state for s in state.values())
    assert np.abs(p.data - target).max() < 0.02


@pytest.mark.parametrize("name", MAKERS)
def test_a_gradient_is_only_read(name):
    p = parameter(np.ones((3, 4)))
    p.grad = gradients((3, 4), 1)[0]
    before = p.grad.copy()
    p.grad.flags.writeable = False
    MAKERS[name]([p]).step()
    np.testing.assert_array_equal(p.grad, before)


def test_sgd_contracts_a_quadratic_by_one_minus_lr_times_curvature():
    p = parameter([1.0], np.float64)
    optimizer = optim.SGD([p], lr=0.1)
    for _ in range(10):
        p.grad = 3.0 * p.data
        optimizer.step()
    assert p.data[0] == pytest.approx(0.7**10, rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_reaches_its_terminal_velocity(nesterov):
    """Under a constant gradient the velocity tends to g / (1 - momentum)."""
    p = parameter([0.0], np.float64)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.9, nesterov=nesterov)
    for _ in range(400):
        p.grad = np.ones(1)
        before = p.data.copy()
        optimizer.step()
    assert before - p.data == pytest.approx(1 / (1 - 0.9), rel=1e-9)


def adam_formula(p, grads, lr, b1, b2, eps, decay=0.0, coupled=0.0):
    """Algorithm 1 of arXiv 1412.6980 as it stands there, in float64."""
    p = p.astype(np.float64)
    m = v = np.zeros_like(p)
    for t, g in enumerate(grads.astype(np.float64), start=1):
        g = g + coupled * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = p - lr * decay * p
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return p


@pytest.mark.parametrize("tier", ["auto", "reference", "cpu"])
@pytest.mark.parametrize("shape", [(7,), (5, 9), (2, 3, 4)])
def test_adamw_is_the_paper_in_every_tier(tier, shape):
    start, grads = gradients(shape, 1, seed=1)[0], gradients(shape, 6)
    p = parameter(start)
    optimizer = optim.AdamW([p], lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    for g in grads:
        p.grad = g
        if tier == "auto":
            optimizer.step()
        else:
            with kernels.use(tier):
                optimizer.step()
    wanted = adam_formula(start, grads, 0.01, 0.8, 0.95, 1e-6, decay=0.1)
    np.testing.assert_allclose(p.data, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_adamw_gives_the_same_bits_with_any_number_of_threads(threads):
    """Large models are cut into shares; sizes that no vector divides must not show it."""
    rng = np.random.default_rng(0)
    shapes = [(700, 1001), (3,), (0,), (517, 333), (1,)]
    starts = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    slopes = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    before, found = backend.threads(), []
    try:
        for count in (1, threads):
            backend.set_threads(count)
            params = [nn.Parameter(start.copy()) for start in starts]
            optimizer = optim.AdamW(params, lr=0.1)
            for _ in range(3):
                for p, slope in zip(params, slopes, strict=True):
                    p.grad = slope
                optimizer.step()
            found.append([p.data for p in params])
    finally:
        backend.set_threads(before)
    for one, many in zip(*found, strict=True):
        np.testing.assert_array_equal(one, many)


def test_work_that_is_shared_inside_shared_work_does_not_wait_for_itself():
    before = backend.threads()
    try:
        backend.set_threads(2)
        products = backend.parallel(lambda x: backend.parallel(lambda y: x * y, range(3)), range(4))
        assert products == [[0, x, 2 * x] for x in range(4)]
    finally:
        backend.set_threads(before)


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2]], ids=["turned", "every other"])
def test_a_parameter_that_is_a_view_is_trained_like_any_other(view):
    given, grads = gradients((6, 4), 1, seed=1)[0], gradients((6, 4), 3)
    results = []
    for array in (view(given.copy()), np.ascontiguousarray(view(given))):
        p = Tensor(array, requires_grad=True)
        optimizer = optim.AdamW([p], lr=0.01)
        for g in grads:
            p.grad = view(g)
            optimizer.step()
        results.append(p.data)
    np.testing.assert_allclose(*results, rtol=1e-6)
    assert not np.allclose(results[0], view(given))


def test_adam_is_the_paper_with_decay_in_the_gradient():
    start, grads = gradients((4, 4), 1, seed=1)[0], gradients((4, 4), 6)
    p = parameter(start)
    optimizer = optim.Adam([p], lr=0.01, betas=(0.9, 0.99), weight_decay=0.3)
    for g in grads:
        p.grad = g
        optimizer.step()
    wanted = adam_formula(start, grads, 0.01, 0.9, 0.99, 1e-8, coupled=0.3)
    np.testing.assert_allclose(p.data, wanted, rtol=1e-5, atol=1e-6)


def test_adams_first_step_is_the_learning_rate_whatever_the_scale_of_the_gradient():
    p = parameter(np.zeros(4))
    p.grad = np.array([1e-3, -1.0, 1e3, -1e5], np.float32)
    optim.Adam([p], lr=0.25).step()
    np.testing.assert_allclose(p.data, [-0.25, 0.25, -0.25, 0.25], rtol=2e-5)


def test_lion_moves_every_weight_by_exactly_the_learning_rate():
    p = parameter(np.zeros((5, 5)))
    optimizer = optim.Lion([p], lr=0.5)
    for g in gradients((5, 5), 4):
        before = p.data.copy()
        p.grad = g
        optimizer.step()
        np.testing.assert_allclose(np.abs(p.data - before), 0.5, rtol=1e-6)


def test_lion_is_the_paper():
    start, grads = gradients((3, 5), 1, seed=1)[0], gradients((3, 5), 8)
    p = parameter(start)
    optimizer = optim.Lion([p], lr=0.03, betas=(0.9, 0.8), weight_decay=0.4)
    q, m = start.astype(np.float64), np.zeros((3, 5))
    for g in grads:
        p.grad = g
        optimizer.step()
        q = q - 0.03 * (np.sign(0.9 * m + 0.1 * g) + 0.4 * q)
        m = 0.8 * m + 0.2 * g
    np.testing.assert_allclose(p.data, q, rtol=1e-5, atol=1e-6)


def test_adafactor_keeps_rows_and_columns_only():
    p = parameter(np.ones((30, 50)))
    state = optim.Adafactor([p], lr=0.1).state[0]
    assert sum(s.size for s in state.values()) == 30 + 50


def test_adafactor_is_exact_where_squares_are_a_product_of_rows_and_columns():
    """Squares r_i c_j are rebuilt without error, so the update is g / |g| = its sign."""
    rng = np.random.default_rng(0)
    sizes = np.outer(rng.uniform(0.1, 3, 6), rng.uniform(0.1, 3, 4))
    signs = rng.choice([-1.0, 1.0], (6, 4))
    p = parameter(np.ones((6, 4)))
    p.grad = (signs * sizes).astype(np.float32)
    optim.Adafactor([p], lr=0.125).step()
    np.testing.assert_allclose(p.data, 1 - 0.125 * signs, rtol=1e-5)


@pytest.mark.parametrize("shape", [(24, 24), (16, 48), (48, 16)])
def test_muon_brings_every_singular_value_near_one_and_keeps_the_vectors(shape):
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(shape[0], 16)))
    v, _ = np.linalg.qr(rng.normal(size=(shape[1], 16)))
    g = (u * np.geomspace(0.05, 1, 16)) @ v.T
    out = optim.orthogonalize(g)
    inside = u.T @ out @ v
    values = np.diag(inside)
    assert 0.65 < values.min() and values.max() < 1.25
    np.testing.assert_allclose(inside, np.diag(values), atol=1e-9)
    np.testing.assert_allclose(out, u @ inside @ v.T, atol=1e-9)


def test_muon_steps_have_the_size_of_adamw_steps_where_asked():
    p = parameter(np.zeros((64, 32)))
    p.grad = gradients((64, 32), 1)[0]
    optim.Muon([p], lr=1.0, adjust="match_rms_adamw").step()
    rms = math.sqrt((p.data**2).mean())
    assert 0.15 < rms < 0.25


def test_a_parameter_without_a_gradient_stays():
    p, q = parameter(np.ones(3)), parameter(np.ones(3))
    optimizer = optim.AdamW([p, q], lr=0.1)
    q.grad = np.ones(3, np.float32)
    optimizer.step()
    np.testing.assert_array_equal(p.data, 1)
    optimizer.zero_grad()
    assert q.grad is None


@pytest.mark.parametrize("name", MAKERS)
def test_saved_and_loaded_it_goes_on_bit_for_bit(name):
    grads = gradients((4, 3), 8)
    straight = parameter(np.ones((4, 3)))
    optimizer = MAKERS[name]([straight])
    for step, g in enumerate(grads):
        if step == 4:
            saved = {k: v.copy() for k, v in optimizer.state_dict().items()}
            halfway = parameter(straight.data)
        straight.grad = g
        optimizer.step()
    resumed = MAKERS[name]([halfway])
    resumed.load_state_dict(saved)
    for g in grads[4:]:
        halfway.grad = g
        resumed.step()
    np.testing.assert_array_equal(halfway.data, straight.data)


def test_a_foreign_state_is_refused_and_changes_nothing():
    optimizer = optim.AdamW([parameter(np.ones(3))])
    with pytest.raises(InputError, match=r"'0\.m' has shape \(4,\); here it must be \(3,\)"):
        optimizer.load_state_dict({"steps": np.array(9), "0.m": np.ones(4), "0.v": np.ones(3)})
    with pytest.raises(InputError, match="not that of this AdamW"):
        optimizer.load_state_dict({"steps": np.array(9)})
    assert optimizer.steps == 0


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda p: optim.SGD([p], lr=-1), "lr of SGD is -1; it must be 0 or more"),
        (lambda p: optim.SGD([p], lr=1, nesterov=True), "momentum of SGD is 0; with nesterov"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), r"betas of Adam is \(0.9, 1.0\)"),
        (lambda p: optim.AdamW([]), "was given no parameters"),
        (lambda p: optim.AdamW([p, p]), "the same parameter twice"),
        (lambda p: optim.AdamW([{"params": [p], "beta": 1}]), "a parameter group has 'beta'"),
        (lambda p: optim.AdamW([np.ones(3)]), "takes Tensors with requires_grad"),
        (lambda p: optim.AdamW([{"lr": 1}]), "a parameter group has lr; it must have params"),
        (lambda p: optim.AdamW([p], lr=math.nan), "lr of AdamW is nan; it must be 0 or more"),
        (lambda p: optim.AdamW([p], lr="fast"), "lr of AdamW is 'fast'; it must be 0 or more"),
        (lambda p: optim.Muon([p]), r"a parameter has shape \(3,\); Muon takes matrices"),
        (lambda p: optim.Muon([p], adjust="x"), "adjust of Muon is 'x'; it must be one of"),
        (lambda p: optim.clip_grad_norm([p], 0), "max_norm is 0; it must be more than 0"),
        (lambda p: optim.cosine(-1, 10), "step is -1"),
        (lambda p: optim.cosine(0, 10, warmup=11), "warmup is 11; it must be from 0 to steps, 10"),
        (lambda p: optim.wsd(0, 10, decay=2), "decay is 2"),
        (lambda p: optim.inverse_sqrt(0, 0), "warmup is 0; it must be 1 or more"),
        (lambda p: optim.linear(0, 10, floor=2), "floor is 2"),
        (lambda p: optim.linear(0, 0), "steps is 0"),
        (lambda p: optim.constant(-1), "step is -1"),
        (lambda p: optim.constant(0, -1), "warmup is -1; it must be 0 or more"),
    ],
)
def test_mistakes_give_one_sentence(make, words):
    with pytest.raises(InputError, match=words):
        make(parameter(np.ones(3)))


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_clipping_shortens_all_gradients_together(seed, max_norm):
    rng = np.random.default_rng(seed)
    params = [parameter(np.zeros(s)) for s in [(3,), (2, 4)]]
    for p in params:
        p.grad = rng.normal(size=p.shape).astype(np.float32) * 10
    before = np.concatenate([p.grad.ravel() for p in params]).astype(np.float64)
    norm = optim.clip_grad_norm(params, max_norm)
    after = np.concatenate([p.grad.ravel() for p in params])
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-5)
    np.testing.assert_allclose(after, before * min(1.0, max_norm / norm), rtol=1e-4, atol=1e-7)


def test_clipping_a_shared_array_shortens_it_once_for_each():
    p, q = parameter(np.zeros(2)), parameter(np.zeros(2))
    p.grad = q.grad = np.array([3.0, 4.0], np.float32)
    optim.clip_grad_norm([p, q], 1.0)
    assert np.linalg.norm(np.concatenate([p.grad, q.grad])) == pytest.approx(1.0, rel=1e-6)


def test_a_large_finite_norm_is_no_infinity():
    p = parameter(np.zeros(2))
    p.grad = np.array([3e25, 4e25], np.float32)
    assert optim.grad_norm([p]) == pytest.approx(5e25, rel=1e-6)
    p.grad[0] = np.inf
    assert optim.grad_norm([p]) == math.inf


def test_schedules_at_their_corners():
    assert [optim.cosine(s, 110, warmup=10) for s in (0, 9, 10)] == [0.1, 1.0, 1.0]
    assert optim.cosine(60, 110, warmup=10) == pytest.approx(0.5)
    assert optim.cosine(110, 110, warmup=10, floor=0.1) == pytest.approx(0.1)
    assert optim.cosine(999, 110, floor=0.1) == pytest.approx(0.1)
    assert [optim.wsd(s, 100, warmup=5) for s in (0, 5, 80, 90, 100)] == [0.2, 1, 1, 0.5, 0]
    assert [optim.constant(s, warmup=4) for s in (0, 1, 3, 4, 10**9)] == [0.25, 0.5, 1, 1, 1]
    assert optim.constant(0) == 1.0
    assert [optim.linear(s, 110, warmup=10) for s in (0, 9, 10, 60, 110, 999)] == [
        *(0.1, 1.0, 1.0),
        *(0.5, 0.0, 0.0),
    ]
    assert optim.linear(60, 110, warmup=10, floor=0.2) == pytest.approx(0.6)
    assert optim.linear(110, 110, floor=0.2) == pytest.approx(0.2)
    assert optim.inverse_sqrt(99, warmup=100) == 1.0
    assert optim.inverse_sqrt(399, warmup=100) == 0.5


def test_inverse_sqrt_is_the_rate_of_the_transformer_paper():
    """Equation 3 of arXiv 1706.03762 peaks at step 4000 with 512 channels at 6.99e-4."""
    for step in (1, 100, 4000, 100_000):
        paper = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        ours = 512**-0.5 * 4000**-0.5 * optim.inverse_sqrt(step - 1, warmup=4000)
        assert ours == pytest.approx(paper, rel=1e-12)


def test_a_parameter_of_one_number_is_updated_as_any_other():
    w, s = Parameter(np.ones(3, np.float32)), Parameter(np.array(1.0, np.float32))
    one, many = optim.AdamW([w, s], lr=0.01), Parameter(np.ones(1, np.float32))
    alone = optim.AdamW([many], lr=0.01)
    for step in range(6):
        factor = np.float32(step - 2.5)
        (F.sum(w * s) * factor).backward()
        many.grad = s.grad.reshape(1) if hasattr(s.grad, "reshape") else np.array([s.grad])
        one.step()
        alone.step()
        one.zero_grad()
        np.testing.assert_allclose(s.data, many.data[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["AdamW", "SGD", "Lion"])
def test_a_parameter_that_has_another_shape_now_is_refused(name):
    w = Parameter(np.ones(4, np.float32))
    optimizer = getattr(optim, name)([w], lr=0.1)
    w.data, w.grad = np.ones(12, np.float32), np.ones(12, np.float32)
    with pytest.raises(InputError, match=r"shape \(4,\) is now of shape \(12,\)"):
        optimizer.step()
    assert optimizer.steps == 0 and np.all(w.data == 1)


def test_memory_that_cannot_be_written_is_not_written():
    text = bytes(np.ones(4, np.float32))
    w = Parameter(np.frombuffer(text, np.float32))
    with pytest.raises(InputError, match="read-only"):
        optim.AdamW([w])
    w = Parameter(np.ones(4, np.float32))
    optimizer = optim.AdamW([w])
    w.data, w.grad = np.frombuffer(text, np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match="read-only"):
        optimizer.step()
    assert text == bytes(np.ones(4, np.float32))
