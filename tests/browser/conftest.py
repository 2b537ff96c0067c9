"""A fresh browser for each test that asks for one."""

from collections.abc import Iterator

import pytest

from browser.chrome import Chrome


@pytest.fixture
def chrome() -> Iterator[Chrome]:
    """A headless page of 1280 x 720 CSS pixels."""
    with Chrome() as page:
        yield page
