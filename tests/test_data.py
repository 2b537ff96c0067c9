"""Corpora, token files, batches, filters and near-duplicates."""

import hashlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.data import (
    Batches,
    TokenFile,
    batches,
    corpus,
    digits,
    documents,
    encode_documents,
    load_documents,
    load_text,
    photographs,
    split,
    windows,
)
from minilm.data.clean.filters import basic_filters, comment_ratio, keep, quality
from minilm.data.clean.near_duplicates import (
    clusters,
    collision_probability,
    dedup,
    jaccard,
    minhash,
    optimal_bands,
    permutations,
    shingles,
)
from minilm.errors import InputError
from minilm.tokenizers import ByteTokenizer

END = "<|endoftext|>"


# Corpora


def test_the_documentation_is_english_and_large():
    text = corpus("python-docs")
    assert 1_500_000 < len(text) < 5_000_000
    assert "module" in text and "\0" not in text
    assert text.count(" the ") > 10_000


def test_the_code_is_python_without_tests():
    files = documents("python-code")
    assert 8_000_000 < sum(map(len, files)) < 25_000_000
    for text in files[:5]:
        compile(text, "file", "exec", dont_inherit=True)


def test_a_corpus_is_the_same_in_another_process(tmp_path):
    """Read anew, with an empty cache, then from the cache, under other hash seeds."""
    program = (
        "import hashlib, sys, minilm.data.corpora as c\n"
        "before = set(sys.modules)\n"
        "print(hashlib.sha256(c.corpus('python-docs').encode()).hexdigest())\n"
        "print(sorted(m for m in set(sys.modules) - before if m.startswith(('turtle', 'idlelib'))))"
    )
    expected = hashlib.sha256(corpus("python-docs").encode()).hexdigest()
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "XDG_CACHE_HOME": str(tmp_path),
            "HOME": str(tmp_path),
            "LOCALAPPDATA": str(tmp_path),
        }
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.split("\n")[:2] == [expected, "[]"]  # and nothing was imported


def test_an_unknown_corpus_is_refused():
    with pytest.raises(InputError, match="corpus is 'wiki'; allowed are python-docs, python-code"):
        corpus("wiki")


@given(
    st.lists(st.text("ab\n", min_size=1, max_size=30), min_size=2, max_size=20),
    st.floats(0.05, 0.95),
    st.integers(0, 9),
)
def test_a_split_keeps_every_document_once(texts, share, seed):
    train, validation = split(texts, share, seed)
    assert sorted(train + validation) == sorted(texts)
    assert train and validation
    assert (train, validation) == split(texts, share, seed)


def test_the_share_of_a_split():
    texts = documents("python-docs")
    train, validation = split(texts, 0.1)
    size = sum(map(len, validation)) / sum(map(len, texts))
    assert 0.09 < size < 0.11
    assert split(["one\ntwo\nthree\n"], 0.4) == (["one\ntwo\n"], ["three\n"])
    for share in (0, 1, -0.1):
        with pytest.raises(InputError, match="validation is .*; it must be above 0 and below 1"):
            split(texts, share)
    with pytest.raises(InputError, match="documents is empty"):
        split([])


def test_documents_end_with_the_end_token():
    tokenizer = ByteTokenizer([END])
    ids = encode_documents(tokenizer, ["ab", END])
    assert ids.tolist() == [*b"ab", 256, *END.encode(), 256]
    assert encode_documents(ByteTokenizer(), ["ab", "c"]).tolist() == list(b"ab\n\nc")


# A user's text


