"""`minilm serve` as the `openai` package speaks to it."""

import asyncio

import pytest
from serving import MODEL, NAME, TOKENIZER, check_idle, running

from minilm.inference import TextStream, generate

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.oracle

TALK = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server():
    with running() as (address, engine):
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            yield client, engine, address


def test_models_and_completions(server):
    client, _, _ = server
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).owned_by == "minilm"
    answer = client.completions.create(
        model=NAME, prompt="hello", max_tokens=12, seed=3, temperature=0.7, logprobs=2,
        extra_body={"top_k": 20},
    )  # fmt: skip
    ids = generate(MODEL, TOKENIZER.encode("hello"), 12, temperature=0.7, top_k=20, seed=3)
    stream = TextStream(TOKENIZER)
    assert answer.choices[0].text == stream.feed(ids) + stream.finish()
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12
    assert len(answer.choices[0].logprobs.token_logprobs) == 12


def test_streams_and_chat(server):
    client, _, _ = server
    how = {"model": NAME, "messages": TALK, "max_tokens": 20, "seed": 1}
    whole = client.chat.completions.create(**how, logprobs=True, top_logprobs=1)
    content = whole.choices[0].message.content
    assert len(whole.choices[0].logprobs.content) == 20
    told, usage = "", None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(**how, stream=True, stream_options=options):
        if chunk.choices:
            told += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    assert told == content and usage.completion_tokens == 20
    pieces = client.completions.create(
        model=NAME, prompt="hello", max_tokens=20, seed=1, stream=True, stop=["q"]
    )
    alone = client.completions.create(model=NAME, prompt="hello", max_tokens=20, seed=1, stop=["q"])
    assert "".join(piece.choices[0].text for piece in pieces) == alone.choices[0].text
    with client.chat.completions.stream(model=NAME, messages=TALK, max_tokens=9, seed=1) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(deltas) == content[:9]


def test_errors_have_the_clients_types(server):
    client, _, _ = server
    with pytest.raises(openai.BadRequestError, match="echo is given") as refused:
        client.completions.create(model=NAME, prompt="x", echo=True)
    assert (refused.value.param, refused.value.code) == ("echo", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model=NAME, prompt="x" * 300)
    assert refused.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError, match="gpt-4"):
        client.completions.create(model="gpt-4", prompt="x")
    with pytest.raises(openai.BadRequestError, match="tools is given"):
        tool = {"type": "function", "function": {"name": "f"}}
        client.chat.completions.create(model=NAME, messages=TALK, tools=[tool])


def test_a_stream_that_is_closed_early_gives_everything_back(server):
    client, engine, _ = server
    before = engine.scheduler.counts.cancelled
    pieces = client.completions.create(model=NAME, prompt="x", max_tokens=250, stream=True)
    next(iter(pieces))
    pieces.close()
    check_idle(engine)
    assert engine.scheduler.counts.cancelled - before in (0, 1)  # 0 where it had ended by then


def test_many_clients(server):
    _, engine, address = server

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none") as client:

            async def one(i):
                stream = await client.completions.create(
                    model=NAME, prompt=f"{i}", max_tokens=5, seed=i, stream=True
                )
                return "".join([piece.choices[0].text async for piece in stream])

            return await asyncio.gather(*map(one, range(40)))

    texts = asyncio.run(all_of_them())
    for i in (0, 17, 39):
        stream = TextStream(TOKENIZER)
        ids = generate(MODEL, TOKENIZER.encode(f"{i}"), 5, seed=i)
        assert texts[i] == stream.feed(ids) + stream.finish()
    check_idle(engine)
