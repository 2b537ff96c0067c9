"""Networks that take noise away: what they are at the start, how large, and what they can learn."""

import numpy as np
import pytest

from minilm import nn
from minilm.diffusion import pool
from minilm.diffusion.distil import distilling_batches, two_steps_as_one
from minilm.diffusion.dit import (
    CONDITIONS,
    AdaBlock,
    DiT,
    DiTConfig,
    dit_flops,
    published_count,
)
from minilm.diffusion.generate import denoiser, draw_pictures
from minilm.diffusion.mmdit import WAYS, JointBlock, MMDiT, MMDiTConfig, mmdit_flops
from minilm.diffusion.relay import grow, relay_batches, sample_relay
from minilm.diffusion.samplers import ddim_step
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.training import denoising_loss, fit, noisy_batches, spread_times
from minilm.diffusion.unet import UNet, UNetConfig
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad

WIDE = np.float64
SMALL = {"width": 16, "layers": 2, "heads": 2}


def random_like(model: nn.Module, seed: int = 1) -> nn.Module:
    """The model with every weight drawn anew, so that nothing is 0."""
    random = np.random.default_rng(seed)
    for p in model.parameters():
        p.data[...] = 0.3 * random.standard_normal(p.shape)
    return model


def networks():
    """Each network in float64 with what it is given, and other such things."""
    labels, others = np.array([1, 2, 0]), np.array([2, 2, 0])
    for way in CONDITIONS:
        config = DiTConfig(side=4, classes=3, condition=way, **SMALL)
        yield f"DiT {way}", DiT(config, dtype=WIDE), labels, others
    config = UNetConfig(side=4, width=8, levels=2, classes=3)
    yield "U-Net", UNet(config, dtype=WIDE), labels, others
    words = np.array([[1, 2, 0], [3, 1, 2], [2, 2, 2]])
    sizes = {"side": 4, "patch": 2, "channels": 1, "words": 5, "longest": 3, **SMALL}
    for way, normed in [(way, False) for way in WAYS] + [("experts", True), ("cross", True)]:
        config = MMDiTConfig(**sizes, way=way, qk_norm=normed)
        yield (
            f"MMDiT {way}{' normed' * normed}",
            MMDiT(config, dtype=WIDE),
            words,
            np.roll(words, 1, 0) % 5,
        )


NETWORKS = [pytest.param(*case[1:], id=case[0]) for case in networks()]


@pytest.mark.parametrize(("model", "given", "others"), NETWORKS)
def test_a_network_begins_at_zero_and_hears_all_it_is_told(model, given, others) -> None:
    random = np.random.default_rng(0)
    x, t = random.standard_normal((3, 1, 4, 4)), np.array([0.2, 0.5, 0.9])
    assert np.abs(model(x, t, given).data).max() == 0
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    random_like(model)
    answer = model(x, t, given).data
    assert answer.shape == x.shape
    told = [model(x, t[::-1].copy(), given), model(x, t, others), model(x[::-1].copy(), t, given)]
    assert all(np.abs(answer[0] - other.data[0]).max() > 1e-3 for other in told)
    model.load_state_dict(before)


@pytest.mark.parametrize(("model", "given", "others"), NETWORKS)
def test_gradients_are_the_slopes_of_the_loss(model, given, others) -> None:
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    random_like(model)
    random = np.random.default_rng(2)
    x, t = random.standard_normal((3, 1, 4, 4)), np.array([0.2, 0.5, 0.9])

    def loss() -> Tensor:
        return (model(x, t, given) ** 2).mean()

    loss().backward()
    for p in model.parameters():
        way = random.standard_normal(p.shape)
        way /= np.linalg.norm(way)
        slope, step = 0.0 if p.grad is None else float((p.grad * way).sum()), 1e-6
        with no_grad():
            p.data += step * way
            up = loss().item()
            p.data -= 2 * step * way
            down = loss().item()
            p.data += step * way
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)
    model.zero_grad()
    model.load_state_dict(before)


