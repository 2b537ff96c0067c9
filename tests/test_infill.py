"""Holes in a loader: what is cut can be put together again, and every batch can be made again."""

from pathlib import Path

import numpy as np
import pytest

from minilm import data
from minilm.cli import main
from minilm.data.worlds.katas import katas
from minilm.errors import InputError
from minilm.inference.infilling import infill, nearest
from minilm.models import Config, Transformer
from minilm.tokenizers import (
    Repository,
    fim_encode,
    fim_permute,
    fim_prompt,
    fim_restore,
    repository_files,
    repository_text,
    train_bpe,
)
from minilm.tokenizers.infill import FIM_TOKENS
from minilm.tokenizers.repository import REPOSITORY_TOKENS, repository_encode

END = "<|endoftext|>"
TEXTS = [one.text for one in katas(60, seed=0)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(TEXTS, 320, special=[END, *FIM_TOKENS, *REPOSITORY_TOKENS])


def test_ids_are_those_of_the_arranged_text(tokenizer):
    for seed, text in enumerate(TEXTS):
        rngs = [np.random.default_rng(seed) for _ in range(2)]
        ids = fim_encode(tokenizer, text, rngs[0], rate=0.8)
        arranged = fim_permute(text, rngs[1], rate=0.8)
        assert tokenizer.decode(ids.tolist()) == arranged
        assert fim_restore(arranged) == text


def test_spm_joins_prefix_and_middle_as_its_prompt_does(tokenizer):
    rng = np.random.default_rng(1)
    ids = fim_encode(tokenizer, TEXTS[0], rng, rate=1.0, spm_rate=1.0).tolist()
    text = tokenizer.decode(ids)
    suffix, rest = text.removeprefix("<fim_prefix><fim_suffix>").split("<fim_middle>")
    middle = TEXTS[0].removesuffix(suffix)
    prefix = next(middle[:n] for n in range(len(middle) + 1)
                  if fim_prompt(tokenizer, middle[:n], suffix, "spm").tolist()
                  == ids[: len(fim_prompt(tokenizer, middle[:n], suffix, "spm"))]
                  and n > 0)  # fmt: skip
    assert rest == middle and middle.startswith(prefix)


def test_shares_are_as_asked(tokenizer):
    rng, n = np.random.default_rng(0), 3000
    marks = [tokenizer.special_id(name) for name in ("<fim_prefix>", "<fim_suffix>")]
    heads = [tuple(fim_encode(tokenizer, "some = text", rng)[:2].tolist()) for _ in range(n)]
    spm = sum(head == tuple(marks) for head in heads) / n
    psm = sum(head[0] == marks[0] for head in heads) / n - spm
    for share, wanted in ((1 - spm - psm, 0.5), (psm, 0.25), (spm, 0.25)):
        # a PSM hole at the very start looks like SPM: two of twelve cuts of this text at most
        assert abs(share - wanted) < 3 * (wanted * (1 - wanted) / n) ** 0.5 + 0.25 * 2 / 12


def test_a_batch_depends_on_its_number_alone(tokenizer):
    def make():
        return data.InfillBatches(TEXTS, tokenizer, 4, 64, seed=3)

    straight, again = make(), make()
    rows = [straight(i) for i in range(40)]
    for i in (39, 0, 17):
        for mine, other in zip(rows[i], again(i)):
            np.testing.assert_array_equal(mine, other)
    assert rows[0][0].dtype == np.int32 and rows[0][0].shape == (4, 64)
    np.testing.assert_array_equal(rows[0][0][:, 1:], rows[0][1][:, :-1])
    other = data.InfillBatches(TEXTS, tokenizer, 4, 64, seed=4)(0)
    assert not np.array_equal(other[0], rows[0][0])


def test_an_epoch_holds_every_document_once_and_the_next_is_cut_elsewhere(tokenizer):
    batches = data.InfillBatches(TEXTS, tokenizer, 1, 16, seed=0, rate=1.0)

    def documents(first: int) -> list[str]:
        ids = {}
        for number in range(first, first + batches.windows):
            batches(number)
        row = batches._row
        ids = data.split_documents(row, tokenizer.special_id(END))
        return [tokenizer.decode(part.tolist()) for part in ids]

    one = documents(0)
    assert sorted(map(fim_restore, one)) == sorted(TEXTS)
    two = documents(batches._first + batches.windows)
    assert sorted(map(fim_restore, two)) == sorted(TEXTS)
    assert set(one) != set(two)


def test_ids_as_documents_give_the_same_texts(tokenizer):
    ids = data.encode_documents(tokenizer, TEXTS, END)
    parts = data.split_documents(ids, tokenizer.special_id(END))
    assert [tokenizer.decode(part.tolist()) for part in parts] == TEXTS
    batches = data.InfillBatches(parts, tokenizer, 1, 16, rate=0.7)
    found = data.split_documents(batches._row, tokenizer.special_id(END))
    assert sorted(fim_restore(tokenizer.decode(p.tolist())) for p in found) == sorted(TEXTS)


def test_long_documents_are_cut_behind_lines(tokenizer):
    ids = data.encode_documents(tokenizer, ["".join(TEXTS)], END)
    parts = data.split_documents(ids, tokenizer.special_id(END), 150, tokenizer)
    texts = [tokenizer.decode(part.tolist()) for part in parts]
    assert "".join(texts) == "".join(TEXTS)
    assert max(map(len, parts)) <= 150 and all(text.endswith("\n") for text in texts[:-1])
    with pytest.raises(InputError, match="longest is 0"):
        data.split_documents(ids, 0, 0, tokenizer)


def test_a_project_keeps_its_files_apart(tokenizer):
    project = Repository("demo", {"a.py": TEXTS[0], "b/c.py": TEXTS[1]})
    text = repository_text(project)
    assert repository_files(text) == project
    ids = repository_encode(tokenizer, project, np.random.default_rng(0), rate=1.0)
    cut = repository_files(tokenizer.decode(ids.tolist()))
    assert {path: fim_restore(body) for path, body in cut.files.items()} == project.files
    assert all("<fim_middle>" in body for body in cut.files.values())
    row = data.InfillBatches([project], tokenizer, 1, 16, rate=0.0)._row
    assert tokenizer.decode(row.tolist()) == text + END


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t: data.InfillBatches([], t, 1, 8), "documents is empty"),
        (lambda t: data.InfillBatches(TEXTS, t, 0, 8), "batch is 0"),
        (lambda t: data.InfillBatches(["a"], t, 1, 64), "documents hold"),
        (lambda t: data.InfillBatches(TEXTS, t, 1, 8, rate=2), "rate is 2"),
        (lambda t: fim_prompt(t, "a", "b", "mps"), "order is 'mps'"),
        (lambda t: repository_text(Repository("a", {})), "files is empty"),
        (lambda t: repository_text(Repository("a\nb", {"c": ""})), "several lines"),
        (lambda t: repository_text(Repository("a", {"c": "<file_sep>"})), "holds the marker"),
        (lambda t: repository_files("plain"), "text begins with"),
    ],
)
def test_what_cannot_be_cut_is_refused(tokenizer, call, said):
    with pytest.raises(InputError, match=said):
        call(tokenizer)


