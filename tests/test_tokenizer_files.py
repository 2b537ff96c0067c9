"""Tokenizer files: what was saved is what is loaded, and damaged or foreign ones are refused."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.errors import InputError
from minilm.tokenizers import (
    BPE,
    AddedToken,
    ByteTokenizer,
    CharTokenizer,
    StreamEncoder,
    load,
    pretokenize,
    save_tiktoken,
    save_vocab_and_merges,
    train_bpe,
)
from tests import tokenizer_specimens as specimens
from tests.tokenizer_specimens import END, write

PROSE = "The quick brown fox's dog didn't jump over 12345 lazy dogs; ein schöner Tag, 世界.\n" * 8


@pytest.fixture(scope="module")
def trained() -> dict[str, BPE]:
    return {p: train_bpe(PROSE, 310, p, special=[END]) for p in pretokenize.PATTERNS}


def test_files_give_the_same_ids(trained, tmp_path):
    for pattern, bpe in trained.items():
        for i in range(4):
            if i == 0:
                bpe.save(tmp_path / "tokenizer.json")
                again = load(tmp_path)
            elif i == 1:
                save_tiktoken(bpe, tmp_path / "ranks.tiktoken")
                again = load(tmp_path / "ranks.tiktoken", pattern, bpe.special)
            elif i == 2:
                folder = tmp_path / pattern
                folder.mkdir()
                save_vocab_and_merges(bpe, folder)
                again = load(folder, pattern)
            else:
                load(tmp_path / "ranks.tiktoken", pattern, bpe.special).save(tmp_path / "b.json")
                again = load(tmp_path / "b.json")
            assert again.tokens == bpe.tokens and again.special == bpe.special
            assert again.pattern == pattern
            text = PROSE + END + "dogs' dog"
            ids = bpe.encode(text, allowed_special="all")
            assert again.encode(text, allowed_special="all") == ids


def test_bytes_and_characters_are_saved(tmp_path):
    for tokenizer in (ByteTokenizer([END]), CharTokenizer("aé世", [END])):
        tokenizer.save(tmp_path / "t.json")
        again = load(tmp_path / "t.json")
        assert type(again) is type(tokenizer)
        assert again.tokens == tokenizer.tokens and again.special == tokenizer.special


def test_damaged_and_foreign_files_are_refused(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    trained["gpt4"].save(path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    with pytest.raises(InputError, match="is not JSON, or only the first part"):
        load(path)
    content = json.loads(whole)
    for change, words in (
        ({"model": {"type": "WordLevel"}}, "is of a kind that this package does not read"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "cuts words in an unknown way"),
        ({"normalizer": {"type": "Lowercase"}}, "has the normalizer 'Lowercase'"),
        ({"model": content["model"] | {"merges": [["x", "yy"]]}}, "a merge that its vocabulary"),
        ({"model": {"type": "BPE"}}, "is not a complete tokenizer file"),
    ):
        path.write_text(json.dumps(content | change), encoding="utf-8")
        with pytest.raises(InputError, match=words):
            load(path)
    path.with_suffix(".tiktoken").write_bytes(b"not a rank file\n")
    with pytest.raises(InputError, match="is not a tiktoken rank file"):
        load(path.with_suffix(".tiktoken"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "missing.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is a folder without tokenizer.json, and"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("number", [-1, 10**12, 1.5, True, None, "7"])
def test_ids_that_are_none_are_refused_before_room_is_made_for_them(trained, tmp_path, number):
    path = tmp_path / "tokenizer.json"
    trained["gpt4"].save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"]["a"] = number
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="ids are whole numbers from 0 to"):
        load(path)
    with pytest.raises(InputError, match="ids are whole numbers from 0 to"):
        ByteTokenizer({END: number})
    with pytest.raises(InputError, match="ids are whole numbers from 0 to"):
        CharTokenizer("ab", {END: number})
    with pytest.raises(InputError, match="the rank table holds the id"):
        BPE.from_ranks({b"a": number})


def test_vocabulary_and_merges_without_sense_are_refused(trained, tmp_path):
    save_vocab_and_merges(trained["gpt2"], tmp_path)
    (tmp_path / "merges.txt").write_bytes(b"\xff\xfd")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        load(tmp_path)
    (tmp_path / "merges.txt").write_text("")
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(InputError, match="holds no tokens"):
        load(tmp_path)


def test_whatever_bytes_are_lost_or_changed_it_is_one_sentence(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    trained["gpt4"].save(path)
    whole = path.read_bytes()
    luck = random.Random(0)
    for _ in range(60):
        spoilt = bytearray(whole[: luck.randrange(len(whole))] if luck.random() < 0.3 else whole)
        for _ in range(3 if spoilt else 0):
            spoilt[luck.randrange(len(spoilt))] = luck.randrange(256)
        path.write_bytes(spoilt)
        try:
            load(path).encode("the fox")
        except InputError as error:
            assert "\n" not in str(error)


def test_a_merge_that_begins_like_a_comment_survives(tmp_path):
    """Only the first line of merges.txt is one: no first merge can begin so."""
    word = b"#versions"
    tokens = [bytes([b]) for b in range(256)] + [word[:n] for n in range(2, len(word) + 1)]
    merges = [(255 + k if k else word[0], word[k + 1], 256 + k) for k in range(len(word) - 1)]
    bpe = BPE(tokens, merges)
    assert bpe.encode("#versions") == [263]
    save_vocab_and_merges(bpe, tmp_path)
    again = load(tmp_path, "gpt4")
    assert again.encode("#versions") == [263] and again.special == {}
    bpe.save(tmp_path / "tokenizer.json")
    assert load(tmp_path).merges.tolist() == bpe.merges.tolist()


def test_ids_with_gaps_stand_in_the_vocabulary(trained, tmp_path):
    """Else Hugging Face's library numbers special tokens anew: tests/oracles asks it."""
    ranks = {t: i for i, t in enumerate(trained["gpt4"].ordinary) if t is not None}
    bpe = BPE.from_ranks(ranks, "gpt4", {END: len(ranks) + 1, "<|fim|>": len(ranks) + 20})
    bpe.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["model"]["vocab"][END] == len(ranks) + 1
    again = load(tmp_path)
    assert again.special == bpe.special and again.tokens == bpe.tokens


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", b"\xef\xbb\xbf{}", "begins with a byte-order mark"),
        ("tokenizer.json", b"[" * 100_000, "nests too deeply"),
        ("tokenizer.json", b'{"a":' * 100_000, "nests too deeply"),
        ("tokenizer.json", b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        ("vocab.json", b"\xef\xbb\xbf{}", "begins with a byte-order mark"),
        ("vocab.json", b"[" * 100_000, "nests too deeply"),
        ("merges.txt", b"\xef\xbb\xbf#version: 0.2\n", "begins with a byte-order mark"),
        ("merges.txt", b"\xff\xfe#\x00", "begins with a byte-order mark"),
        ("ranks.tiktoken", b"\xef\xbb\xbfYQ== 0\n", "begins with a byte-order mark"),
        ("ranks.tiktoken", b"YQ== 0\nYg== 0\n", "the id 0 to b'a' and to b'b'"),
        ("ranks.tiktoken", b"YQ== 0\nYQ== 1\n", "holds the token b'a' twice"),
    ],
)
def test_files_that_other_programs_spoil_are_one_sentence(trained, tmp_path, name, content, words):
    save_vocab_and_merges(trained["gpt2"], tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        load(tmp_path / name if name == "ranks.tiktoken" else tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [specimens.bpe, specimens.bert, specimens.t5])
def test_the_oldest_files_do_not_name_their_model(make, tmp_path):
    content = make()
    named = load(write(content, tmp_path))
    del content["model"]["type"]
    again = load(write(content, tmp_path))
    assert type(again) is type(named) and again.encode("the ab") == named.encode("the ab")


_OPTIONS = ("lstrip", "rstrip", "single_word", "normalized", "special")
_BITS = st.sampled_from(["<a>", "<b>", "the", " ", "  ", "é", "e\u0301", "x", "1", "\n", "中"])


@settings(max_examples=60)
@given(
    st.lists(_BITS).map("".join),
    st.lists(st.fixed_dictionaries(dict.fromkeys(_OPTIONS, st.booleans())), min_size=2, max_size=2),
    st.sampled_from([None, "NFC", "NFKD"]),
    st.booleans(),
    st.sampled_from(list(pretokenize.PATTERNS)),
    st.sampled_from([((), ()), ((3,), (4, 311))]),
)
def test_whatever_its_settings_what_is_saved_is_loaded(
    trained, tmp_path_factory, text, options, form, prefix, pattern, frame
):
    plain = trained[pattern]
    added = [AddedToken(n, 310 + i, **options[i]) for i, n in enumerate(("<a>", "<b>"))]
    bpe = BPE(
        [*plain.ordinary[:309], None, None, None],
        plain.merges,
        pattern,
        {END: 309},
        normalize=form,
        prefix_space=prefix and pattern == "gpt2",
        added=added,
        frame=frame,
    )
    path = tmp_path_factory.mktemp("saved") / "tokenizer.json"
    bpe.save(path)
    again = load(path)
    # By id, and equal in all that changes ids.
    assert set(again.added) == set(bpe.added) and again.frame == bpe.frame
    ids = bpe.encode(text, allowed_special="all")
    assert again.encode(text, allowed_special="all") == ids
    stream = StreamEncoder(again, "all")
    assert [i for c in text for i in stream.feed(c)] + stream.finish() == ids
    kept = not any(o["lstrip"] or o["rstrip"] for o in options)
    if kept and form is None and not again.prefix_space and frame == ((), ()):
        assert again.decode(ids) == text


def test_a_stream_does_not_wait_for_added_tokens_without_options(tmp_path):
    """GPT-2's file calls its special token normalized, and normalizes nothing."""
    added = [specimens.token(261, END, normalized=True)]
    bpe = load(write(specimens.bpe(added), tmp_path))
    early = StreamEncoder(bpe, "all").feed(PROSE)
    assert len(early) > 0.9 * len(bpe.encode(PROSE))


def test_words_that_no_merges_make_are_not_lost_in_merges_txt(tmp_path):
    ranks = {bytes([b]): b for b in range(256)} | {b"ab": 256, b"abcd": 257}
    bpe = BPE.from_ranks(ranks)
    assert bpe.encode("abcd") == [257]
    with pytest.raises(InputError, match="no merges make b'abcd', which merges.txt cannot say"):
        save_vocab_and_merges(bpe, tmp_path)
    bpe.save(tmp_path / "tokenizer.json")
    assert load(tmp_path).encode("abcd") == [257]
    made = BPE.from_ranks({**ranks, b"abcd": 258, b"cd": 257})
    save_vocab_and_merges(made, tmp_path)