def test_an_adaln_block_is_the_identity_at_first_and_a_third_of_it_is_modulation() -> None:
    c, block = 24, AdaBlock(24, 2)
    x = np.random.default_rng(0).standard_normal((2, 5, c)).astype(np.float32)
    condition = Tensor(np.ones((2, c), np.float32))
    np.testing.assert_array_equal(block(Tensor(x), condition).data, x)
    assert block.modulation.num_parameters() == 6 * c * c + 6 * c
    assert block.modulation.num_parameters() == 2 * block.attention.qkv.num_parameters()
    assert block.num_parameters() == 18 * c * c + 15 * c


@pytest.mark.parametrize(
    ("layers", "width", "total"),
    [
        (28, 1152, 674_834_720),
        (12, 384, 32_865_056),
        (12, 768, 130_315_808),
        (24, 1024, 457_840_672),
    ],
)
def test_published_sizes(layers: int, width: int, total: int) -> None:
    found = published_count(layers, width)
    assert found["total"] == total
    if layers == 28:
        assert (found["modulation"], found["modulation"] + found["last"]) == (
            223_147_008,
            225_803_520,
        )


def test_operations_by_hand() -> None:
    b, c, n = 8, 16, 2
    inside, maps = 12 * c * c * n, 64 * c + c * c + 2 * c * c + n * 6 * c * c
    ends = 4 * c + c * 4  # patch and out
    one = DiTConfig(side=4, **SMALL)  # 4 tokens
    assert dit_flops(one, b) == 6 * b * (4 * (inside + ends) + maps)
    words = MMDiTConfig(side=4, patch=2, channels=1, words=5, longest=3, **SMALL)
    assert mmdit_flops(words, b) == 6 * b * (
        7 * inside + 4 * ends + (64 * c + c * c + 2 * c * c + c * c + 2 * n * 6 * c * c)
    )


@pytest.mark.parametrize("normed", [False, True])
def test_experts_with_the_same_weights_are_one_network(normed) -> None:
    joint = JointBlock(16, 2, WIDE, qk_norm=normed)
    single = AdaBlock(16, 2, dtype=WIDE, qk_norm="head" if normed else None)
    random_like(single)
    names = {name: f"attention.{name}" for name in ("qkv", "out", "q_norm", "k_norm")}
    state = single.state_dict()
    for half in ("words", "patches"):
        for name, p in joint.named_parameters():
            if name.startswith(half):
                own = name.removeprefix(f"{half}.")
                first = own.split(".")[0]
                p.data[...] = state[own.replace(first, names.get(first, first), 1)]
    random = np.random.default_rng(3)
    words, x, condition = (
        Tensor(random.standard_normal(shape)) for shape in ((2, 3, 16), (2, 4, 16), (2, 16))
    )
    found = np.concatenate([part.data for part in joint(words, x, condition)], axis=1)
    both = Tensor(np.concatenate([words.data, x.data], axis=1))
    np.testing.assert_allclose(found, single(both, condition).data, rtol=1e-10, atol=1e-12)


# -------------------------------------------------------------------------------------- batches


PICTURES = np.random.default_rng(5).uniform(-1, 1, (20, 1, 4, 4)).astype(np.float32)
LABELS = np.arange(20) % 3


def test_times_are_spread_evenly() -> None:
    t = np.sort(spread_times(np.random.default_rng(0), 50))
    assert (np.floor(t * 50) == np.arange(50)).all()


