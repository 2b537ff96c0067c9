"""Tokenizers: the rungs of the ladder agree, nothing is lost, and bad input is refused."""

import copy
import pickle
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import backend
from minilm.errors import InputError
from minilm.tokenizers import (
    BPE,
    CHATML,
    LLAMA3,
    ByteTokenizer,
    CharTokenizer,
    StreamDecoder,
    StreamEncoder,
    bpe_basic,
    bpe_regex,
    encode_chat,
    fim_permute,
    fim_prompt,
    fim_restore,
    infill,
    pretokenize,
    render_chat,
    train_bpe,
)
from minilm.tokenizers.unicode_classes import class_table

END = "<|endoftext|>"
# Letters, digits, signs, blanks and contractions crowd the borders of words.
TRICKY = st.text(st.sampled_from(list("aabZz019  \n\n\r\t'''srevLlDmt.,!é中ſ½\u00a0\u2003😀\x0b")))
TEXT = st.one_of(st.text(), TRICKY)
PATTERNS = list(pretokenize.PATTERNS)
PROSE = (
    "The quick brown fox's dog didn't jump over 12345 lazy dogs.\n\n    def f(x):\n\treturn x\n"
    "Ein schöner Tag, 世界 and кошка; it'll be fine!  THE DOG'S 1999.\r\n"
) * 8


@pytest.fixture(scope="module")
def trained() -> dict[str, BPE]:
    return {p: train_bpe(PROSE, 340, p, special=[END]) for p in PATTERNS}


# The ladder


@given(TEXT, st.sampled_from(PATTERNS))
def test_words_join_to_the_text(text, pattern):
    assert "".join(pretokenize.split(text, pattern)) == text


def test_words_of_known_texts():
    # tiktoken's splits of these texts, from its published patterns.
    text = "Hello  world's 12345 (ok).\n\n  x"
    assert pretokenize.split(text, "gpt2") == [
        "Hello", " ", " world", "'s", " 12345", " (", "ok", ").", "\n\n ", " x",
    ]  # fmt: skip
    assert pretokenize.split(text, "gpt4") == [
        "Hello", " ", " world", "'s", " ", "123", "45", " (", "ok", ").\n\n", " ", " x",
    ]  # fmt: skip
    assert pretokenize.split("a\n  ", "gpt4") == ["a", "\n  "]
    assert pretokenize.split("a\n  ", "llama3") == ["a", "\n", "  "]
    assert pretokenize.split("42", "qwen2") == ["4", "2"]


@given(st.text("ab", max_size=60), st.integers(0, 12))
def test_the_three_trainers_find_the_same_merges(text, merges):
    """A text of one word is all the simplest trainer can be compared on."""
    pairs = bpe_regex.train(text, merges)
    assert pairs == bpe_basic.train(bpe_regex.word_ids(text), merges)
    if text:
        fast = train_bpe(text, 256 + len(pairs))
        assert [(a, b) for a, b, _ in fast.merges.tolist()] == pairs
        ids = bpe_regex.word_ids(text)
        assert bpe_basic.encode(ids, pairs) == bpe_regex.encode(text, pairs) == fast.encode(text)


@settings(max_examples=60)
@given(st.lists(TEXT.filter(bool), min_size=1, max_size=6), st.sampled_from(PATTERNS))
def test_the_fast_trainer_equals_the_readable_one(texts, pattern):
    text = ((END.join(texts) + " ") * 3).replace("\0", " ").encode("utf-8", "replace").decode()
    pairs = bpe_regex.train(text, 40, pattern, [END])
    fast = train_bpe(text, 257 + len(pairs), pattern, [END])
    assert [(a, b) for a, b, _ in fast.merges.tolist()] == pairs
    assert len(set(fast.tokens)) == len(fast.tokens)


@given(TEXT, st.sampled_from(PATTERNS))
def test_the_fast_encoder_equals_the_readable_one(trained, text, pattern):
    bpe = trained[pattern]
    clean = text.encode("utf-8", "replace").decode()
    pairs = [(a, b) for a, b, _ in bpe.merges.tolist()]
    for piece in (clean, clean * 9, PROSE[:200] + clean + PROSE[:200]):
        assert bpe.encode_ordinary(piece) == bpe_regex.encode(piece, pairs, pattern)
        assert bpe.decode(bpe.encode_ordinary(piece)) == piece


