"""What the lamp costs: measured in a small process, and counted for a small chip."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from minilm.lamp.household import household
from minilm.lamp.listener import BATCH, PASSES, SIZE, SYMBOLS, Listener, places
from minilm.lamp.state import save
from minilm.lamp.turns import Lamp

MEMORY = 256 * 10**6  # bytes of address space
LIMITS = {"milliseconds a turn": 50.0, "parameters": 30_000, "bytes of state": 1_000_000}
# Of a Cortex-A53 at 1.5 GHz: what plain compiled code, one operation after the other, might reach.
# An assumption, not a measurement.
A53_OPERATIONS = 250e6  # a second
COST_OF_LOG = 20  # operations


def measure(minutes: float = 20.0) -> dict[str, Any]:
    """Run the lamp, with its saving, in a process of one core and 256 MB.

    Args:
        minutes: of simulated talk.

    Returns:
        Numbers by name; "limited" says whether this system could set the limits.

    Raises:
        RuntimeError: the process failed within its limits.
    """
    one = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-m", "minilm.lamp.budget", str(minutes)],
        env={**os.environ, **one}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the limited process ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def operations(sentences: list[str]) -> dict[str, float]:
    """Arithmetic operations of a turn, on average over sentences: counted from the algorithm.

    A guess adds 2 numbers at each place and symbol. A step of descent does that and, at each
    place and symbol, squares, adds, takes a root, divides, multiplies and subtracts. Solving takes
    a logarithm, a sum, a product and a difference for every count.
    """
    wide = sum(len(places(text)) for text in sentences) / len(sentences) * len(SYMBOLS)
    guess, step = 2 * wide, 2 * wide + 7 * wide
    solving = SIZE * len(SYMBOLS) * (COST_OF_LOG + 3)
    return {
        "guess": guess,
        "solve": solving,
        "replay": PASSES * BATCH * step,
        "turn": guess + solving + PASSES * BATCH * step,
    }


def report(found: dict[str, Any]) -> str:
    """The numbers of `measure` in lines."""
    lines = [
        f"{name}: {found[name]:,.4g} (limit {limit:,.4g})" for name, limit in LIMITS.items()
    ] + [
        f"slowest turn: {found['slowest']:.3g} milliseconds",
        f"most memory: {found['peak memory'] / 1e6:.0f} MB"
        + (" (limit 256 MB of addresses, one core)" if found["limited"] else ", not limited here"),
        f"operations a turn, counted: {found['operations']:,.0f}",
        "projection, not a measurement: a Cortex-A53 at 250 million operations a second would need "
        f"{1e3 * found['operations'] / A53_OPERATIONS:.1f} milliseconds a turn in compiled code",
    ]
    return "\n".join(lines)


def _limit() -> bool:
    """One core and `MEMORY` bytes for this process."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    except (ImportError, AttributeError, ValueError, OSError):
        return False
    return True


def _peak_memory() -> int:
    """The most bytes of memory this process has held; 0 where the system does not say."""
    status = Path("/proc/self/status")  # getrusage would count the process that started this one
    lines = status.read_text().splitlines() if status.is_file() else []
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _run(minutes: float) -> dict[str, Any]:
    limited, lamp = _limit(), Lamp(Listener())
    stream, times = list(household(0, minutes)), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lamp.npz"
        for said in stream:
            began = time.process_time()
            guess = lamp.hear(said.text, said.at)
            save(lamp, path)
            if guess != said.meant:
                lamp.correct(said.meant, said.at + said.delay)
                save(lamp, path)
            times.append(1e3 * (time.process_time() - began))
        state = path.stat().st_size
    return {
        "limited": limited,
        "turns": len(stream),
        "milliseconds a turn": sum(times) / len(times),
        "slowest": max(times),
        "parameters": lamp.model.parameters,
        "bytes of state": state,
        "peak memory": _peak_memory(),
        "operations": operations([said.text for said in stream])["turn"],
    }


if __name__ == "__main__":
    print(json.dumps(_run(float(sys.argv[1]))))