@pytest.mark.parametrize("predicts", ["noise", "image", "v"])
def test_a_batch_is_what_it_says(predicts: str) -> None:
    draw = noisy_batches(PICTURES, LABELS, np.int64(3), 32, 0, predicts, drop=0.5)
    a, b, c = draw(4), draw(4), draw(5)
    np.testing.assert_array_equal(a.x, b.x)
    assert np.abs(a.x - c.x).max() > 0 and 0 < (a.given == 3).sum() < 32
    alpha, sigma = (part[:, None, None, None] for part in cosine_path(a.t.astype(np.float64)))
    images = {
        "noise": (a.x - sigma * a.wanted) / alpha,
        "image": a.wanted,
        "v": alpha * a.x - sigma * a.wanted,
    }[predicts]
    rough = alpha.ravel() > 0.05  # at the last of the noise the image cannot be told
    apart = np.abs(images[:, None] - PICTURES[None]).max((2, 3, 4))  # (32, 20)
    assert (apart.min(1)[rough] < 1e-4).all()
    labelled = rough & (a.given < 3)
    assert (LABELS[apart.argmin(1)][labelled] == a.given[labelled]).all()


def test_the_relay_hands_over_from_blur_to_picture() -> None:
    blurred = grow(pool(PICTURES, 2), 2)
    draw = relay_batches(PICTURES, blurred, LABELS, np.int64(3), 64, top=0.5)
    batch = draw(0)
    assert batch.t.max() <= 0.5
    alpha, sigma = (p.astype(np.float32)[:, None, None, None] for p in cosine_path(batch.t))
    first = batch.t < 0.02
    assert np.abs(batch.x - batch.wanted)[first].mean() < 0.1
    row = int(batch.t.argmax())
    which = int(np.abs(PICTURES - batch.wanted[row]).max((1, 2, 3)).argmin())
    share = batch.t[row] / 0.5
    mean = (1 - share) * PICTURES[which] + share * blurred[which]
    left = (batch.x[row] - alpha[row] * mean) / sigma[row]
    assert abs(left.mean()) < 1 and 0.4 < left.std() < 1.6  # noise of strength 1


# ------------------------------------------------------------------------------------- learning


def test_a_small_network_learns_two_pictures_and_their_names() -> None:
    pair = np.stack([np.eye(4), 1 - np.eye(4)])[:, None].astype(np.float32) * 2 - 1
    config = DiTConfig(side=4, classes=2, **SMALL)
    model = DiT(config, seed=0)
    draw = noisy_batches(pair, np.arange(2), np.int64(2), 16, 0)
    fit(model, draw, 150, lr=5e-3, ema=0.9, progress=False)
    asked = np.array([0, 1, 1, 0])
    drawn = draw_pictures(model, asked, np.random.default_rng(0), steps=8)
    assert np.abs(drawn - pair[asked]).mean() < 0.1
    free = draw_pictures(model, np.full(20, 2), np.random.default_rng(0), steps=8)
    kinds = np.abs(free[:, None] - pair[None]).mean((2, 3, 4)).argmin(1)
    assert 0 < kinds.sum() < 20  # without a name, either


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path) -> None:
    def trained(out, **settings):
        model = DiT(DiTConfig(side=4, classes=3, **SMALL), seed=0)
        draw = noisy_batches(PICTURES, LABELS, np.int64(3), 8, 0)
        fit(model, draw, 8, progress=False, out=out, **settings)
        return model.state_dict()

    straight = trained(tmp_path / "a")
    trained(tmp_path / "b", after_step=lambda run: run.step == 3)
    resumed = trained(tmp_path / "b", resume=True)
    for name, array in straight.items():
        np.testing.assert_array_equal(array, resumed[name])


def test_guidance_leads_away_from_no_name() -> None:
    model = random_like(DiT(DiTConfig(side=4, classes=3, **SMALL)))
    x, labels = PICTURES[:3], np.array([0, 1, 2])
    at = [denoiser(model, labels, "image", w)(x, 0.4) for w in (0.0, 1.0, 2.0)]
    nameless = denoiser(model, model.unlabelled(labels), "image")(x, 0.4)
    np.testing.assert_allclose(at[0], nameless, atol=1e-5)
    np.testing.assert_allclose(at[2], 2 * at[1] - at[0], atol=1e-5)


