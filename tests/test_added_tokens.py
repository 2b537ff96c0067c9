"""Added tokens and what surrounds a text: as Hugging Face's library has them, or refused.

The ids here are theirs, recorded; tests/oracles/test_tokenizer_files.py asks the library itself.
"""

import pytest

from minilm.errors import InputError
from minilm.tokenizers import (
    BPE,
    AddedToken,
    ByteTokenizer,
    CharTokenizer,
    StreamEncoder,
    load,
    save_tiktoken,
    save_vocab_and_merges,
)
from minilm.tokenizers.saving import REGEX
from tests import tokenizer_specimens as specimens
from tests.tokenizer_specimens import byte_level, template, token, write

NFC = {"type": "NFC"}


LLAMA = {
    "type": "Split",
    "pattern": {"Regex": REGEX["llama3"]},
    "behavior": "Isolated",
    "invert": False,
}
DIGITS = {"type": "Digits", "individual_digits": True}


def led_words(cut, use_regex=False):
    """`add_prefix_space` behind something that cuts: all of its parts get a blank."""
    steps = [cut, byte_level(True, use_regex=use_regex)]
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}


@pytest.mark.parametrize(
    ("text", "ids", "added", "changes"),
    [
        ("the  <a> a", [257, 261, 220, 64], token(261, "<a>", lstrip=True), {}),
        ("the  <a> a", [257, 260, 261, 64], token(261, "<a>", rstrip=True), {}),
        ("x<a> <a>", [87, 27, 64, 29, 220, 261], token(261, "<a>", single_word=True), {}),
        ("e\u0301!", [261], token(261, "é!", normalized=True), {"normalizer": NFC}),
        ("e\u0301!", [127, 102, 0], token(261, "é!"), {"normalizer": NFC}),
        ("a    the", [64, 261, 258], token(261, "   ", special=False), {}),
        ("<a>the", [261, 258], token(261, "<a>"), {"pre_tokenizer": byte_level(prefix=True)}),
        ("the", [258], token(261, "<a>"), {"pre_tokenizer": byte_level(prefix=True)}),
        ("", [], token(261, "<a>"), {"pre_tokenizer": byte_level(prefix=True)}),
        ("the,the the", [258, 220, 11, 257, 258], token(261, "<a>"), led_words(LLAMA)),
        ("the1the", [258, 220, 16, 258], token(261, "<a>"), led_words(DIGITS, use_regex=True)),
        ("the", [3, 257, 4, 5], token(261, "<a>"), {"post_processor": template((3,), (4, 5))}),
    ],
)
def test_options_that_change_ids_are_honoured_and_saved(text, ids, added, changes, tmp_path):
    tokenizer = load(write(specimens.bpe([added], **changes), tmp_path))
    tokenizer.save(tmp_path / "again.json")
    for each in (tokenizer, load(tmp_path / "again.json")):
        assert each.encode(text, allowed_special="all") == ids
        stream = StreamEncoder(each, "all")
        assert [i for c in text for i in stream.feed(c)] + stream.finish() == ids


def test_added_tokens_that_are_not_special_are_text(tmp_path):
    added = [token(261, "   ", special=False), token(262, "<a>")]
    tokenizer = load(write(specimens.bpe(added), tmp_path))
    assert tokenizer.special == {"<a>": 262}
    assert tokenizer.encode("a   b") == tokenizer.encode_ordinary("a   b") == [64, 261, 65]
    assert tokenizer.byte_lengths[[261, 262]].tolist() == [3, 0]
    assert tokenizer.decode([64, 262, 261], skip_special_tokens=True) == "a   "


def test_a_normalized_text_cannot_forge_a_special_token(tmp_path):
    added = [token(261, "é!", normalized=True)]
    tokenizer = load(write(specimens.bpe(added, normalizer=NFC), tmp_path))
    with pytest.raises(InputError, match="text holds the special token 'é!' at character 1"):
        tokenizer.encode("xe\u0301!")
    assert 261 not in tokenizer.encode("xe\u0301!", disallowed_special=())


def test_a_frame_is_put_around_a_text_and_not_around_its_parts(tmp_path):
    content = specimens.bpe([token(261, "<a>")], post_processor=template((261,), (261,)))
    tokenizer = load(write(content, tmp_path))
    assert tokenizer.frame == ((261,), (261,))
    assert tokenizer.encode("the") == [261, 257, 261]
    assert tokenizer.encode("the", add_special_tokens=False) == [257]
    assert tokenizer.encode_ordinary("the") == [257]
    assert tokenizer.encode_batch(["the", ""]) == [[261, 257, 261], [261, 261]]
    stream = StreamEncoder(tokenizer, add_special_tokens=False)
    assert stream.feed("the") + stream.finish() == [257]


