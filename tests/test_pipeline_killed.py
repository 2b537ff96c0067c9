"""`minilm data`: whoever works and whoever is killed, the same bytes come out."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from messy import content_of, messy_folder, settings_of

from minilm import files
from minilm.data.pipeline.run import STAGES, prepare
from minilm.data.pipeline.workers import Processes
from minilm.errors import InputError


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    return messy_folder(tmp_path_factory.mktemp("messy") / "project")


@pytest.fixture(scope="module")
def made(messy, tmp_path_factory):
    """The corpus made in one go by one process."""
    return prepare(settings_of(messy), tmp_path_factory.mktemp("made"), Processes(1))


@pytest.fixture(scope="module")
def expected(made):
    return content_of(made.folder)


# Whoever does the work, and whatever happens to them


def test_two_processes_give_the_same_bytes(messy, expected, tmp_path):
    with Processes(2) as workers:
        prepare(settings_of(messy), tmp_path / "two", workers)
    assert content_of(tmp_path / "two") == expected


class Killed(BaseException):
    """What stands for kill -9 within one process: nothing catches it."""


def test_stopped_at_any_write_of_any_stage_it_goes_on(messy, expected, tmp_path, monkeypatch):
    """Ends just before a file gets its name, or just after, leave what a kill would leave."""
    real, rng = os.replace, random.Random(0)
    writes: list[str] = []

    def noting(source, target):
        writes.append(Path(target).parent.name)
        real(source, target)

    monkeypatch.setattr(files.os, "replace", noting)
    prepare(settings_of(messy), tmp_path / "whole", Processes(1))
    assert {stage.name for stage in STAGES} <= set(writes)
    moments = [rng.choice([i for i, name in enumerate(writes) if name == stage.name])
               for stage in STAGES]  # fmt: skip
    for number, moment in enumerate([*moments, len(writes) - 1, 0]):
        count, after = 0, rng.random() < 0.5

        def dying(source, target, moment=moment, after=after):
            nonlocal count
            count += 1
            if count == moment + 1:
                if after:
                    real(source, target)
                else:  # half a file stays behind, as its name was never given
                    Path(f"{source}.half").write_bytes(Path(source).read_bytes()[:7])
                raise Killed
            real(source, target)

        out = tmp_path / f"{number}"
        monkeypatch.setattr(files.os, "replace", dying)
        with pytest.raises(Killed):
            prepare(settings_of(messy), out, Processes(1))
        monkeypatch.setattr(files.os, "replace", real)
        prepare(settings_of(messy), out, Processes(1))
        assert content_of(out) == expected, (number, moment, after)


KILLING = """
import os, random, signal, sys, time
from minilm.data.pipeline.run import prepare
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.workers import Processes

root, out, warm = sys.argv[1:]
settings = Settings(roots=(root,), part=20_000, vocabulary=600)
prepare(settings, warm, Processes(1))  # compiles, and says how long a run takes
begin = time.perf_counter()
prepare(settings, warm, Processes(1), restart=True)
took = time.perf_counter() - begin
rng, killed, ended = random.Random(5), 0, False
while killed < 10:
    child = os.fork()
    if child == 0:
        prepare(settings, out, Processes(1), restart=ended)
        os._exit(0)
    time.sleep(rng.uniform(0, 0.5) * took)
    os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    killed += not ended
    took *= 0.8 if ended else 1
prepare(settings, out, Processes(1))
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children that it forks")
def test_killed_at_ten_random_moments_it_ends_with_the_same_bytes(messy, expected, tmp_path):
    arguments = [str(messy), str(tmp_path / "out"), str(tmp_path / "warm")]
    done = subprocess.run(
        [sys.executable, "-c", KILLING, *arguments], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "10\n"
    assert content_of(tmp_path / "out") == expected


def die_once(folder: str, number: int) -> None:
    """A task whose first worker is killed."""
    mark = Path(folder, f"{number}.begun")
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    Path(folder, f"{number}.done").touch()


def die(folder: str, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(folder: str, number: int) -> None:
    raise InputError("number is wrong")


def test_a_worker_that_dies_is_replaced(tmp_path):
    told = []
    with Processes(2) as workers:
        workers.run(die_once, [(str(tmp_path), i) for i in range(5)], lambda: told.append(1))
        assert len(list(tmp_path.glob("*.done"))) == 5 == len(told)
        with pytest.raises(InputError, match="a worker was killed 3 times on the same part"):
            workers.run(die, [(str(tmp_path), i) for i in range(2)])
        with pytest.raises(InputError, match="number is wrong"):
            workers.run(refuse, [(str(tmp_path), i) for i in range(2)])
    with pytest.raises(InputError, match="processes is 0; it must be 1 or more"):
        Processes(0)


CLUSTER = """
import os, signal, sys, threading
from minilm.data.pipeline.cluster import Cluster
from minilm.data.pipeline.run import prepare
from minilm.data.pipeline.settings import Settings

if __name__ == "__main__":
    root, out = sys.argv[1:]
    killed = []
    with Cluster("local:2") as cluster:
        pids = {w: i["id"] for w, i in cluster.client.scheduler_info()["workers"].items()}
        pids = list(cluster.client.run(os.getpid).values())

        def told(title, done, total):
            if title == "filtering" and done == 2 and not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        prepare(Settings(roots=(root,), part=20_000, vocabulary=600), out, cluster, told)
        now = list(cluster.client.run(os.getpid).values())
    print(len(pids), len(killed), pids[0] in now)
"""


def test_a_cluster_one_of_whose_workers_is_killed_gives_the_same_bytes(messy, expected, tmp_path):
    script = tmp_path / "on_a_cluster.py"
    script.write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, str(script), str(messy), str(tmp_path / "out")],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["2", "1", "False"]
    assert content_of(tmp_path / "out") == expected
