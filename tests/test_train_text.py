"""What `minilm train` makes of a text: its vocabulary, and what of it is held out."""

import numpy as np
import pytest
from texts import sentences

from minilm import data
from minilm.cli import main
from minilm.data import held_out
from minilm.data.held_out import PHRASE, hold_out
from minilm.train import load
from minilm.train.recipes import RECIPES


def moves(rng, count):
    pieces, squares = ["", "N", "B", "R", "Q", "K"], [f"{c}{r}" for c in "abcdefgh" for r in "1234"]
    pick = lambda: rng.choice(pieces) + rng.choice(squares)  # noqa: E731
    return "\n".join(f"{n % 40 + 1}. {pick()} {pick()}" for n in range(count))


HONEST = {  # small or repetitive texts that are worth a training
    "0/1 lines": lambda rng: "\n".join(map(str, rng.integers(0, 2, 3000))),
    "chess": lambda rng: moves(rng, 300),
    "csv": lambda rng: "\n".join(f"{i},{rng.random():.2f},{rng.integers(9)}" for i in range(150)),
    "one word": lambda rng: "ab" * 3000,
    "one digit": lambda rng: "0" * 4000,
}


@pytest.mark.parametrize("name", HONEST)
def test_a_small_or_repetitive_text_gets_the_vocabulary_that_it_allows(tmp_path, capsys, name):
    text, folder = tmp_path / "honest.txt", tmp_path / "run"
    text.write_text(HONEST[name](np.random.default_rng(0)))
    options = ["--text", str(text), "--out", str(folder), "--config", "nano", "--steps", "2"]
    assert main(["train", *options]) == 0
    said = capsys.readouterr().out
    _, tokenizer = load(folder)
    assert 257 <= tokenizer.vocab_size < 512
    assert f"vocabulary: {tokenizer.vocab_size} tokens of" in said
    assert "512 were asked for, more than this text allows" in said
    known = data.TokenFile(folder / "train.tokens").tokens
    assert len(known) > RECIPES["nano"].model["context"]


@pytest.mark.parametrize("asked, given", [(257, 257), (280, 280), (5000, None)])
def test_the_vocabulary_can_be_chosen(tmp_path, capsys, asked, given):
    text, folder = tmp_path / "moves.txt", tmp_path / "run"
    text.write_text(moves(np.random.default_rng(0), 300))
    options = ["--text", str(text), "--out", str(folder), "--config", "nano", "--steps", "1"]
    assert main(["train", *options, "--vocab", str(asked)]) == 0
    size = load(folder)[1].vocab_size
    fewer = "5,000 were asked for, more than this text allows" in capsys.readouterr().out
    assert (size == given and not fewer) if given else (280 < size < 5000 and fewer)


def test_held_out_documents_share_no_long_text_with_the_rest():
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, rng.integers(0, 900, 80))) for _ in range(60)]
    texts[1::3] = texts[0::3]  # two of three stand in two places
    known, new = hold_out(texts, share=0.1)
    assert sorted(known + new) == sorted(texts)
    assert 4 <= len(new) <= 8
    assert set(new) <= set(texts[2::3])
    assert (known, new) == hold_out(texts, share=0.1)
    assert new != hold_out(texts, share=0.1, seed=1)[1]


def test_a_shared_paragraph_disqualifies_and_a_shared_line_does_not():
    rng = np.random.default_rng(0)
    paragraph = " ".join(map(str, rng.integers(0, 900, 30)))
    line = " ".join(map(str, rng.integers(0, 900, PHRASE)))
    own = [" ".join(map(str, rng.integers(0, 900, 100))) for _ in range(40)]
    texts = [f"{t} {paragraph}" for t in own[:20]] + [f"{t} {line}" for t in own[20:]]
    _, new = hold_out(texts, share=0.2)
    assert new and all(line in text and paragraph not in text for text in new)


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_phrases_are_the_same_whatever_is_in_memory_at_a_time(monkeypatch, piece):
    texts = ["", "one", sentences(4, 0), "Ein Wort, nicht mehr.\n\n" * 3, "x" * 200]
    whole = [list(held_out._phrases(text)) for text in texts]
    monkeypatch.setattr(held_out, "_PIECE", piece)
    assert [list(held_out._phrases(text)) for text in texts] == whole


def test_progress_is_told_of_every_document_that_is_compared():
    texts, seen = [sentences(30, n) for n in range(30)], []
    hold_out(texts, share=0.3, told=seen.append)
    assert seen == list(map(len, texts))
    one = []
    hold_out(texts[:1], told=one.append)  # nothing to compare it with
    assert one == []


def test_a_single_text_is_cut_in_two():
    known, new = hold_out([sentences(100, 0)], share=0.1)
    assert "".join(known + new) == sentences(100, 0)
    assert len(new[0]) == pytest.approx(0.1 * len(sentences(100, 0)), rel=0.1)