def test_long_runs_are_cut_like_short_ones(trained):
    """Runs longer than the 64-byte blocks of the scanner, and than the short-word merger."""
    draw = random.Random(0)
    for pattern, bpe in trained.items():
        pairs = [(a, b) for a, b, _ in bpe.merges.tolist()]
        for _ in range(40):
            runs = [draw.choice("aZ1 \n\t.'é\u00a0") * draw.choice([1, 2, 63, 64, 190, 300])]
            text = "".join(runs + [draw.choice("ab 1\n.'\u00a0") for _ in range(300)] + runs[::-1])
            assert bpe.encode(text) == bpe_regex.encode(text, pairs, pattern)


def test_long_white_space_up_to_a_newline_behind_a_wide_blank(trained):
    text = "x" * 200 + "\n" + " " * 300 + "\u00a0\n" + " " * 300 + "y" * 300
    for pattern, bpe in trained.items():
        pairs = [(a, b) for a, b, _ in bpe.merges.tolist()]
        assert bpe.encode(text) == bpe_regex.encode(text, pairs, pattern)


# The fast encoder's cache and threads


def test_cache_and_threads_change_nothing():
    """Texts larger than a thread's share, more different words than the cache holds."""
    draw = np.random.default_rng(0)
    letters = draw.integers(97, 123, (150_000, 9)).astype(np.uint8)
    rare = b" ".join(row.tobytes()[: 3 + i % 7] for i, row in enumerate(letters)).decode()
    wide = " ".join("w" * 20 + str(i % 5000) for i in range(30_000))
    text = rare + PROSE * 500 + wide
    cached = train_bpe(PROSE, 340)
    plain = BPE(cached.tokens, cached.merges, cached.pattern, cache=False)
    before = backend.threads()
    try:
        backend.set_threads(1)
        expected = plain.encode_array(text)
        for threads in (1, 2, 3):
            backend.set_threads(threads)
            np.testing.assert_array_equal(cached.encode_array(text), expected)
            np.testing.assert_array_equal(cached.encode_array(text), expected)
    finally:
        backend.set_threads(before)
    assert cached.decode(expected) == text


@pytest.mark.parametrize("between", [" ", "7"])
def test_words_that_never_come_again_leave_the_cache_alone(between):
    """A digit between them is a word of one byte, which needs no cache: it is not a hit either."""
    draw = np.random.default_rng(0)
    letters = draw.integers(97, 123, (30_000, 6)).astype(np.uint8)
    text = between.join(row.tobytes().decode() for row in letters)
    encoder = train_bpe(PROSE, 300)._encoder
    encoder.encode(text)
    rows, _ = encoder._local.cache
    assert 1000 <= np.count_nonzero(rows[:, 2]) <= 30_000 // 8  # a few trials, no more
    encoder = train_bpe(PROSE, 300)._encoder
    encoder.encode(PROSE * 200)  # words that do come again go on being kept
    encoder.encode(" novelty")
    rows, _ = encoder._local.cache
    assert np.isin(np.frombuffer(b" novelty", np.uint64), rows[:, 0]).all()


@pytest.mark.parametrize("hit, miss", [("a", 20), ("a", 6), ("ab", 17), ("a b c d", 40)])
def test_short_words_that_repeat_do_not_pay_for_long_ones_that_do_not(hit, miss):
    """However many of the words are hits: what they save is less than what the others cost."""
    from minilm.tokenizers import fast_encode

    draw = np.random.default_rng(0)
    letters = draw.integers(97, 123, (30_000, miss)).astype(np.uint8)
    words = [row.tobytes().decode() for row in letters]
    encoder = train_bpe(PROSE, 300)._encoder
    for k in range(0, len(words), 5_000):  # each a text for one thread
        encoder.encode(f" {hit} ".join(words[k : k + 5_000]))
    rows, _ = encoder._local.cache
    assert encoder._local.state[fast_encode._OFF_NEXT] >= 3  # turned off again and again
    assert np.count_nonzero(rows[:, 2]) <= 30_000 // 8
    encoder = train_bpe(PROSE, 300)._encoder  # the same words pay once they repeat themselves
    encoder.encode(f" {hit} ".join(words[:100] * 30))
    state = encoder._local.state
    assert state[fast_encode._OFF_NEXT] == 0 and state[fast_encode._BALANCE] > 0


