"""What tokenizers are asked for besides ids of a text: bytes, offsets, batches, rare pairs."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import backend
from minilm.errors import InputError
from minilm.tokenizers import BPE, ByteTokenizer, CharTokenizer, pretokenize, train_bpe

PROSE = "The quick brown fox's dog didn't jump over 12345 lazy dogs; ein schöner Tag, 世界.\n" * 8
PATTERNS = list(pretokenize.PATTERNS)


@pytest.fixture(scope="module")
def trained() -> dict[str, BPE]:
    return {p: train_bpe(PROSE, 310, p) for p in PATTERNS}


# tiktoken's and Hugging Face's words of these texts.
@pytest.mark.parametrize(
    ("pattern", "text", "words"),
    [
        ("o200k", "HTTPServer's iOS", ["HTTPServer's", " i", "OS"]),
        ("o200k", "ABCdef中A b/c", ["ABCdef中", "A", " b", "/c"]),
        ("o200k", "e\u0301\u0301X \u0301A", ["e\u0301\u0301", "X", " \u0301", "A"]),
        ("o200k", "x //\n/ 1234\n\n ", ["x", " //\n/", " ", "123", "4", "\n\n", " "]),
        ("o200k", "'LL don'T it'ſ", ["'LL", " don'T", " it'ſ"]),
        ("starcoder", "a  12 b3c's 4", ["a", "  ", "1", "2", " b", "3", "c", "'s", " ", "4"]),
        ("starcoder", "x ½y\n 7", ["x", " ", "½", "y", "\n ", "7"]),
    ],
)
def test_words_of_the_newer_patterns(pattern, text, words):
    assert pretokenize.split(text, pattern) == words


@given(st.binary())
def test_bytes_come_back(trained, content):
    for tokenizer in (*trained.values(), ByteTokenizer()):
        assert tokenizer.decode_bytes(tokenizer.encode_bytes(content)) == content


@given(st.text())
def test_bytes_of_a_text_have_its_ids(trained, text):
    text = text.encode("utf-8", "replace").decode()
    for tokenizer in trained.values():
        assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


def test_bytes_that_cannot_be_encoded_are_refused(trained):
    with pytest.raises(InputError, match="content is of type str; it must be bytes"):
        trained["gpt2"].encode_bytes("a")
    with pytest.raises(InputError, match="content is not UTF-8 at byte 1; for this"):
        CharTokenizer("ab").encode_bytes(b"a\xff")
    assert CharTokenizer("ab").encode_bytes(b"ba") == [1, 0]
    plain = trained["gpt2"]
    for changes, words in (
        (dict(normalize="NFC"), "normalize is 'NFC'"),
        (dict(prefix_space=True), "prefix_space is True"),
    ):
        with pytest.raises(InputError, match=words):
            BPE(plain.tokens, plain.merges, "gpt2", **changes).encode_bytes(b"a")


@given(st.text())
def test_offsets_lie_where_the_tokens_are(trained, text):
    text = text.encode("utf-8", "replace").decode()
    for tokenizer in (*trained.values(), ByteTokenizer()):
        ids, spans = tokenizer.encode_with_offsets(text)
        assert ids == tokenizer.encode(text) and len(spans) == len(ids)
        for number, (first, last) in zip(ids, spans, strict=True):
            token, within = tokenizer.token_bytes(number), text[first:last].encode()
            assert token in within and len(within) <= len(token) + 6  # parts of its border letters
        decoded, begins = tokenizer.decode_with_offsets(ids)
        assert decoded == text and begins == [first for first, _ in spans]


def test_offsets_of_a_text_that_is_changed_are_refused(trained):
    plain = trained["gpt2"]
    tokenizer = BPE(plain.tokens, plain.merges, "gpt2", normalize="NFC")
    assert tokenizer.encode_with_offsets("aé")[1][0] == (0, 1)
    with pytest.raises(InputError, match="text is changed by this tokenizer"):
        tokenizer.encode_with_offsets("ae\u0301")
    assert CharTokenizer("ab").encode_with_offsets("ab") == ([0, 1], [(0, 1), (1, 2)])


def test_a_batch_is_encoded_on_all_threads(trained, monkeypatch):
    texts = [PROSE * n for n in (1, 0, 3, 40, 2)] * 3
    tokenizer, seen = trained["gpt4"], set()
    encode = tokenizer.encode_array

    def watched(*arguments):
        seen.add(threading.get_ident())
        return encode(*arguments)

    monkeypatch.setattr(tokenizer, "encode_array", watched)
    before = backend.threads()
    try:
        backend.set_threads(3)
        rows = tokenizer.encode_batch(texts)
    finally:
        backend.set_threads(before)
    assert rows == [tokenizer.encode(text) for text in texts]
    assert len(seen) > 1
    assert tokenizer.decode_batch(rows) == texts


def test_pairs_below_the_least_frequency_are_not_joined():
    text = "aa " * 5 + "bb " * 3 + "cc "
    # Counts: 5 of aa; 3 of bb; the blanks before words: 4 of " aa", 3 of " bb", 1 of " cc".
    for least, merges in ((0, 6), (2, 4), (4, 2), (6, 0)):
        tokenizer = train_bpe(text, 400, "gpt2", min_frequency=least, fewer=True)
        assert tokenizer.vocab_size == 256 + merges, least
    assert train_bpe(text, 400, "gpt2", min_frequency=4).vocab_size == 258
    assert train_bpe(text, 257, "gpt2", min_frequency=4).vocab_size == 257
    with pytest.raises(InputError, match="this text allows at most 262"):
        train_bpe(text, 400, "gpt2", min_frequency=1)
    with pytest.raises(InputError, match="min_frequency is -1; it must be a whole number"):
        train_bpe(text, 300, min_frequency=-1)


def test_one_word_of_any_bytes_needs_no_cache(trained):
    encoder = trained["gpt4"]._encoder
    assert encoder.encode_word(b"").size == 0
    for length in (1, 5, 300):
        content = bytes(np.random.default_rng(length).integers(0, 256, length, np.uint8))
        ids = encoder.encode_word(content)
        assert trained["gpt4"].decode_bytes(ids) == content
