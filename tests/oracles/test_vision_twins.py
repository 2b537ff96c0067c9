"""A language model that sees, beside the same in PyTorch; CLIP's loss beside transformers'."""

import numpy as np
import pytest

from minilm import Tensor, nn
from minilm.bench.vision import batch_of, gradients_apart, sees
from minilm.bench.vision_twins import vision_twin
from minilm.tensor import no_grad
from minilm.vision.clip import info_nce, normalised

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("expert", [False, True])
def test_values_and_gradients(expert) -> None:
    import torch

    model = sees(expert, layers=2, channels=32, side=8)
    random = np.random.default_rng(0)
    for p in model.parameters():
        p.data[...] = 0.2 * random.standard_normal(p.shape)
        p.touch()
    batch, twin = batch_of(model, 6), vision_twin(model)
    assert gradients_apart(model, twin, batch) < 1e-3
    with no_grad(), torch.no_grad():
        theirs = twin(*(torch.from_numpy(part) for part in batch)).item()
        assert model.loss(*batch).item() == pytest.approx(theirs, rel=1e-4)


def test_clips_loss() -> None:
    import torch
    from transformers.models.clip.modeling_clip import contrastive_loss

    random = np.random.default_rng(1)
    a, b = (random.standard_normal((7, 5)).astype(np.float32) for _ in range(2))
    cosines = normalised(Tensor(b)).data @ normalised(Tensor(a)).data.T  # texts by pictures
    logits = torch.from_numpy(14 * cosines)
    theirs = (contrastive_loss(logits) + contrastive_loss(logits.T)).item() / 2
    assert info_nce(Tensor(a), Tensor(b), 14.0).item() == pytest.approx(theirs, rel=1e-5)


def test_a_strided_projection_is_torchs_convolution() -> None:
    import torch

    from minilm.vision.projectors import Strided, as_grid, of_grid

    nn.manual_seed(0)
    ours, x = Strided(6, 8), np.random.default_rng(2).standard_normal((2, 16, 6)).astype(np.float32)
    theirs = torch.nn.Conv2d(6, 8, 2, 2)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.merge.state_dict().items()})
    grid = torch.from_numpy(x).transpose(1, 2).reshape(2, 6, 4, 4)
    wanted = theirs(grid).flatten(2).transpose(1, 2).detach().numpy()
    found = of_grid(ours.merge(as_grid(Tensor(x)))).data
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
