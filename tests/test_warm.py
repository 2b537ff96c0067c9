"""Kernels compiled in a second process: once, and never in anyone's way."""

import subprocess
import sys

import pytest

from minilm.models import Config
from minilm.train import warm

SMALL = Config(vocab_size=32, context=8, layers=1, heads=1, channels=8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warm, "cores", lambda: 2)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """The commands that were started; each runs the Python code in its place."""
    seen = []
    real = subprocess.Popen
    code = ["pass"]

    def start(command, **how):
        seen.append(real([sys.executable, "-S", "-c", code[0]], **how))
        return seen[-1]

    monkeypatch.setattr(warm.subprocess, "Popen", start)
    return seen, code


def test_it_happens_once(cache, started):
    for _ in range(2):
        with warm.compiling(SMALL):
            pass
    assert len(started[0]) == 1
    assert [path.name[:9] for path in cache.iterdir()] == ["compiled-"]


def test_other_switches_are_other_kernels(started):
    for config in (SMALL, SMALL.replace(norm="rms"), SMALL.replace(positions="rope")):
        with warm.compiling(config):
            pass
    with warm.compiling(SMALL, "float64"):
        pass
    assert len(started[0]) == 4


def test_a_failure_over_there_is_not_remembered(cache, started):
    started[1][0] = "raise SystemExit(1)"
    with warm.compiling(SMALL):
        pass
    assert not list(cache.iterdir())


def test_a_mistake_here_stops_it_over_there(cache, started):
    started[1][0] = "import time; time.sleep(60)"
    with pytest.raises(ValueError, match="text"), warm.compiling(SMALL):
        raise ValueError("text")
    assert started[0][0].poll() is not None
    assert not list(cache.iterdir())


def test_where_it_would_not_help(started, monkeypatch):
    with warm.compiling(SMALL, device="cuda"):
        pass
    monkeypatch.setattr(warm, "cores", lambda: 1)
    with warm.compiling(SMALL):
        pass
    monkeypatch.setattr(warm, "cache_folder", lambda: None)
    with warm.compiling(SMALL):
        pass
    assert not started[0]


def test_the_real_process_takes_a_step(cache):
    with warm.compiling(SMALL):
        pass
    assert len(list(cache.iterdir())) == 1
