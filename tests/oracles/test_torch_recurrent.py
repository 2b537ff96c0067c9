"""RNN and LSTM against torch.nn: values and gradients, float32."""

import numpy as np
import pytest

from minilm import Tensor, nn

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_layer_against_torch(kind):
    import torch

    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 9, 5)).astype(np.float32)
    g = rng.standard_normal((3, 9, 7)).astype(np.float32)
    nn.manual_seed(1)
    ours = getattr(nn, kind)(5, 7)
    theirs = getattr(torch.nn, kind)(5, 7, batch_first=True)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", ours.w), ("weight_hh_l0", ours.u)):
            getattr(theirs, name).copy_(torch.from_numpy(value.data))
        theirs.bias_ih_l0.copy_(torch.from_numpy(ours.b.data))
        theirs.bias_hh_l0.zero_()
    mine, wanted = Tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
    out, _ = ours(mine)
    expected, _ = theirs(wanted)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), atol=1e-5)
    out.backward(g)
    expected.backward(torch.from_numpy(g))
    np.testing.assert_allclose(mine.grad, wanted.grad.numpy(), atol=1e-5)
    for name, value in (("weight_ih_l0", ours.w), ("weight_hh_l0", ours.u), ("bias_ih_l0", ours.b)):
        gradient = getattr(theirs, name).grad.numpy()
        np.testing.assert_allclose(value.grad, gradient, atol=1e-4)
