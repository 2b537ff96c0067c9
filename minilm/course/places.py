"""Where everything of the course lies: the one module that knows the layout.

    lessons/NN_slug.ipynb      what readers open
    lessons/NN_slug/           what an author edits: lesson.py, pictures.py, studies/, data/,
                               opening.png, questions.py, tests.py, wrong.py, right.py;
                               and what runs leave: claims.json, fresh.json
    exercises/NN_slug.ipynb    what students get
    solutions/NN_slug.ipynb    the same, solved
    README.md, CLAIMS.md, BENCHMARKS.md

A lesson reaches its own folder with `here = lesson_folder("02")`: `here.pictures` and
`here.recorded("scaling")` work in JupyterLab, in VS Code and in a terminal alike.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from minilm.errors import InputError

if TYPE_CHECKING:
    from minilm.studies.recorded import Recorded

_FOLDER = re.compile(r"\d+[a-z]?_\w+")
PARTS = ("lesson.py", "questions.py", "tests.py")  # a folder with one of them is a lesson's


def fits(slug: str, name: str) -> bool:
    """Whether a lesson called `slug` ("03_transformers") is meant by `name` ("3", "03", ...)."""
    number = slug.split("_")[0]
    wanted = Path(name).name.removesuffix(".py").removesuffix(".ipynb")
    return wanted in (slug, number) or f"0{wanted}" == number


@dataclass(frozen=True)
class LessonFolder:
    """All that belongs to one lesson: paths, whether or not something lies there yet.

    Attributes:
        root: the course.
        slug: such as "03a_causal".
    """

    root: Path
    slug: str

    @property
    def number(self) -> str:
        """What stands before the first underscore, such as "03a"."""
        return self.slug.split("_")[0]

    @property
    def folder(self) -> Path:
        return self.root / "lessons" / self.slug

    @property
    def notebook(self) -> Path:
        return self.root / "lessons" / f"{self.slug}.ipynb"

    @property
    def exercise(self) -> Path:
        return self.root / "exercises" / f"{self.slug}.ipynb"

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / f"{self.slug}.ipynb"

    @property
    def source(self) -> Path:
        return self.folder / "lesson.py"

    @property
    def questions(self) -> Path:
        return self.folder / "questions.py"

    @property
    def tests(self) -> Path:
        return self.folder / "tests.py"

    @property
    def wrong(self) -> Path:
        return self.folder / "wrong.py"

    @property
    def right(self) -> Path:
        """Right answers of another shape than the solution's, beside `wrong`, the planted ones."""
        return self.folder / "right.py"

    @property
    def claims(self) -> Path:
        return self.folder / "claims.json"

    @property
    def fresh(self) -> Path:
        """The verdicts of runs with other seeds, beside `claims`, those of the stored run."""
        return self.folder / "fresh.json"

    @property
    def opening(self) -> Path:
        return self.folder / "opening.png"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pictures(self) -> ModuleType:
        """The lesson's figures and widgets, `pictures.py`."""
        return self.module("pictures")

    @property
    def studies(self) -> list[str]:
        """The names of the lesson's recorded studies, for `minilm study run NN/name`."""
        return sorted(path.stem for path in (self.folder / "studies").glob("[a-z]*.py"))

    def study(self, name: str) -> ModuleType:
        """A recorded study's module.

        Raises:
            InputError: the lesson has no such study.
        """
        if name not in self.studies:
            known = ", ".join(f"{self.number}/{one}" for one in self.studies) or "none"
            raise InputError(f"study is {self.number}/{name}; the studies here are: {known}")
        return self.module(f"studies.{name}")

    def recorded(self, name: str, whole: bool = False) -> Recorded:
        """What a study left in `data/NAME.json`.

        A run of the lesson with a quarter of its training reads a quarter of each recorded run,
        unless `whole`: a study that trains until its tasks are learnt has nothing to leave out.

        Raises:
            InputError: there is no such file.
        """
        from minilm.course.show.budget import factor
        from minilm.studies.recorded import Recorded

        path = self.data / f"{name}.json"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in self.data.glob("*.json"))) or "none"
            raise InputError(f"record is {name!r}; lesson {self.number} has: {known}")
        return Recorded(path, share=1.0 if whole else min(1.0, float(factor())))

    def module(self, name: str) -> ModuleType:
        """A module of this folder, dots for folders; it may import its neighbours relatively.

        Raises:
            InputError: there is no such file.
        """
        path = self.folder.joinpath(*name.split(".")).with_suffix(".py")
        if not path.is_file():
            raise InputError(
                f"{path.relative_to(self.root)} is missing; the lesson needs the whole folder "
                f"lessons/{self.slug} of the course beside it"
            )
        package = f"lesson_{self.number}"
        known = sys.modules.get(package)
        if known is None or list(known.__path__) != [str(self.folder)]:  # another course's
            for loaded in [m for m in sys.modules if m == package or m.startswith(package + ".")]:
                del sys.modules[loaded]
            known = sys.modules[package] = ModuleType(package)
            known.__path__ = [str(self.folder)]
            importlib.invalidate_caches()
        return importlib.import_module(f"{package}.{name}")


