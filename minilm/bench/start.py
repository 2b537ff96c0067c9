"""From typing `minilm train` to its first step, with everything cached and with nothing cached.

`minilm bench start` prints the rows. Each run is a process of its own, in folders of its own; the
time ends when the line of the first step is in the log.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from minilm.bench.rows import Row
from minilm.bench.timing import limit_row
from minilm.train.watch import LOG

WARM, COLD = 2.0, 15.0  # seconds
PATIENCE = 300.0  # seconds, after which something is certainly wrong
CACHES = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA")  # of kernels, and of the corpus


def seconds_to_first_step(cache: Path, arguments: tuple[str, ...] = ()) -> float:
    """Start `minilm train`, wait for its first step, stop it.

    Args:
        cache: folder for compiled kernels and for the corpus.
        arguments: more words for the command line.

    Raises:
        RuntimeError: it ended before its first step, or did not reach it in time.
    """
    caches = {name: str(cache / name.lower()) for name in CACHES}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        out = Path(place) / "run"
        command = [sys.executable, "-m", "minilm", "train", "--out", str(out), *arguments]
        said = Path(place) / "said"
        with said.open("wb") as file:
            begin = time.perf_counter()
            process = subprocess.Popen(
                command, env={**os.environ, **caches}, stdout=file, stderr=subprocess.STDOUT
            )
        try:
            while not _has_line(out / LOG):
                took = time.perf_counter() - begin
                if process.poll() is not None or took > PATIENCE:
                    end = "ended" if process.poll() is not None else f"took {took:.0f} s"
                    raise RuntimeError(f"minilm train {end} before its first step: {_tail(said)}")
                time.sleep(0.002)
            return time.perf_counter() - begin
        finally:
            process.kill()
            process.wait()


def _has_line(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-500:].strip()


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; a minute and a half, or half as long where `quick`."""
    name = "minilm train to its first step"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        runs = range(1 if quick else 3)
        cold = [seconds_to_first_step(Path(place) / str(i)) for i in runs]
        yield limit_row(f"{name}, nothing cached", "s", cold, COLD)
        warm = [seconds_to_first_step(Path(place) / "0") for _ in range(3 if quick else 7)]
        yield limit_row(f"{name}, warm", "s", warm, WARM)