def test_the_second_stage_is_exact_for_a_single_picture() -> None:
    one = PICTURES[:1]
    blurred = grow(pool(one, 2), 2)
    found = sample_relay(lambda x, t: one, blurred, 3, np.random.default_rng(0))
    np.testing.assert_allclose(found, one, atol=1e-6)


def test_what_is_grown_pools_back() -> None:
    np.testing.assert_allclose(pool(grow(PICTURES, 3), 3), PICTURES, atol=1e-6)


def test_one_step_of_the_student_is_two_of_the_teacher() -> None:
    random = np.random.default_rng(0)
    x, first, second = random.standard_normal((3, 2, 1, 4, 4))
    points = [tuple(map(float, cosine_path(t))) for t in (0.9, 0.6, 0.3)]
    half = ddim_step(first, x, points[0], points[1])
    end = ddim_step(second, half, points[1], points[2])
    image = two_steps_as_one(x, end, points[0], points[2])
    np.testing.assert_allclose(ddim_step(image, x, points[0], points[2]), end, rtol=1e-10)


def test_distilling_a_teacher_that_knows_a_single_picture() -> None:
    class Knows:
        """Answers v for one picture."""

        def __call__(self, x, t, given):
            alpha, sigma = (float(p) for p in cosine_path(float(t[0])))
            return Tensor((alpha * x - PICTURES[:1]) / sigma)

    batch = distilling_batches(Knows(), PICTURES[:1], LABELS[:1], 4, 6)(0)
    alpha, sigma = (float(p) for p in cosine_path(float(batch.t[0])))
    np.testing.assert_allclose(
        alpha * batch.x - sigma * batch.wanted, np.repeat(PICTURES[:1], 6, 0), atol=1e-4
    )


# -------------------------------------------------------------------------------------- mistakes

BAD = np.full((2, 1, 4, 4), np.nan, np.float32)
MISTAKES = {
    "patch": (lambda: DiTConfig(side=9), "patch is 2; it must divide the side, 9"),
    "condition": (lambda: DiTConfig(condition="loud"), "condition is 'loud'; it must be one of"),
    "words": (lambda: MMDiTConfig(side=10), "patch is 4; it must divide the side, 10"),
    "way": (lambda: MMDiTConfig(way="by ear"), "way is 'by ear'; it must be one of"),
    "levels": (lambda: UNetConfig(side=6, levels=3), "side is 6; 3 levels need a multiple of 4"),
    "nan": (
        lambda: noisy_batches(BAD, LABELS[:2], np.int64(3)),
        "pictures hold nan or inf; every number must be finite",
    ),
    "rows": (
        lambda: noisy_batches(PICTURES, LABELS[:2], np.int64(3)),
        "given has 2 rows for 20 pictures; it must have as many",
    ),
    "top": (
        lambda: relay_batches(PICTURES, PICTURES, LABELS, np.int64(3), top=1.0),
        "top is 1.0; it must lie between 0 and 1",
    ),
    "guidance": (
        lambda: denoiser(None, LABELS, guidance=float("nan")),
        "guidance is nan; it must be a finite number",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_refused_in_a_sentence(name: str) -> None:
    call, sentence = MISTAKES[name]
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_a_weighted_loss_is_the_weighted_mean() -> None:
    class Zero(nn.Module):
        def forward(self, x, t, given):
            return Tensor(np.zeros_like(x))

    draw = noisy_batches(PICTURES, LABELS, np.int64(3), 16, 0, "v", most_snr=5.0)
    batch = draw(0)
    alpha, sigma = cosine_path(batch.t.astype(np.float64))
    ratio = (alpha / sigma) ** 2
    by_hand = np.minimum(ratio, 5) / (ratio + 1) * (batch.wanted**2).mean((1, 2, 3))
    assert denoising_loss(Zero(), batch).item() == pytest.approx(by_hand.mean(), rel=1e-4)
