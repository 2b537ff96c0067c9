"""A progress bar for the loops of a lesson."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minilm.train.page_bar import PageBar, in_notebook


def progress(
    iterable: Iterable[Any] | None = None, *, total: int | None = None, title: str | None = None
) -> Any:
    """A bar for the loops of a lesson, which leaves nothing behind: as `tqdm` is used.

        for seed in progress(seeds): ...
        with progress(total=400) as bar: bar.update()

    Args:
        iterable: what to walk through.
        total: how many steps there are, where that cannot be asked.
        title: what stands before the bar.
    """
    if in_notebook():
        return PageBar(iterable, total=total, title=title)
    from tqdm import tqdm

    return tqdm(iterable, total=total, desc=title, leave=False, disable=None)
