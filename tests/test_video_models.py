"""Causal convolution, spacetime patches, flicker, key frames, and the networks made of them."""

import itertools

import numpy as np
import pytest
from checks import check_op, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError, Tensor, nn
from minilm import functional as F
from minilm.diffusion import video_dit as D
from minilm.diffusion.training import denoising_loss, noisy_batches
from minilm.optim import AdamW
from minilm.vision import spacetime as S
from minilm.vision.frame_reader import FrameReader, FrameReaderConfig
from minilm.vision.video_ae import VideoAE, VideoAEConfig, causal_ae, frame_ae

F32 = np.float32


def convolved(x, w, step=1, stride=(1, 1), padding=(0, 0)):
    """Every output one by one: the sum over the part of w that lies on the video."""
    (s, r), (p, q) = stride, padding
    (n, _, frames, h, v), (outs, _, taps, a, b) = x.shape, w.shape
    high, wide = (h + 2 * p - a) // s + 1, (v + 2 * q - b) // r + 1
    y = np.zeros((n, outs, frames // step, high, wide), x.dtype)
    for t, i, j in itertools.product(*map(range, y.shape[2:])):
        for k, da, db in itertools.product(range(taps), range(a), range(b)):
            at, row, column = step * (t + 1) - taps + k, i * s + da - p, j * r + db - q
            if at >= 0 and 0 <= row < h and 0 <= column < v:
                y[:, :, t, i, j] += x[:, :, at, row, column] @ w[:, :, k, da, db].T
    return y


@pytest.mark.parametrize(
    "step, stride, padding", [(1, (1, 1), (1, 0)), (2, (2, 1), (0, 1)), (3, (1, 2), (1, 1))]
)
def test_causal_conv3d(step, stride, padding):
    check_op(
        [(2, 2, 6, 4, 3), (3, 2, 3, 2, 2), (3,)],
        lambda x, w, b: F.causal_conv3d(x, w, b, step, stride, padding),
        lambda x, w, b: convolved(x, w, step, stride, padding) + b[:, None, None, None],
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.sampled_from([(1, 1), (3, 1), (2, 2), (3, 3)]))
def test_no_output_sees_a_later_frame(frame, sizes):
    taps, step = sizes
    x, w = numbers((1, 2, 6, 3, 3)).astype(F32), numbers((2, 2, taps, 3, 3), 1).astype(F32)
    before = F.causal_conv3d(x, w, step=step, padding=1).data
    x[:, :, frame] += 1
    after = F.causal_conv3d(x, w, step=step, padding=1).data
    first = frame // step  # the output that ends with this frame or a later one of its step
    np.testing.assert_array_equal(before[:, :, :first], after[:, :, :first])
    assert (before[:, :, first] != after[:, :, first]).all()


def test_a_picture_is_a_video_of_one_frame():
    x, w = numbers((2, 3, 5, 4)).astype(F32), numbers((4, 3, 3, 3, 3), 1).astype(F32)
    video = F.causal_conv3d(x[:, :, None], w, padding=1).data[:, :, 0]
    np.testing.assert_allclose(video, F.conv2d(x, w[:, :, -1].copy(), padding=1).data, rtol=1e-5)


def test_spacetime_patches_are_a_convolution():
    x, w = numbers((2, 3, 4, 6, 4)), numbers((5, 3, 2, 2, 2), 1)
    tokens = S.spacetime_patchify(Tensor(x), 2, 2)
    assert tokens.shape == (2, 2 * 3 * 2, 3 * 2 * 4)
    mapped = tokens.data @ w.reshape(5, -1).T
    wanted = convolved(x, w, 2, (2, 2)).reshape(2, 5, -1).swapaxes(1, 2)
    np.testing.assert_allclose(mapped, wanted, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(*[st.integers(1, 3)] * 6)
def test_patches_and_back(frames, size, t, h, w, c):
    x = numbers((2, c, t * frames, h * size, w * size))
    tokens = S.spacetime_patchify(Tensor(x), frames, size)
    np.testing.assert_array_equal(S.spacetime_unpatchify(tokens, frames, size, x.shape[2:]).data, x)


def test_flicker():
    x, y = numbers((2, 3, 5, 4, 4)), numbers((2, 3, 5, 4, 4), 1)
    slow = np.mean(
        [abs((x[:, :, t + 1] - x[:, :, t]) - (y[:, :, t + 1] - y[:, :, t])) for t in range(4)]
    )
    assert S.flicker(x, y) == pytest.approx(slow)
    assert S.flicker(x, x) == 0
    still = numbers((2, 3, 1, 4, 4), 2)
    assert S.flicker(x + still, x) == pytest.approx(0, abs=1e-15)
    assert S.flicker(2 * x, 2 * y) == pytest.approx(2 * slow)
    assert S.flicker(np.moveaxis(x, 2, 0), np.moveaxis(y, 2, 0), axis=0) == pytest.approx(slow)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.data())
def test_key_frames_and_the_rest_once_each(frames, data):
    keys = data.draw(st.one_of(st.none(), st.integers(min(2, frames), frames)))
    rounds = S.keyframe_interp_schedule(frames, keys)
    order = [drawn.frame for one in rounds for drawn in one]
    assert sorted(order) == list(range(frames))
    assert len(rounds[0]) == (min(2, frames) if keys is None else keys)
    known = {drawn.frame for drawn in rounds[0]}
    for one in rounds[1:]:
        assert all(d.before < d.frame < d.after and {d.before, d.after} <= known for d in one)
        assert all(abs((d.frame - d.before) - (d.after - d.frame)) <= 1 for d in one)
        known |= {drawn.frame for drawn in one}
    widest = max(b - a for a, b in itertools.pairwise([d.frame for d in rounds[0]])) if (
        frames > 1
    ) else 1  # fmt: skip
    assert len(rounds) - 1 == int(np.ceil(np.log2(widest)))


def test_cogvideo_draws_33_frames_in_four_rounds():
    rounds = S.keyframe_interp_schedule(33, 5)
    assert [len(one) for one in rounds] == [5, 4, 8, 16]
    assert rounds[1][0] == S.Drawn(4, 0, 8)


# ------------------------------------------------------------------------------------ networks


def test_autoencoders_keep_equal_numbers_at_equal_size():
    one, many = frame_ae(), causal_ae()
    assert one.numbers(8, 12) == many.numbers(8, 12) == 144
    sizes = [VideoAE(config).num_parameters() for config in (one, many)]
    assert abs(sizes[0] / sizes[1] - 1) < 0.15


@pytest.mark.parametrize("config", [frame_ae(hidden=8), causal_ae(hidden=8)])
def test_codes_do_not_see_what_comes_later(config):
    network, x = VideoAE(config), numbers((2, 3, 8, 12, 12)).astype(F32)
    random = np.random.default_rng(0)
    for p in network.parameters():
        p.data[...] = 0.2 * random.standard_normal(p.shape)
    codes, back = network.encode(Tensor(x)).data, network.rebuilt(x)
    assert codes.shape == (2, config.latent, 8 // config.fold, 3, 3) and back.shape == x.shape
    x[:, :, 5] += 1
    later, again = network.encode(Tensor(x)).data, network.rebuilt(x)
    first = 5 // config.fold
    np.testing.assert_array_equal(codes[:, :, :first], later[:, :, :first])
    assert (codes[:, :, first] != later[:, :, first]).any()
    until = first * config.fold
    np.testing.assert_allclose(back[:, :, :until], again[:, :, :until], rtol=1e-4, atol=1e-5)
    if config.taps == 1:  # no frame sees another one, on either side
        np.testing.assert_allclose(back[:, :, 6:], again[:, :, 6:], rtol=1e-4, atol=1e-5)


def test_a_video_dit_starts_silent_and_hears_each_slot():
    config = D.VideoDiTConfig(width=16, layers=1, heads=2, slots=(3, 2))
    model, x = D.VideoDiT(config), numbers((2, 24, 12, 12)).astype(F32)
    t, given = np.array([0.2, 0.7], F32), np.array([[1, 1], [2, 0]])
    assert model(x, t, given).shape == x.shape
    assert not model(x, t, given).data.any()
    random = np.random.default_rng(1)
    for p in model.parameters():
        p.data[...] = 0.2 * random.standard_normal(p.shape)
    said = model(x, t, given).data
    for slot in (0, 1):
        other = given.copy()
        other[0, slot] = 0
        changed = model(x, t, other).data
        assert np.abs(changed[0] - said[0]).max() > 1e-3
        np.testing.assert_allclose(changed[1], said[1], rtol=1e-5, atol=1e-5)
    assert not model.unlabelled(given).any()
    # every block sees every other, also a later frame's
    later = x.copy()
    later.reshape(2, 3, 8, 12, 12)[:, :, 7] += 1
    assert np.abs(model(later, t, given).data - said).reshape(2, 3, 8, -1)[:, :, 0].max() > 1e-4


def test_a_video_dit_counts_its_operations():
    config = D.VideoDiTConfig(width=16, layers=2, heads=2)
    c, numbers_, n = 16, 3 * 2 * 16, config.tokens
    blocks = 2 * (12 * c * c * n + 6 * c * c)
    ends = 2 * numbers_ * c * n + 64 * c + c * c + 2 * c * c
    assert D.video_dit_flops(config, 5) == 6 * 5 * (blocks + ends)


def test_a_video_dit_learns_one_video():
    video = (numbers((1, 3, 4, 4, 4), low=-1, high=1)).astype(F32)
    config = D.VideoDiTConfig(frames=4, side=4, width=32, layers=1, heads=2)
    model = D.VideoDiT(config)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    draw = noisy_batches(
        D.as_channels(video), np.zeros((1, 1), np.int64), np.zeros(1, np.int64), 16, 0, "image"
    )
    losses = []
    for step in range(80):
        loss = denoising_loss(model, draw(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.2 * losses[0]
    np.testing.assert_array_equal(D.as_videos(D.as_channels(video), 4), video)


def test_a_reader_does_not_look_ahead():
    config = FrameReaderConfig(frames=6, numbers=2 * 3 * 3, width=16, answers=(3, 2))
    reader, x = FrameReader(config), numbers((2, 2, 6, 3, 3)).astype(F32)
    told = reader.foretold(x)
    assert told.shape == x.shape and reader.answers(x).shape == (2, 2)
    x[:, :, 3] += 1
    again = reader.foretold(x)
    np.testing.assert_allclose(again[:, :, :3], told[:, :, :3], rtol=1e-4, atol=1e-5)
    assert np.abs(again[:, :, 3] - told[:, :, 3]).max() > 1e-3
    wanted = np.mean((reader.foretold(x)[:, :, :-1] - x[:, :, 1:]) ** 2)
    assert reader.next_loss(x).item() == pytest.approx(wanted, rel=1e-4)


def test_a_reader_answers_each_question_by_itself():
    config = FrameReaderConfig(frames=2, numbers=4, width=8, heads=2, answers=(3, 2))
    reader, x = FrameReader(config), numbers((5, 1, 2, 2, 2)).astype(F32)
    answers = np.array([[0, 1], [1, 0], [2, 1], [0, 0], [1, 1]])
    losses = []
    for scores, column in zip(reader.logits(x), answers.T):
        z = scores.data.astype(np.float64)
        losses.append((np.log(np.exp(z).sum(1)) - z[np.arange(5), column]).mean())
    assert reader.answer_loss(x, answers).item() == pytest.approx(np.mean(losses), rel=1e-5)


X = np.zeros((1, 2, 4, 3, 3), F32)
W = np.zeros((1, 2, 2, 2, 2), F32)
AE = VideoAE(causal_ae(hidden=4))
REFUSED = {
    "axes": (lambda: F.causal_conv3d(X[0], W), "x is (2, 4, 3, 3)"),
    "channels": (lambda: F.causal_conv3d(X, W[:, :1]), "must be (N, I, T, H, W)"),
    "bias": (lambda: F.causal_conv3d(X, W, np.zeros(2, F32)), "it must be (1,)"),
    "a step too wide": (lambda: F.causal_conv3d(X, W, step=3), "step is 3"),
    "frames left over": (lambda: F.causal_conv3d(X[:, :, :3], W, step=2), "x has 3 frames"),
    "a window too large": (lambda: F.causal_conv3d(X[..., :1], W), "not be smaller"),
    "layer's step": (lambda: nn.CausalConv3d(1, 1, 2, step=3), "step is 3"),
    "even window": (lambda: nn.CausalConv3d(1, 1, 2, 2), "it must be odd"),
    "patches": (lambda: S.spacetime_patchify(Tensor(X), 3, 1), "frames 3 must divide 4"),
    "no video": (lambda: S.spacetime_patchify(Tensor(X[0]), 1, 1), "(B, C, T, H, W)"),
    "no tokens": (lambda: S.spacetime_unpatchify(Tensor(X), 1, 1, (1, 1, 1)), "(B, N, C f p p)"),
    "tokens": (lambda: S.spacetime_unpatchify(Tensor(X[0, 0]), 2, 1, (2, 1, 1)), "needs 1 tokens"),
    "flicker of two": (lambda: S.flicker(X, X[:, :, :2]), "they must be alike"),
    "flicker of one": (lambda: S.flicker(X[:, :, :1], X[:, :, :1]), "needs two frames"),
    "flicker's axis": (lambda: S.flicker(X, X, 5), "axis is 5"),
    "no frame": (lambda: S.keyframe_interp_schedule(0), "frames is 0"),
    "one key": (lambda: S.keyframe_interp_schedule(5, 1), "keys is 1"),
    "AE's size": (lambda: VideoAEConfig(fold=0), "fold is 0"),
    "AE's depth": (lambda: VideoAEConfig(depth=-1), "depth is -1"),
    "AE's video": (lambda: AE.encode(Tensor(X)), "(B, 3, T, H, W)"),
    "AE's frames": (lambda: AE.encode(Tensor(np.zeros((1, 3, 6, 12, 12), F32))), "fold 4"),
    "AE's latents": (lambda: AE.decode(Tensor(X)), "(B, 8, S, h, w)"),
    "DiT's size": (lambda: D.VideoDiTConfig(width=0), "width is 0"),
    "DiT's patch": (lambda: D.VideoDiTConfig(per=3), "per is 3"),
    "DiT's slots": (lambda: D.VideoDiTConfig(slots=()), "slots are ()"),
    "channels of nothing": (lambda: D.as_channels(X[0]), "(N, C, T, H, W)"),
    "videos of nothing": (lambda: D.as_videos(X[0], 3), "for 3 frames"),
    "reader's size": (lambda: FrameReaderConfig(width=0), "width is 0"),
    "reader's answers": (lambda: FrameReaderConfig(answers=()), "answers are ()"),
    "reader's frame": (lambda: FrameReader(FrameReaderConfig()).hidden(X), "432 numbers"),
    "reader's frames": (
        lambda: FrameReader(FrameReaderConfig(frames=3, numbers=18)).hidden(X),
        "videos have 4 frames",
    ),
}


@pytest.mark.parametrize("call, words", REFUSED.values(), ids=REFUSED)
def test_refusals(call, words):
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)