def test_files_folders_and_patterns(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfsecond\r\nline")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.md").write_text("first é", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hidden.txt").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "empty.txt").write_text("")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # nobody writes into it: reading would wait for ever
    assert load_text(tmp_path / "b.txt") == "second\nline"
    assert load_documents(tmp_path) == ["first é", "second\nline"]
    assert load_documents(str(tmp_path / "*.txt")) == ["second\nline"]
    assert load_documents(str(tmp_path / "**" / "*.md")) == ["first é"]
    assert load_text(tmp_path) == "first é\n\nsecond\nline"


def test_text_that_is_none_is_refused(tmp_path):
    for name, content, words in (
        ("empty.txt", b"", "is empty; it must hold text"),
        ("blank.txt", b" \n", "is empty; it must hold text"),
        ("nul.bin", b"ab\0", "is binary .a NUL at byte 2"),
        ("latin.txt", b"caf\xe9", "is not UTF-8 text .see byte 3"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words):
            load_text(tmp_path / name)
    with pytest.raises(InputError, match="there is no such file"):
        load_text(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="none of its 4 files is UTF-8 text"):
        load_text(tmp_path)


# Token files


@given(st.lists(st.integers(0, 69_999), min_size=1, max_size=50), st.sampled_from([70_000, 65_536]))
def test_a_token_file_gives_back_its_ids(tmp_path_factory, ids, vocab_size):
    path = tmp_path_factory.mktemp("tokens") / "t.bin"
    ids = np.array(ids) % vocab_size
    file = TokenFile.write(path, ids, vocab_size)
    assert file.tokens.dtype == (np.uint16 if vocab_size == 65_536 else np.uint32)
    np.testing.assert_array_equal(file.tokens, ids)
    again = TokenFile.write(path, iter(np.array_split(ids, 3)), vocab_size)
    np.testing.assert_array_equal(again.tokens, ids)
    assert len(again) == len(ids) and again.vocab_size == vocab_size
    assert not again.tokens.flags.writeable


def test_damaged_token_files_are_refused(tmp_path):
    path = tmp_path / "t.bin"
    TokenFile.write(path, np.arange(100), 100)
    whole = path.read_bytes()
    for content, words in (
        (whole[:-1], "holds 199 bytes of ids instead of 200"),
        (whole + b"x", "holds 201 bytes"),
        (whole[:100], "holds 0 bytes"),
        (b"", "is not a token file"),
        (b"PK\3\4" + whole, "is not a token file"),
        (whole[:9] + b"?" + whole[10:], "has a damaged header"),
        (whole[:8] + b"[" * 4000, "has a damaged header"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            TokenFile(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        TokenFile(tmp_path / "missing.bin")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.bin"
    TokenFile.write(path, np.arange(10), 10)

    def parts():
        yield np.arange(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TokenFile.write(path, parts(), 10)
    for bad, words in (
        (np.array([3, 10]), "ids holds 3 to 10; with vocab_size 10 they must be 0 to 9"),
        (np.array([], int), "ids is empty"),
    ):
        with pytest.raises(InputError, match=words):
            TokenFile.write(path, bad, 10)
    np.testing.assert_array_equal(TokenFile(path).tokens, np.arange(10))
    assert [p.name for p in tmp_path.iterdir()] == ["t.bin"]
    with pytest.raises(InputError, match="its folder .* does not exist"):
        TokenFile.write(tmp_path / "no" / "t.bin", np.arange(3), 3)


# Batches


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 300), st.integers(0, 5))
def test_an_epoch_repeats_nothing(batch, context, extra, seed):
    tokens = np.arange(context + 1 + extra)
    source = batches(tokens, batch, context, seed)
    epochs = 3
    rows = []
    while len(rows) < epochs * source.windows:
        ids, targets = next(source)
        assert ids.shape == targets.shape == (batch, context) and ids.dtype == np.int32
        np.testing.assert_array_equal(targets, ids + 1)
        rows.extend(ids)
    for epoch in range(epochs):
        seen = np.concatenate(rows[epoch * source.windows : (epoch + 1) * source.windows])
        assert np.unique(seen).size == seen.size
        assert seen.size >= len(tokens) - 1 - 2 * context


def test_batches_go_on_where_they_were():
    tokens = np.arange(1000)
    first = Batches(tokens, 4, 16, seed=3)
    made = [next(first)[0] for _ in range(40)]
    for stop in (1, 7, 15, 16, 39):
        source = Batches(tokens, 4, 16, seed=3)
        for _ in range(stop):
            next(source)
        state = source.state()
        assert state == {"seed": 3, "step": stop}
        again = Batches(tokens, 4, 16)
        again.restore(state)
        for later, expected in zip(itertools.islice(again, 40 - stop), made[stop:]):
            np.testing.assert_array_equal(later[0], expected)
        started = next(batches(tokens, 4, 16, seed=3, start=stop))
        np.testing.assert_array_equal(started[0], made[stop])
    other = next(Batches(tokens, 4, 16, seed=4))[0]
    assert not np.array_equal(other, made[0])


def test_epochs_differ_in_order_and_in_cuts():
    source = batches(np.arange(1001), 31, 32, seed=0)
    assert source.windows == 30
    starts = np.concatenate([next(source)[0][:, 0] for _ in range(30)]).reshape(-1, 30)
    assert len({tuple(row) for row in starts}) == len(starts)
    assert len({int(row[0]) % 32 for row in starts}) > 10


def test_batches_read_token_files(tmp_path):
    file = TokenFile.write(tmp_path / "t.bin", np.arange(100), 100)
    ids, targets = next(batches(file.tokens, 2, 8))
    np.testing.assert_array_equal(targets, ids + 1)


def test_too_few_tokens_are_refused():
    with pytest.raises(InputError, match="tokens holds 8 ids; context 8 needs at least 9"):
        batches(np.arange(8), 2, 8)
    with pytest.raises(InputError, match="batch is 0; it must be 1 or more"):
        batches(np.arange(9), 0, 8)
    with pytest.raises(InputError, match="evaluation needs at least 2"):
        next(windows(np.arange(1), 2, 8))


@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 12))
def test_evaluation_sees_every_token_once(count, batch, context):
    targets = [t.ravel() for _, t in windows(np.arange(count), batch, context)]
    np.testing.assert_array_equal(np.concatenate(targets), np.arange(1, count))


# Filters


def test_the_limits_of_the_filters():
    line = "a" * 100
    assert basic_filters("a" * 1000 + "\n" * 20)
    assert not basic_filters("a" * 1001 + "\n" * 20)
    assert basic_filters(f"{line}\n{line}") and not basic_filters(f"{line}\n{line}a")
    assert basic_filters("ab......") and not basic_filters("ab.......")
    assert not basic_filters("")
    assert quality("ab\n.") == quality("ab\n.").__class__(2, 1.5, 0.5)
    assert keep(["good text", "!!!!!!!!", "more"]) == ["good text", "more"]


def test_comments_and_docstrings_are_counted():
    source = '"""Doc."""\nx = "text"  # why\n'
    assert comment_ratio(source) == (len('"""Doc."""') + len("# why")) / len(source)
    assert comment_ratio("x = (") == 0.0 == comment_ratio("")


# Near-duplicates


def test_bands_and_their_chances():
    # Bands and rows that The Stack's code finds for 256 functions, and 1 - (1 - s**10)**25.
    assert [optimal_bands(t) for t in (0.7, 0.5, 0.85)] == [(25, 10), (42, 6), (13, 19)]
    chances = {0.5: 0.02413, 0.6: 0.14069, 0.7: 0.51147, 0.75: 0.76520, 0.8: 0.94156}
    for similarity, chance in chances.items():
        assert collision_probability(similarity, 25, 10) == pytest.approx(chance, abs=5e-6)
    with pytest.raises(InputError, match="threshold is 1; it must be above 0 and below 1"):
        optimal_bands(1)


def test_signatures_equal_big_integer_arithmetic():
    a, b = permutations(64, seed=1)
    runs = shingles("the quick brown fox jumps over the lazy dog and sleeps")
    hashes = [int.from_bytes(hashlib.sha1(r.encode()).digest()[:4], "little") for r in runs]
    prime = 2**61 - 1
    expected = [min((int(x) * h + int(y)) % prime % 2**32 for h in hashes) for x, y in zip(a, b)]
    assert minhash(runs, a, b).tolist() == expected


def test_signatures_estimate_the_similarity():
    a, b = permutations()
    errors = []
    for shared in range(20, 200, 20):
        one = {str(i) for i in range(200)}
        two = {str(i) for i in range(200 - shared, 400 - shared)}
        similarity = jaccard(one, two)
        agree = (minhash(one, a, b) == minhash(two, a, b)).mean()
        errors.append((agree - similarity) / np.sqrt(similarity * (1 - similarity) / 256))
    assert np.abs(errors).max() < 3.5 and abs(np.mean(errors)) < 1.2


def test_near_duplicates_are_found_and_one_is_kept():
    rng = np.random.default_rng(0)
    base = [" ".join(f"w{i}" for i in rng.integers(0, 5000, 300)) for _ in range(12)]
    copies = [text + " and a few more words" for text in base[:5]] + [base[0].upper()]
    texts = base + copies
    sets = [shingles(text) for text in texts]
    alike = {
        (i, j)
        for i, j in itertools.combinations(range(len(texts)), 2)
        if jaccard(sets[i], sets[j]) >= 0.9
    }
    groups = clusters(texts, 0.7)
    assert {p for g in groups for p in itertools.combinations(sorted(g), 2)} == alike
    assert sorted(i for g in groups for i in g) == list(range(len(texts)))
    kept = dedup(texts)
    assert kept == base[5:] + copies[:5]
    assert sorted(dedup(texts[::-1])) == sorted(kept)


def test_similarity_of_small_sets():
    assert jaccard({"a", "b"}, {"b", "c"}) == 1 / 3
    assert jaccard(set(), set()) == 1.0
    assert shingles("One two, three four five SIX") == {
        "one two three four five",
        "two three four five six",
    }
    assert shingles("short text") == {"short text"}


# Images


def test_digits_and_photographs():
    images, labels = digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    photos = photographs()
    assert [p.shape for p in photos.values()] == [(427, 640, 3)] * 2
    assert all(p.dtype == np.float32 and 0 <= p.min() and p.max() <= 1 for p in photos.values())
