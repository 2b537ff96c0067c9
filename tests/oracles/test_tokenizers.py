"""Tokenizers beside tiktoken, Hugging Face's library and the regex package."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.data import corpus
from minilm.tokenizers import BPE, load, save_tiktoken, save_vocab_and_merges, train_bpe
from minilm.tokenizers.pretokenize import split
from minilm.tokenizers.unicode_classes import (
    LETTER,
    LOWER,
    MARK,
    NUMBER,
    OTHER,
    SPACE,
    UPPER,
    case_table,
    class_table,
)

pytestmark = pytest.mark.oracle

END = "<|endoftext|>"
# As tiktoken 0.14 publishes them (tiktoken_ext.openai_public).
TIKTOKEN = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "gpt4": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": "|".join(
        [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
}
# As the tokenizer.json of Llama 3 and Qwen 2 have them.
HUGGING_FACE = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
TRICKY = st.text(
    st.sampled_from(list("aabZz019  \n\n\r\t'''srevLlDmt.,!/é中ſ½ǅʰ\u0301\u0903\u00a0\u2003😀\x0b"))
)
TEXT = st.one_of(st.text(), TRICKY)


def _joined(parts: list) -> bytes:
    return b"".join(p if isinstance(p, bytes) else p.encode("utf-8", "replace") for p in parts)


def tiktoken_of(bpe: BPE):
    import tiktoken

    ranks = {t: i for i, t in enumerate(bpe.ordinary) if t is not None}
    return tiktoken.Encoding(
        "ours", pat_str=TIKTOKEN[bpe.pattern], mergeable_ranks=ranks, special_tokens=bpe.special
    )


@pytest.fixture(scope="module")
def trained() -> dict[str, BPE]:
    text = corpus("python-docs")
    return {p: train_bpe(text, 4096, p, special=[END]) for p in TIKTOKEN}


@pytest.fixture(scope="module")
def peers(trained) -> dict:
    return {pattern: tiktoken_of(bpe) for pattern, bpe in trained.items()}


def test_classes_are_tiktokens_for_every_code_point():
    """tiktoken drops what its pattern does not match, which shows what \\p{L} and so on match."""
    import tiktoken

    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "".join(map(chr, points))
    found = np.zeros(0x110000, np.uint8)
    for kind, pattern in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (SPACE, r"\s")):
        single = tiktoken.Encoding(
            "bytes",
            pat_str=pattern,
            mergeable_ranks={bytes([b]): b for b in range(256)},
            special_tokens={},
        )
        matched = bytes(single.encode_ordinary(text)).decode()
        found[[ord(c) for c in matched]] = kind
    np.testing.assert_array_equal(class_table(), found)


def test_cases_are_tiktokens_for_every_code_point():
    import tiktoken

    text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    kinds = ((UPPER, r"[\p{Lu}\p{Lt}]"), (LOWER, r"\p{Ll}"), (MARK, r"\p{M}"))
    for kind, pattern in (*kinds, (LETTER, r"[\p{Lm}\p{Lo}]")):
        single = tiktoken.Encoding(
            "bytes",
            pat_str=pattern,
            mergeable_ranks={bytes([b]): b for b in range(256)},
            special_tokens={},
        )
        matched = [ord(c) for c in bytes(single.encode_ordinary(text)).decode()]
        np.testing.assert_array_equal(np.flatnonzero(case_table() == kind), matched)


def test_classes_are_regexs_for_all_that_unicode_16_knows():
    """The regex package is of a later Unicode: it may know more letters, never fewer or others."""
    import regex

    table = class_table()
    patterns = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
    found = np.zeros(0x110000, np.uint8)
    text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    for kind, pattern in patterns.items():
        found[[ord(c) for c in regex.findall(pattern, text)]] = kind
    newer = np.flatnonzero(table != found)
    assert (table[newer] == OTHER).all()
    assert all(regex.fullmatch(r"[\p{L}\p{N}]", chr(c)) for c in newer)
    assert regex.fullmatch(r"\p{Lu}", "\u1c89") and table[0x1C89] == LETTER  # new in 16.0


@settings(max_examples=300)
@given(TEXT, st.sampled_from([*TIKTOKEN, *HUGGING_FACE]))
def test_words_are_the_regexs(text, pattern):
    import regex

    text = text.encode("utf-8", "replace").decode()
    table = case_table()
    later = [c for c in text if table[ord(c)] == OTHER and regex.match(r"\p{L}|\p{N}|\p{M}", c)]
    text = "".join(c for c in text if c not in later)  # of a Unicode that only regex knows
    written = (TIKTOKEN | HUGGING_FACE)[pattern].replace("$", r"\Z")
    assert split(text, pattern) == regex.findall(written, text)


@pytest.mark.parametrize("name", ["python-docs", "python-code"])
def test_ids_are_tiktokens_on_the_whole_corpus(trained, name):
    text = corpus(name)
    for bpe in trained.values():
        ids = bpe.encode_array(text)
        np.testing.assert_array_equal(ids, tiktoken_of(bpe).encode_to_numpy(text))


def test_ids_are_tiktokens_on_every_code_point(trained):
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    assigned = [c for c in points if ord(c) < 0x34000]
    text = " ".join(assigned) + "".join(f"a{c}1\n" for c in assigned) + "'" + " ".join(points[-99:])
    for bpe in trained.values():
        peer = tiktoken_of(bpe)
        for part in (text, "".join(points[0x20000:0x30000]), "'".join(assigned[:0x3000])):
            np.testing.assert_array_equal(bpe.encode_array(part), peer.encode_to_numpy(part))


@settings(max_examples=300)
@given(TEXT, st.sampled_from(list(TIKTOKEN)))
def test_ids_are_tiktokens_on_random_text(trained, peers, text, pattern):
    bpe, peer = trained[pattern], peers[pattern]
    for piece in (text, text * 30):
        assert bpe.encode(piece) == peer.encode(piece)
    marked = f"{text}{END}{text}"
    ids = bpe.encode(marked, allowed_special="all")
    assert ids == peer.encode(marked, allowed_special="all")
    assert bpe.decode(ids) == peer.decode(ids)
    ordinary = peer.encode(marked, disallowed_special=())
    assert bpe.encode(marked, disallowed_special=()) == ordinary


def test_ranks_that_no_training_made_give_tiktokens_ids():
    """A vocabulary of arbitrary strings: some tokens have two ways to be made, some none."""
    rng = np.random.default_rng(0)
    ranks = {bytes([b]): b for b in range(256)}
    for _ in range(600):
        token = bytes(rng.choice(list(b"abc "), rng.integers(2, 6)).astype(np.uint8))
        ranks.setdefault(token, len(ranks))
    for pattern in TIKTOKEN:
        bpe = BPE.from_ranks(ranks, pattern)
        peer = tiktoken_of(bpe)
        for length in (5, 30, 90, 300, 3000):
            for _ in range(40):
                text = "".join(rng.choice(list("abc "), length, p=[0.4, 0.3, 0.25, 0.05]))
                assert bpe.encode(text) == peer.encode(text)


def test_merges_are_hugging_faces(trained, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    text = corpus("python-docs")
    bpe = train_bpe(text, 3000, "gpt2")
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=3000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[],
    )
    peer.train_from_iterator([text], trainer)
    peer.save(str(tmp_path / "peer.json"))
    bpe.save(tmp_path / "ours.json")
    theirs = json.loads((tmp_path / "peer.json").read_text(encoding="utf-8"))["model"]
    ours = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))["model"]
    assert ours["merges"] == theirs["merges"] and ours["vocab"] == theirs["vocab"]
    again = load(tmp_path / "peer.json")
    assert again.encode(text[:100_000]) == peer.encode(text[:100_000]).ids


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "llama3", "qwen2", "o200k", "starcoder"])
def test_hugging_face_reads_what_we_write(pattern, tmp_path):
    from tokenizers import Tokenizer

    text = corpus("python-docs")[:400_000]
    bpe = train_bpe(text, 1500, pattern, special=[END])
    bpe.save(tmp_path / "tokenizer.json")
    peer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert peer.get_vocab_size() == bpe.vocab_size
    for part in (
        text[:200_000],
        f"it's 12345 \n\n  \t x{END}.\n\n",
        "end\n  ",
        "Ça va? 世界 😀\r\n",
        "HTTPServer's 中A/b e\u0301\u0301X it'S a  12  3.5 4x\n\n 7\u00bd",
    ):
        ids = bpe.encode(part, allowed_special="all")
        assert peer.encode(part).ids == ids
        assert peer.decode(ids, skip_special_tokens=False) == bpe.decode(ids)
        assert load(tmp_path).encode(part, allowed_special="all") == ids


@pytest.mark.parametrize("pattern", ["gpt2", "o200k", "starcoder"])
@settings(max_examples=150)
@given(text=TEXT)
def test_ids_are_hugging_faces_on_random_text(peers_of_files, text, pattern):
    text = text.encode("utf-8", "replace").decode()
    text = "".join(c for c in text if ord(c) < 0x323B0 and unicodedata.category(c) != "Cn")
    ours, peer = peers_of_files[pattern]
    assert ours.encode(text) == peer.encode(text).ids


@pytest.fixture(scope="module")
def peers_of_files(tmp_path_factory) -> dict:
    from tokenizers import Tokenizer

    made = {}
    for pattern in ("gpt2", "o200k", "starcoder"):
        ours = train_bpe(corpus("python-docs")[:200_000], 1000, pattern)
        path = tmp_path_factory.mktemp(pattern) / "tokenizer.json"
        ours.save(path)
        made[pattern] = ours, Tokenizer.from_file(str(path))
    return made


@settings(max_examples=300)
@given(st.one_of(st.binary(), st.lists(st.one_of(st.binary(max_size=3), TEXT)).map(_joined)))
def test_bytes_are_encoded_as_tiktoken_does(trained, peers, content):
    for pattern, bpe in trained.items():
        ids = bpe.encode_bytes(content)
        assert ids == peers[pattern]._encode_bytes(content)
        assert bpe.decode_bytes(ids) == content


@pytest.fixture(scope="module")
def untrimmed(peers_of_files) -> dict:
    from tokenizers import Tokenizer

    made = {}
    for pattern, (ours, peer) in peers_of_files.items():
        content = json.loads(peer.to_str())
        content["post_processor"] = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        }
        made[pattern] = ours, Tokenizer.from_str(json.dumps(content))
    return made


@settings(max_examples=150)
@given(TEXT)
def test_offsets_are_theirs(trained, peers, untrimmed, text):
    """tiktoken's of ids, and Hugging Face's of a text without the trimming of blanks."""
    text = text.encode("utf-8", "replace").decode()
    ours = trained["gpt4"]
    ids, _ = ours.encode_with_offsets(text)
    assert ids == ours.encode(text)
    assert ours.decode_with_offsets(ids) == peers["gpt4"].decode_with_offsets(ids)
    for ours, peer in untrimmed.values():
        theirs = peer.encode(text)
        assert ours.encode_with_offsets(text) == (theirs.ids, theirs.offsets)


@pytest.mark.parametrize("least", [0, 2, 5, 50])
def test_a_least_frequency_stops_where_theirs_does(least):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    text = corpus("python-docs")[:20_000]
    ours = train_bpe(text, 3000, "gpt2", min_frequency=least, fewer=True)
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=3000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=least,
        show_progress=False,
    )
    peer.train_from_iterator([text], trainer)
    assert ours.vocab_size == peer.get_vocab_size()
    assert ours.encode(text) == peer.encode(text).ids


def test_the_published_file_forms(trained, tmp_path):
    from tiktoken.load import load_tiktoken_bpe
    from tokenizers import Tokenizer, models, pre_tokenizers

    bpe = trained["gpt2"]
    save_tiktoken(bpe, tmp_path / "ranks.tiktoken")
    ranks = load_tiktoken_bpe(str(tmp_path / "ranks.tiktoken"))
    assert ranks == {t: i for i, t in enumerate(bpe.ordinary) if t is not None}
    save_vocab_and_merges(bpe, tmp_path)
    model = models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    peer = Tokenizer(model)
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text = corpus("python-docs")[:100_000]
    assert peer.encode(text).ids == bpe.encode(text)
