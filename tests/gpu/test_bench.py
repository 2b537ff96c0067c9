"""`minilm bench gpu`: its checks run here in the emulator, and without a device it says so."""

import sys

import numpy as np
import pytest

from minilm.bench import gpu, gpu_checks
from minilm.errors import InputError
from minilm.kernels.cuda_launch import emulation


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
    monkeypatch.setattr(gpu, "device_name", lambda cp: "a device")
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