@pytest.mark.parametrize("length", [5, 30])
def test_a_full_cache_gives_up_rows_and_stays_right(length, monkeypatch):
    from minilm.tokenizers import fast_encode

    monkeypatch.setattr(fast_encode, "_CACHE_ROWS", 64)
    bpe = train_bpe(PROSE, 300)
    plain = BPE(bpe.tokens, bpe.merges, bpe.pattern, cache=False)
    draw = np.random.default_rng(0)
    words = ["".join(map(chr, row)) for row in draw.integers(97, 123, (500, length))]
    text = (" the dog" * 2 * length + " ").join(words)  # mostly hits, so the cache stays on
    np.testing.assert_array_equal(bpe.encode_array(text), plain.encode_array(text))
    rows, store = bpe._encoder._local.cache
    state = bpe._encoder._local.state
    assert len(rows) == 64 and state[fast_encode._OFF_NEXT] == 0
    assert state[fast_encode._USED] <= store.size
    last = np.frombuffer((" " + words[-1]).encode().ljust(8, b"\0")[:8], np.uint64)
    if length == 5:  # the newest word has a row, although the cache was full long before
        assert last in rows[:, 0]


def test_words_of_one_hash_are_told_apart(monkeypatch):
    """With a hash that says the same of every long word, only their bytes tell them apart."""
    bpe = train_bpe(PROSE, 300)
    from minilm.tokenizers import fast_encode

    plain = BPE(bpe.tokens, bpe.merges, bpe.pattern, cache=False)
    words = [f" {'a' * 20}{'b' * i}" for i in range(20)]
    text = "".join(words * 20)
    encoder = bpe._encoder
    encoder.encode(text)
    rows, _ = encoder._local.cache
    long = np.flatnonzero((rows[:, 2] & np.uint64(255)) == 21)
    other = np.flatnonzero((rows[:, 2] & np.uint64(255)) == 22)
    assert long.size == 1 and other.size == 1
    # Forge a clash: the row of one word claims the key and length of another.
    rows[long[0], 2] = (rows[long[0], 2] & ~np.uint64(255)) | np.uint64(22)
    rows[long[0], :2] = rows[other[0], :2]
    rows[other[0]] = 0
    mask = np.uint64(len(rows) - 1)
    slot = fast_encode.spread(rows[long[0], 0], rows[long[0], 1]) & mask
    rows[slot] = rows[long[0]]
    assert encoder.encode(text).tolist() == plain.encode(text)