FULL = [bytes([b]) for b in range(256)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ByteTokenizer({"<s>": 97}), "'<s>' the id 97, which is the ordinary token b'a'"),
        (lambda: ByteTokenizer({"a": 97}), "'a' the id 97, which is the ordinary token b'a'"),
        (lambda: CharTokenizer("ab", {"<s>": 1}), "the id 1, which is the ordinary token b'b'"),
        (lambda: ByteTokenizer({"<s>": 256, "</s>": 256}), "'<s>' and '</s>' the id 256; each"),
        (lambda: BPE([*FULL, b"ab"], [(97, 98, 256)], special={"<s>": 256}), "token b'ab'"),
        (lambda: BPE([*FULL, b"ab"], [(97, 98, 256)], special={"ab": 256}), "part in a merge"),
        (lambda: BPE(FULL, [], special={"a": 97}), "'a' the id 97, which is the ordinary"),
        (lambda: BPE.from_ranks({b"a": 1, b"b": 1}), r"the id 1 to b'a' and to b'b'; each must"),
        (lambda: BPE([*FULL, None], [], added=[AddedToken("", 256)]), "an empty text"),
        (lambda: BPE([*FULL, None], [], special={"\ud800": 256}), "that UTF-8 can represent"),
        (lambda: ByteTokenizer({"\ud800": 256}), "that UTF-8 can represent"),
    ],
)
def test_an_id_is_that_of_one_token(make, words):
    with pytest.raises(InputError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (specimens.bpe([token(5, "<a>")]), "'<a>' the id 5; by .* must be 261"),
        (specimens.bpe([token(300, "<a>")]), "'<a>' the id 300; by .* must be 261"),
        (specimens.bpe([token(261, "<a>"), token(261, "<b>")]), "'<b>' the id 261; by .* be 262"),
        (specimens.bpe([token(257, "the")]), "the id 257, which takes part in a merge"),
        (specimens.bpe([token(257, "the", special=False)]), "which takes part in a merge"),
        (specimens.bpe([token(0, "!", special=False)]), "the id 0, which is the ordinary token"),
        (specimens.bpe([token(261, "<a>"), token(261, "<a>")]), "'<a>' the id 261; by|twice"),
        (specimens.bpe([], {"Ġx": 64}), "the id 64 to 'a' and to 'Ġx'; each must"),
        (specimens.bpe([token(261, "<a>")], {"Ġx": 261}), "'<a>' the id 261; by .* must be 262"),
    ],
)
def test_a_file_that_gives_an_id_twice_is_refused(content, words, tmp_path):
    with pytest.raises(InputError, match=words) as error:
        load(write(content, tmp_path))
    assert "\n" not in str(error.value)


CUT = {"type": "Split", "pattern": {"Regex": r"\d"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [CUT, byte_level(True, use_regex=False)],
                }
            },
            "cuts words in an unknown way",
        ),
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [
                        {"type": "Digits", "individual_digits": False},
                        byte_level(),
                    ],
                }
            },
            "cuts words in an unknown way",
        ),
        ({"post_processor": {"type": "Surprise"}}, "has the post-processor 'Surprise'"),
        (
            {"post_processor": template((), ()) | {"single": []}},
            "a template with 0 places for the text",
        ),
        ({"post_processor": template((999,), ())}, "ids holds 999 at position 0"),
        ({"decoder": {"type": "Metaspace"}}, "has the decoder 'Metaspace'"),
        ({"truncation": {"max_length": 9}}, "sets truncation"),
        ({"padding": {"strategy": {"Fixed": 9}}}, "sets padding to {'Fixed': 9}"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": []}},
            "has the normalizer 'Sequence'",
        ),
    ],
)
def test_options_that_are_not_honoured_are_refused_by_name(changes, words, tmp_path):
    with pytest.raises(InputError, match=words) as error:
        load(write(specimens.bpe(**changes), tmp_path))
    assert "\n" not in str(error.value)


def test_tokens_that_normalizing_makes_one_are_refused(tmp_path):
    count = len(specimens.bert()["model"]["vocab"])
    for first, second, words in (
        (True, True, "'<a>' and '<A>' are both '<a>' once normalized"),
        (True, False, None),
    ):
        added = [token(count, "<a>", normalized=first), token(count + 1, "<A>", normalized=second)]
        path = write(specimens.bert(added_tokens=added), tmp_path)
        if words is None:
            assert load(path).encode("<A><a>", "all") == [2, count + 1, count, 3]
        else:
            with pytest.raises(InputError, match=words):
                load(path)


def test_what_the_older_files_cannot_say_is_refused(tmp_path):
    for changes, words in (
        (dict(normalizer=NFC), "normalize is NFC"),
        (dict(pre_tokenizer=byte_level(True)), "prefix_space is True"),
        (dict(post_processor=template((3,), ())), "frame is"),
        (dict(added=[token(261, "<a>", lstrip=True)]), "added is with options"),
    ):
        tokenizer = load(write(specimens.bpe(**changes), tmp_path))
        with pytest.raises(InputError, match=words):
            save_vocab_and_merges(tokenizer, tmp_path)
        with pytest.raises(InputError, match=words):
            save_tiktoken(tokenizer, tmp_path / "ranks.tiktoken")


def test_a_special_token_spelled_like_an_ordinary_one_is_not_saved(tmp_path):
    """The name "é" of a vocabulary is the byte 0xE9; as a special token it is the letter."""
    tokenizer = BPE([*FULL, None], [], special={"é": 256})
    with pytest.raises(InputError, match="'é' is spelled like the ordinary token 233"):
        tokenizer.save(tmp_path / "tokenizer.json")
