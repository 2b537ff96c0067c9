"""Coloured words: nothing of the text is lost, and each kind has a colour of its own."""

import re

import pytest

from minilm.course import coloured_words
from minilm.course.show import words
from minilm.course.show.style import COLOURS
from minilm.errors import InputError


def test_outside_a_notebook_the_text_is_printed(capsys) -> None:
    coloured_words(["2", "<", "3"], ["sum", "", "sum"], caption="a sum")
    assert capsys.readouterr().out == "a sum\n2 < 3\n"


def test_the_page_holds_every_word_in_its_colour() -> None:
    page = words._page(
        ["2", "<", "3"], ["a", "", "b"], [False, True, True], {"a": "#111111", "b": "#222222"}, ""
    )
    text = page.partition("font-size:85%")[0]  # the legend follows
    shown = re.findall(r'<span style="([^"]*)">([^<]*)</span> ', text)
    assert [word for _, word in shown] == ["2", "&lt;", "3"]
    assert "#111111" in shown[0][0] and "#222222" in shown[2][0]
    assert "background" not in shown[0][0] and "600" in shown[1][0] and "600" in shown[2][0]
    assert page.count("#111111") == 2  # its word and the legend


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(InputError, match="lengths 1, 2 and 1"):
        coloured_words(["a"], ["x", "y"])
    with pytest.raises(InputError, match=f"it may hold {len(COLOURS)}"):
        coloured_words("abcdefgh", "abcdefgh")
