"""`minilm serve` over real sockets: what it answers, refuses, and survives."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from serving import CONFIG, MODEL, NAME, TOKENIZER, check_idle, running

from minilm.cli import main
from minilm.inference import TextStream, generate
from minilm.tokenizers import encode_chat
from minilm.tokenizers.chat import CHATML
from minilm.train import checkpoints

TALK = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server():
    with running() as (address, engine):
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client, engine


def ask(client, path="completions", **fields):
    start = {"prompt": "hello"} if path == "completions" else {"messages": TALK}
    fields = {"model": NAME, **start, **fields}
    return client.post(f"/v1/{path}", json={k: v for k, v in fields.items() if v is not ...})


def text_alone(ids, tokens, seed, stop=(), **rules):
    """What `generate` writes after ids, as text."""
    ends = list(TOKENIZER.special.values())
    written = generate(MODEL, ids, tokens, seed=seed, stop=[*ends], **rules)
    stream = TextStream(TOKENIZER, stop)
    return "".join(stream.feed(i) for i in written if i not in ends) + stream.finish()


def events(lines):
    """The parsed data of server-sent events, and whether the stream was ended by [DONE]."""
    found = [line.removeprefix("data: ") for line in lines if line]
    done = found[-1] == "[DONE]"
    return [json.loads(line) for line in (found[:-1] if done else found)], done


def test_models(server):
    client, _ = server
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list" and [m["id"] for m in listed["data"]] == [NAME]
    assert client.get(f"/v1/models/{NAME}").json() == listed["data"][0]
    assert client.get("/health").json() == {"status": "ok"}
    missing = client.get("/v1/models/gpt-4")
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "model_not_found"


def test_a_completion_is_what_generate_writes(server):
    client, _ = server
    ids = TOKENIZER.encode("hello")
    for rules in ({"temperature": 0.0}, {"temperature": 0.8, "top_p": 0.9}, {"top_k": 5}):
        answer = ask(client, max_tokens=20, seed=7, **rules).json()
        (choice,) = answer["choices"]
        assert choice["text"] == text_alone(ids, 20, 7, **rules)
        assert choice["finish_reason"] == "length" and choice["index"] == 0
        assert answer["object"] == "text_completion" and answer["model"] == NAME
        usage = answer["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 20)
        assert usage["total_tokens"] == 25


def test_prompts_samples_and_ids(server):
    client, _ = server
    answer = ask(client, prompt=["hello", "one two"], n=2, max_tokens=6, seed=3).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["prompt_tokens"] == 12
    for i, prompt in enumerate(["hello", "one two"]):
        rows = generate(MODEL, TOKENIZER.encode(prompt), 6, seed=3, samples=2)
        for sample, ids in enumerate(rows):
            stream = TextStream(TOKENIZER)
            assert answer["choices"][2 * i + sample]["text"] == stream.feed(ids) + stream.finish()
    by_ids = ask(client, prompt=TOKENIZER.encode("hello"), max_tokens=6, seed=3).json()
    assert by_ids["choices"][0]["text"] == answer["choices"][0]["text"]
    several = ask(client, prompt=[[104, 105], [106]], max_tokens=1).json()
    assert len(several["choices"]) == 2
    # Without a seed two answers differ.
    texts = {ask(client, max_tokens=30).json()["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 3


def test_chat_reads_the_template(server):
    client, _ = server
    talk = [{"role": "developer", "content": "be brief"}, *TALK]
    answer = ask(client, "chat/completions", messages=talk, max_tokens=9, seed=2).json()
    told = [{"role": "system", "content": "be brief"}, *TALK]
    ids, _ = encode_chat(TOKENIZER, told, CHATML, reply=True)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == text_alone(ids.tolist(), 9, 2)
    assert choice["message"]["role"] == "assistant"
    assert answer["object"] == "chat.completion"
    assert answer["usage"]["prompt_tokens"] == len(ids)
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    split = [{"role": "user", "content": parts}]
    whole, again = (
        ask(client, "chat/completions", messages=m, max_completion_tokens=5, seed=1).json()
        for m in (TALK, split)
    )
    assert whole["choices"] == again["choices"]
    # Without a limit the answer goes on to the context's end.
    long = ask(client, "chat/completions", temperature=0).json()["usage"]
    assert long["total_tokens"] == CONFIG.context


def test_a_stop_text_ends_the_text_before_it(server):
    client, engine = server
    whole = ask(client, max_tokens=60, seed=11).json()["choices"][0]["text"]
    stop = whole[20:23]
    before = engine.scheduler.counts.written
    choice = ask(client, max_tokens=60, seed=11, stop=[stop, "never"]).json()["choices"][0]
    assert choice["text"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"
    assert engine.scheduler.counts.written - before < 60
    one = ask(client, max_tokens=60, seed=11, stop=stop).json()["choices"][0]
    assert one["text"] == choice["text"]


@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_a_stream_tells_the_same(server, path):
    client, _ = server
    fields = {"max_tokens": 25, "seed": 5, "n": 2}
    whole = ask(client, path, **fields).json()
    fields |= {"stream": True, "stream_options": {"include_usage": True}}
    answer = ask(client, path, **fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told, done = events(answer.text.split("\n"))
    assert done and len({chunk["id"] for chunk in told}) == 1
    texts, reasons = ["", ""], [None, None]
    for chunk in told:
        for choice in chunk["choices"]:
            i = choice["index"]
            assert reasons[i] is None  # nothing comes after a text's end
            texts[i] += (
                choice["text"] if path == "completions" else choice["delta"].get("content", "")
            )
            reasons[i] = choice["finish_reason"]
    for i, choice in enumerate(whole["choices"]):
        right = choice["text"] if path == "completions" else choice["message"]["content"]
        assert (texts[i], reasons[i]) == (right, "length")
    assert told[-1]["choices"] == [] and told[-1]["usage"]["completion_tokens"] == 50
    if path != "completions":
        assert [c["choices"][0]["delta"]["role"] for c in told[:2]] == ["assistant"] * 2


def test_log_probabilities(server):
    client, _ = server
    answer = ask(client, max_tokens=6, seed=1, logprobs=3).json()["choices"][0]
    told = answer["logprobs"]
    ids = generate(MODEL, TOKENIZER.encode("hello"), 6, seed=1)
    logits = MODEL(np.array([[*TOKENIZER.encode("hello"), *ids]])).data[0, 4:-1].astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(told["token_logprobs"], logs[np.arange(6), ids], atol=1e-4)
    assert [len(top) for top in told["top_logprobs"]] == [3] * 6
    for top, row in zip(told["top_logprobs"], logs):
        np.testing.assert_allclose(sorted(top.values()), np.sort(row)[-3:], atol=1e-4)
    assert told["text_offset"][0] == 0 and len(told["tokens"]) == 6
    chat = ask(client, "chat/completions", max_tokens=3, seed=1, logprobs=True, top_logprobs=2)
    content = chat.json()["choices"][0]["logprobs"]["content"]
    assert [len(one["top_logprobs"]) for one in content] == [2, 2, 2]
    assert all(bytes(one["bytes"]).decode("utf-8", "replace") == one["token"] for one in content)
    assert all(one["top_logprobs"][0]["logprob"] >= one["logprob"] - 1e-6 for one in content)


REFUSED = [
    ("completions", {"max_tokens": 0}, "max_tokens", "max_tokens is 0"),
    ("completions", {"max_tokens": True}, "max_tokens", "max_tokens is boolean"),
    ("completions", {"max_tokens": 3.5}, "max_tokens", "max_tokens is number"),
    ("completions", {"temperature": -1}, "temperature", "from 0 to 2"),
    ("completions", {"temperature": "hot"}, "temperature", "temperature is text"),
    ("completions", {"top_p": 0}, "top_p", "top_p is 0.0; it must be above 0 and at most 1"),
    ("completions", {"n": 17}, "n", "n is 17; it must be a whole number from 1 to 16"),
    ("completions", {"n": 16, "prompt": ["a", "b"]}, "n", "n times prompts is 32; at most 16"),
    ("completions", {"prompt": ...}, "prompt", "prompt must be"),
    ("completions", {"prompt": ""}, None, None),  # begins with what separates texts
    ("completions", {"prompt": []}, "prompt", "prompt must be"),
    ("completions", {"prompt": [1, "a"]}, "prompt", "prompt holds a list"),
    ("completions", {"prompt": [259]}, "prompt", "ids go from 0 to 258"),
    ("completions", {"prompt": [-1]}, "prompt", "ids go from 0 to 258"),
    ("completions", {"prompt": "x" * 257}, "prompt", "prompt has 257 tokens"),
    ("completions", {"prompt": "x" * 256}, "prompt", "prompt has 256 tokens; together"),
    ("completions", {"prompt": "x" * 250, "max_tokens": 7}, "prompt", "context of 256"),
    ("completions", {"prompt": "x" * 50_000}, "prompt", "has 50000 letters"),
    ("completions", {"prompt": "\ud800"}, None, None),  # half a letter is read as a mark for it
    ("completions", {"stop": ["a"] * 5}, "stop", "at most 4"),
    ("completions", {"stop": ""}, "stop", "none of them empty"),
    ("completions", {"stop": 3}, "stop", "stop must be"),
    ("completions", {"stream": "yes"}, "stream", "stream is text; it must be true or false"),
    ("completions", {"stream_options": {}}, "stream_options", "needs stream"),
    ("completions", {"logprobs": 6}, "logprobs", "logprobs is 6"),
    ("completions", {"best_of": 3}, "best_of", "best_of differs from n"),
    ("completions", {"echo": True}, "echo", "echo is given; this server does not support it"),
    ("completions", {"suffix": "end"}, "suffix", "does not support"),
    ("completions", {"logit_bias": {"5": 1}}, "logit_bias", "does not support"),
    ("completions", {"presence_penalty": 0.5}, "presence_penalty", "does not support"),
    ("completions", {"presence_penalty": False}, "presence_penalty", "does not support"),
    ("completions", {"temprature": 1}, "temprature", "temprature is not a field"),
    ("completions", {"messages": TALK}, "messages", "messages is not a field of this request"),
    ("completions", {"model": ...}, "model", "model is None"),
    ("chat/completions", {"messages": []}, "messages", "messages is list"),
    ("chat/completions", {"messages": ["hi"]}, "messages[0]", "messages[0] is a text"),
    ("chat/completions", {"messages": [{"role": "user"}]}, "messages[0]", "role and content"),
    ("chat/completions", {"messages": [{"role": "king", "content": "x"}]}, "messages", "king"),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages[0].content",
        "a part that is not text",
    ),
    (
        "chat/completions",
        {"messages": [{"role": "user", "content": "x", "name": "Ann"}]},
        "messages[0].name",
        "not supported",
    ),
    ("chat/completions", {"tools": [{"type": "function"}]}, "tools", "does not support"),
    ("chat/completions", {"response_format": {"type": "json_object"}}, "response_format", ""),
    ("chat/completions", {"top_logprobs": 2}, "top_logprobs", "it needs logprobs"),
    ("chat/completions", {"max_completion_tokens": 999}, "max_completion_tokens", "from 1 to 256"),
    ("chat/completions", {"messages": [{"role": "user", "content": "x" * 250}]}, "messages", "fit"),
]


@pytest.mark.parametrize("path, fields, param, words", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(server, path, fields, param, words):
    client, engine = server
    steps = engine.scheduler.counts.steps
    answer = ask_escaped(client, path, fields)
    if param is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error" and error["param"] == param
    assert words in error["message"]
    assert engine.scheduler.counts.steps == steps  # nothing was run for it


def ask_escaped(client, path, fields):
    """As `ask`, with letters that UTF-8 does not have written as escapes."""
    start = {"prompt": "hello"} if path == "completions" else {"messages": TALK}
    body = {"model": NAME, **start, **fields}
    content = json.dumps({k: v for k, v in body.items() if v is not ...})
    headers = {"content-type": "application/json"}
    return client.post(f"/v1/{path}", content=content.encode(), headers=headers)


def test_what_means_as_usual_is_taken(server):
    client, _ = server
    usual = {
        "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": None, "echo": False,
        "best_of": 1, "user": "ann", "temperature": None, "stop": None, "seed": -5,
        "stream": False,
    }  # fmt: skip
    assert ask(client, max_tokens=2, **usual).status_code == 200
    usual = {"response_format": {"type": "text"}, "tools": None, "metadata": {"a": "b"}}
    assert ask(client, "chat/completions", max_tokens=2, **usual).status_code == 200


@pytest.mark.parametrize(
    "content, kind, status",
    [
        (b'{"model": ', "application/json", 400),
        (b"[1, 2]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"temperature": NaN}', "application/json", 400),
        (b"[" * 90_000, "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b'{"prompt": "' + b"x" * 100_000 + b'"}', "application/json", 413),
    ],
)
def test_bad_bodies(server, content, kind, status):
    client, _ = server
    headers = {"content-type": kind}
    answer = client.post("/v1/completions", content=content, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_addresses_that_are_not_there(server):
    client, _ = server
    for method, path, status in (
        ("GET", "/", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/completions", 405),
        ("DELETE", "/v1/models", 405),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert path in answer.json()["error"]["message"]
    unknown = ask(client, model="gpt-4")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "model_not_found"


def test_metrics_count(server):
    client, engine = server

    def read():
        text = client.get("/metrics")
        assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = [line for line in text.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    before = read()
    ask(client, max_tokens=12)
    check_idle(engine)
    after = read()
    assert after["minilm_tokens_written_total"] - before["minilm_tokens_written_total"] == 12
    assert after["minilm_pages_used"] == after["minilm_texts_running"] == 0
    assert after["minilm_texts_waiting"] == 0
    ok = 'minilm_answers_total{status="200"}'
    assert after[ok] - before[ok] == 2  # that, and the reading before
    for name, more in (("first_token", 1), ("between_tokens", 11)):
        name = f"minilm_{name}_seconds"
        assert after[f"{name}_count"] - before[f"{name}_count"] == more
        assert after[f'{name}_bucket{{le="+Inf"}}'] == after[f"{name}_count"]


def test_a_model_that_does_not_chat():
    with running(form=None) as (address, _), httpx.Client(base_url=address) as client:
        answer = ask(client, "chat/completions")
        assert answer.status_code == 400
        assert "was not taught to chat" in answer.json()["error"]["message"]


def test_two_hundred_clients_at_once():
    """All are served, each with its own text, in more turns than the batch holds."""
    many = 200

    async def all_of_them(address):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:

            async def one(i):
                fields = {"model": NAME, "prompt": f"number {i}", "max_tokens": 8, "seed": i}
                if i % 2:
                    return (await client.post("/v1/completions", json=fields)).json()
                answer = await client.post("/v1/completions", json=fields | {"stream": True})
                told, done = events(answer.text.split("\n"))
                assert done
                text = "".join(c["text"] for chunk in told for c in chunk["choices"])
                return {"choices": [{"text": text}]}

            return await asyncio.gather(*map(one, range(many)))

    with running(pages=60) as (address, engine):
        answers = asyncio.run(all_of_them(address))
        check_idle(engine)
        assert engine.scheduler.counts.finished == many
    for i in range(0, many, 7):
        right = text_alone(TOKENIZER.encode(f"number {i}"), 8, i)
        assert answers[i]["choices"][0]["text"] == right


def test_more_than_the_queue_holds_is_refused():
    with running(slow=0.01, queue=2, most=2) as (address, engine):
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(httpx.Client(base_url=address, timeout=60))
            fields = {"model": NAME, "prompt": "x", "max_tokens": 200, "stream": True}
            under_way = []
            for _ in range(2):
                stream = client.stream("POST", "/v1/completions", json=fields)
                under_way.append(stack.enter_context(stream).iter_lines())
                next(under_way[-1])
            waiting = [
                stack.enter_context(contextlib.closing(post_raw(address, fields))) for _ in range(2)
            ]
            deadline = time.monotonic() + 20
            while engine._open < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            answer = ask(client)
            assert answer.status_code == 429 and answer.headers["retry-after"]
            assert answer.json()["error"]["type"] == "rate_limit_error"
            for connection in waiting:
                connection.close()
            for lines in under_way:
                assert events(list(lines))[1]  # to the end


def post_raw(address, fields):
    """A connection that has sent a request and reads nothing."""
    host, port = address.removeprefix("http://").split(":")
    body = json.dumps(fields).encode()
    connection = socket.create_connection((host, int(port)))
    head = (
        f"POST /v1/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up(stream):
    """Its text is given up, and another one's goes on as if nothing had happened."""
    with running(slow=0.005) as (address, engine), httpx.Client(base_url=address) as client:
        fields = {"model": NAME, "prompt": "y", "max_tokens": 40, "seed": 9, "stream": True}
        with client.stream("POST", "/v1/completions", json=fields) as other:
            lines = other.iter_lines()
            told = [next(lines)]
            leaving = post_raw(
                address, {"model": NAME, "prompt": "z", "max_tokens": 250, "stream": stream}
            )
            deadline = time.monotonic() + 20
            while len(engine.scheduler.running) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            if stream:
                leaving.recv(300)
            leaving.close()
            told += list(lines)
        found, done = events(told)
        text = "".join(c["text"] for chunk in found for c in chunk["choices"])
        assert done and text == text_alone(TOKENIZER.encode("y"), 40, 9)
        check_idle(engine)
        counts = engine.scheduler.counts
        assert (counts.cancelled, counts.finished) == (1, 1)
        assert counts.written < 40 + 250


