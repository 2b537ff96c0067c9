"""`minilm bench gpu`: its checks run here in the emulator, and without a device it says so."""

import sys

import numpy as np
import pytest

from minilm.bench import gpu, gpu_checks
from minilm.bench.rows import table
from minilm.errors import InputError
from minilm.kernels.cuda_tools.launch import emulation


@pytest.mark.parametrize(
    "number", range(len(gpu_checks.CHECKS)), ids=[c[0] for c in gpu_checks.CHECKS]
)
def test_the_checks_of_the_bench_pass_in_the_emulator(number, monkeypatch):
    monkeypatch.setattr(gpu_checks, "CHECKS", [gpu_checks.CHECKS[number]])
    with emulation(trace=False):
        found = list(gpu_checks.checks(np))
    assert found and all(check.passed for check in found), found


def test_no_cupy_and_no_device_are_two_sentences(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(InputError, match="CuPy, which is not installed"):
        gpu.run()
    from . import fake_cupy

    with fake_cupy.installed() as module:
        module.cuda.runtime.getDeviceCount = lambda: 0
        with pytest.raises(InputError, match="needs an NVIDIA GPU and its driver"):
            gpu.run()


def test_a_wrong_kernel_stops_the_bench_before_anything_is_timed(monkeypatch, capsys):
    from . import fake_cupy

    bad = gpu_checks.Check("softmax", "float32", 0.5, False)
    monkeypatch.setattr(gpu, "checks", lambda xp: [bad])
    monkeypatch.setattr(gpu.machine, "gpu", lambda cp: "a device")
    with fake_cupy.installed(), pytest.raises(InputError, match="softmax in float32"):
        gpu.run()


def test_the_command_says_plainly_that_no_device_is_there(tmp_path, capsys, monkeypatch):
    from minilm.cli import main

    from . import fake_cupy

    target = tmp_path / "gpu.json"
    with fake_cupy.installed() as module:
        module.cuda.runtime.getDeviceCount = lambda: 0
        assert main(["bench", "gpu", "--json", str(target)]) == 2
    said = capsys.readouterr().err
    assert said == "minilm: device 'cuda' needs an NVIDIA GPU and its driver; CuPy finds neither\n"
    assert not target.exists()


SMALL = gpu.Sizes(
    copy=64, product=16, matrix=(5, 40), logits=(3, 50), adamw=(70, 5), attention=((64, 1, 20),),
    tokens=20, cache=(1, 2, 1, 9, 64), small=(6, 128), vocab=40, context=6, layers=1, channels=64,
    batch=2, steps=4,
)  # fmt: skip


@pytest.mark.parametrize("part", gpu.PARTS[1:], ids=lambda part: part.__name__)
def test_every_part_runs_to_its_rows(part):
    """What is timed is real, small and in the emulator; the clock is not."""
    from . import fake_cupy

    with fake_cupy.installed() as cp, emulation(trace=False):
        b = gpu.Bench(cp, None, rounds=1, sizes=SMALL, warm=0, repeats=1)
        gpu.ceilings(b)
        assert [row.name for row in b.rows] == ["copy of 2.38e-07 GiB", "product 16^3, bf16"]
        del b.rows[:]
        part(b)
    assert b.rows and all(row.ours > 0 for row in b.rows)
    text = table(b.rows)
    for row in b.rows:
        assert row.name in text and row.peer_name in ("torch", "copy")


def test_the_goals_of_the_issue_are_in_the_table():
    from . import fake_cupy

    class Rows(gpu.Bench):
        """Counts what would be timed instead of timing it."""

        def time(self, function, repeats=20):
            return 1.0

    with fake_cupy.installed() as cp, emulation(trace=False):
        b = Rows(cp, None, rounds=1, sizes=SMALL)
        for part in gpu.PARTS:
            part(b)
    goals = {row.name: row.goal for row in b.rows if row.goal is not None}
    wanted = {"torch eager": 1.0, "torch.compile": 0.8, "forward": 0.9, "both": 0.75}
    wanted |= {"share of a copy": 0.85, "graph replayed": 2.0}
    for end, goal in wanted.items():
        found = {value for name, value in goals.items() if name.endswith(end)}
        assert found == {goal}, end
