"""Parameter groups and a parameter's own steps: the same in every optimizer."""

import math

import numpy as np
import pytest
from optimizer_kinds import MAKERS, gradients, parameter

from minilm import InputError, optim

OPTIONS = {  # of a group, for every optimizer: each setting it has, at another value
    optim.SGD: [
        *({"lr": 0.3}, {"momentum": 0.5}, {"weight_decay": 0.1}),
        {"momentum": 0.5, "nesterov": True},
    ],
    optim.Adam: [{"lr": 0.3}, {"betas": (0.5, 0.6)}, {"eps": 0.1}, {"weight_decay": 0.1}],
    optim.AdamW: [{"lr": 0.3}, {"betas": (0.5, 0.6)}, {"eps": 0.1}, {"weight_decay": 0.1}],
    optim.Adafactor: [
        *({"lr": 0.3}, {"beta2_decay": -0.3}, {"eps": (0.1, 2.0)}, {"d": 0.1}),
        {"weight_decay": 0.1},
    ],
    optim.Lion: [{"lr": 0.3}, {"betas": (0.999, 0.5)}, {"weight_decay": 0.1}],
    optim.Muon: [
        *({"lr": 0.3}, {"momentum": 0.1}, {"nesterov": False}, {"weight_decay": 0.3}),
        *({"adjust": "match_rms_adamw"}, {"iterations": 1}),
    ],
}
EACH_OPTION = [(kind, option) for kind, options in OPTIONS.items() for option in options]


def test_groups_have_their_own_settings():
    matrix, bias = parameter(np.ones((2, 2))), parameter(np.ones(2))
    optimizer = optim.AdamW(
        [{"params": [matrix]}, {"params": [bias], "weight_decay": 0.0, "lr": 1e-2}],
        lr=0.1,
        weight_decay=0.5,
    )
    matrix.grad, bias.grad = np.zeros((2, 2), np.float32), np.zeros(2, np.float32)
    optimizer.step(0.5)
    np.testing.assert_allclose(matrix.data, 1 - 0.1 * 0.5 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(bias.data, 1)


def steps_of(optimizer, p, grads):
    for g in grads:
        p.grad = g
        optimizer.step()
    return p.data


@pytest.mark.parametrize("kind, option", EACH_OPTION)
def test_every_setting_is_read_from_the_group(kind, option):
    """The oracle is an optimizer that has the setting for all its parameters."""
    grads = gradients((4, 3), 5)
    a, b = parameter(np.ones((4, 3))), parameter(np.ones((4, 3)))
    grouped = kind([{"params": [a]}, {"params": b, **option}], lr=0.05)
    for g in grads:
        a.grad, b.grad = g, g
        grouped.step()
    found = {}
    for name, settings in (("plain", {}), ("other", option)):
        p = parameter(np.ones((4, 3)))
        found[name] = steps_of(kind([p], **{"lr": 0.05, **settings}), p, grads)
    np.testing.assert_array_equal(a.data, found["plain"])
    np.testing.assert_array_equal(b.data, found["other"])
    assert not np.array_equal(*found.values())


@pytest.mark.parametrize("kind, option", EACH_OPTION)
def test_a_setting_changed_between_steps_holds_from_then_on(kind, option):
    p, q = parameter(np.ones((4, 3))), parameter(np.ones((4, 3)))
    changed, whole = kind([p], lr=0.05), kind([q], **{"lr": 0.05, **option})
    changed.groups[0].update(option)
    grads = gradients((4, 3), 3)
    np.testing.assert_array_equal(steps_of(changed, p, grads), steps_of(whole, q, grads))


@pytest.mark.parametrize(
    "kind, option",
    [
        *((kind, {"lr": bad}) for kind in OPTIONS for bad in (-1, math.nan, math.inf, "x", None)),
        *((kind, {"weight_decay": -1}) for kind in OPTIONS),
        *((kind, {"betas": bad}) for kind in (optim.Adam, optim.AdamW, optim.Lion)
          for bad in ((0.9, 1.0), (0.9,), 0.9)),
        *((kind, {"eps": bad}) for kind in (optim.Adam, optim.AdamW) for bad in (-1, (1, 2))),
        (optim.SGD, {"momentum": 1}),
        (optim.SGD, {"nesterov": True}),
        (optim.Adafactor, {"eps": 1e-8}),
        (optim.Adafactor, {"eps": (1e-8, -1)}),
        (optim.Adafactor, {"beta2_decay": 0.1}),
        (optim.Adafactor, {"d": 0}),
        (optim.Muon, {"momentum": -0.1}),
        (optim.Muon, {"adjust": "other"}),
        (optim.Muon, {"iterations": 0}),
        (optim.Muon, {"iterations": 1.5}),
    ],
)  # fmt: skip
def test_every_setting_is_checked_in_the_group(kind, option):
    p, q = parameter(np.ones((4, 3))), parameter(np.ones((4, 3)))
    (name,) = option
    words = rf"{'momentum' if name == 'nesterov' else name} of {kind.__name__} is .*must be"
    with pytest.raises(InputError, match=words):
        kind([{"params": [p]}, {"params": [q], **option}], lr=0.05)
    changed = kind([p], lr=0.05)
    changed.groups[0].update(option)
    p.grad = np.ones((4, 3), np.float32)
    with pytest.raises(InputError, match=words):
        changed.step()
    assert changed.steps == 0 and np.all(p.data == 1)


@pytest.mark.parametrize("name", MAKERS)
def test_a_parameter_thawed_late_counts_its_own_steps(name):
    """What a parameter does depends on its own gradients, not on how long others have trained."""
    early, late, alone = (parameter(np.ones((4, 3))) for _ in range(3))
    optimizer, own = MAKERS[name]([early, late]), MAKERS[name]([alone])
    for g in gradients((4, 3), 30, seed=1):
        early.grad = g
        optimizer.step()
    np.testing.assert_array_equal(late.data, 1)
    for g in gradients((4, 3), 4):
        early.grad = late.grad = alone.grad = g
        optimizer.step()
        own.step()
        np.testing.assert_array_equal(late.data, alone.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_thawed_at_step_1000_a_parameter_moves_by_the_learning_rate(kind, dtype):
    early, late = parameter(np.zeros(2), dtype), parameter(np.zeros(2), dtype)
    optimizer = kind([early, late], lr=0.125, weight_decay=0.0)
    for _ in range(1000):
        early.grad = np.ones(2, dtype)
        optimizer.step()
    late.grad = np.array([1e-3, -1e3], dtype)
    optimizer.step()
    np.testing.assert_allclose(late.data, [-0.125, 0.125], rtol=2e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_a_state_saved_before_parameters_counted_their_steps_still_loads(name):
    grads = gradients((4, 3), 8)
    used, never = parameter(np.ones((4, 3))), parameter(np.ones((4, 3)))
    straight = MAKERS[name]([used, never])
    steps_of(straight, used, grads[:4])
    halfway = parameter(used.data), parameter(never.data)
    saved = {k: v.copy() for k, v in straight.state_dict().items() if k != "taken"}
    resumed = MAKERS[name](halfway)
    resumed.load_state_dict(saved)
    for g in grads[4:]:
        used.grad = never.grad = halfway[0].grad = halfway[1].grad = g
        straight.step()
        resumed.step()
    np.testing.assert_array_equal(halfway[0].data, used.data)
    np.testing.assert_array_equal(halfway[1].data, never.data)
