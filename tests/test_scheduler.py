"""Texts that are written together say what each says alone, whatever happens around them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.inference import Rules, generate
from minilm.inference.scheduler import Scheduler
from minilm.models import Config, Transformer
from minilm.tokenizers import ByteTokenizer


def model(seed=0, **fields):
    base = dict(
        vocab_size=67, context=96, layers=2, heads=4, kv_heads=2, channels=32, positions="rope",
        norm="rms", activation="swiglu", bias=False,
    )  # fmt: skip
    made = Transformer(Config(**base | fields), seed).eval()
    rng = np.random.default_rng(seed)
    for parameter in made.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return made


MODEL = model()
POST = model(1, norm_position="post")  # which the compiled step does not take
RULES = (Rules(0.0), Rules(1.0), Rules(0.8, top_k=9), Rules(1.2, top_p=0.8, repetition_penalty=1.3))


def wishes(count, seed=0):
    """(prompt, tokens, rules) of some texts, some of which begin alike."""
    rng = np.random.default_rng(seed)
    common = rng.integers(0, 67, 40)
    made = []
    for i in range(count):
        own = rng.integers(0, 67, int(rng.integers(1, 20)))
        prompt = np.concatenate([common[: int(rng.integers(0, 41))], own]) if i % 2 else own
        made.append((prompt.tolist(), int(rng.integers(1, 30)), RULES[i % len(RULES)]))
    return made


def alone(made, wish, seed):
    prompt, tokens, rules = wish
    return generate(
        made, prompt, tokens, rules.temperature, rules.top_k, rules.top_p, None,
        rules.repetition_penalty, seed=seed,
    )  # fmt: skip


WISHES = wishes(24)
TEXTS = [alone(MODEL, wish, i) for i, wish in enumerate(WISHES)]


def check_empty(scheduler):
    assert not scheduler.busy
    if scheduler.prefixes is not None:
        assert scheduler.pages.pool.used == scheduler.prefixes.held
        scheduler.prefixes.clear()
    assert scheduler.pages.pool.used == 0


@settings(max_examples=25)
@given(
    page=st.integers(1, 20),
    extra=st.integers(0, 30),
    most=st.integers(1, 30),
    chunk=st.integers(0, 60),
    share=st.booleans(),
    refill=st.booleans(),
    order=st.permutations(range(len(WISHES))),
    late=st.lists(st.integers(0, 8), min_size=24, max_size=24),
)
def test_a_text_does_not_depend_on_its_neighbours(
    page, extra, most, chunk, share, refill, order, late
):
    """Any order, arrival, batch and pool, with preemptions: the text that `generate` gives."""
    needed = -(-max(len(prompt) + tokens for prompt, tokens, _ in WISHES) // page)
    scheduler = Scheduler(
        MODEL, needed + extra, page, most, most + chunk, share=share, refill=refill
    )
    requests = {}
    for i, steps in zip(order, late):
        prompt, tokens, rules = WISHES[i]
        requests[i] = scheduler.add(prompt, tokens, rules, seed=i)
        for _ in range(steps):
            scheduler.step()
            assert len(scheduler.running) <= most
            assert sum(count for _, count in scheduler.counts.fed) <= most + chunk
    scheduler.run()
    for i, request in requests.items():
        assert request.written == TEXTS[i]
        assert request.reason == "length"
    check_empty(scheduler)


def test_models_that_the_compiled_step_does_not_take():
    scheduler = Scheduler(POST, 12, 16, 8, 16)
    some = WISHES[:6]
    requests = [scheduler.add(*wish, seed=i) for i, wish in enumerate(some)]
    scheduler.run()
    for i, (wish, request) in enumerate(zip(some, requests)):
        assert request.written == alone(POST, wish, i)


def test_8_bit_weights():
    scheduler = Scheduler(MODEL, weights="int8")
    requests = [scheduler.add(prompt, 20, seed=i) for i, (prompt, _, _) in enumerate(WISHES[:8])]
    scheduler.run()
    right = [generate(MODEL, p, 20, temperature=0, weights="int8") for p, _, _ in WISHES[:8]]
    same = [request.written[:5] == text[:5] for request, text in zip(requests, right)]
    assert sum(same) >= 6  # the prompt is read in 8 bits here, in float32 there


def test_who_came_first_goes_first():
    """Long prompts are read in chunks beside those that write, and nobody is overtaken."""
    scheduler = Scheduler(MODEL, most=4, chunk=10, share=False)
    first = scheduler.add([1], 30)
    scheduler.step()
    long = scheduler.add(list(range(60)), 3)
    third = scheduler.add([2, 3], 3)
    started, told = [], []
    while scheduler.busy:
        events = scheduler.step()
        told.append([event.request.number for event in events])
        started += [e.request for e in events if len(e.request.written) == 1]
        fed = dict(scheduler.counts.fed)
        assert fed.get(first.number, 1) == 1 and sum(fed.values()) <= 10
    assert started == [long, third]
    assert all(first.number in step for step in told[:7])  # no token of it waits for the prompt
    assert scheduler.counts.read == 1 + 29 + 60 + 2 + 2 + 2


def test_the_latest_gives_way_and_the_earliest_never_does():
    scheduler = Scheduler(MODEL, pages=6, page=8, most=4, chunk=32, share=False)
    requests = [scheduler.add([i] * 10, 30, seed=i) for i in range(3)]
    lengths = []
    while scheduler.busy:
        scheduler.step()
        lengths.append(len(requests[0].written))
    assert lengths[:30] == list(range(1, 31))  # a token in every step
    assert scheduler.counts.preempted > 0
    for i, request in enumerate(requests):
        assert request.written == generate(MODEL, [i] * 10, 30, temperature=0)
    check_empty(scheduler)


def test_turns_of_a_conversation_read_only_what_is_new():
    """Lesson 3's (T + 1) / 2: without sharing, turn t reads t exchanges; with it, one."""
    turns, new, page = 10, 4, 4
    read = {}
    for share in (True, False):
        scheduler = Scheduler(MODEL, share=share, page=page)
        text = []
        for turn in range(turns):
            text = text + [turn % 67] * new
            request = scheduler.add(text, new)
            scheduler.run()
            text = text + request.written
            assert request.written == generate(
                MODEL, request.ids[: request.prompt], new, temperature=0
            )
        read[share] = scheduler.counts.read - turns * (new - 1)  # of prompts
        check_empty(scheduler)
    assert read[False] == new * turns**2  # new (1 + 3 + 5 + ...)
    # A turn's message, and the last token of the answer before it, which nobody had to read.
    assert read[True] == new * turns + turns - 1


