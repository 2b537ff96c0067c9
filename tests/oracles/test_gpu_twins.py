"""The torch side of `minilm bench gpu` computes what ours computes: shown on the CPU."""

import numpy as np
import pytest

from minilm.bench.gpu_models import torch_decoder, torch_step
from minilm.bench.peers import gpt, twin
from minilm.inference import generate
from minilm.models import Transformer

pytestmark = pytest.mark.oracle
CONFIG = gpt(67, 24, 2, 2, 32).replace(tie=True)


def test_tied_twins_have_one_loss_and_one_step():
    import torch

    model = Transformer(CONFIG, seed=1)
    other = twin(model)
    assert other.head.weight is other.tokens.weight
    assert sum(p.numel() for p in other.parameters()) == model.num_parameters()
    rows = np.random.default_rng(0).integers(0, 67, (3, 13))
    ids, targets = (
        torch.tensor(rows[:, part]).contiguous() for part in (slice(None, -1), slice(1, None))
    )
    ours = model.loss(rows[:, :-1], rows[:, 1:]).item()
    assert float(other(ids, targets)) == pytest.approx(ours, rel=1e-5)
    step = torch_step(torch, other, ids, targets, "cpu")
    losses = [float(step()) for _ in range(4)]
    assert losses[0] == pytest.approx(ours, rel=2e-2) and losses[-1] < losses[0]


def test_the_torch_decoder_writes_what_generate_writes():
    import torch

    model = Transformer(CONFIG, seed=2)
    decode = torch_decoder(torch, twin(model), CONFIG, 12)
    assert decode(5, 10) == list(generate(model, [5], 10, temperature=0.0))
