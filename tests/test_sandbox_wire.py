"""What may come out of a worker, and how long it may take."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm.sandbox import session
from minilm.sandbox.inside import wire
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.shared import Shared, SharedPack
from minilm.sandbox.walls import Isolation, Limits

# --- the wire ---

ARRAY = {"a": ["<f4", [1], 0]}


@pytest.mark.parametrize(
    "node",
    [
        {"l": [ARRAY, ARRAY]},
        {"c": [ARRAY, 1]},
        {"i": ARRAY},
        {"d": [[ARRAY, 1]]},
        {"a": ["<f4", [1], ARRAY]},
        {"a": ["<f4", ARRAY, 0]},
        {"a": ["<f4", [0, 10**100], 0]},
        {"T": [ARRAY, True]},
        {"l": ARRAY},
        {"l": [0] * 250_000},
        {"l": [{"l": []}] * 250_000},
        {"s": list(range(20_000))},
        {"d": [[n, n] for n in range(20_000)]},
        {"d": [[{"l": []}, 1]]},
    ],
)
def test_the_wire_takes_no_such_value(node: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.Unpack([memoryview(bytes(4))], _no_other).value(node)


def _no_other(mark: str, part: Any) -> Any:
    raise wire.WireError(mark)


@pytest.mark.parametrize("node", [ARRAY, {"g": ["<f4", [], 0]}, {"b": 0}, {"h": [0, "x", True]}])
def test_where_plain_values_belong_nothing_else_is_taken(node: Any) -> None:
    with pytest.raises(wire.WireError, match="where none belongs"):
        wire.Unpack([memoryview(bytes(4))], _no_other, plain=True).value({"l": [1, node]})
    assert wire.Unpack([], _no_other, plain=True).value({"l": [1, {"t": ["x"]}]}) == [1, ("x",)]


def test_a_truth_is_0_or_1() -> None:
    (odd,) = (
        wire.Unpack([memoryview(b"\7")], _no_other).value({"a": ["|b1", [1], 0]}).view(np.uint8)
    )
    assert odd == 1


def test_arguments_are_what_their_memory_holds() -> None:
    shared = Shared.made()
    pack = SharedPack(_no_other, shared)
    x, inner = np.arange(3.0), np.ones((2, 2), np.float32)
    nodes = [pack.node(x), pack.node({"w": inner, "n": [1]})]
    theirs = wire.Unpack([], lambda mark, part: wire.shared_array(shared.memory, part))
    their_x, their_dict = (theirs.value(node) for node in nodes)
    their_x[1] = 7
    assert pack.truth(x, x.copy()).tolist() == [0, 7, 2]  # whatever the worker says
    said = {"w": np.zeros(5), "n": [1, 2]}
    assert pack.truth({"w": inner, "n": [1]}, said) is not said
    assert pack.truth({"w": inner, "n": [1]}, said)["w"].shape == (5,)  # replaced by another one
    their_dict["w"][0, 0] = 9
    assert pack.truth({"w": inner, "n": [1]}, {"w": inner, "n": [1]})["w"][0, 0] == 9


# --- clocks ---


class Machine:
    """A made-up machine: so much processor time for each second on the wall."""

    def __init__(self, share: float) -> None:
        self.share, self.now = share, 0.0

    def monotonic(self) -> float:
        return self.now

    def select(self, *wanted: Any) -> tuple[list, list, list]:
        self.now += wanted[-1]
        return [], [], []


@pytest.mark.parametrize(
    ("share", "wall_clock"),
    [
        (1.0, 10.0),  # alone: what it may use
        (0.5, 20.0),  # beside another: as much of the processor
        (0.25, 40.0),
        (0.1, 50.0),  # the wall clock has an end, too
        (0.0, 10.0),  # asleep
    ],
)
def test_a_busy_machine_costs_nobody_time(
    monkeypatch: pytest.MonkeyPatch, share: float, wall_clock: float
) -> None:
    machine = Machine(share)
    one = Session(Isolation("none"), Path(), Limits())
    monkeypatch.setattr(session.time, "monotonic", machine.monotonic)
    monkeypatch.setattr(session.select, "select", machine.select)
    monkeypatch.setattr(Session, "_used", lambda self: machine.now * machine.share)
    one.allow(10.0)
    with pytest.raises(SessionError):
        one._wait([], [])
    assert machine.now == pytest.approx(wall_clock, abs=0.2)
    assert one.waited == pytest.approx(10 - share * wall_clock, abs=0.1)
