"""A study that trains nothing, so that hundreds of its runs take no time, and its record."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

TINY = '''"""tiny: an idea that gains a tenth of a nat."""

import math
import os
import random
import time

HYPOTHESIS = "mine is better than plain"
FALSIFIER = "the gain at the held-back size is below GAIN, or its interval holds 0"
BASELINE = "plain"
GRID = {"model": ["plain", "mine"], "size": [1, 2, 4]}
SEEDS = [0, 1, 2]
BUDGET = [1e6, 2e6, 4e6]
GAIN = 0.05
LR = 0.1


def train(model, size, seed, lr, flops):
    log = os.environ.get("STUDY_LOG")
    if log and seed != 77:
        rank = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
        with open(log, "a") as file:
            file.write(f"{size} {model} seed {seed} rank {rank}\\n")
    time.sleep(float(os.environ.get("STUDY_NAP", "0")))
    noise = random.Random(f"{model} {size} {seed}").gauss(0, 0.005)
    loss = 3 * size**-0.1 + 0.05 * math.log(lr / 0.1) ** 2 + noise
    return {"loss": loss - (0.1 if model == "mine" else 0), "flops": flops}
'''


def write(folder: Path, text: str = TINY, name: str = "tiny") -> Path:
    """A study in a folder's `studies`."""
    path = folder / "studies" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def start(
    folder: Path, *words: str, before: tuple[str, ...] = (), **environment: str
) -> subprocess.Popen:
    """`minilm study run tiny` as a process of its own."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [*before, sys.executable, "-m", "minilm", "study", "run", "tiny", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("PMI_", "OMPI_"))},
            "PYTHONPATH": os.pathsep.join(paths),
            "OPENBLAS_NUM_THREADS": "1",
            **environment,
        },
    )


def lines(path: Path) -> list[str]:
    """What the runs have written into their log."""
    return path.read_text().splitlines() if path.exists() else []


def losses(record: Path) -> dict[str, float]:
    """Run -> loss; fails where a run is there twice."""
    runs = json.loads(record.read_text())["runs"]
    found = {f"{r['size']} {r['model']} seed {r['seed']}": r["points"]["loss"][-1] for r in runs}
    assert len(found) == len(runs)
    return found
