"""CTC's loss and gradient against PyTorch."""

import numpy as np
import pytest

from minilm import Tensor, explicit
from minilm import functional as F

pytestmark = pytest.mark.oracle


def test_loss_and_gradient_are_those_of_pytorch() -> None:
    import torch

    logits = np.random.default_rng(1).normal(size=(3, 12, 5))
    texts, lengths = [[1, 2, 2], [4], [3, 3, 3, 1]], [12, 4, 9]
    ours = Tensor(logits.copy(), requires_grad=True)
    losses = explicit.ctc_loss(F.log_softmax(ours), texts, np.array(lengths))
    losses.sum().backward()
    theirs = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        theirs.log_softmax(-1).transpose(0, 1),
        torch.tensor([symbol for text in texts for symbol in text]),
        torch.tensor(lengths),
        torch.tensor([len(text) for text in texts]),
        reduction="none",
    )
    expected.sum().backward()
    np.testing.assert_allclose(losses.data, expected.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-10)
