"""WordPiece and Unigram: BERT's and T5's files.

The ids and texts here are Hugging Face's, recorded; tests/oracles/test_tokenizer_files.py asks the
library itself, on random texts and on every code point.
"""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import backend
from minilm.errors import InputError
from minilm.tokenizers import StreamDecoder, StreamEncoder, Unigram, WordPiece, load
from tests import tokenizer_specimens as specimens
from tests.tokenizer_specimens import LETTERS, token, write


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> WordPiece:
    return load(write(specimens.bert(), tmp_path_factory.mktemp("bert")))


@pytest.fixture(scope="module")
def t5(tmp_path_factory) -> Unigram:
    return load(write(specimens.t5(), tmp_path_factory.mktemp("t5")))


@pytest.mark.parametrize(
    ("text", "ids", "back"),
    [
        ("Unaffable é中!", [2, 58, 59, 60, 9, 61, 67, 3], "unaffable e 中!"),
        ("the [MASK] zé.", [2, 57, 4, 30, 35, 64, 3], "the ze."),
        ("x" * 101, [2, 1, 3], ""),
        ("a\u0007b\u00a0c", [2, 5, 32, 7, 3], "ab c"),
    ],
)
def test_berts_ids_and_texts(bert, text, ids, back):
    assert bert.encode(text, allowed_special="all") == ids
    assert bert.decode(ids, skip_special_tokens=True) == back


@pytest.mark.parametrize(
    ("text", "ids", "back"),
    [
        ("the Ａ\tﬁ theab.", [30, 34, 3, 37, 30, 35, 38, 1], "the a fi theab."),
        ("½ 中<extra_id_0> 1", [3, 40, 2, 3, 2, 41, 3, 40, 1], "1  1"),
    ],
)
def test_t5s_ids_and_texts(t5, text, ids, back):
    assert t5.encode(text, allowed_special="all") == ids
    assert t5.decode(ids, skip_special_tokens=True) == back


def test_unigram_takes_the_likeliest_cut_of_all(t5):
    """Against every cut of a word, written out."""
    scored = {p: s for p, s in zip(t5.pieces, t5.scores, strict=False)}

    def best(word):
        if not word:
            return 0.0, []
        tails = [(word[:n], best(word[n:])) for n in range(1, len(word) + 1) if word[:n] in scored]
        return max((scored[head] + score, [head, *rest]) for head, (score, rest) in tails)

    for word in ("theabthe", "fifihe", "ththth", "abcabthhe"):
        pieces = [t5.pieces[i] for i in t5.encode_ordinary(word)]
        assert pieces == best("▁" + word)[1]


@given(st.lists(st.text(LETTERS, min_size=1, max_size=8), max_size=6))
def test_words_of_known_letters_come_back(bert, t5, words):
    text = " ".join(words)
    for tokenizer in (bert, t5):
        assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


@given(st.text(max_size=20), st.integers(1, 4))
def test_streams_give_the_ids_and_the_text_of_the_whole(bert, t5, text, step):
    text = text.encode("utf-8", "replace").decode()
    for tokenizer in (bert, t5):
        ids = tokenizer.encode(text, disallowed_special=())
        stream = StreamEncoder(tokenizer)
        fed = [i for k in range(0, len(text), step) for i in stream.feed(text[k : k + step])]
        assert fed + stream.finish() == ids
        decoder = StreamDecoder(tokenizer)
        parts = [decoder.feed(ids[k : k + step]) for k in range(0, len(ids), step)]
        assert "".join(parts) + decoder.finish() == tokenizer.decode(ids)


def test_what_is_saved_is_loaded(bert, t5, tmp_path):
    for tokenizer in (bert, t5):
        tokenizer.save(tmp_path / "t.json")
        again, copy = load(tmp_path / "t.json"), pickle.loads(pickle.dumps(tokenizer))
        for each in (again, copy):
            assert each.pieces == tokenizer.pieces and each.special == tokenizer.special
            assert each.encode("the fi é") == tokenizer.encode("the fi é")


def test_bytes_that_tokens_stand_for(bert, t5):
    assert bert.tokens[57] == b" the" and bert.tokens[59] == b"aff"
    assert t5.tokens[30] == b" the" and t5.token_bytes(30) == b"the"
    assert bert.byte_lengths[[2, 57, 59]].tolist() == [0, 4, 3]


