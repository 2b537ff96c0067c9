"""Pages are never lost, never freed twice, and never written while another text reads them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from minilm import InputError
from minilm.inference.pages import BlockPool, OutOfPages, Pages, PageTable
from minilm.inference.prefix import PrefixTree

FEW = st.integers(0, 11)


class Texts(RuleBasedStateMachine):
    """Texts that grow, fork, are cut, freed, remembered and found, beside plain lists of tokens.

    Each place of a page holds its token, so what a table says can be read back.
    """

    @initialize(count=st.integers(1, 12), size=st.integers(1, 5))
    def begin(self, count, size):
        self.pages = Pages((2, 1, 1), count, size)
        self.tree = PrefixTree(self.pages)
        self.tables, self.said = [], []

    def store(self, table, ids):
        """What a model does after `reserve`."""
        for i, token in enumerate(ids, table.length):
            page, slot = table.numbers[i // self.pages.size], i % self.pages.size
            assert self.pages.pool.holders(page) == 1
            self.pages.keys[:, page, 0, slot] = token
            self.pages.values[:, page, 0, slot] = -token

        table.advance(len(ids))

    @rule(ids=st.lists(st.integers(1, 2), max_size=9))
    def add(self, ids):
        table = self.tree.find([*ids, 0])
        known = table.length
        try:
            table.reserve(len(ids) - known)
        except OutOfPages:
            table.free()
            return
        self.store(table, ids[known:])
        self.tables.append(table)
        self.said.append(ids)

    @precondition(lambda self: self.tables)
    @rule(which=FEW, ids=st.lists(st.integers(1, 2), min_size=1, max_size=5))
    def append(self, which, ids):
        which %= len(self.tables)
        table, pool = self.tables[which], self.pages.pool
        wanted, free, numbers = table.missing(len(ids)), pool.free, list(table.numbers)
        if wanted > free:
            with pytest.raises(OutOfPages):
                table.reserve(len(ids))
            assert (table.numbers, pool.free) == (numbers, free)
            return
        table.reserve(len(ids))
        assert pool.free == free - wanted
        self.store(table, ids)
        self.said[which] = self.said[which] + ids

    @precondition(lambda self: self.tables)
    @rule(which=FEW)
    def fork(self, which):
        which %= len(self.tables)
        free = self.pages.pool.free
        self.tables.append(self.tables[which].fork())
        self.said.append(self.said[which])
        assert self.pages.pool.free == free

    @precondition(lambda self: self.tables)
    @rule(which=FEW, length=st.integers(0, 9))
    def truncate(self, which, length):
        which %= len(self.tables)
        length = min(length, self.tables[which].length)
        self.tables[which].truncate(length)
        self.said[which] = self.said[which][:length]

    @precondition(lambda self: self.tables)
    @rule(which=FEW)
    def free(self, which):
        which %= len(self.tables)
        self.tables.pop(which).free()
        self.said.pop(which)

    @precondition(lambda self: self.tables)
    @rule(which=FEW)
    def remember(self, which):
        which %= len(self.tables)
        self.tree.insert(self.said[which], self.tables[which])
        found = self.tree.find([*self.said[which], 0])
        assert found.length == len(self.said[which])
        found.free()

    @rule(wanted=st.integers(1, 6))
    def evict(self, wanted):
        free, held = self.pages.pool.free, self.tree.held
        freed = self.tree.evict(wanted)
        assert freed <= wanted
        assert (self.pages.pool.free, self.tree.held) == (free + freed, held - freed)

    @invariant()
    def every_text_is_whole(self):
        if not hasattr(self, "tables"):
            return
        for table, ids in zip(self.tables, self.said):
            assert table.length == len(ids)
            assert len(table.numbers) == self.pages.needed(len(ids))
            for i, token in enumerate(ids):
                page, slot = table.numbers[i // self.pages.size], i % self.pages.size
                assert (self.pages.keys[:, page, 0, slot] == token).all()
                assert (self.pages.values[:, page, 0, slot] == -token).all()

    @invariant()
    def holders_are_counted(self):
        if not hasattr(self, "tables"):
            return
        pool = self.pages.pool
        by_tables = [page for table in self.tables for page in table.numbers]
        of_tree = [page for node in self.tree._nodes() for page in node.pages]
        assert len(of_tree) == len(set(of_tree)) == self.tree.held
        counts = np.bincount(by_tables + of_tree, minlength=len(pool)).tolist()
        assert counts == [pool.holders(page) for page in range(len(pool))]
        assert pool.used == sum(count > 0 for count in counts) == len(pool) - pool.free

    def teardown(self):
        if hasattr(self, "tables"):
            for table in self.tables:
                table.free()
            self.tree.clear()
            assert self.pages.pool.used == self.tree.held == 0


TestTexts = Texts.TestCase
TestTexts.settings = settings(max_examples=60, stateful_step_count=40)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=8), st.data())
def test_the_longest_known_beginning_is_found(texts, data):
    """What is found is the longest match among all texts, to the token."""
    size = data.draw(st.integers(1, 4))
    pages = Pages((1, 1, 1), 200, size)
    tree = PrefixTree(pages)
    for ids in texts:
        table = tree.find(ids)
        table.reserve(len(ids) - table.length)
        table.advance(len(ids) - table.length)
        tree.insert(ids, table)
        table.free()
    asked = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=12))

    def common(a, b):
        return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))

    best = max((common(ids, asked[:-1]) for ids in texts), default=0)
    found = tree.find(asked)
    assert found.length == best
    # A page is kept once for all texts that begin with it, and none that another text goes on.
    ends = {tuple(ids[: (i + 1) * size]) for ids in texts for i in range(-(-len(ids) // size))}
    assert tree.held == sum(
        not any(other[: len(end)] == end != other for other in ends if len(end) % size)
        for end in ends
    )


def test_evicts_what_was_unused_longest_and_nothing_in_use():
    pages = Pages((1, 1, 1), 6, 2)
    tree = PrefixTree(pages)

    def add(ids):
        table = tree.find([*ids, 9])
        table.reserve(len(ids) - table.length)
        table.advance(len(ids) - table.length)
        tree.insert(ids, table)
        return table

    old, new = add([1, 1, 2, 2]), add([1, 1, 3, 3])
    used = add([4, 4])
    old.free(), new.free()
    assert (tree.held, pages.pool.free) == (4, 2)
    tree.find([1, 1, 2, 2, 9]).free()  # so that the other is the oldest
    assert tree.evict(1) == 1
    assert [tree.find([*ids, 9]).length for ids in ([1, 1, 2, 2], [1, 1, 3, 3])] == [4, 2]
    assert tree.find([4, 4, 9]).length == 2
    tree = PrefixTree(pages)
    assert tree.evict(3) == 0
    used.free()


def test_a_shared_page_is_copied_before_it_is_written():
    pages = Pages((1, 1, 1), 4, 4)
    first = PageTable(pages)
    first.reserve(3)
    pages.keys[0, first.numbers[0], 0, :3, 0] = [1, 2, 3]
    first.advance(3)
    second = first.fork()
    assert second.numbers == first.numbers and pages.pool.used == 1
    assert second.missing(1) == 1
    second.reserve(1)
    assert second.numbers != first.numbers and pages.pool.used == 2
    assert pages.keys[0, second.numbers[0], 0, :3, 0].tolist() == [1, 2, 3]
    assert first.missing(1) == 0  # it is alone again


def test_bytes_by_formula_and_by_array():
    """2 * layers * kv_heads * head_size * 4 bytes a place, whole pages."""
    pages = Pages((3, 2, 5), 7, 4)
    assert pages.nbytes == pages.keys.nbytes + pages.values.nbytes == 7 * 4 * 2 * 3 * 2 * 5 * 4
    table = PageTable(pages)
    table.reserve(9)
    assert pages.used_bytes == 3 * 4 * 2 * 3 * 2 * 5 * 4


def test_refusals():
    pool = BlockPool(2)
    page = pool.take()
    assert not pool.drop(pool.share(page)) and pool.drop(page)
    for call in (pool.drop, pool.share):
        with pytest.raises(InputError, match=f"page is {page}; it must be one that is in use"):
            call(page)
        with pytest.raises(InputError, match="page is -1"):
            call(-1)
    pool.take(), pool.take()
    with pytest.raises(OutOfPages, match="all 2 pages are in use"):
        pool.take()
    with pytest.raises(InputError, match="pages is 0"):
        BlockPool(0)
    with pytest.raises(InputError, match="page is 0"):
        Pages((1, 1, 1), 1, 0)
    pages = Pages((1, 1, 1), 2, 4)
    table = PageTable(pages)
    with pytest.raises(InputError, match="shared has 0 pages for length 3; it must have 1"):
        PageTable(pages, (), 3)
    with pytest.raises(InputError, match="count is 1; it must be at most what was reserved"):
        table.advance(1)
    with pytest.raises(InputError, match="length is 1; it must be from 0 to 0"):
        table.truncate(1)
