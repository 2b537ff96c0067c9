"""A study as its author writes it: one short Python file of constants and one or two functions.

    HYPOTHESIS  what is claimed, in a sentence
    FALSIFIER   what would prove it wrong, in a sentence
    BASELINE    the model that the others must beat
    GRID        {"model": [...], "size": [...]}; sizes grow, and the last one is held back
    SEEDS       of weights and data, for every model and size
    BUDGET      FLOPs of one run at each size, the same for every model
    GAIN        the least gain in loss at the held-back size that counts
    config      (model, size) -> Config; or build and flops; or train: see `Plan`

`minilm study new NAME` writes such a file, `template.py` beside this one.
"""

from __future__ import annotations

import ast
import math
import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.studies.runs import TUNING_SEED

NEEDED = ("HYPOTHESIS", "FALSIFIER", "BASELINE", "GRID", "SEEDS", "BUDGET", "GAIN")
OPTIONAL = {"BATCH": 8, "CONTEXT": 64, "LR": 5e-3, "TEXT": "python-docs", "UNIT": "nats per byte"}
LEAST_SIZES = 3  # two for a line, one held back


@dataclass(frozen=True)
class Plan:
    """A study that was read and checked.

    Attributes:
        name, about: of the file; the first line of its docstring.
        hypothesis, falsifier: sentences.
        baseline, models, sizes, seeds, budget, gain: as in the file; sizes grow.
        batch, context: sequences of a step, tokens of a sequence.
        lr: where the search for a rate begins, at the smallest size.
        text: a corpus, learnt as bytes; unless the file draws its own data.
        unit: of the loss.
        functions: those of `config`, `build`, `flops`, `batches`, `test`, `train` that the file
            has. `train(model, size, seed, lr, flops)` returns a dict with `loss` and `flops` and
            does everything itself. Else `build(model, size, seed)` makes the model and
            `flops(model, size)` counts one step, both by default from `config(model, size)`;
            `batches(seed)` gives a function from a step to (ids, targets), and `test(model)` a
            loss, both by default from the text.
        code: the file without comments, docstrings and the constants above.
    """

    name: str
    about: str
    hypothesis: str
    falsifier: str
    baseline: str
    models: tuple[str, ...]
    sizes: tuple[Any, ...]
    seeds: tuple[int, ...]
    budget: tuple[float, ...]
    gain: float
    batch: int
    context: int
    lr: float
    text: str
    unit: str
    functions: dict[str, Callable] = field(compare=False)
    code: str = ""

    @property
    def held_back(self) -> Any:
        """The largest size."""
        return self.sizes[-1]

    def flops_of(self, size: Any) -> float:
        """The budget of one run at a size."""
        return self.budget[self.sizes.index(size)]

    def promise(self) -> dict[str, Any]:
        """The fields whose hash is taken before the first run."""
        names = (
            "hypothesis",
            "falsifier",
            "baseline",
            "models",
            "sizes",
            "seeds",
            "budget",
            "gain",
        )
        fields = {name: getattr(self, name) for name in names}
        return {**fields, "held_back": self.held_back, "code": self.code}


def read_plan(path: str | Path) -> Plan:
    """Read a study's file.

    Raises:
        InputError: it is missing, fails to run, or a part of it is missing or out of range; one
            sentence that names the part.
    """
    path = Path(path)
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"study {str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"study {str(path)!r} is not a text in UTF-8") from None
    try:
        names = runpy.run_path(str(path), run_name=f"study_{path.stem}")
    except SyntaxError as error:
        raise InputError(f"{path} is not Python: line {error.lineno}: {error.msg}") from None
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from None
    except Exception as error:
        raise InputError(
            f"{path} cannot be used: line {_line(error, path)}: {type(error).__name__}: {error}"
        ) from None
    return plan_of(path.stem, names, source, str(path))


