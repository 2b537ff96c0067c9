"""Networks of videos and their convolution, beside the same in PyTorch: values and gradients."""

import numpy as np
import pytest

from minilm import Tensor
from minilm import functional as F
from minilm.bench.images import gradients_apart
from minilm.bench.vision_video import ae_gradients_apart, video_ae_twin, video_dit_twin
from minilm.diffusion.training import noisy_batches
from minilm.diffusion.video_dit import VideoDiT, VideoDiTConfig
from minilm.tensor import no_grad
from minilm.vision.video_ae import VideoAE, causal_ae, frame_ae

pytestmark = pytest.mark.oracle


def stirred(model):
    random = np.random.default_rng(0)
    for p in model.parameters():
        p.data[...] = 0.2 * random.standard_normal(p.shape)
    return model


@pytest.mark.parametrize("step, stride, padding", [(1, 1, 1), (2, 2, 0), (3, (1, 2), (2, 1))])
def test_causal_conv3d(step, stride, padding) -> None:
    import torch

    random = np.random.default_rng(0)
    x, w, b = (random.standard_normal(s) for s in ((2, 3, 6, 5, 5), (4, 3, 3, 3, 3), (4,)))
    ours = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    theirs = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    y = F.causal_conv3d(*ours, step, stride, padding)
    r, p = ((v, v) if isinstance(v, int) else v for v in (stride, padding))
    before = torch.nn.functional.pad(theirs[0], (0, 0, 0, 0, 3 - step, 0))
    z = torch.nn.functional.conv3d(before, *theirs[1:], stride=(step, *r), padding=(0, *p))
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = random.standard_normal(y.shape)
    y.backward(g)
    z.backward(torch.from_numpy(g))
    for a, c in zip(ours, theirs):
        np.testing.assert_allclose(a.grad, c.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_video_dit() -> None:
    import torch

    model = stirred(VideoDiT(VideoDiTConfig(width=32, layers=2, slots=(3, 2), beside=1)))
    random = np.random.default_rng(0)
    videos = random.standard_normal((6, 24, 12, 12)).astype(np.float32)
    given = random.integers(0, 2, (6, 2))
    batch = noisy_batches(videos, given, np.zeros(2, np.int64), 6, beside=videos)(0)
    twin = video_dit_twin(model)
    assert gradients_apart(model, twin, batch) < 1e-3
    with no_grad(), torch.no_grad():
        ours = model(batch.x, batch.t, batch.given).data
        theirs = twin(*(torch.from_numpy(part) for part in batch[:3])).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", [frame_ae(hidden=8), causal_ae(hidden=8)], ids=["2d", "3d"])
def test_video_autoencoder(config) -> None:
    import torch

    model = stirred(VideoAE(config))
    videos = np.random.default_rng(0).random((3, 3, 8, 12, 12), dtype=np.float32)
    twin = video_ae_twin(model)
    assert ae_gradients_apart(model, twin, videos) < 1e-3
    with torch.no_grad():
        theirs = twin(torch.from_numpy(videos)).numpy()
    np.testing.assert_allclose(model.rebuilt(videos), theirs, rtol=1e-3, atol=1e-3)