@dataclass(frozen=True)
class Course:
    """A course on disk: its lessons, and the pages that are written about them."""

    root: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> Course | None:
        """The course at or above `start` (default: here), or None.

        An editable install looks last into the clone it was installed from.
        """
        here = Path(start) if start is not None else Path.cwd()
        here = here.absolute()
        package = Path(__file__).resolve().parents[2]
        for folder in (here, *here.parents, package):
            if cls(folder).lessons:  # lessons/ alone is a common folder name
                return cls(folder)
        return None

    @classmethod
    def here(cls, start: Path | str | None = None) -> Course:
        """Like `find`, but a missing course is a mistake of the user.

        Raises:
            InputError: no folder above holds lessons.
        """
        found = cls.find(start)
        if found is None:
            where = Path(start) if start is not None else Path.cwd()
            raise InputError(
                f"no course was found at or above {where}; work inside a clone of the course, "
                "the folder that holds lessons/ with a folder for each lesson"
            )
        return found

    @property
    def lessons(self) -> list[LessonFolder]:
        """Every folder that an author edits, in order."""
        home = self.root / "lessons"
        if not home.is_dir():
            return []
        with os.scandir(home) as entries:
            slugs = sorted(e.name for e in entries if _FOLDER.fullmatch(e.name) and e.is_dir())
        folders = [LessonFolder(self.root, slug) for slug in slugs]
        return [one for one in folders if any((one.folder / part).is_file() for part in PARTS)]

    @property
    def sets(self) -> dict[str, LessonFolder]:
        """The exercise sets, by name."""
        return {one.slug: one for one in self.lessons if one.tests.is_file()}

    @property
    def notebooks(self) -> list[Path]:
        """The built lessons, in order."""
        return sorted((self.root / "lessons").glob("[0-9]*_*.ipynb"))

    @property
    def readme(self) -> Path:
        return self.root / "README.md"

    @property
    def overview(self) -> Path:
        """The page that `minilm lab` opens, written whenever it starts."""
        return self.root / "COURSE.md"

    @property
    def claims(self) -> Path:
        return self.root / "CLAIMS.md"

    @property
    def benchmarks(self) -> Path:
        return self.root / "BENCHMARKS.md"

    def named(self, names: Sequence[str] = ()) -> list[LessonFolder]:
        """The lessons meant by numbers ("3", "03a") or slugs, in order; all of them by default.

        Raises:
            InputError: a name fits no lesson.
        """
        lessons = self.lessons
        for name in names:
            if not any(fits(one.slug, name) for one in lessons):
                known = ", ".join(one.slug for one in lessons) or "none"
                raise InputError(f"NAME is {name!r}; the lessons and sets here are: {known}")
        return [one for one in lessons if not names or any(fits(one.slug, n) for n in names)]


def lesson_folder(name: str, start: Path | str | None = None) -> LessonFolder:
    """The folder of a lesson, as its cells reach it: `here = lesson_folder("02")`.

    Args:
        name: number or slug.
        start: where to look for the course; default: here, then the clone minilm came from.

    Raises:
        InputError: there is no course, or no such lesson.
    """
    return Course.here(start).named([name])[0]


def root(start: Path | str | None = None) -> Path:
    """The folder of the course; see `Course.here`."""
    return Course.here(start).root
