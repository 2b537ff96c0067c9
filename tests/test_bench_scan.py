"""minilm bench's rows of the scan, without PyTorch."""

import numpy as np
import pytest

from minilm.bench import scan


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    monkeypatch.setattr(scan, "find_torch", lambda: None)
    monkeypatch.setattr(scan, "SHORT", (1, 20, 5, 3))


def test_rows_name_their_peers_and_our_loop_is_timed():
    rows = list(scan.run(quick=True))
    names = [scan.LOOP, scan.TORCH, scan.CUMULATIVE, scan.CUMULATIVE]
    assert [row.peer_name for row in rows] == names
    assert rows[0].ratio > 0 and rows[1].ratio is None and rows[3].ours > 0


def test_both_sides_compute_the_same():
    ours = scan.forward_and_back(scan.inputs(2, 19, 7, 3))
    np.testing.assert_allclose(ours(), scan.by_reference(ours)(), atol=1e-5)
