"""What earlier texts began with, kept for texts that begin alike: a radix tree over token ids.

An edge carries a run of tokens and the pages that hold their keys and values; runs are cut where
texts part, between pages (RadixAttention, arXiv 2312.07104), and only the last page of a text may
be filled in part. A conversation's next turn finds all of its earlier turns, to the token, and
reads only what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minilm.inference.pages import Pages, PageTable


class _Node:
    """What follows its parent: tokens in pages, the last of them full unless it is a leaf."""

    def __init__(self, ids: tuple[int, ...], pages: list[int], parent: _Node | None) -> None:
        self.ids, self.pages, self.parent = ids, pages, parent
        self.children: dict[tuple[int, ...], _Node] = {}  # by the tokens of its first page
        self.used = 0  # when it was last found


class PrefixTree:
    """Pages of texts that may be continued. The tree is one of the holders of each.

    Args:
        pages: where they lie.

    Attributes:
        held: pages that the tree holds.
    """

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._root = _Node((), [], None)
        self._clock = self.held = 0

    def find(self, ids: Sequence[int]) -> PageTable:
        """A table that shares the longest known beginning of `ids`, short of the last token.

        The last token is always left to be read, because its logits are wanted. A beginning may end
        inside a page: the table shares that page too, and copies it before it writes there.

        Args:
            ids: a text's tokens, at least one.
        """
        ids = tuple(map(int, ids))
        most, size = len(ids) - 1, self.pages.size
        node, pages, length = self._root, [], 0
        while length < most:
            child, same = self._next(node, ids, length)
            same = min(same, most - length)
            if not same:
                break
            self._touch(child)
            pages += child.pages[: -(-same // size)]
            length += same
            if same < len(child.ids):
                break
            node = child
        return PageTable(self.pages, tuple(pages), length)

    def insert(self, ids: Sequence[int], table: PageTable) -> int:
        """Remember a text; what is known already stays as it is.

        Args:
            ids: the tokens that the table holds, or their beginning.
            table: their pages.

        Returns:
            How many pages are new to the tree.
        """
        ids, size = tuple(map(int, ids[: table.length])), self.pages.size
        node, length = self._root, 0
        while length < len(ids):
            child, same = self._next(node, ids, length)
            if same == len(ids) - length:
                self._touch(child)
                return 0
            if child is None or same < size:  # inside its first page, where no run is cut
                return self._grow(node, ids, length, table)
            if same // size * size < len(child.ids):
                child = self._split(child, same // size * size)
            self._touch(child)
            node, length = child, length + len(child.ids)
        return 0

    def _grow(self, node: _Node, ids: tuple[int, ...], length: int, table: PageTable) -> int:
        """Add what a text has from `length` on below a node, in place of a leaf that it goes on."""
        size = self.pages.size
        for key, leaf in list(node.children.items()):
            if len(leaf.ids) < size and leaf.ids == ids[length : length + len(leaf.ids)]:
                self.held -= len(leaf.pages)
                for page in leaf.pages:
                    self.pages.pool.drop(page)
                del node.children[key]
        pages = table.numbers[length // size : self.pages.needed(len(ids))]
        new = _Node(ids[length:], [self.pages.pool.share(page) for page in pages], node)
        node.children[new.ids[:size]] = new
        self.held += len(pages)
        self._touch(new)
        return len(pages)

    def evict(self, wanted: int) -> int:
        """Give up the pages of texts that nobody writes, the longest unused first.

        Args:
            wanted: pages that should become free.

        Returns:
            How many did; fewer where the others are in use.
        """
        pool, freed = self.pages.pool, 0
        while freed < wanted:
            leaves = [n for n in self._nodes() if not n.children and pool.holders(n.pages[-1]) == 1]
            if not leaves:
                break
            node = min(leaves, key=lambda n: n.used)
            while node.pages and freed < wanted and pool.holders(node.pages[-1]) == 1:
                pool.drop(node.pages.pop())
                freed += 1
                self.held -= 1
            if node.pages:
                node.ids = node.ids[: len(node.pages) * self.pages.size]
            else:
                self._remove(node)
        return freed

    def clear(self) -> None:
        """Give up every page."""
        for node in list(self._nodes()):
            for page in node.pages:
                self.pages.pool.drop(page)
        self._root.children.clear()
        self.held = 0

    def _next(self, node: _Node, ids: tuple[int, ...], length: int) -> tuple[Any, int]:
        """The child that goes on as `ids` do from `length`, and for how many tokens."""
        child = node.children.get(ids[length : length + self.pages.size])
        if child is not None:
            return child, common(child.ids, ids[length : length + len(child.ids)])
        best, most = None, 0
        for child in node.children.values():  # the one that shares most of its first page
            same = common(child.ids[: self.pages.size], ids[length : length + self.pages.size])
            if same > most:
                best, most = child, same
        return best, most

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut a run after `at` tokens, whole pages; the upper part."""
        size, parent = self.pages.size, node.parent
        upper = _Node(node.ids[:at], node.pages[: at // size], parent)
        upper.used = node.used
        parent.children[upper.ids[:size]] = upper
        node.ids, node.pages, node.parent = node.ids[at:], node.pages[at // size :], upper
        upper.children[node.ids[:size]] = node
        return upper

    def _remove(self, node: _Node) -> None:
        siblings = node.parent.children
        del siblings[next(key for key, other in siblings.items() if other is node)]

    def _touch(self, node: _Node) -> None:
        self._clock += 1
        node.used = self._clock

    def _nodes(self) -> Iterator[_Node]:
        waiting = list(self._root.children.values())
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two runs begin with in common."""
    if a == b:
        return len(a)
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
