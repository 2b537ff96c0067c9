"""Texts that end what a model writes, wherever they lie in its tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import inference
from minilm.errors import InputError
from minilm.inference import TextStream
from minilm.models import Config, model_of
from minilm.tokenizers import ByteTokenizer, CharTokenizer, StreamDecoder
from tests.tokenizer_specimens import LETTERS

# A vocabulary of letters, of which the model writes any: texts of several letters span tokens.
TOKENIZER = CharTokenizer(LETTERS + " é")
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]


@pytest.fixture(scope="module")
def model():
    config = Config(TOKENIZER.vocab_size, context=96, layers=1, heads=2, channels=16)
    made = model_of(config, seed=0)
    for parameter in made.parameters():  # so that it writes many different letters
        parameter.data += np.random.default_rng(1).normal(0, 0.5, parameter.shape).astype("f")
    return made


def shown(ids, stop=(), step=1):
    stream = TextStream(TOKENIZER, stop)
    parts = [stream.feed(ids[k : k + step]) for k in range(0, len(ids), step)]
    return "".join(parts) + stream.finish(), stream.ended


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 5}, {"seed": 6, "top_k": 9}])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_row_ends_with_the_token_that_completes_a_stop_text(model, options, length):
    free = inference.generate(model, PROMPTS, 60, **options)
    texts = [TOKENIZER.decode(row) for row in free]
    stop = texts[1][10 : 10 + length]
    rows = inference.generate(model, PROMPTS, 60, stop=stop, tokenizer=TOKENIZER, **options)
    assert rows == inference.generate(
        model, PROMPTS, 60, stop=[stop, "qqqqqq"], tokenizer=TOKENIZER, **options
    )
    for row, line, text in zip(rows, free, texts, strict=True):
        place = text.find(stop)  # a letter is a token
        assert row == (line if place < 0 else line[: place + length])
        assert shown(line, [stop]) == ((text, False) if place < 0 else (text[:place], True))
    alone = inference.generate(model, PROMPTS[1], 60, stop=[stop], tokenizer=TOKENIZER, **options)
    if options == {"temperature": 0}:
        assert alone == rows[1]


def test_ids_and_texts_stop_together(model):
    free = inference.generate(model, PROMPTS[0], 60, seed=3)
    text = TOKENIZER.decode(free)
    for stop in ([free[20], text[30:32]], [free[30], text[20:22]]):
        got = inference.generate(model, PROMPTS[0], 60, seed=3, stop=stop, tokenizer=TOKENIZER)
        by_id = free.index(stop[0]) + 1
        by_text = text.index(stop[1]) + 2
        assert got == free[: min(by_id, by_text)]


def test_an_endless_text_stops_where_two_contexts_meet(model):
    greedy = inference.Rules(temperature=1.0)
    free = list(inference.endless(model, PROMPTS[0], 200, greedy, seed=2))
    text = TOKENIZER.decode(free)
    border = 96 - len(PROMPTS[0])  # tokens written when the context is full
    stop = text[border - 2 : border + 2]
    got = list(
        inference.endless(model, PROMPTS[0], 200, greedy, [stop], seed=2, tokenizer=TOKENIZER)
    )
    assert got == free[: text.index(stop) + 4]


def test_the_stream_of_steps_ends_with_the_row(model):
    free = inference.generate(model, PROMPTS, 40, seed=5)
    stop = TOKENIZER.decode(free[2])[7:9]
    columns = []
    rows = inference.generate(
        model, PROMPTS, 40, seed=5, stop=stop, tokenizer=TOKENIZER, stream=columns.append
    )
    for r, row in enumerate(rows):
        assert [int(c[r]) for c in columns if c[r] >= 0] == row


@given(
    st.text("ab ", max_size=30),
    st.lists(st.text("ab ", min_size=1, max_size=5), max_size=3),
    st.integers(1, 4),
)
def test_what_is_shown_is_the_text_before_the_first_stop_text(text, stop, step):
    """However the text comes in parts; a token's letters all count before the row ends."""
    ids = TOKENIZER.encode(text)
    expected, end = text, None
    for k in range(0, len(text), step):
        seen = text[: k + step]
        places = [seen.find(s) for s in stop if s in seen]
        if places:
            expected, end = text[: min(places)], k
            break
    assert shown(ids, stop, step) == (expected, end is not None)


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_half_a_character_is_no_part_of_a_stop_text(text, stop):
    text = text.encode("utf-8", "replace").decode()
    tokenizer = ByteTokenizer()
    stream, plain = TextStream(tokenizer, stop), StreamDecoder(tokenizer)
    parts = [stream.feed(number) for number in text.encode()]
    got = "".join(parts) + stream.finish()
    whole = "".join(plain.feed(number) for number in text.encode())
    places = [whole.find(s) for s in stop if s in whole]
    ends = [whole.find(s) + len(s) for s in stop if s in whole]
    assert stream.ended == bool(places)
    if len(places) == 1 or not places:
        assert got == (whole[: places[0]] if places else whole)
    else:
        assert got in [whole[:place] for place in places] and len(got) <= min(ends)


@pytest.mark.parametrize(
    ("stop", "tokenizer", "words"),
    [
        ("\n", None, r"stop holds the text '\\n' and tokenizer is None; with texts it must"),
        ([""], TOKENIZER, "stop holds an empty text"),
        ("", TOKENIZER, "stop holds an empty text"),
        ([1.5], TOKENIZER, "stop holds 1.5; it must hold ids and texts"),
        ([b"a"], TOKENIZER, "stop holds b'a'; it must hold ids and texts"),
    ],
)
def test_what_stops_nothing_is_refused_before_the_first_token(model, stop, tokenizer, words):
    with pytest.raises(InputError, match=words):
        inference.generate(model, [1], 4, stop=stop, tokenizer=tokenizer)
    with pytest.raises(InputError, match=words):
        list(inference.endless(model, [1], 4, inference.Rules(), stop, tokenizer=tokenizer))
