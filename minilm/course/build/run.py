"""Executing lessons: a progress bar per cell, seconds, and failures that name the cell.

Stored outputs must not change from run to run by more than the numbers do, so what is volatile is
dropped: timings in the metadata, widget views that a reader's browser could not revive, and what
went to stderr (progress bars). A warning on stderr fails the lesson: learners would see it too.
"""

from __future__ import annotations

import copy
import datetime
import json
import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson, joined
from minilm.course.show.budget import VARIABLE as BUDGET
from minilm.course.show.budget import parse_budget
from minilm.course.show.seeds import VARIABLE as SEEDS
from minilm.files import write_atomically, write_text

WIDGETS = (
    "application/vnd.jupyter.widget-view+json",
    "application/vnd.jupyter.widget-state+json",
)
SKIP = "skip-run"  # tag of a cell that a run leaves out, with the outputs it has
RAISES = "raises-exception"  # tag of a cell that is meant to fail
SLOWEST = 600  # seconds a cell may take
_WARNING = re.compile(r"^.*(?:Warning: .*|Traceback \(most recent call last\).*)$", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class LessonError(Exception):
    """A lesson that does not run: its text names the file and the cell, shows the cell, and why."""


@dataclass
class Run:
    """What executing one lesson gave."""

    lesson: Lesson
    notebook: nb.Notebook
    seconds: float = 0.0
    cells: list[tuple[int, float]] = field(default_factory=list)  # index, seconds

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The verdicts recorded in the outputs, in order."""
        return claims_in(self.notebook, self.lesson)

    def slowest(self, count: int = 1) -> list[tuple[int, float]]:
        """Index and seconds of the cells that took longest, the slowest first."""
        return sorted(self.cells, key=lambda cell: -cell[1])[:count]


def claims_in(notebook: nb.Notebook, lesson: Lesson) -> list[dict[str, Any]]:
    """The verdict records in the outputs of a notebook; the lesson's own name and talk go in."""
    records = []
    for cell in notebook["cells"]:
        for out in cell.get("outputs", []):
            record = out.get("metadata", {}).get("minilm", {}).get("claim")
            if record:
                talk = record["talk"] or lesson.said("talk")
                records.append({**record, "lesson": lesson.slug, "talk": talk})
    return records


def code_cells(notebook: nb.Notebook) -> list[int]:
    """The indices of the cells that a run executes."""
    return [
        k
        for k, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
        and nb.source_of(cell).strip()
        and SKIP not in nb.tags_of(cell)
    ]


class Kernel:
    """A Jupyter kernel that executes the cells of one lesson, in the lesson's folder."""

    def __init__(
        self, lesson: Lesson, seconds: float = SLOWEST, seeds: str = "", budget: str = ""
    ) -> None:
        self.lesson, self._asked = lesson, {SEEDS: seeds, BUDGET: budget}
        self.notebook = copy.deepcopy(lesson.notebook)
        self._seconds = seconds

    @contextmanager
    def started(self) -> Iterator[Kernel]:
        """The kernel, running for the length of the block."""
        import nbformat
        from nbclient import NotebookClient

        self._node = nbformat.from_dict(self.notebook)
        self._client = NotebookClient(
            self._node,
            timeout=math.ceil(self._seconds),
            kernel_name="python3",
            resources={"metadata": {"path": str(self.lesson.path.parent.resolve())}},
            store_widget_state=False,
            record_timing=False,
            extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=40"],
        )
        with self._client.setup_kernel(env=self._environment()):
            yield self

    def _environment(self) -> dict[str, str]:
        """The kernel's environment: this very package, the lesson's name, no colours."""
        package = str(Path(__file__).resolve().parents[3])
        known = os.environ.get("PYTHONPATH")
        return {
            **os.environ,
            "MINILM_LESSON": self.lesson.slug,
            **self._asked,
            "PYTHONPATH": os.pathsep.join(filter(None, (package, known))),
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }

    def execute(self, index: int) -> float:
        """Execute one cell and keep its outputs; returns its seconds.

        Raises:
            LessonError: the cell raised, took too long, killed its kernel, or printed a warning.
        """
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

        cell = self._node["cells"][index]
        began = time.perf_counter()
        try:
            self._client.execute_cell(cell, index)
        except CellExecutionError:
            error = next(o for o in reversed(cell["outputs"]) if o["output_type"] == "error")
            said = f"{error['ename']}: {error['evalue']}{_where(error)}"
            raise self._failure(index, said) from None
        except CellTimeoutError:
            raise self._failure(index, f"it ran for more than {self._seconds:g} s.") from None
        except DeadKernelError:
            raise self._failure(index, "its process died (out of memory?).") from None
        outputs = [dict(out) for out in cell["outputs"]]
        warned = warning_in(outputs)
        if warned and RAISES not in nb.tags_of(cell):
            raise self._failure(index, f"it prints a warning: {warned}")
        ours = self.notebook["cells"][index]
        ours["outputs"] = stored_outputs(json.loads(json.dumps(outputs)))
        ours["execution_count"] = cell["execution_count"]
        return time.perf_counter() - began

    def _failure(self, index: int, why: str) -> LessonError:
        return LessonError(failure_text(self.lesson.path, self.notebook, index, why))


def failure_text(path: Path, notebook: nb.Notebook, index: int, why: str) -> str:
    """File, cell, source and reason, for people."""
    cell = notebook["cells"][index]
    lines = nb.source_of(cell).splitlines()
    shown = "\n".join(f"  | {line}" for line in lines[:20])
    more = f"\n  | ... {len(lines) - 20} more lines" if len(lines) > 20 else ""
    name = f"{path.name}, cell {index + 1} of {len(notebook['cells'])} (id {cell.get('id', '?')})"
    return f"{name}\n{shown}{more}\n{_COLOURS.sub('', why)}"


def _where(error: dict[str, Any]) -> str:
    """The line of the cell, and of the package, that an IPython traceback points at."""
    text = _COLOURS.sub("", "\n".join(error["traceback"]))
    arrows = re.findall(r"^-+> *(\d+) (.*)$", text, re.MULTILINE)
    files = re.findall(r"^File [^\n]*?(minilm/[\w/]+\.py):(\d+)", text, re.MULTILINE)
    places = [f"line {arrows[0][0]}: {arrows[0][1].strip()}"] if arrows else []
    places += [f"{name}:{line}" for name, line in files[-1:]]
    return "".join(f"\n  at {place}" for place in places)


def warning_in(outputs: list[dict[str, Any]]) -> str | None:
    """The first warning that outputs hold on stderr, or None."""
    for out in outputs:
        if out["output_type"] == "stream" and out.get("name") == "stderr":
            found = _WARNING.search(_COLOURS.sub("", joined(out["text"])))
            if found:
                return found[0].strip()
    return None


def stored_outputs(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs as they are committed: no stderr, no widget views, streams in one piece."""
    kept: list[dict[str, Any]] = []
    for out in outputs:
        out.pop("transient", None)
        if out["output_type"] == "stream":
            if out.get("name") == "stderr":
                continue
            text = joined(out["text"])
            if kept and kept[-1]["output_type"] == "stream":
                kept[-1]["text"] += text
            else:
                kept.append({**out, "text": text})
            continue
        if "data" in out:
            if out.get("metadata", {}).get("minilm", {}).get("bar"):  # of a training; it is over
                continue
            live = [out["data"].pop(name, None) for name in WIDGETS]
            drawn = "minilm" in out.get("metadata", {})
            if any(live) and not drawn:  # a progress bar, a bare widget: nothing left to show
                continue
            if not any(joined(text) for text in out["data"].values() if isinstance(text, str)):
                continue
        kept.append(out)
    for out in kept:
        if out["output_type"] == "stream":
            out["text"] = nb.lines_of(out["text"])
        for kind, text in out.get("data", {}).items():
            if isinstance(text, str) and not kind.startswith("image/p"):
                out["data"][kind] = nb.lines_of(text)
    return kept


def machine() -> str:
    """The kind of machine a run was made on, without naming it."""
    from minilm.backend import cupy
    from minilm.backend.machine import describe, gpu
    from minilm.errors import InputError

    here = describe()
    try:
        card = gpu(cupy())
    except InputError:
        card = "no GPU"
    return f"{here.cores} CPU cores, {here.architecture}, {here.system}, {card}"


def run_lesson(
    lesson: Lesson,
    progress: bool = True,
    seconds: float = SLOWEST,
    seeds: str = "",
    budget: str = "",
) -> Run:
    """Execute a lesson top to bottom in a kernel of its own; nothing is written.

    Args:
        progress: show a bar with the cell that runs (only where the terminal can).
        seconds: how long one cell may take.
        seeds: the seeds of the lesson's experiments, as in "3,4,5"; its own by default.
        budget: the multiple of its own training, as in "4" or "1/4".

    Raises:
        LessonError: a cell fails.
    """
    from tqdm import tqdm

    kernel = Kernel(lesson, seconds, seeds, budget)
    todo = code_cells(kernel.notebook)
    done = Run(lesson, kernel.notebook)
    began = time.perf_counter()
    bar = tqdm(total=len(todo), desc=lesson.number, unit="cell", disable=None if progress else True)
    with bar, kernel.started():
        for index in todo:
            bar.set_postfix_str(f"cell {index + 1}")
            done.cells.append((index, kernel.execute(index)))
            bar.update()
    done.seconds = time.perf_counter() - began
    _renumber(kernel.notebook, todo)
    return done


def _renumber(notebook: nb.Notebook, done: list[int]) -> None:
    for count, index in enumerate(done, 1):
        cell = notebook["cells"][index]
        cell["execution_count"] = count
        for out in cell["outputs"]:
            if out["output_type"] == "execute_result":
                out["execution_count"] = count


def save(run: Run) -> list[Path]:
    """Store the outputs in the notebook, and the verdicts in `NN_slug/claims.json` beside it.

    Returns the files that changed.
    """
    import sys

    notebook = run.notebook
    for cell in notebook["cells"]:
        cell["source"] = nb.lines_of(nb.source_of(cell))
        cell["metadata"].pop("execution", None)
    record = notebook["metadata"].setdefault("minilm", {})
    record["machine"] = machine()
    record["seconds"] = round(run.seconds)
    record["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    claims = run.lesson.place.claims
    changed = [run.lesson.path] if nb.write(run.lesson.path, notebook) else []
    if run.claims or claims.exists():
        text = json.dumps(run.claims, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        changed += [claims] if write_text(claims, text) else []
    return changed


def keep(run: Run, folder: Path) -> None:
    """Write an executed notebook, and the picture it opens with, into another folder."""
    nb.write(folder / run.lesson.path.name, run.notebook)
    picture = run.lesson.place.opening
    if picture.is_file():
        beside = folder / run.lesson.slug
        beside.mkdir(parents=True, exist_ok=True)
        write_atomically(beside / picture.name, picture.read_bytes())


def verdicts_of(run: Run, budget: str = "") -> dict[str, str]:
    """Claim -> verdict; with more training than its own, recorded studies say nothing new."""
    longer = bool(budget) and parse_budget(budget) > 1
    return {one["claim"]: one["verdict"] for one in run.claims if not (longer and one["recorded"])}


def save_fresh(run: Run, seeds: str, budget: str = "") -> list[str]:
    """Store what a run with other seeds, or another budget, gave in `NN_slug/fresh.json`.

    It stands beside those of earlier runs and replaces that of the same seeds and budget.

    Returns:
        One line for each claim whose verdict they turn.
    """
    path = run.lesson.place.fresh
    asked = {"seeds": seeds, **({"budget": budget} if budget else {})}
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    kept = [one for one in kept if _asked(one) != _asked(asked)]
    verdicts = verdicts_of(run, budget)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    kept.append({**asked, "date": today, "machine": machine(), "verdicts": verdicts})
    kept.sort(key=_asked)
    write_text(path, json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return turned(run.lesson, verdicts)


def _asked(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["seeds"], entry.get("budget", "")


def turned(lesson: Lesson, verdicts: dict[str, str]) -> list[str]:
    """The claims of a lesson that these verdicts judge otherwise than its stored run does."""
    path = lesson.place.claims
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [
        f"{record['claim']}: {record['verdict']} -> {verdicts[record['claim']]}"
        for record in stored
        if verdicts.get(record["claim"], record["verdict"]) != record["verdict"]
    ]
