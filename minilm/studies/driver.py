"""What all studies share: read the options, tune and run every case, report each run."""

import argparse
import contextlib
import inspect
import math
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minilm.backend import blas_threads, set_threads
from minilm.errors import InputError
from minilm.studies.record import Record, now, rounded
from minilm.studies.team import WORKER, Shelf, Team, started_by_jobs, team, working_as

Case = dict[str, Any]  # what tells one kind of run from another, without the seed
PAUSE = 0.02  # seconds between two looks at what other processes are making
HIDDEN = ("command", "say")  # parameters of a study that are not options


def refuse_unknown(name: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse the first of the given words that is not allowed.

    Raises:
        InputError: it names the option, the word and what is allowed.
    """
    allowed = list(allowed)
    for word in given:
        if word not in allowed:
            raise InputError(f"{name} names {word!r}; allowed are {', '.join(allowed)}")


def carry_out(
    record: Record,
    cases: Sequence[Case],
    seeds: Sequence[int],
    tune: Callable[..., dict[str, Any]],
    run: Callable[..., dict[str, Any]],
    show: Callable[[dict[str, Any]], str],
    say: Callable[[str], Any],
    tuned_as: Callable[[Case], str] | None = None,
) -> dict[str, Any]:
    """Tune and run every case with every seed that the record lacks: all cases seed by seed.

    Several processes share the work (see `team`): each calls this with the same arguments, and
    each gets all runs. Then cases are taken from the last to the first, the dearest first, so that
    none waits long for another at the end.

    Args:
        record: where the runs are kept.
        cases: keyword arguments of `tune` and `run`.
        seeds: the seeds of each case.
        tune: case -> result of `runs.tune`.
        run: case, `seed` and `lr` -> a run, as `runs.train_and_test` returns it.
        show: a run -> a few words.
        say: called with one line per run.
        tuned_as: the name under which a case's learning rate is kept; cases with the same name
            share it.

    Returns:
        The record's data.
    """
    place = team()
    shelf = Shelf(record.path, record.version, place)
    ordered = list(cases) if place.size == 1 else list(cases)[::-1]
    left = [(s, c) for s in seeds for c in ordered if not record.has(**c, seed=s)]

    def rate(case: Case) -> float | None:
        """The learning rate of a case, tuned if need be; None while another process tunes it."""
        key = name_of(case) if tuned_as is None else tuned_as(case)
        if key not in record.data["tuning"]:
            found = made_once(shelf, f"tune {key}", lambda: rounded(tune(**case)))
            if found is None:
                return None
            record.tuned(key, found)
        return record.data["tuning"][key]["lr"]

    def make(case: Case, seed: int) -> dict[str, Any] | None:
        """A run, of this process or another; None while it is in the making or cannot begin."""

        def train() -> dict[str, Any]:
            began = now()
            made = {**case, **run(**case, seed=seed, lr=lr), "began": began, "ended": now()}
            return record.completed(made)

        made = shelf.get(run_name(case, seed))
        if made is not None or (lr := rate(case)) is None:
            return made
        return made_once(shelf, run_name(case, seed), train)

    while left:
        waiting = []
        for position, (seed, case) in enumerate(left):
            place.check_parent()
            missing = waiting + left[position:]
            record.data["missing"] = [run_name(c, s) for s, c in missing]
            made = make(case, seed)
            if made is None:
                waiting.append((seed, case))
                continue
            record.data["missing"].remove(run_name(case, seed))
            record.add(made)
            rate_words = f" lr {made['lr']:g}" if "lr" in made else ""
            spent = f"{made['cpu_seconds']:.0f} s"
            say(f"{run_name(case, seed)}{rate_words}, {spent}: {show(with_nan(made))}")
        if len(waiting) == len(left):  # all are in the hands of others
            time.sleep(PAUSE)
            record.refresh()
            waiting = [(s, c) for s, c in waiting if not record.has(**c, seed=s)]
        left = waiting
    return record.data


def name_of(case: Case) -> str:
    """A case in words."""
    return " ".join(str(value) for value in case.values())


def run_name(case: Case, seed: int) -> str:
    """A run in words."""
    return f"{name_of(case)} seed {seed}"


def with_nan(run: dict[str, Any]) -> dict[str, Any]:
    """A run as it was before it was stored: numbers that are not finite are nan again, not None."""

    def back(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: back(entry) for key, entry in value.items()}
        return math.nan if value is None else value

    return {**run, "points": [back(point) for point in run["points"]]}


def made_once(shelf: Shelf, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """A piece that one of the processes makes and all of them get; None while another makes it."""
    found = shelf.get(name)
    if found is not None:
        return found
    with shelf.claim(name) as mine:
        if not mine:
            return None
        found = shelf.get(name)  # finished between the look and the lock
        if found is None:
            found = make()
            shelf.put(name, found)
        return found


def shared(
    record: Record, key: str, make: Callable[[], dict[str, Any]], piece: str = ""
) -> dict[str, Any]:
    """What every process of the team needs and one of them makes; waits for it.

    Args:
        record: the study's; what is made lies beside it until the study has ended.
        key: under which the record will keep it.
        make: without an argument; only one process calls it.
        piece: its name until then, where that is not the key.
    """
    shelf = Shelf(record.path, record.version, team())
    while (found := made_once(shelf, piece or key, make)) is None:
        team().check_parent()
        time.sleep(PAUSE)
        record.refresh()
        if key in record.data:
            return record.data[key]
    return found


def described(function: Callable) -> dict[str, str]:
    """Parameter -> its description in the section Args of the function's docstring."""
    text = inspect.getdoc(function) or ""
    section = text.partition("Args:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {
        name: re.sub(r"\s+", " ", words) for names, words in found for name in names.split(", ")
    }


def command_line(study: str, words: Sequence[str]) -> str:
    """The command that makes a study again, with FILE in place of the path of its file."""
    shown = ["FILE" if i and words[i - 1] == "--out" else w for i, w in enumerate(words)]
    return shlex.join(["minilm", "study", "run", study, *shown])


def from_command_line(
    name: str, study: Callable[..., Any], arguments: Sequence[str] | None = None
) -> int:
    """Run a study whose options are its own parameters, described in its own docstring.

    Every process runs on one thread, so that its numbers do not depend on how many cores a machine
    has. `--jobs` starts more processes; the ranks of an MPI job share the runs as well.

    Args:
        name: lesson and study, as in "02/scaling".
        study: all its parameters but the first (the file) have a default: a number, a word, or
            a tuple of either.
        arguments: the words of the command line; those of this process by default.

    Returns:
        The exit code: 0; after a sentence on stderr 2, or 130 for a study that was stopped.
    """
    from minilm.parallel import mpi

    words = list(sys.argv[1:] if arguments is None else arguments)
    about = (inspect.getdoc(study) or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"minilm study run {name}", description=about)
    helps = described(study)
    for option in inspect.signature(study).parameters.values():
        if option.name in HIDDEN:
            continue
        flag, text = "--" + option.name.replace("_", "-"), helps.get(option.name, "")
        given: dict[str, Any] = {"help": text.replace("%", "%%")}
        if option.default is option.empty:
            given |= {"required": True}
        elif isinstance(option.default, tuple):
            given |= {"nargs": "+", "type": type(option.default[0]), "default": option.default}
        else:
            given |= {"type": type(option.default), "default": option.default}
        parser.add_argument(flag, **given)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes that share the runs (1)"
    )
    options = vars(parser.parse_args(words))
    jobs = options.pop("jobs")
    kept = without_jobs(words)
    set_threads(1)
    blas_threads(1)  # or each matrix product waits for a thread that a busy machine may not have

    def go(place: Team) -> None:
        def say(line: str) -> None:
            if place.rank == 0:
                print(line, flush=True)

        with working_as(place):
            study(**options, command=command_line(name, kept), say=say)
        if place.rank == 0:
            Shelf(Path(options["out"]), "", Team()).empty()

    worker = started_by_jobs()
    try:
        if worker is not None:
            go(worker)
        elif mpi.launched():
            mpi.run(lambda comm: go(Team(comm.rank, comm.size)))
        else:
            with workers(name, kept, jobs) as place:
                go(place)
    except InputError as error:
        if worker is None:  # the first process says it
            print(f"minilm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if worker is None:
            print(f"minilm: stopped; the same command continues {options['out']}", file=sys.stderr)
        return 130
    return 0


def without_jobs(words: Sequence[str]) -> list[str]:
    """The words of a command without `--jobs N`, on which no number depends."""
    kept, skip = [], False
    for word in words:
        if not skip and word != "--jobs" and not word.startswith("--jobs="):
            kept.append(word)
        skip = word == "--jobs"
    return kept


@contextlib.contextmanager
def workers(name: str, words: Sequence[str], jobs: int) -> Iterator[Team]:
    """More processes for a study, for the length of a block; they end with this one.

    Raises:
        InputError: jobs is less than 1.
    """
    if jobs < 1:
        raise InputError(f"--jobs is {jobs}; it must be 1 or more")
    command = [sys.executable, "-m", "minilm", "study", "run", name, *words]
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(command, env={**os.environ, **one, WORKER: f"{rank}/{jobs}/{os.getpid()}"})
        for rank in range(1, jobs)
    ]
    try:
        yield Team(0, jobs)
    except BaseException:
        for process in started:
            process.terminate()
        raise
    finally:
        for process in started:
            process.wait()