def changed(content, **model):
    return content | {"model": content["model"] | model}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(specimens.bert(), unk_token="<unk>"), "no piece '<unk>' for unknown words"),
        (changed(specimens.bert(), vocab={"a": 0, "[UNK]": 0}), "the id 0 to 'a' and to"),
        (changed(specimens.bert(), vocab={"[UNK]": -1}), "holds the id -1"),
        (changed(specimens.t5(), unk_id=99), "unknown characters the id 99"),
        (changed(specimens.t5(), vocab=[["a", 0.0], ["a", 0.0]]), "the piece 'a' twice"),
        (changed(specimens.t5(), vocab=[["a"]]), "is not a complete tokenizer file"),
        (specimens.bert(normalizer={"type": "Surprise"}), "has the normalizer 'Surprise'"),
        (
            specimens.bert(
                normalizer={"type": "Replace", "pattern": {"Regex": "a|b"}, "content": ""}
            ),
            "a Replace of the pattern",
        ),
        (specimens.bert(pre_tokenizer={"type": "Whitespace"}), "cuts words by 'Whitespace'"),
        (specimens.bert(decoder={"type": "CTC"}), "has the decoder 'CTC'"),
        (specimens.bert(post_processor={"type": "Surprise"}), "post-processor 'Surprise'"),
        (specimens.bert(truncation={"max_length": 3}), "sets truncation"),
        (specimens.bert(added_tokens=[token(4, "the")]), "'the' the id 4; by .* must be 57"),
        (
            specimens.t5(normalizer={"type": "Precompiled", "precompiled_charsmap": "?"}),
            "precompiled_charsmap is not base64",
        ),
        (
            specimens.t5(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
            "has 4 bytes; its trie alone",
        ),
        (
            specimens.t5(decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "x"}),
            "prepend_scheme is 'x'",
        ),
    ],
)
def test_what_is_not_honoured_is_refused_by_name(content, words, tmp_path):
    with pytest.raises(InputError, match=words) as error:
        load(write(content, tmp_path))
    assert "\n" not in str(error.value)


def test_unknown_characters_without_a_token_for_them(tmp_path):
    content = changed(specimens.t5(), unk_id=None)
    tokenizer = load(write(content, tmp_path))
    with pytest.raises(InputError, match="text holds '中', which no piece"):
        tokenizer.encode("a中")
    vocab = [*specimens.t5()["model"]["vocab"], *([f"<0x{b:02X}>", -9.0] for b in "中".encode())]
    more = changed(content, vocab=vocab, byte_fallback=True)
    more["added_tokens"] = more["added_tokens"][:3]
    tokenizer = load(write(more, tmp_path))
    assert tokenizer.encode_ordinary("a中")[1:] == [41, 42, 43]


def test_bytes_and_offsets(bert, t5):
    for tokenizer in (bert, t5):
        content = "the é".encode()
        assert tokenizer.encode_bytes(content) == tokenizer.encode_ordinary("the é")
        with pytest.raises(InputError, match="content is not UTF-8 at byte 4; for this"):
            tokenizer.encode_bytes(content[:-1])
    ids, spans = t5.encode_with_offsets("the  ½b", "all")
    assert ids == t5.encode("the  ½b", add_special_tokens=False)
    assert spans[0] == (0, 3) and spans[1:3] == [(5, 6), (5, 6)] and spans[-1] == (6, 7)
    ids, spans = bert.encode_with_offsets("Unaffable  é\u0301中! zq?", "all")
    assert ids == bert.encode("Unaffable  é\u0301中! zq?", add_special_tokens=False)
    assert spans[:6] == [(0, 2), (2, 5), (5, 9), (11, 12), (13, 14), (14, 15)]
    assert bert.encode_with_offsets("a [MASK] b", "all")[1] == [(0, 1), (1, 8), (9, 10)]
    with pytest.raises(InputError, match="holds the special token"):
        bert.encode_with_offsets("a [MASK] b")
    assert bert.decode_with_offsets([57, 58, 59]) == ("the unaff", [0, 3, 6])
    assert t5.decode_with_offsets([3, 30, 34]) == (" the a", [0, 0, 4])


def test_threads_may_share_a_tokenizer_that_forgets(bert, t5, monkeypatch):
    monkeypatch.setattr("minilm.tokenizers.pieces._MOST_KEPT", 3)
    texts = [f"the {a}{b} é{a}" for a in LETTERS for b in LETTERS]
    before = backend.threads()
    try:
        backend.set_threads(4)
        for tokenizer in (bert, t5):
            wanted = [tokenizer.encode(text) for text in texts]
            assert tokenizer.encode_batch(texts) == wanted
    finally:
        backend.set_threads(before)


def test_a_damaged_table_of_replacements_is_one_sentence(tmp_path):
    whole = specimens.charsmap({"é": "e"})
    for cut in range(8, 60, 4):
        spoilt = whole[:400] + "/" * cut + whole[400 + cut :]
        content = specimens.t5(normalizer={"type": "Precompiled", "precompiled_charsmap": spoilt})
        try:
            load(write(content, tmp_path)).encode("é" * 3 + "".join(map(chr, range(1, 300))), "all")
        except InputError as error:
            assert "\n" not in str(error)
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
