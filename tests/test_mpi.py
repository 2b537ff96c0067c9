"""Ranks as real processes: the same results, and an end where something goes wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minilm.parallel import simulate
from minilm.parallel.shards import MANIFEST, read_manifest
from tests import mpi_jobs

HERE = Path(__file__).parent
JOBS = HERE / "mpi_jobs.py"
BESIDE = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
MPIEXEC = BESIDE or shutil.which("mpiexec")


def reason() -> str | None:
    """Why there are no processes to test with."""
    if sys.platform == "win32":
        return "no MPI is installed on Windows"
    try:
        import mpi4py.MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:
        return f"no MPI: {error}"
    return None if MPIEXEC else "no mpiexec on the PATH"


pytestmark = [
    pytest.mark.skipif(reason() is not None, reason=str(reason())),
    pytest.mark.timeout(300),
]


def environment() -> dict[str, str]:
    """One thread a process; MPI's own variables of an outer job would confuse it."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}


def start(ranks: int, *command: str, cwd: Path | None = None) -> subprocess.Popen:
    return subprocess.Popen(
        [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=cwd,
    )


def job(ranks: int, *arguments: str) -> tuple[int, str]:
    process = start(ranks, JOBS, *arguments)
    try:
        said, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, said


def test_operations_and_counts_are_those_of_the_simulation() -> None:
    status, said = job(3, "everything")
    assert status == 0, said
    sent, messages = json.loads(said.splitlines()[-1])

    ledger = simulate(mpi_jobs.everything, 3).ledgers[0]
    assert sent == dict(ledger.sent)
    assert messages == dict(ledger.messages)


WRONG = {
    "other_operation": (2, r"rank 0 calls all_reduce of", "rank 1 calls all_gather of"),
    "never_comes": (2, "rank 0 waits in barrier at mpi_jobs.py:", "rank 1 has ended"),
    "never_sends": (2, "rank 0 waits in recv from rank 1 at mpi_jobs.py:", "rank 1 has ended"),
    "raises": (1, "ZeroDivisionError: lost", "rank 2 of 3 raised this"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_ends_the_job_with_its_error(name: str) -> None:
    status, first, second = WRONG[name]
    ended, said = job(3, name)
    assert ended == status, said
    assert said.count(first) == 1, said
    assert second in said


def test_the_losses_of_one_process_on_the_python_documentation(tmp_path: Path) -> None:
    from minilm.train import train

    wanted = train(*mpi_jobs.lesson(), 12, **mpi_jobs.SETTINGS).losses
    status, said = job(2, "train_text", tmp_path / "run")
    assert status == 0, said
    found = json.loads(said.splitlines()[-1])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert wanted[0] - wanted[-1] > 0.1  # it learns: the losses are not one number
    assert len(list((tmp_path / "run").glob("step-*/rank-*.safetensors"))) == 2


def processes_of(folder: Path) -> dict[int, int]:
    """rank -> process id of the processes that train in a folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            ranks = [v for v in variables if v.startswith((b"PMI_RANK=", b"OMPI_COMM_WORLD_RANK="))]
            if ranks and str(folder).encode() in command and b"mpiexec" not in command:
                found[int(ranks[0].split(b"=")[1])] = int(entry.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find a rank")
def test_a_killed_process_ends_the_job_and_fewer_go_on(tmp_path: Path) -> None:
    """minilm train with 4 processes; one is killed; 3 resume the last checkpoint."""
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("\n".join(f"line {i} says {i * i % 97}" for i in range(1500)))
    model = {"layers": 2, "heads": 2, "channels": 16, "context": 32}
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"model": model, "vocab_size": 257, "batch": 8, "lr": 0.01}))
    command = ["-m", "minilm", "train", "--text", text, "--config", recipe, "--out", out]
    process = start(4, *command, "--zero", "3", "--steps", "100000", "--vocab", "257")
    try:
        until = time.monotonic() + 120
        while not (out / MANIFEST).is_file() and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.1)
        ranks = processes_of(out)
        assert sorted(ranks) == [0, 1, 2, 3], process.communicate()[0]
        os.kill(ranks[2], signal.SIGKILL)
        said, _ = process.communicate(timeout=30)  # seconds, where nothing else would end it
    finally:
        process.kill()
    assert process.returncode != 0
    assert "Traceback" not in said
    assert said.count("signal 9") == 1, said
    assert not processes_of(out)

    step = read_manifest(out)["facts"]["step"]
    again = start(3, "-m", "minilm", "train", "--resume", out, "--steps", str(step + 4))
    said, _ = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert "3 processes: dp 3 x tp 1" in said
    manifest = read_manifest(out)
    assert (manifest["ranks"], manifest["facts"]["step"]) == (3, step + 4)
    assert (out / "model.safetensors").is_file()


REFUSED = {
    "product": (3, ["--dp", "2"], "the layout dp 2 x tp 1 x pp 1 x cp 1 takes 2 ranks"),
    "stage": (2, ["--zero", "4"], "--zero is 4; it must be one of 0, 1, 2, 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_once_and_before_any_work(name: str, tmp_path: Path) -> None:
    ranks, options, words = REFUSED[name]
    process = start(ranks, "-m", "minilm", "train", "--out", tmp_path / "run", *options)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said.count(words) == 1, said
    assert not (tmp_path / "run").exists()
