"""`minilm arena`: votes without names are kept, counted and turned into a board."""

import io
import json

import pytest

from minilm.align.voting import Ballots
from minilm.cli import main
from minilm.course.show.vote import Contest
from minilm.errors import InputError
from minilm.models import Config, Transformer
from minilm.tokenizers import ByteTokenizer
from minilm.train import checkpoints

CONFIG = Config(vocab_size=257, layers=1, heads=2, channels=16, context=64)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two untaught models in a folder, and their names."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one", "two")):
        tokenizer = ByteTokenizer(special=["<|endoftext|>"])
        checkpoints.begin(tmp_path / name, CONFIG, tokenizer, {})
        checkpoints.save(tmp_path / name, Transformer(CONFIG, seed=seed), [], {"step": 0})
    return tmp_path


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def arena(*words):
    return main(["arena", "one", "two", "--tokens", "8", *words])


def test_votes_are_blind_kept_and_go_on(home, monkeypatch, capsys):
    typed(monkeypatch, "hello\na\nagain\n=\nmore\nwhat?\n\nq\n")
    assert arena() == 0
    said = capsys.readouterr().out
    before, _, after = said.partition("a was ")
    assert "one" not in before and "two" not in before  # nobody sees a name before voting
    assert "'what?' is no vote; it must be a, b, =, an empty line or q" in after
    votes = [json.loads(line) for line in (home / "votes.jsonl").read_text().splitlines()]
    assert [(v["score"], v["prompt"]) for v in votes] == [(1.0, "hello"), (0.5, "again")]
    assert {votes[0]["first"], votes[0]["second"]} == {"one", "two"}
    typed(monkeypatch, "third\nb\n")  # and the end of the input ends the voting
    assert arena() == 0
    assert len((home / "votes.jsonl").read_text().splitlines()) == 3


def test_prompts_come_from_a_file(home, monkeypatch, capsys):
    (home / "asked.txt").write_text("first\n\nsecond\n")
    typed(monkeypatch, "a\nb\n")
    assert arena("--prompts", "asked.txt") == 0
    prompts = [json.loads(x)["prompt"] for x in (home / "votes.jsonl").read_text().splitlines()]
    assert prompts == ["first", "second"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one"], "models are one; there must be two or more"),
        (["one", "one"], "models are one, one; there must be two or more, each named once"),
        (["one", "two", "--tokens", "0"], "--tokens is 0; it must be 1 or more"),
        (["one", "two", "--prompts", "none.txt"], "none.txt cannot be read"),
    ],
)
def test_mistakes_get_a_sentence(home, capsys, words, said):
    assert main(["arena", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_holds_no_votes_is_left_alone(tmp_path):
    path = tmp_path / "votes.jsonl"
    path.write_text('{"first": "x"}\n')
    with pytest.raises(InputError, match="line 1 is no vote"):
        Ballots(["x", "y"], path)
    assert path.read_text() == '{"first": "x"}\n'


def test_those_who_met_least_meet_next():
    ballots = Ballots(["x", "y", "z"])
    for _ in range(30):
        i, j = ballots.pair()
        ballots.vote(i, j, "=", "?")
    met = [frozenset(game[:2]) for game in ballots.games]
    assert {met.count(pair) for pair in set(met)} == {10}
    firsts = [game[0] for game in ballots.games]
    assert all(3 <= firsts.count(i) <= 17 for i in range(3))  # nobody always stands on the left


def test_the_board_says_what_is_missing_and_then_rates():
    ballots = Ballots(["x", "y"])
    assert ballots.board() == ["no votes yet"]
    ballots.vote(0, 1, "a", "?")
    assert ballots.board()[-1].startswith("no ratings yet")
    for number in range(20):
        ballots.vote(0, 1, "b" if number % 4 == 0 else "a", "?")
    first, second, *rest = ballots.board()
    assert first.endswith("x, 21 games") and second.endswith("y, 21 games")
    assert " to " in first and float(first.split()[0]) > 0
    with pytest.raises(InputError, match="vote is 'c'; it must be a, b or ="):
        ballots.vote(0, 1, "c", "?")


class Knows:
    """Stands for a model with one answer."""

    def __init__(self, says: str) -> None:
        self.says = says

    def answer(self, prompt: str) -> str:
        return f"{self.says} to {prompt}"


def contest() -> Contest:
    return Contest([Knows("<yes>"), Knows("no")], Ballots(["one", "two"]))


def test_a_contest_hides_names_until_the_vote():
    one = contest()
    with pytest.raises(InputError, match="ask something first"):
        one.vote("a")
    one.ask("why?")
    assert {*one.answers} == {"<yes> to why?", "no to why?"}
    before = one._repr_html_()
    assert "one" not in repr(one) and "&lt;yes&gt; to why?" in before and "two" not in before
    with pytest.raises(InputError, match="vote is 'c'"):
        one.vote("c")
    winner = one.ballots.names[one.pair[0]]
    one.vote("a")
    assert f"a was {winner}" in one._repr_html_() and f"{winner}: 1 of 1 won" in repr(one)
    with pytest.raises(InputError, match="ask something first"):
        one.vote("b")


def test_a_page_gets_two_answers_a_line_and_three_buttons(home, monkeypatch, capsys):
    import IPython.display

    from minilm.course.show import vote as page

    page.vote_box(["one", "two"], "hi", tokens=4)
    assert capsys.readouterr().out.startswith("> hi\n[a] ")
    shown, updates = [], []

    class Handle:
        def update(self, thing):
            updates.append(repr(thing))

    monkeypatch.setattr(page, "in_notebook", lambda: True)
    monkeypatch.setattr(
        IPython.display, "display", lambda thing, **_: shown.append(thing) or Handle()
    )
    page.vote_box(["one", "two"], "hi", votes=home / "page.jsonl", tokens=4)
    first, box = shown
    line, row = box.children
    for button in row.children[:2]:
        button.click()
        assert all(b.disabled for b in row.children)
        line.value += "?"  # a new question frees the buttons
        assert not any(b.disabled for b in row.children)
    kept = [json.loads(text) for text in (home / "page.jsonl").read_text().splitlines()]
    assert [vote["score"] for vote in kept] == [1.0, 0.0]
    assert [vote["prompt"] for vote in kept] == ["hi", "?"]
    assert "a was" in updates[0] and "a was" not in updates[1]
    assert first.prompt == "??"
