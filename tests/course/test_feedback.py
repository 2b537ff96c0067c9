"""What a student and a lecturer read after grading: causes before symptoms, code beside tests."""

import html
import re

import pytest

from course.grading import grade_cells, make_course
from course.hostile import HONEST
from minilm.course.grade.excerpts import answer
from minilm.course.grade.feedback import feedback, gradescope
from minilm.course.grade.results import Grade
from minilm.course.grade.similar import (
    FEWEST,
    GRAM,
    WINDOW,
    fingerprints,
    similar_pairs,
    tokens,
)

IMPORTS, SOFTMAX, MERGE = HONEST["imports"], HONEST["softmax"], HONEST["merge"]
REST = [HONEST[name] for name in ("layer_norm", "merge", "momentum", "greedy")]
STUB = 'def softmax(x):\n    """Spec."""\n    raise NotImplementedError("your turn")\n'
FORGETS = SOFTMAX.replace("x - x.max(-1, keepdims=True)", "x")
RAISES = "def softmax(x):\n    y = x + 1\n    return y.nothing_like_it()"
BROKEN = "def softmax(x):\n    z = np.exp(x - x.max(-1, keepdims=True)\n    return z / z.sum(-1)"
PECULIAR = """def helper(a, b):
    total = {k: v for k, v in zip(a, b) if v is not None and k not in b}
    while total and sum(total.values()) > len(a) ** 2 - 7:
        total.popitem()
    return sorted(total, key=lambda k: (-total[k], k))[: len(b) // 3]
"""
NOTEBOOKS = {
    "whole": [IMPORTS, SOFTMAX, *REST],
    "forgets": [IMPORTS, FORGETS, *REST],
    "raises": [IMPORTS, RAISES, *REST],
    "broken": [IMPORTS, BROKEN, *REST],
    "markup": [IMPORTS, 'def softmax(x):\n    return "<script>alert(1)</script>"', *REST],
    "stub": [IMPORTS, STUB, *REST],
    "one": [IMPORTS, PECULIAR, *REST],
    "two": [IMPORTS, "# my own idea", PECULIAR.replace("total", "found").replace("k", "q"), *REST],
}


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    folder = tmp_path_factory.mktemp("feedback")
    return grade_cells(make_course(folder / "course"), folder / "class", NOTEBOOKS)


@pytest.fixture(scope="module")
def report(grades: dict[str, Grade]) -> str:
    path = grades["whole"].submission.path.parent / "out" / "report.html"
    return path.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a page says, one blank between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def question(page: str, name: str) -> str:
    """One question's part of a page."""
    (part,) = [p for p in page.split("<section>") if f"<code>{name}</code>" in p]
    return part


def test_the_student_s_code_stands_beside_failing_tests(grades: dict[str, Grade]) -> None:
    part = question(feedback(grades["forgets"]), "softmax")
    assert 'class="beside"' in part and "your code cell 2" in part
    code = html.unescape("".join(re.findall(r"<span.*?</i>(.*?)</span>", part)))
    assert code.replace(" ", "") == FORGETS.replace("\n", "").replace(" ", "")
    whole = question(feedback(grades["forgets"]), "merge")
    assert "<pre>" not in whole  # nothing to mend there


def test_the_line_that_raised_stands_out(grades: dict[str, Grade]) -> None:
    part = question(feedback(grades["raises"]), "softmax")
    (marked,) = re.findall(r'<span class="here">(.*?)</span>', part)
    assert marked.endswith("return y.nothing_like_it()")


def test_the_cause_of_a_syntax_error_comes_first(grades: dict[str, Grade]) -> None:
    page = feedback(grades["broken"])
    said = text_of(page.partition("<body>")[2])
    cause = "code cell 2, line 2 is not valid Python"
    assert "never closed" in said[said.index(cause) :][:120]
    assert said.index(cause) < said.index("a stable softmax")
    first = question(page, "softmax")
    assert first.index(cause) < first.index("no cell defines")
    results = gradescope(grades["broken"])["tests"]
    outputs = [test["output"] for test in results if test["name"].startswith("softmax")]
    assert all(cause in output.splitlines()[0] for output in outputs)


