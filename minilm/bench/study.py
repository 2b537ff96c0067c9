"""A study's runs shared by two processes against one: `minilm bench study`.

Real processes, real runs of one thread each, from the first import to the verdict.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minilm.bench.rows import Row, race_of, row_of, seconds
from minilm.studies import template

GOAL = 1.8  # times as fast
NAME = "bench"


def study_text(quick: bool) -> str:
    """The study that `minilm study new` writes, with smaller budgets."""
    text = Path(template.__file__).read_text(encoding="utf-8").replace("NAME", NAME)
    budget = "[1e9, 2e9, 4e9, 4.1e9]" if quick else "[12e9, 24e9, 48e9, 49e9]"
    return text.replace("[12e9, 24e9, 48e9, 96e9]", budget)


def one_study(text: str, jobs: int) -> float:
    """Seconds that a whole study takes.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="minilm-bench-") as folder:
        path = Path(folder, "studies", f"{NAME}.py")
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "minilm", "study", "run", NAME, "--jobs", str(jobs)]
        home = str(Path(template.__file__).parents[2])
        paths = os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}

        def run() -> None:
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
            if done.returncode:
                raise RuntimeError(f"the study failed: {done.stderr[-500:].strip()}")

        return seconds(run)


def run(quick: bool = False) -> Iterator[Row]:
    """The row; about four minutes, or one where `quick`."""
    text, rounds = study_text(quick), 1 if quick else 3
    two, one = [], []
    for _ in range(rounds):
        two.append(one_study(text, 2))
        one.append(one_study(text, 1))
    yield row_of("minilm study run, 2 processes", "s", None, race_of(two, one), "one process", GOAL)