# --- filling a hole ---


def test_the_nearest_text_is_kept(tokenizer):
    prefix, suffix = "x = 1\n" * 200, "y = 2\n" * 200
    before, after = nearest(tokenizer, prefix, suffix, 30)
    assert prefix.endswith(before) and suffix.startswith(after) and before and after
    size = [len(tokenizer.encode(text)) for text in (before, after)]
    assert 28 <= sum(size) <= 32
    short, long = nearest(tokenizer, "x", suffix, 30)
    assert short == "x" and len(tokenizer.encode(long)) >= 27
    assert nearest(tokenizer, "x", "y", 30) == ("x", "y")


def test_a_model_without_holes_says_so(tokenizer):
    plain = train_bpe(TEXTS, 300, special=[END])
    model = Transformer(Config(vocab_size=320, context=32, layers=1, heads=1, channels=8))
    with pytest.raises(InputError, match="never saw a hole"):
        infill(model, plain, "a", "b")
    with pytest.raises(InputError, match="tokens is 40"):
        infill(model, tokenizer, "a", "b", tokens=40)
    with pytest.raises(InputError, match="order is"):
        infill(model, tokenizer, "a", "b", tokens=4, order="x")
    assert isinstance(infill(model, tokenizer, "a" * 99, "b" * 99, tokens=4, order="spm"), str)


def test_blanks_before_the_hole_are_the_models_to_write(tokenizer, monkeypatch):
    """What it writes behind a bare line end fits behind blanks, too."""
    from minilm.inference import infilling

    asked = []

    def written(model, prompt, tokens, **how):
        asked.append(tokenizer.decode(list(prompt)))
        return tokenizer.encode("    return 1")

    monkeypatch.setattr(infilling, "generate", written)
    model = Transformer(Config(vocab_size=320, context=64, layers=1, heads=1, channels=8))
    for prefix, filled in (
        ("a:\n    ", "return 1"),
        ("a:\n", "    return 1"),
        ("a:\n  ", "  return 1"),
    ):
        assert infill(model, tokenizer, prefix, "\nb", tokens=8) == filled
        assert asked[-1] == "<fim_prefix>a:\n<fim_suffix>\nb<fim_middle>"


def test_train_and_complete_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    text, out = tmp_path / "code", tmp_path / "run"
    text.mkdir()
    for i, one in enumerate(TEXTS):
        (text / f"{i}.py").write_text(one)
    config = tmp_path / "config.json"
    config.write_text(
        '{"model": {"layers": 1, "heads": 1, "channels": 16, "context": 64},'
        ' "vocab_size": 300, "steps": 6, "batch": 2, "warmup": 1}'
    )
    base = ["--text", str(text), "--config", str(config), "--out", str(out)]
    assert main(["train", *base, "--fim", "0.5"]) == 0
    file = text / "0.py"
    capsys.readouterr()
    place = f"{file}:2:5"
    assert main(["complete", place, "--model", str(out), "--tokens", "8", "--show"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("def f(") and "[[" in shown
    assert main(["complete", f"{file}:1", "--model", str(out), "--order", "spm"]) in (0, 2)
    assert main(["train", "--resume", str(out), "--steps", "8"]) == 0
    capsys.readouterr()
    for words, said in (
        ([f"{file}:99"], "names line 99"),
        ([f"{file}:1:99"], "names column 99"),
        ([f"{file}"], "must be FILE:LINE"),
        (["nowhere.py:1"], "there is no file"),
        ([place, "--order", "mid"], "--order is 'mid'"),
        ([place, "--tokens", "0"], "--tokens is 0"),
        ([place, "--lines", "0"], "--lines is 0"),
    ):
        assert main(["complete", *words, "--model", str(out)]) == 2
        assert said in capsys.readouterr().err
    assert main(["train", *base[:-1], str(tmp_path / "x"), "--fim", "2"]) == 2
    assert "--fim is 2" in capsys.readouterr().err
