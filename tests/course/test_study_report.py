"""The one-page report of a study: what it says, in HTML, as a notebook, and printed."""

import json
from pathlib import Path

import pytest
from own_studies import write

from minilm import backend, cli
from minilm.course.build import notebook as nb
from minilm.course.publish.chrome import find_chromium
from minilm.course.publish.study_report import verdicts, write_report
from minilm.studies import record


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The record of a tiny study."""
    before = backend.threads()
    folder = tmp_path_factory.mktemp("report")
    path = write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["study", "run", "tiny"]) == 0
        assert cli.main(["study", "report", "tiny", "--no-pdf"]) == 0
    backend.set_threads(before)
    return path.with_suffix(".json")


def test_the_page_says_what_was_promised_and_what_came(made) -> None:
    page = made.with_suffix(".html").read_text("utf-8")
    data = record.load(made)
    told = data["pledge"]
    for said in (
        "mine is better than plain",
        "its interval holds 0",
        told["hash"],
        told["time"],
        "reproduced",
        "20 of 20",
        "minilm study run tiny",
    ):
        assert said in page, said
    assert page.count("data:image/png;base64,") == 2
    assert 'src="http' not in page and "<script" not in page and "<link" not in page
    for name in data["tuning"]:
        assert name in page


def test_the_card_follows_the_promised_rule(made) -> None:
    (card,) = verdicts(record.load(made))
    assert card.verdict == "reproduced" and card.seeds == [0, 1, 2]
    assert card.expected.startswith("0.05 or more")
    assert "gains 0.0999" in card.says and card.recorded


def test_the_notebook_runs_and_draws_the_figures_again(made, monkeypatch) -> None:
    book = nb.read(made.with_suffix(".ipynb"))
    code = [nb.source_of(cell) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 3 and all(
        cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code"
    )
    monkeypatch.chdir(made.parent)
    names: dict = {}
    for cell in code:
        exec(cell, names)
    assert names["data"] == record.load(made)
    text = json.dumps(book)
    assert "would prove it wrong" in text.lower() and "20 of 20" in text


def test_a_change_after_the_runs_stands_on_the_page(made, tmp_path) -> None:
    data = record.load(made)
    data["changes"] = [{"fields": ["gain"], "runs": 18, "time": "2026-01-01", "hash": "x"}]
    write_report(data, tmp_path, made, pdf=False)
    page = (tmp_path / "tiny.html").read_text("utf-8")
    assert "Changed after 18 runs:</b> gain" in page and "16 of 20" in page


def test_a_record_that_is_not_ready_gets_one_sentence(made, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["study", "report", "nothing"]) == 2
    assert "does not hold a study" in capsys.readouterr().err
    data = record.load(made)
    kept = record.Record(tmp_path / "half.json", "half", {}, "make")
    kept.data |= {**data, "runs": [run for run in data["runs"] if run["size"] < 4]}
    kept.save()
    assert cli.main(["study", "report", str(tmp_path / "half.json"), "--no-pdf"]) == 2
    assert "no promised seed that every model has" in capsys.readouterr().err
    del kept.data["pledge"]
    kept.save()
    assert cli.main(["study", "report", str(tmp_path / "half.json"), "--no-pdf"]) == 2
    assert "holds no promise made before its runs" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
def test_it_prints_on_one_page(made, tmp_path) -> None:
    write_report(record.load(made), tmp_path, made)
    printed = (tmp_path / "tiny.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") in (0, 1)
