"""Memory for keys and values in pages of a fixed size: who has which, and how often it is shared.

A text holds a table of page numbers, so its memory need not lie side by side, grows page by page,
and can be shared: two texts that begin alike name the same pages until one of them writes there
(PagedAttention, arXiv 2309.06180).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.inference.cache import dims_of


class OutOfPages(RuntimeError):
    """No page is free; whoever asked has changed nothing."""


class BlockPool:
    """Numbers of pages, each with a count of its holders. It knows nothing of what they store.

    Args:
        pages: how many there are.

    Raises:
        InputError: fewer than 1.
    """

    def __init__(self, pages: int) -> None:
        if pages < 1:
            raise InputError(f"pages is {pages}; it must be 1 or more")
        self._holders = [0] * pages
        self._free = list(range(pages - 1, -1, -1))  # the lowest number is taken first

    def __len__(self) -> int:
        return len(self._holders)

    @property
    def free(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    @property
    def used(self) -> int:
        """Pages that somebody holds, each counted once."""
        return len(self._holders) - len(self._free)

    def holders(self, page: int) -> int:
        """How many hold a page."""
        return self._holders[page]

    def take(self) -> int:
        """A free page, held once from now on.

        Raises:
            OutOfPages: there is none.
        """
        if not self._free:
            raise OutOfPages(f"all {len(self._holders)} pages are in use")
        page = self._free.pop()
        self._holders[page] = 1
        return page

    def share(self, page: int) -> int:
        """One more holder of a page; returns its number.

        Raises:
            InputError: nobody holds it.
        """
        self._check_held(page)
        self._holders[page] += 1
        return page

    def drop(self, page: int) -> bool:
        """One holder fewer; whether the page is free now.

        Raises:
            InputError: nobody holds it.
        """
        self._check_held(page)
        self._holders[page] -= 1
        if self._holders[page]:
            return False
        self._free.append(page)
        return True

    def _check_held(self, page: int) -> None:
        if not 0 <= page < len(self._holders) or not self._holders[page]:
            raise InputError(f"page is {page}; it must be one that is in use")


class Pages:
    """The keys and values of all layers, in pages.

    Args:
        dims: a Config, or (layers, kv_heads, head_size).
        pages: P, how many pages there are.
        page: S, places of a page.
        dtype: float32 or float64, the model's.

    Attributes:
        keys, values: (L, P, G, S, D).
        pool: whose pages they are.
        size: S.
        nbytes: 2 * layers * P * G * S * D * bytes per number.

    Raises:
        InputError: a size below 1.
    """

    def __init__(self, dims: Any, pages: int, page: int = 16, dtype: Any = np.float32) -> None:
        layers, groups, size = dims_of(dims)
        if page < 1:
            raise InputError(f"page is {page}; it must be 1 or more")
        self.pool = BlockPool(pages)
        self.size = page
        shape = (layers, pages, groups, page, size)
        self.keys, self.values = np.zeros(shape, dtype), np.zeros(shape, dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of all pages."""
        return self.keys.nbytes + self.values.nbytes

    @property
    def used_bytes(self) -> int:
        """Bytes of the pages that somebody holds."""
        return self.nbytes // len(self.pool) * self.pool.used

    def needed(self, length: int) -> int:
        """Pages for that many places."""
        return -(-length // self.size)

    def copy(self, page: int) -> int:
        """A page of one's own with the same contents, in place of a shared one that is given up.

        Raises:
            OutOfPages: none is free.
        """
        new = self.pool.take()
        self.keys[:, new], self.values[:, new] = self.keys[:, page], self.values[:, page]
        self.pool.drop(page)
        return new


class PageTable:
    """The pages of one text, in order.

    Args:
        pages: where they lie.
        shared: pages that hold the text's beginning already; the table becomes one more holder.
        length: places of the text that these hold.

    Attributes:
        numbers: the pages, in order of place.
        length: places that are stored.

    Raises:
        InputError: pages that are not as many as the length needs.
    """

    def __init__(self, pages: Pages, shared: tuple[int, ...] = (), length: int = 0) -> None:
        if len(shared) != pages.needed(length):
            raise InputError(
                f"shared has {len(shared)} pages for length {length}; it must have "
                f"{pages.needed(length)}"
            )
        self.pages = pages
        self.numbers = [pages.pool.share(page) for page in shared]
        self.length = length

    def missing(self, more: int) -> int:
        """Free pages that `reserve(more)` would take, a copy of a shared page included."""
        first, last = self.length // self.pages.size, (self.length + more - 1) // self.pages.size
        if first == last < len(self.numbers):  # as for nearly every token
            return int(self.pages.pool.holders(self.numbers[first]) > 1)
        new = self.pages.needed(self.length + more) - len(self.numbers)
        return max(0, new) + len(self._written(more))

    def reserve(self, more: int) -> None:
        """Make room for `more` places after `length`, in pages that no other text sees.

        A page that is shared and would be written is copied first.

        Raises:
            OutOfPages: there are too few free pages; nothing has changed.
        """
        wanted, pool = self.missing(more), self.pages.pool
        if not wanted:
            return
        if wanted > pool.free:
            raise OutOfPages(f"{wanted} pages are needed; {pool.free} of {len(pool)} are free")
        for i in self._written(more):
            self.numbers[i] = self.pages.copy(self.numbers[i])
        while len(self.numbers) < self.pages.needed(self.length + more):
            self.numbers.append(pool.take())

    def _written(self, more: int) -> list[int]:
        """Which of the pages `more` new places would write into though others hold them too."""
        first = self.length // self.pages.size
        last = min(self.pages.needed(self.length + more), len(self.numbers))
        return [i for i in range(first, last) if self.pages.pool.holders(self.numbers[i]) > 1]

    def advance(self, count: int) -> None:
        """Count `count` places as stored.

        Raises:
            InputError: places that were not reserved.
        """
        if self.pages.needed(self.length + count) > len(self.numbers):
            raise InputError(f"count is {count}; it must be at most what was reserved")
        self.length += count

    def fork(self) -> PageTable:
        """Another text that has said the same so far; it shares every page."""
        used = self.pages.needed(self.length)
        return PageTable(self.pages, tuple(self.numbers[:used]), self.length)

    def truncate(self, length: int) -> None:
        """Forget the places from `length` on, and give up the pages that only they needed.

        Raises:
            InputError: a length beyond what is stored.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"length is {length}; it must be from 0 to {self.length}")
        kept = self.pages.needed(length)
        for page in self.numbers[kept:]:
            self.pages.pool.drop(page)
        del self.numbers[kept:]
        self.length = length

    def free(self) -> None:
        """Give up everything."""
        self.truncate(0)
