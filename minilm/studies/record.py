"""A study's JSON file: written whole after every run, so that an interrupted study can go on."""

import datetime
import json
import math
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from minilm.backend import machine, threads
from minilm.errors import InputError
from minilm.files import parse_json, write_atomically
from minilm.studies.team import team

ROOT = Path(__file__).resolve().parents[2]  # of the clone, if this is one
SHOWN = 100  # characters of a setting that a refusal quotes


def now() -> str:
    """The time, in UTC and to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


@cache
def code_state(root: Path = ROOT) -> str:
    """Which code runs: the commit of a clone, or the version where there is none.

    Numbers of a training can change with the last digit of one exponential, so a record without
    its code can be believed, but not made again.

    Args:
        root: the folder that holds the package `minilm` and the lessons.

    Returns:
        40 hexadecimal digits, with "-dirty" behind them where a Python file differs from the
        commit or is not in it; "version X" outside a clone or without git.
    """
    version = f"version {sys.modules['minilm'].__version__}"
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():  # never the commit of a clone around it
        return version

    def ask(*words: str) -> str | None:
        done = subprocess.run(
            [git, "-C", str(root), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    changed = ask("status", "--porcelain", "--untracked-files=all", "--", "*.py")
    if not commit or changed is None:
        return version
    return f"{commit}-dirty" if changed else commit


def rounded(value: Any, digits: int = 6) -> Any:
    """A JSON value with its floats rounded to some significant digits; nan and inf become None."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry, digits) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Dicts with the same keys -> one dict of lists; dicts inside become dicts of lists too."""
    first = rows[0]
    return {
        key: columns([row[key] for row in rows])
        if isinstance(first[key], dict)
        else [row[key] for row in rows]
        for key in first
    }


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The inverse of `columns`."""
    apart = {key: rows(c) if isinstance(c, dict) else c for key, c in table.items()}
    return [dict(zip(apart, row, strict=True)) for row in zip(*apart.values(), strict=True)]


def covers(command: str, other: str) -> bool:
    """Whether a command makes all that another one makes: the same, or with more seeds or sizes.

    A list of seeds or sizes that is not given stands for all of them.
    """

    def apart(line: str) -> tuple[str, dict[str, set[str]]]:
        lists = re.compile(r" --(seeds|sizes|amounts)((?: [^\s-]\S*)+)")
        return lists.sub("", line), {
            name: set(words.split()) for name, words in lists.findall(line)
        }

    (rest, listed), (rest_of_other, fewer) = apart(command), apart(other)
    whole = all(fewer.get(name, set()) <= words != set() for name, words in listed.items())
    return rest == rest_of_other and whole and all(name in fewer for name in listed)


class Record:
    """One study on disk.

    Args:
        path: the JSON file; where it exists it is read, and must hold the same study with the
            same settings.
        study: the study's name.
        settings: everything that determines the numbers.
        command: how to make the file; a new command is added to those already in it.

    Raises:
        InputError: the file holds another study, other settings, or is not JSON.
    """

    def __init__(self, path: str | Path, study: str, settings: dict[str, Any], command: str):
        self.path = Path(path)
        settings = json.loads(json.dumps(rounded(settings)))
        if self.path.exists():
            self.data = load(self.path)
            if self.data["study"] != study:
                raise InputError(
                    f"out is {str(path)!r}, which holds the study {self.data['study']!r}; "
                    f"it must hold {study!r} or not exist"
                )
            differ = [k for k in settings if self.data["settings"].get(k) != settings[k]]
            if differ:
                name = differ[0]
                made, asked = repr(self.data["settings"].get(name)), repr(settings[name])
                if max(len(made), len(asked)) > SHOWN:
                    made, asked = "other values", "those of today"
                raise InputError(
                    f"out is {str(path)!r}, made with {name} = {made}; for {name} = {asked} name "
                    "another file"
                )
            before = self.data["command"].split(" && ") if self.data["command"] else []
            if command and not any(covers(known, command) for known in before):
                kept = [known for known in before if not covers(command, known)]
                self.data["command"] = " && ".join([*kept, command])
        else:
            self.data = {"study": study, "command": command, "settings": settings}
            self.data |= {"tuning": {}, "missing": [], "runs": []}
        self.data["machine"] = str(machine.describe())
        self.data["threads"] = threads()

    def has(self, **keys: Any) -> bool:
        """Whether a run with these entries is in the file already."""
        return any(all(run.get(k) == v for k, v in keys.items()) for run in self.data["runs"])

    def completed(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run as it is kept: rounded, with its pledge and the commit of the code."""
        sealed = {"pledge": self.data["pledge"]["seal"]} if "pledge" in self.data else {}
        return {**rounded(run), **sealed, "commit": code_state()}

    def add(self, run: dict[str, Any]) -> None:
        """Append a run, completed where it is not yet, and save."""
        self.data["runs"].append(run if "commit" in run else self.completed(run))
        self.save()

    def keep(self, name: str, value: Any) -> None:
        """Store something about the whole study, and save."""
        self.data[name] = rounded(value)
        self.save()

    def refresh(self) -> None:
        """Take what another process has written into the file meanwhile."""
        if not self.path.exists():
            return
        data = load(self.path)
        known = {self._key(run) for run in self.data["runs"]}
        self.data["runs"] += [run for run in data["runs"] if self._key(run) not in known]
        for name, value in data.items():
            if name not in self.data:
                self.data[name] = value
        self.data["tuning"] = data["tuning"] | self.data["tuning"]

    @staticmethod
    def _key(run: dict[str, Any]) -> str:
        plain = {k: v for k, v in run.items() if v is None or isinstance(v, (str, int, float))}
        return json.dumps(plain, sort_keys=True)

    @property
    def version(self) -> str:
        """What pieces of this study must have been made with: its settings and its pledge."""
        seal = self.data.get("pledge", {}).get("seal", "")
        return json.dumps([self.data["study"], self.data["settings"], seal], sort_keys=True)

    def tuned(self, name: str, result: dict[str, Any]) -> None:
        """Store what tuning found, and save."""
        self.data["tuning"][name] = rounded(result)
        self.save()

    def save(self) -> None:
        """Write the whole file in one step, one line per run, with today's date.

        A run's points are stored as columns, which takes a third of the space. Of a team, only the
        first process writes.
        """
        if team().rank > 0:
            return
        self.data["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
        lines = [
            json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
            for entry in ({**run, "points": columns(run["points"])} for run in self.data["runs"])
        ]
        head = {key: value for key, value in self.data.items() if key != "runs"}
        text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
        runs = ",\n".join(lines)
        write_atomically(self.path, f'{text},\n "runs": [\n{runs}\n ]\n}}\n'.encode())


def load(path: str | Path) -> dict[str, Any]:
    """A study's data: settings, tuning, and `runs`, each with its `points` (one dict per test).

    Raises:
        InputError: the file is missing or does not hold a study.
    """
    try:
        data = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"path {str(path)!r} does not hold a study: {error}") from None
    except ValueError as error:
        raise InputError(f"path {str(path)!r} does not hold a study: it {error}") from None
    if not isinstance(data, dict) or not {"study", "settings", "runs"} <= data.keys():
        raise InputError(
            f"path {str(path)!r} does not hold a study: it lacks study, settings or runs"
        )
    data["runs"] = [{**run, "points": rows(run["points"])} for run in data["runs"]]
    return data


def points(data: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row per test: the run's entries with those of the point."""
    flat = []
    for run in data["runs"]:
        shared = {key: value for key, value in run.items() if key != "points"}
        flat += [{**shared, **point} for point in run["points"]]
    return flat
