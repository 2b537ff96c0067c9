"""`minilm data`: a messy folder becomes a corpus, whatever happens on the way."""

import json
import os
import random
from pathlib import Path

import pytest
from messy import SECRETS, content_of, edited, messy_folder, program, settings_of

from minilm.cli import main
from minilm.data import TokenFile
from minilm.data.clean.near_duplicates import jaccard, shingles
from minilm.data.pipeline import store as stores
from minilm.data.pipeline.corpus import Corpus
from minilm.data.pipeline.run import prepare, tallies
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally
from minilm.data.pipeline.workers import Processes
from minilm.errors import InputError


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    return messy_folder(tmp_path_factory.mktemp("messy") / "project")


@pytest.fixture(scope="module")
def made(messy, tmp_path_factory):
    """The corpus made in one go by one process."""
    return prepare(settings_of(messy), tmp_path_factory.mktemp("made"), Processes(1))


@pytest.fixture(scope="module")
def expected(made):
    return content_of(made.folder)


# What comes out


def test_every_file_is_counted_once_with_its_reason(made, messy):
    found = tallies(Store(made.folder))
    assert {k: n for k, (n, _) in found["discover"].counts.items()} == {
        "hidden": 1,
        "ignored by .gitignore": 1,
        "ignored folder": 1,
        "vendored folder": 1,
        "folder of built files": 1,
        "larger than 1,000,000 bytes": 1,
        "no known kind of text": 3,  # two licences and a picture
        "not a regular file": 1,
        "symbolic link": 2,
    }
    decoded = {k: n for k, (n, _) in found["decode"].counts.items() if ": " not in k}
    assert decoded == {
        "kept": 34,
        "empty": 2,
        "binary": 1,
        "not UTF-8": 1,
        "not the encoding that it declares": 1,
        "declares an unknown encoding": 2,
        "generated": 1,
    }
    assert found["decode"].counts["licence: GPL"][0] == 1
    assert found["decode"].counts["licence: GPL-3.0-only"][0] == 1
    removed = {k: n for k, (n, _) in found["filter"].counts.items() if ": " not in k}
    assert removed == {"kept": 31, "longest line": 2, "letters and digits": 1}
    assert found["exact"].counts["exact duplicate"][0] == 1
    assert found["near"].counts["near duplicate"][0] == 2
    assert found["redact"].numbers == {"email": 1, "ip": 1, "key": 1, "password": 1}
    sides = [made.facts[side]["documents"] for side in ("train", "held_out")]
    assert sum(sides) == 28 and min(sides) >= 1


def test_the_longest_of_near_copies_and_the_first_of_exact_ones_stay(made):
    paths = {row["path"] for side in ("train", "held_out") for row in made.rows(side)}
    assert {"project/copies/same.py", "project/copies/near.py"} < paths  # "copies" sorts first
    assert "project/copies/nearer.py" in paths and "project/pkg1/mod01.py" not in paths
    assert not any(path in paths for path in ("project/pkg0/mod00.py", "project/pkg2/mod02.py"))


def test_no_secret_is_left_anywhere_but_in_the_work(made):
    everything = "".join(
        path.read_text() for path in made.folder.glob("*") if path.suffix in (".jsonl", ".html")
    )
    assert not any(secret in everything for secret in SECRETS.values())
    (text,) = (
        row["text"]
        for side in ("train", "held_out")
        for row in made.rows(side)
        if row["path"] == "project/secret.py"
    )
    assert "# see <EMAIL>" in text and "# see <KEY>" in text and "password = '<PASSWORD>'" in text


def test_the_tokens_are_those_of_the_documents(made):
    tokenizer = made.tokenizer()
    for side in ("train", "held_out"):
        ids = made.tokens(side).tokens
        texts = list(made.texts(side))
        assert tokenizer.decode(ids) == "".join(text + "<|endoftext|>" for text in texts)
        assert made.facts[side]["tokens"] == len(ids)
        assert made.facts[side]["bytes"] == sum(len(text.encode()) for text in texts)


