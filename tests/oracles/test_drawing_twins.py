"""The networks that draw, beside the same in PyTorch: values and gradients."""

import numpy as np
import pytest

from minilm.bench.drawing_twins import dit_twin, unet_twin
from minilm.bench.images import gradients_apart
from minilm.diffusion.dit import DiT, DiTConfig
from minilm.diffusion.training import noisy_batches
from minilm.diffusion.unet import UNet, UNetConfig
from minilm.tensor import no_grad

pytestmark = pytest.mark.oracle

CASES = [
    pytest.param(DiT(DiTConfig(width=32, layers=2)), dit_twin, id="DiT"),
    pytest.param(UNet(UNetConfig(width=16)), unet_twin, id="U-Net"),
    pytest.param(UNet(UNetConfig(side=12, width=16, levels=3)), unet_twin, id="U-Net of 3 levels"),
]


@pytest.mark.parametrize(("model", "make"), CASES)
def test_values_and_gradients(model, make) -> None:
    import torch

    random = np.random.default_rng(0)
    for p in model.parameters():
        p.data[...] = 0.2 * random.standard_normal(p.shape)
    side = model.config.side
    pictures = random.standard_normal((6, 1, side, side)).astype(np.float32)
    batch = noisy_batches(pictures, np.arange(6), np.int64(10), 6)(0)
    twin = make(model)
    assert gradients_apart(model, twin, batch) < 1e-3
    with no_grad(), torch.no_grad():
        ours = model(batch.x, batch.t, batch.given).data
        theirs = twin(*(torch.from_numpy(part) for part in batch[:3])).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
