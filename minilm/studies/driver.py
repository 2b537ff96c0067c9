"""What all studies share: read the options, tune and run every case, report each run."""

import argparse
import inspect
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minilm.backend import blas_threads, set_threads
from minilm.errors import InputError
from minilm.studies.record import Record

Case = dict[str, Any]  # what tells one kind of run from another, without the seed
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

    def name_of(case: Case) -> str:
        return " ".join(str(value) for value in case.values())

    left = [(s, c) for s in seeds for c in cases if not record.has(**c, seed=s)]
    for position, (seed, case) in enumerate(left):
        name = name_of(case)
        key = name if tuned_as is None else tuned_as(case)
        record.data["missing"] = [f"{name_of(c)} seed {s}" for s, c in left[position:]]
        if key not in record.data["tuning"]:
            record.tuned(key, tune(**case))
        lr = record.data["tuning"][key]["lr"]
        made = run(**case, seed=seed, lr=lr)
        record.data["missing"].pop(0)
        record.add({**case, **made})
        say(f"{name} seed {seed} lr {lr:g}, {made['cpu_seconds']:.0f} s: {show(made)}")
    return record.data


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

    It runs on one thread, so that its numbers do not depend on how many cores a machine has.

    Args:
        name: lesson and study, as in "02/scaling".
        study: all its parameters but the first (the file) have a default: a number, a word, or
            a tuple of either.
        arguments: the words of the command line; those of this process by default.

    Returns:
        The exit code: 0; after a sentence on stderr 2, or 130 for a study that was stopped.
    """
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
    options = vars(parser.parse_args(words))
    set_threads(1)
    blas_threads(1)  # or each matrix product waits for a thread that a busy machine may not have
    try:
        study(
            **options, command=command_line(name, words), say=lambda line: print(line, flush=True)
        )
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"minilm: stopped; the same command continues {options['out']}", file=sys.stderr)
        return 130
    return 0
