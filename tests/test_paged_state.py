"""Optimizer state in a mapped file: the same steps, and nothing held beside them."""

import os

import numpy as np
import pytest
from optimizer_kinds import MAKERS, gradients, parameter

from minilm import optim
from minilm.errors import InputError


@pytest.mark.parametrize("name", MAKERS)
def test_steps_are_the_same_bit_for_bit(name, tmp_path):
    start = gradients((6, 5), 1, seed=1)[0]
    ours, paged = parameter(start), parameter(start)
    one, other = MAKERS[name]([ours]), MAKERS[name]([paged])
    for step, g in enumerate(gradients((6, 5), 8)):
        if step == 3:  # a state that has moved is taken along
            assert optim.page_state(other, tmp_path / "state") is other
        for p, optimizer in ((ours, one), (paged, other)):
            p.grad = g.copy()
            optimizer.step()
    assert paged.data.tobytes() == ours.data.tobytes()
    for key, array in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key], array)


def test_the_moments_lie_in_the_file(tmp_path):
    params = [parameter(np.ones(shape)) for shape in ((30, 7), (5,))]
    optimizer = optim.page_state(optim.AdamW(params, lr=0.1), tmp_path / "state")
    assert os.path.getsize(tmp_path / "state") == 2 * (896 + 64)  # each array from a line of 64 on
    for p in params:
        p.grad = np.ones_like(p.data)
    optimizer.step()
    held = np.fromfile(tmp_path / "state", np.float32)
    assert np.isclose(held, 0.1, atol=1e-6).sum() == 215  # (1 - b1) g
    state = optimizer.state[0]["m"]
    assert type(state) is np.ndarray and not state.flags.owndata


def test_a_saved_state_is_read_into_the_file(tmp_path):
    p = parameter(np.ones(4))
    optimizer = optim.AdamW([p], lr=0.1)
    p.grad = np.ones(4, np.float32)
    optimizer.step()
    saved = optimizer.state_dict()
    paged = optim.page_state(optim.AdamW([parameter(np.ones(4))], lr=0.1), tmp_path / "state")
    paged.load_state_dict(saved)
    assert (np.fromfile(tmp_path / "state", np.float32)[:4] == saved["0.m"]).all()


def test_what_cannot_be_paged_is_refused(tmp_path):
    with pytest.raises(InputError, match="optimizer is a list"):
        optim.page_state([], tmp_path / "state")
    with pytest.raises(InputError, match="cannot be written"):
        optim.page_state(optim.AdamW([parameter(np.ones(4))]), tmp_path / "no" / "state")
