"""A lesson as its notebook tells it, and how lessons are named on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from minilm.course.build import notebook as nb
from minilm.course.places import Course, LessonFolder, fits
from minilm.errors import InputError


@dataclass(frozen=True)
class Lesson:
    """A lesson's notebook and what is known about it without running it."""

    path: Path

    @property
    def slug(self) -> str:
        """The file name without its ending, such as "03a_causal"."""
        return self.path.stem

    @property
    def number(self) -> str:
        """What stands before the first underscore, such as "03a"."""
        return self.slug.split("_")[0]

    @property
    def place(self) -> LessonFolder:
        """All else that belongs to the lesson, if it lies in a course."""
        return LessonFolder(self.path.absolute().parents[1], self.slug)

    @cached_property
    def notebook(self) -> nb.Notebook:
        """The notebook, its sources as single strings.

        Raises:
            InputError: the file is not a notebook.
        """
        notebook = nb.read(self.path)
        for cell in notebook["cells"]:
            cell["source"] = nb.source_of(cell)
        return notebook

    @property
    def cells(self) -> list[dict[str, Any]]:
        return self.notebook["cells"]

    def said(self, key: str) -> str:
        """What the header of the lesson's source says under `key` (talk, speaker), or ""."""
        return str(self.notebook["metadata"].get(key, ""))

    @cached_property
    def title(self) -> str:
        """The notebook's title, else its first heading, else its slug in words."""
        named = self.said("title")
        for cell in self.cells:
            heading = re.search(r"^# +(.+)$", cell["source"], re.MULTILINE)
            if cell["cell_type"] == "markdown" and heading and not named:
                named = re.sub(r"[*_`]", "", heading[1])
        return named or " ".join(self.slug.split("_")[1:]).capitalize() or self.slug

    @cached_property
    def summary(self) -> str:
        """The first paragraph under the first heading, without markup."""
        for cell in self.cells:
            if cell["cell_type"] != "markdown":
                continue
            for block in re.split(r"\n\s*\n", cell["source"]):
                lines = [line for line in block.splitlines() if not line.startswith("#")]
                text = re.sub(r"\[(.+?)\]\(.+?\)|[*`]", r"\1", " ".join(lines)).strip()
                if text and not text.startswith(("|", "<", "$$", "-", "!")):
                    return text
        return ""

    @property
    def executed(self) -> bool:
        """Whether any cell has stored outputs."""
        return any(cell.get("outputs") for cell in self.cells)


def joined(text: str | Sequence[str]) -> str:
    """A notebook text, which may be stored as a list of lines, as one string."""
    return text if isinstance(text, str) else "".join(text)


def find_lessons(wanted: Sequence[str] = (), folder: Path | None = None) -> list[Lesson]:
    """The lessons meant by numbers ("03a"), slugs or notebook paths; all of them by default.

    Raises:
        InputError: a name fits no lesson, or there is no built notebook at all.
    """
    paths = [Path(name) for name in wanted if name.endswith(".ipynb")]
    names = [name for name in wanted if not name.endswith(".ipynb")]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} does not exist; give a lesson's number or its notebook")
    if names or not wanted:
        built = sorted(folder.glob("[0-9]*_*.ipynb")) if folder else Course.here().notebooks
        home = folder or "lessons/"
        if not built:
            raise InputError(f"{home} holds no built lessons; run `minilm build` first")
        for name in names:
            near = [path for path in built if fits(path.stem, name)]
            if not near:
                known = ", ".join(path.stem.split("_")[0] for path in built)
                raise InputError(f"there is no lesson {name!r}; there are {known}")
            paths += near
        if not wanted:
            paths = built
    return [Lesson(path) for path in dict.fromkeys(paths)]