def test_samples_share_the_prompt_and_copy_what_they_write():
    scheduler = Scheduler(MODEL, page=8, share=False)
    prompt = list(range(20))
    elder = scheduler.add(prompt, 10, RULES[1], seed=4)
    others = [
        scheduler.add(prompt, 10, RULES[1], seed=4, sample=i, elder=elder) for i in range(1, 4)
    ]
    scheduler.step()
    assert [r.number for r in scheduler.running] == [0]
    scheduler.step()
    assert scheduler.pages.pool.used == 2 + 4  # two whole pages for all, the third copied
    assert scheduler.counts.shared == 3 * 19
    scheduler.run()
    right = generate(MODEL, prompt, 10, seed=4, samples=4)
    assert [r.written for r in (elder, *others)] == right
    check_empty(scheduler)


@settings(max_examples=20)
@given(data=st.data())
def test_cancelling_disturbs_nobody_and_frees_every_page(data):
    pages = data.draw(st.integers(7, 40))
    scheduler = Scheduler(MODEL, pages, 12, 8, 20, share=data.draw(st.booleans()))
    requests = [scheduler.add(*wish, seed=i) for i, wish in enumerate(WISHES)]
    gone = set()
    while scheduler.busy:
        scheduler.step()
        which = data.draw(st.integers(0, 3 * len(requests)))
        if which < len(requests) and requests[which].reason is None:
            scheduler.cancel(requests[which])
            gone.add(which)
    for i, request in enumerate(requests):
        assert request.reason == ("cancelled" if i in gone else "length")
        assert request.written == TEXTS[i][: len(request.written)]
        scheduler.cancel(request)  # of what has ended: nothing
    assert scheduler.counts.cancelled == len(gone)
    check_empty(scheduler)


def test_stops_and_log_probabilities():
    tokenizer = ByteTokenizer()
    made = model(2, vocab_size=256)
    scheduler = Scheduler(made, tokenizer=tokenizer)
    whole = generate(made, [65], 40, temperature=0)
    by_id = scheduler.add([65], 40, stop=[whole[6]])
    told = scheduler.add([65], 4, RULES[1], seed=3, logprobs=2)
    events = []
    while scheduler.busy:
        events += [event for event in scheduler.step() if event.request is told]
    assert by_id.written == whole[: whole.index(whole[6]) + 1] and by_id.reason == "stop"
    logits = made(np.array([told.ids])).data[0].astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for i, event in enumerate(events):
        assert event.token == told.written[i]
        assert abs(event.logprob - logs[i, event.token]) < 1e-4
        likeliest = np.argsort(-logs[i])[:2]
        assert [token for token, _ in event.likeliest] == likeliest.tolist()
        np.testing.assert_allclose(
            [value for _, value in event.likeliest], logs[i, likeliest], atol=1e-4
        )
    assert [event.reason for event in events] == [None, None, None, "length"]


def test_static_batches_wait_for_their_longest():
    steps = {}
    for refill in (True, False):
        scheduler = Scheduler(MODEL, most=4, share=False, refill=refill)
        for i in range(16):
            scheduler.add([i], 40 if i % 4 == 0 else 4)
        scheduler.run()
        steps[refill] = scheduler.counts.steps
    assert steps == {True: 64, False: 160}  # 176 tokens on 4 rows are 44, and a tail of one row


def test_refusals():
    scheduler = Scheduler(MODEL, pages=3, page=8, most=2, chunk=4)
    for wrong, words in (
        (dict(ids=[1], tokens=0), "tokens is 0; it must be 1 or more"),
        (dict(ids=[1] * 90, tokens=7), "the model's context of 96"),
        (dict(ids=[1] * 20, tokens=5), "fit into 3 pages of 8"),
        (dict(ids=[], tokens=5), "ids is empty"),
        (dict(ids=[67], tokens=5), "ids holds 67"),
        (dict(ids=[[1], [2]], tokens=5), "several prompts"),
        (dict(ids=[1], tokens=5, logprobs=68), "logprobs is 68"),
        (dict(ids=[1], tokens=5, stop="x"), "tokenizer is None"),
    ):
        with pytest.raises(InputError, match=words):
            scheduler.add(**wrong)
    assert not scheduler.busy and scheduler.step() == []
    with pytest.raises(InputError, match="chunk is 1; it must be 2 or more"):
        Scheduler(MODEL, most=2, chunk=1)
    with pytest.raises(InputError, match="prefix-lm"):
        Scheduler(model(0, kind="prefix-lm"))