def test_the_report_stands_alone_and_samples_what_was_removed(made):
    page = (made.folder / "report.html").read_text()
    for reason in ("longest line", "near duplicate", "symbolic link", "licence: GPL", "email"):
        assert reason in page
    assert "project/copies/nearer.py" in page or "project/pkg2/mod02.py" in page
    assert "http" not in page.split("</style>")[1].split("<pre>")[0]
    assert "src=" not in page and "<link" not in page and "<script" not in page
    assert str(made.folder) not in page
    card = (made.folder / "data_card.md").read_text()
    assert "| python | 28 |" in card and "| MIT | 28 |" in card
    assert "not applied" in card  # too little text to learn what a token is


def test_the_command_makes_what_training_reads(messy, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = {
        "model": {"layers": 1, "heads": 2, "channels": 16, "context": 32, "positions": "rope"},
        "vocab_size": 300, "steps": 2, "batch": 2, "lr": 0.01,
    }  # fmt: skip
    Path("r.json").write_text(json.dumps(recipe))
    assert main(["data", str(messy), "--out", "c", "--processes", "1", "--vocab", "400"]) == 0
    assert "minilm train --corpus c" in capsys.readouterr().out
    assert main(["train", "--corpus", "c", "--config", "r.json", "--out", "run"]) == 0
    assert (Path("run") / "train.tokens").read_bytes() == Path("c/train.tokens").read_bytes()
    learnt = ["train", "--corpus", "c", "--config", "r.json", "--out", "own", "--vocab", "300"]
    assert main(learnt) == 0
    assert TokenFile("own/train.tokens").vocab_size == 300
    assert (
        main(["train", "--corpus", "c", "--config", "r.json", "--out", "fim", "--fim", "0.5"]) == 0
    )
    capsys.readouterr()
    assert main(["train", "--corpus", "nothing", "--out", "x"]) == 2
    assert "or a folder that minilm data made" in capsys.readouterr().err


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(messy, made, expected):
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*") if path.is_file()}
    prepare(settings_of(messy), made.folder, Processes(1))
    assert before == {p: p.stat().st_mtime_ns for p in made.folder.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="a run with seed 0, not 1; choose another folder"):
        prepare(settings_of(messy, seed=1), made.folder, Processes(1))
    with pytest.raises(InputError, match="which holds other files"):
        prepare(settings_of(messy), messy, Processes(1))
    assert content_of(made.folder) == expected


def test_restart_begins_anew(messy, expected, tmp_path):
    prepare(settings_of(messy, seed=3), tmp_path / "out", Processes(1))
    assert content_of(tmp_path / "out") != expected
    prepare(settings_of(messy), tmp_path / "out", Processes(1), restart=True)
    assert content_of(tmp_path / "out") == expected


# Order and leakage


def test_the_order_in_which_files_are_found_does_not_matter(tmp_path):
    """Other names give another order; the same texts survive and go to the same sides."""
    for name, order in (("a", range(20)), ("b", reversed(range(20)))):
        (tmp_path / name).mkdir()
        for place, seed in enumerate(order):
            text = program(seed % 15) + ("\n# more\n" if seed >= 15 else "")
            (tmp_path / name / f"{place:02}.py").write_text(text)
    sides = []
    for name in "ab":
        out = tmp_path / f"out-{name}"
        corpus = prepare(settings_of(tmp_path / name), out, Processes(1))
        sides.append([list(corpus.texts(side)) for side in ("train", "held_out")])
    assert sides[0] == sides[1] and len(sides[0][0]) + len(sides[0][1]) == 15


@pytest.mark.parametrize("seed", range(3))
def test_no_near_relative_of_a_training_text_is_held_out(tmp_path, seed):
    rng = random.Random(seed)
    for i in range(12):
        text = program(i + 100 * seed)
        for copy, share in enumerate((0, rng.uniform(0.03, 0.05), rng.uniform(0.05, 0.12))):
            (tmp_path / f"{i}-{copy}.py").write_text(edited(text, share, copy))
    corpus = prepare(
        settings_of(tmp_path, threshold=0.9, held_out=0.3, seed=seed),
        tmp_path / "out",
        Processes(1),
    )
    train, held = ([shingles(t) for t in corpus.texts(side)] for side in ("train", "held_out"))
    assert len(train) + len(held) > 24  # relatives that are no near duplicates at 0.9
    assert max(jaccard(a, b) for a in train for b in held) < 0.5


def test_texts_of_tests_are_removed(messy, tmp_path):
    """A long one by a run of words, a short one as a whole, neither by less."""
    long = " ".join(program(5, 3).split()[:60])
    (tmp_path / "long.txt").write_text("Question. " + long.upper())
    short = [line for line in program(6).splitlines() if line.startswith("    # ")][0].strip()
    (tmp_path / "short.jsonl").write_text(
        json.dumps({"id": "a b", "prompt": f"{short[:20]}\n{short[20:]}"}) + "\n"
        + json.dumps({"prompt": "this text of a test is nowhere in there"}) + "\n"
    )  # fmt: skip
    tests = (str(tmp_path / "long.txt"), str(tmp_path / "short.jsonl"))
    corpus = prepare(settings_of(messy, tests=tests), tmp_path / "out", Processes(1))
    tally = tallies(Store(corpus.folder))["decontaminate"]
    paths = {path.split(",")[0] for _, path, _ in tally.samples["holds a test"]}
    assert {"project/pkg2/mod05.py"} <= paths <= {"project/pkg2/mod05.py", "project/pkg0/mod06.py"}


# Mistakes and misfortunes


def refused(capsys, *argv):
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("minilm: ") and err.count("\n") == 1, err
    return err


def test_mistakes_are_one_sentence(tmp_path, capsys, messy):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.py").write_text(program(1))
    out = ("--out", str(tmp_path / "out"), "--processes", "1")
    hollow, some = str(tmp_path / "hollow"), str(messy)
    for argv, said in [
        ((hollow,), "nothing is left of these files"),
        ((str(tmp_path / "one"), "--restart"), "to hold some out there must be another"),
        ((str(tmp_path / "gone"),), "it must be a folder that exists"),
        ((str(tmp_path / "one" / "a.py"),), "it must be a folder that exists"),
        ((some, "--licences", "some"), "--licences is 'some'; it must be open, permissive, any"),
        ((some, "--languages", "python,klingon"), "--languages is klingon, python; allowed are c,"),
        ((some, "--threshold", "1"), "--threshold is 1.0; it must be above 0 and below 1"),
        ((some, "--held-out", "0"), "--held-out is 0.0; it must be above 0 and below 1"),
        ((some, "--vocab", "3"), "--vocab is 3; it must be 257 or more"),
        ((some, "--longest-line", "nan"), "--longest-line is nan; it must be 0 or more, and"),
        ((some, "--seed", "-1"), "--seed is -1; it must be 0 or more"),
        ((some, "--tests", "nowhere"), "--tests is 'nowhere', which cannot be read"),
        ((some, "--dask", "local:2"), "--processes and --dask were both given; choose one"),
        ((some, "--processes", "0"), "--processes is 0; it must be 1 or more"),
    ]:
        assert said in refused(capsys, "data", *out, *argv), argv
    assert (tmp_path / "out" / "report.html").is_file()  # says why nothing is left


def test_what_cannot_be_read_is_counted(tmp_path, monkeypatch):
    """Rights are taken away by hand: the administrator may read everything."""
    root = tmp_path / "r"
    for i in range(6):
        (root / f"d{i}").mkdir(parents=True)
        (root / f"d{i}" / "a.py").write_text(program(i))
    scandir, read = os.scandir, Path.read_bytes

    def no_folder(path):
        if str(path).endswith("d1"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    def no_file(path):
        if path.parent.name == "d2" and path.name == "a.py":
            raise PermissionError(13, "Permission denied")
        if path.parent.name == "d3" and path.name == "a.py":
            raise FileNotFoundError(2, "gone since it was found")
        return read(path)

    monkeypatch.setattr(os, "scandir", no_folder)
    monkeypatch.setattr(Path, "read_bytes", no_file)
    corpus = prepare(settings_of(root), tmp_path / "out", Processes(1))
    found = tallies(Store(corpus.folder))
    assert found["discover"].counts == {"folder that cannot be read": [1, 0]}
    assert found["decode"].counts["cannot be read"][0] == 2
    assert found["decode"].counts["kept"][0] == 3


def test_names_that_are_no_text_are_counted(tmp_path):
    root = tmp_path / "r"
    root.mkdir()
    for i in range(3):
        (root / f"{i}.py").write_text(program(i))
    try:
        (root / os.fsdecode(b"bad\xff.py")).write_text(program(7))
    except OSError:
        return  # this file system refuses such names itself
    corpus = prepare(settings_of(root), tmp_path / "out", Processes(1))
    assert tallies(Store(corpus.folder))["discover"].counts["name that is not UTF-8"][0] == 1


def test_a_corpus_that_is_not_whole_says_so(tmp_path, made):
    with pytest.raises(InputError, match="not made by minilm data"):
        Corpus(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="whose run has not ended: repeat it"):
        Corpus(tmp_path)
    (tmp_path / "corpus.json").write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        Corpus(tmp_path)
    with pytest.raises(InputError, match="side is 'test'; it must be 'train' or 'held_out'"):
        list(made.rows("test"))
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a"')
    with pytest.raises(InputError, match="is damaged"):
        list(stores.read_lines(tmp_path / "x.jsonl"))


def test_tallies_add_up_in_any_order():
    rng = random.Random(0)
    parts = []
    for _ in range(6):
        tally = Tally()
        for _ in range(30):
            reason, number = rng.choice("abc"), rng.randrange(1000)
            tally.count(reason, number)
            tally.sample(reason, f"path {number}", "text")
            tally.bar("bars", number, (0, 10, 100, 500, 900))
            tally.add("sum", number)
        parts.append(tally)
    total = Tally.total(parts).to_dict()
    assert Tally.total(reversed(parts)).to_dict() == total
    assert Tally.total([Tally.total(parts[:2]), Tally.total(parts[2:])]).to_dict() == total
    assert sum(total["histograms"]["bars"]) == 180 == sum(n for n, _ in total["counts"].values())
    assert all(len(kept) == 5 for kept in total["samples"].values())


def test_the_corpus_may_lie_among_the_files_it_is_made_of(messy, tmp_path, monkeypatch):
    for i in range(6):
        (tmp_path / f"{i}.py").write_text(program(i))
    out = tmp_path / "runs" / "data"
    for restart in (False, True):
        corpus = prepare(settings_of(tmp_path), out, Processes(1), restart=restart)
        rows = [row["path"] for side in ("train", "held_out") for row in corpus.rows(side)]
        assert sorted(rows) == [f"{tmp_path.name}/{i}.py" for i in range(6)]


def test_other_tests_under_the_same_name_are_another_run(tmp_path):
    (tmp_path / "src").mkdir()
    for i in range(4):
        (tmp_path / "src" / f"{i}.py").write_text(program(i))
    tests = tmp_path / "tests.txt"
    tests.write_text("a text that no program holds at all")
    settings = settings_of(tmp_path / "src", tests=(str(tests),))
    prepare(settings, tmp_path / "out", Processes(1))
    tests.write_text("another text that no program holds")
    with pytest.raises(InputError, match="a run with tests_sha256 "):
        prepare(settings, tmp_path / "out", Processes(1))