def test_what_students_write_is_never_markup(grades: dict[str, Grade], report: str) -> None:
    for page in (feedback(grades["markup"]), report):
        assert "<script" not in page
    assert "&lt;script&gt;" in feedback(grades["markup"])


def test_a_stub_is_not_shown_for_an_answer() -> None:
    cells = [
        "x = 1",
        "@wraps\ndef f(x):\n    '''\ntext\n    '''\n    return x\n\n\ny = 2",
        "def f(x):\n    ...",
    ]
    found = answer(cells, "f")
    assert (found.cell, found.first) == (2, 1)
    assert found.lines == ("@wraps", "def f(x):", "    '''", "text", "    '''", "    return x")
    assert answer(["f = lambda x: (\n    x\n)\ng = 1"], "f").lines == (
        "f = lambda x: (",
        "    x",
        ")",
    )
    assert answer(["fx = 1\nf == 2\ndef fx(): pass"], "f") is None


def test_searching_hostile_text_takes_no_time() -> None:
    for text in (
        "def f(" * 50_000,
        "'''" * 100_001,
        "(" * 300_000,
        '"\\' * 100_000,
        "\n" * 300_000,
    ):
        answer([text], "f")
        fingerprints([text])


def test_the_report_says_what_was_hard(report: str) -> None:
    said = text_of(report)
    hardest = said[said.index("The hardest tests") :]
    assert "equals exp(x) / sum exp(x) over the last axis" in hardest
    errors = said[said.index("The commonest errors") :]
    assert "AttributeError" in errors and "no cell defines" in errors
    assert "8 submissions" in said


# --- similar submissions --------------------------------------------------------------------------


def test_names_comments_and_layout_do_not_count() -> None:
    renamed = MERGE.replace("ids", "tokens").replace("pair", "both").replace("\n", "  # why\n")
    assert renamed != MERGE and fingerprints([renamed]) == fingerprints([MERGE])
    assert tokens("x.sum(axis=-1)  # all") == [*"n.", "sum", *"(n=-0)"]
    assert tokens('\'a\' + """b\n\'\'\'"""') == ["t", "+", "t"]


def test_every_shared_run_is_found() -> None:
    """The guarantee of winnowing: a shared run of GRAM + WINDOW - 1 tokens gives a fingerprint."""
    shared = " ".join(f"x.a{n}" for n in range((GRAM + WINDOW) // 2 + 3))
    for before in range(0, 60, 7):
        first = " ".join(f"y.b{n}" for n in range(before)) + "\n" + shared
        second = shared + "\n" + " ".join(f"z.c{n}" for n in range(40))
        assert fingerprints([first]) & fingerprints([second])


def test_what_was_handed_out_or_is_common_does_not_count() -> None:
    assert not fingerprints([MERGE, SOFTMAX], given=[SOFTMAX, MERGE])
    common = {f"c{n}" for n in range(40)}
    own = {f"student {s}": common | {f"{s}-{n}" for n in range(40)} for s in range(12)}
    assert similar_pairs(own) == []
    copied = {f"x{n}" for n in range(FEWEST + 60)}
    own["student 3"] |= copied
    own["student 7"] |= copied
    (pair,) = similar_pairs(own)
    assert (pair.first, pair.second, pair.count) == ("student 3", "student 7", len(copied))


def test_the_report_gives_a_hint_and_no_verdict(report: str) -> None:
    said = text_of(report)
    similar = said[said.index("Similar submissions") :]
    assert "no verdict" in similar
    assert "n006 n007" in similar and "n000" not in similar


def test_students_never_see_whom_they_resemble(grades: dict[str, Grade]) -> None:
    folder = grades["whole"].submission.path.parent / "out"
    for path in [*(folder / "feedback").iterdir(), *(folder / "gradescope").iterdir()]:
        assert "similar" not in path.read_text().casefold()
        others = {f"n{n:03d}" for n in range(len(NOTEBOOKS))} - {path.stem}
        assert not [name for name in others if name in path.read_text()]


def test_pages_load_nothing(grades: dict[str, Grade], report: str) -> None:
    for page in (report, feedback(grades["forgets"])):
        assert not re.search(r"(src|href|url|@import)\s*[=(]", page)
        assert "default-src 'none'" in page