def test_an_answer_that_takes_too_long():
    with running(slow=0.05, seconds=0.3) as (address, _), httpx.Client(base_url=address) as client:
        answer = ask(client, max_tokens=200)
        assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
        streamed = ask(client, max_tokens=200, stream=True)
        told, done = events(streamed.text.split("\n"))
        assert streamed.status_code == 200 and not done
        assert told[-1]["error"]["code"] == "timeout" and told[0]["choices"]


def test_a_broken_step_is_told_to_those_it_meets_and_to_no_others(monkeypatch):
    with running() as (address, engine), httpx.Client(base_url=address, timeout=60) as client:
        real, fail = engine.scheduler.step, [True]

        def step():
            if fail:
                fail.pop()
                raise ValueError("no luck")
            return real()

        monkeypatch.setattr(engine.scheduler, "step", step)
        answer = ask(client)
        assert answer.status_code == 500
        assert answer.json()["error"]["message"] == "ValueError: no luck"
        assert ask(client, max_tokens=3).status_code == 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("served") / NAME
    checkpoints.begin(home, MODEL.config, TOKENIZER, {"template": "chatml"})
    checkpoints.save(home, MODEL, [], {"step": 0})
    return home


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT as a terminal does")
def test_the_command_and_ctrl_c(folder):
    """A stream that is under way ends with a reason, and the program with the shell's status."""
    command = [sys.executable, "-m", "minilm", "serve", str(folder), "--port", "0"]
    signals = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **signals
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"{NAME} at http://127.0.0.1:") and "chat" in line, line
            address = line.split()[2].removesuffix("/v1:")
            with httpx.Client(base_url=address, timeout=60) as client:
                fields = {"model": NAME, "messages": TALK, "n": 16, "stream": True}
                with client.stream("POST", "/v1/chat/completions", json=fields) as answer:
                    lines = answer.iter_lines()
                    told = [next(lines)]
                    process.send_signal(signal.SIGINT)
                    told += list(lines)
            found, done = events(told)
            assert done or found[-1]["error"]["code"] == "stopping"
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err and "stopped by Ctrl-C" in err


def test_the_command_refuses(folder, capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options, words in (
            (["--port", port], f"--port is {port}, which is in use"),
            (["--port", "70000"], "--port is 70000; it must be from 0 to 65535"),
            (["--host", "no.such.host.invalid"], "--host is 'no.such.host.invalid'"),
            (["--port", "0", "--batch", "0"], "--batch is 0; it must be 1 or more"),
            (["--port", "0", "--chunk", "3"], "--chunk is 3; it must be 32 or more"),
            (["--port", "0", "--queue", "-1"], "--queue is -1; it must be 0 or more"),
            (["--port", "0", "--seconds", "0"], "--seconds is 0.0; it must be above 0"),
        ):
            assert main(["serve", str(folder), *options]) == 2
            assert words in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "nothing"), "--port", "0"]) == 2