def test_threads_may_share_a_tokenizer(trained):
    bpe, results = trained["gpt4"], []
    text = PROSE * 50
    workers = [threading.Thread(target=lambda: results.append(bpe.encode(text))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4 and all(r == bpe.encode(text) for r in results)


def test_copies_and_pickles_encode_alike(trained):
    bpe = trained["gpt2"]
    ids = bpe.encode(PROSE)
    assert copy.deepcopy(bpe).encode(PROSE) == ids
    assert pickle.loads(pickle.dumps(bpe)).encode(PROSE) == ids


# Every tokenizer


def everyone(trained) -> list:
    return [ByteTokenizer([END]), CharTokenizer.train(PROSE, special=[END]), trained["gpt4"]]


@given(st.text())
def test_bytes_round_trip(text):
    clean = text.encode("utf-8", "replace").decode()
    tokenizer = ByteTokenizer()
    assert tokenizer.encode(clean) == list(clean.encode())
    assert tokenizer.decode(tokenizer.encode(clean)) == clean


@given(st.text(min_size=1))
def test_characters_round_trip(text):
    clean = text.replace("\0", "x").encode("utf-8", "replace").decode()
    tokenizer = CharTokenizer.train(clean)
    assert tokenizer.decode(tokenizer.encode(clean)) == clean
    assert tokenizer.vocab_size == len(set(clean))


def test_every_code_point_round_trips(trained):
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    for bpe in trained.values():
        assert bpe.decode(bpe.encode_array(text)) == text


def test_lone_surrogates_become_the_replacement_character(trained):
    for tokenizer in (ByteTokenizer(), trained["gpt4"]):
        assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
        assert tokenizer.decode(tokenizer.encode("\ud83d\ude00")) == "😀"


def test_special_tokens_are_refused_allowed_or_ordinary(trained):
    for tokenizer in everyone(trained):
        number = tokenizer.special[END]
        text = "The dog" + END + "THE"
        with pytest.raises(InputError, match=r"special token '<\|endoftext\|>' at character 7"):
            tokenizer.encode(text)
        allowed = tokenizer.encode(text, allowed_special="all")
        assert allowed == tokenizer.encode("The dog") + [number] + tokenizer.encode("THE")
        assert allowed == tokenizer.encode(text, allowed_special={END})
        assert tokenizer.decode(allowed) == text
        with pytest.raises(InputError, match="allowed_special names 'x'"):
            tokenizer.encode(text, allowed_special={"x"})
    for tokenizer in (ByteTokenizer([END]), trained["gpt4"]):
        ordinary = tokenizer.encode("a" + END, disallowed_special=())
        assert tokenizer.special[END] not in ordinary and tokenizer.decode(ordinary) == "a" + END
        assert ordinary == tokenizer.encode_ordinary("a" + END)


def test_the_longer_of_two_special_tokens_wins():
    tokenizer = ByteTokenizer(["<a>", "<a>b"])
    assert tokenizer.encode("<a>b<a>", allowed_special="all") == [257, 256]


def test_byte_lengths_count_the_text(trained):
    for tokenizer in everyone(trained):
        ids = tokenizer.encode_array(PROSE)
        assert int(tokenizer.byte_lengths[ids].sum()) == len(PROSE.encode())
        assert tokenizer.byte_lengths[tokenizer.special[END]] == 0
        assert ids.dtype == np.int32


def test_empty_text_has_no_ids(trained):
    for tokenizer in everyone(trained):
        assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_ids_out_of_range_are_refused(trained):
    bpe = trained["gpt4"]
    with pytest.raises(InputError, match="ids holds 340 at position 1; .* are 0 to 339"):
        bpe.decode([3, 340])
    with pytest.raises(InputError, match="ids holds -1 at position 0"):
        bpe.decode([-1])
    with pytest.raises(InputError, match="must be one row of whole numbers"):
        bpe.decode([1.5])
    with pytest.raises(InputError, match="ids holds 300, which this vocabulary leaves unused"):
        ByteTokenizer({"<s>": 301}).decode([300])


def test_bad_training_input_is_one_sentence():
    for train in (CharTokenizer.train, lambda text: train_bpe(text, 300)):
        with pytest.raises(InputError, match="text is empty"):
            train("")
        with pytest.raises(InputError, match="text is binary .a NUL at character 2"):
            train("ab\0c")
        with pytest.raises(InputError, match="text is of type bytes; it must be a string"):
            train(b"abc")
    # "aaaa" is one word: aa, then aaaa, is all that can be joined.
    with pytest.raises(InputError, match="vocab_size is 300; this text allows at most 258"):
        train_bpe("aaaa", 300)
    assert train_bpe("aaaa", 258).encode("aaaa") == [257]
    with pytest.raises(InputError, match="vocab_size is 256; it must be a whole number from 257"):
        train_bpe("aaaa", 256, special=[END])
    with pytest.raises(InputError, match="pattern is 'gpt5'; allowed are gpt2"):
        train_bpe("aaaa", 258, "gpt5")
    with pytest.raises(InputError, match="different characters, so with 0 special .* must be 2"):
        CharTokenizer.train("abab", vocab_size=5)
    with pytest.raises(InputError, match="text holds 'c' at character 1"):
        CharTokenizer("ab").encode("ac")
    with pytest.raises(InputError, match="special names 'a' twice; it must name each"):
        ByteTokenizer(["a", "a"])
    with pytest.raises(InputError, match="tokens lacks 255 single bytes"):
        BPE([b"a"], [])


def test_the_class_table_does_not_depend_on_python():
    table = class_table()
    assert np.bincount(table).tolist() == [1_114_112 - 141_028 - 1_911 - 25, 141_028, 1_911, 25]


# Streams


@settings(max_examples=150)
@given(st.lists(TEXT, max_size=12), st.sampled_from(PATTERNS), st.booleans())
def test_a_stream_of_chunks_gives_the_ids_of_the_whole(trained, chunks, pattern, specials):
    bpe = trained[pattern]
    if specials:  # cut inside a special token, and leave half of one
        chunks = [c for chunk in chunks for c in (chunk, END[:5], END[5:], END[:3])]
    allowed = "all" if specials else ()
    stream = StreamEncoder(bpe, allowed)
    ids = [i for chunk in chunks for i in stream.feed(chunk)] + stream.finish()
    whole = "".join(chunks)
    assert ids == bpe.encode(whole, allowed_special=allowed, disallowed_special=())


@settings(max_examples=400)
@given(st.text(st.sampled_from("a' \n1.lv"), max_size=40), st.sampled_from(PATTERNS))
def test_a_stream_of_single_characters(trained, text, pattern):
    stream = StreamEncoder(trained[pattern])
    ids = [i for c in text for i in stream.feed(c)] + stream.finish()
    assert ids == trained[pattern].encode(text)


def test_a_stream_does_not_wait_for_its_end(trained):
    stream = StreamEncoder(trained["gpt4"])
    early = stream.feed(PROSE)
    assert len(early) > 0.9 * len(trained["gpt4"].encode(PROSE))


@given(st.binary(max_size=60), st.integers(1, 5))
def test_decoding_in_steps_gives_the_text_of_the_whole(content, step):
    tokenizer = ByteTokenizer()
    decoder = StreamDecoder(tokenizer)
    ids = list(content)
    parts = [decoder.feed(ids[i : i + step]) for i in range(0, len(ids), step)]
    assert "".join(parts) + decoder.finish() == tokenizer.decode(ids)


def test_half_a_character_is_never_shown():
    decoder = StreamDecoder(ByteTokenizer())
    assert [decoder.feed(b) for b in "é😀".encode()] == ["", "é", "", "", "", "😀"]
    assert decoder.finish() == ""


# Conversations and fill-in-the-middle


def test_a_conversation_and_what_the_assistant_said():
    tokenizer = ByteTokenizer(CHATML.special)
    messages = [
        {"role": "user", "content": "hi<|im_end|>"},
        {"role": "assistant", "content": "yes"},
    ]
    text = render_chat(messages)
    assert text == (
        "<|im_start|>user\nhi<|im_end|><|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n"
    )
    ids, said = encode_chat(tokenizer, messages, reply=True)
    assert tokenizer.decode(ids) == text + "<|im_start|>assistant\n"
    assert tokenizer.decode(ids[said]) == "yes<|im_end|>\n"
    # What the user typed is text: the two real ends of turns are the only such ids.
    assert int((ids == tokenizer.special["<|im_end|>"]).sum()) == 2


def test_llama_format_and_refusals():
    tokenizer = ByteTokenizer(LLAMA3.special)
    messages = [{"role": "system", "content": "Be brief."}]
    assert render_chat(messages, LLAMA3, reply=True) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    with pytest.raises(InputError, match="special token '<|im_start|>' is not in"):
        encode_chat(tokenizer, messages, CHATML)
    with pytest.raises(InputError, match=r"messages\[0\] has the role 'god'; allowed are system"):
        render_chat([{"role": "god", "content": ""}])
    with pytest.raises(
        InputError, match=r"messages\[0\] is a str; it must be a dict with the keys"
    ):
        render_chat(["hello"])


# Hypothesis draws words that stand in the source too; a document with a marker in it is refused.
_UNMARKED = st.text(max_size=30).filter(lambda d: not any(m in d for m in infill.FIM_TOKENS))


@given(_UNMARKED, st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_fill_in_the_middle_comes_back(document, seed, rate, spm_rate):
    text = fim_permute(document, np.random.default_rng(seed), rate, spm_rate)
    assert fim_restore(text) == document


def test_fill_in_the_middle_rates():
    rng = np.random.default_rng(0)
    made = [fim_permute("abcdef", rng, 0.5, 0.5) for _ in range(4000)]
    moved = [text for text in made if text != "abcdef"]
    # In SPM order the first two markers touch; PSM does that only with an empty prefix (1/7 + 1/7 -
    # 1/49 of the cuts: the smaller of two of 7 places is the first).
    touching = sum(text.startswith(infill.PREFIX + infill.SUFFIX) for text in moved)
    assert abs(len(moved) - 2000) < 3 * np.sqrt(4000 / 4)
    share = 0.5 + 0.5 * 13 / 49
    assert abs(touching / len(moved) - share) < 3 * np.sqrt(share * (1 - share) / len(moved))


def test_fill_in_the_middle_prompt_and_refusals():
    tokenizer = ByteTokenizer(infill.FIM_TOKENS)
    ids = fim_prompt(tokenizer, "ab", "<fim_middle>")
    assert tokenizer.decode(ids) == "<fim_prefix>ab<fim_suffix><fim_middle><fim_middle>"
    assert int((ids == tokenizer.special["<fim_middle>"]).sum()) == 1
    with pytest.raises(InputError, match="rate is 2; it must be from 0 to 1"):
        fim_permute("a", np.random.default_rng(0), rate=2)
    with pytest.raises(InputError, match="document holds the marker '<fim_middle>'"):
        fim_permute("<fim_middle>", np.random.default_rng(0))
    with pytest.raises(InputError, match="markers in a wrong order"):
        fim_restore("<fim_middle>a<fim_prefix>b<fim_suffix>")