def plan_of(name: str, names: dict[str, Any], source: str, where: str) -> Plan:
    """A plan from the names of a module; see `read_plan`.

    Args:
        name: of the study.
        names: of the module.
        source: its text.
        where: what a refusal calls it.
    """
    given = Given(names, where)
    models, sizes = given.grid()
    baseline = given.text("BASELINE")
    if baseline not in models:
        given.refuse(
            "BASELINE", f"is {baseline!r}; it must be a model of GRID: {', '.join(models)}"
        )
    functions = given.functions()
    more = {key: names.get(key, default) for key, default in OPTIONAL.items()}
    for key in ("BATCH", "CONTEXT"):
        if not isinstance(more[key], int) or more[key] < 1:
            given.refuse(key, f"is {more[key]!r}; it must be a whole number of 1 or more")
    if not given.positive(more["LR"]):
        given.refuse("LR", f"is {more['LR']!r}; it must be a number above 0")
    return Plan(
        name=name,
        about=(ast.get_docstring(ast.parse(source)) or name).partition("\n")[0],
        hypothesis=given.text("HYPOTHESIS"),
        falsifier=given.text("FALSIFIER"),
        baseline=baseline,
        models=models,
        sizes=sizes,
        seeds=given.seeds(),
        budget=given.budget(len(sizes)),
        gain=given.gain(),
        batch=more["BATCH"],
        context=more["CONTEXT"],
        lr=float(more["LR"]),
        text=str(more["TEXT"]),
        unit=str(more["UNIT"]),
        functions=functions,
        code=code_of(source),
    )


class Given:
    """What a study's file gives, asked for part by part."""

    def __init__(self, names: dict[str, Any], where: str) -> None:
        self.names, self.where = names, where
        for name in NEEDED:
            if name not in names:
                raise InputError(f"{where} has no {name}; a study needs {', '.join(NEEDED)}")

    def refuse(self, name: str, why: str) -> None:
        raise InputError(f"{self.where}: {name} {why}")

    @staticmethod
    def positive(value: Any) -> bool:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return good and math.isfinite(value) and value > 0

    def text(self, name: str) -> str:
        value = self.names[name]
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, f"is {value!r}; it must be a sentence")
        return " ".join(value.split())

    def grid(self) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        grid = self.names["GRID"]
        if not isinstance(grid, dict) or set(grid) != {"model", "size"}:
            self.refuse("GRID", f"is {grid!r}; it must be a dict with the lists 'model' and 'size'")
        models, sizes = tuple(grid["model"]), tuple(grid["size"])
        for name, values, least in (("model", models, 2), ("size", sizes, LEAST_SIZES)):
            if len(values) < least or len(set(values)) < len(values):
                held = ", the last of which is held back" if name == "size" else ""
                self.refuse(
                    f"GRID[{name!r}]",
                    f"is {list(values)}; it must name at least {least} different ones{held}",
                )
        if not all(isinstance(model, str) for model in models):
            self.refuse("GRID['model']", f"is {list(models)}; models are named by words")
        if all(self.positive(size) for size in sizes) and list(sizes) != sorted(sizes):
            self.refuse("GRID['size']", f"is {list(sizes)}; sizes must grow, the last is held back")
        return models, sizes

    def seeds(self) -> tuple[int, ...]:
        seeds = self.names["SEEDS"]
        whole = isinstance(seeds, (list, tuple)) and all(
            isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds
        )
        if not whole or not seeds or len(set(seeds)) < len(seeds):
            self.refuse("SEEDS", f"is {seeds!r}; it must be a list of different whole numbers")
        if TUNING_SEED in seeds:
            self.refuse("SEEDS", f"holds {TUNING_SEED}, the seed of the tuning; leave it out")
        return tuple(seeds)

    def budget(self, count: int) -> tuple[float, ...]:
        budget = self.names["BUDGET"]
        if not isinstance(budget, (list, tuple)) or len(budget) != count:
            self.refuse("BUDGET", f"is {budget!r}; it must list FLOPs for each of {count} sizes")
        if not all(map(self.positive, budget)) or list(budget) != sorted(set(budget)):
            self.refuse("BUDGET", f"is {list(budget)}; FLOPs must be above 0 and grow")
        return tuple(map(float, budget))

    def gain(self) -> float:
        gain = self.names["GAIN"]
        if not self.positive(gain):
            self.refuse("GAIN", f"is {gain!r}; it must be a number above 0")
        return float(gain)

    def functions(self) -> dict[str, Callable]:
        known = ("config", "build", "flops", "batches", "test", "train")
        found = {name: self.names[name] for name in known if callable(self.names.get(name))}
        if not {"config", "train"} & set(found) and not {"build", "flops"} <= set(found):
            raise InputError(
                f"{self.where} has no config(model, size); it must have that, or build(model, "
                "size, seed) and flops(model, size), or train(model, size, seed, lr, flops)"
            )
        return found


def code_of(source: str) -> str:
    """A file's code without comments, docstrings and the constants that a promise names."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not _is_constant(node)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                del body[0]
    return "\n".join(ast.unparse(node) for node in tree.body)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in NEEDED for target in node.targets
    )


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that an error came through."""
    found, trace = 0, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
