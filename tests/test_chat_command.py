"""`minilm train --sft` and `minilm chat` as they are typed: what they learn, keep, and refuse."""

import inspect
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from minilm import kernels, nn
from minilm.align.talking import Talk, form_of
from minilm.cli import main
from minilm.data import python_questions
from minilm.errors import InputError
from minilm.inference import Rules
from minilm.interop.hf import save_hf
from minilm.interop.peft import load_peft
from minilm.models import Config, Transformer, grow_vocabulary
from minilm.tokenizers import ByteTokenizer
from minilm.tokenizers.chat import CHATML, PLAIN
from minilm.train import checkpoints, load
from minilm.train.watch import read_log

CONFIG = Config(
    vocab_size=257, layers=1, heads=2, channels=48, context=96, norm="rms", positions="rope",
    bias=False,
)  # fmt: skip
TALKS = [("2 + 2?", "four"), ("red and blue?", "violet"), ("who?", "a model"), ("bye", "see you")]


def chat(question: str, answer: str) -> dict:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def write(path, rows) -> str:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return str(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an untaught model, conversations, and one finished run on these."""
    folder = tmp_path_factory.mktemp("home")
    model, tokenizer = Transformer(CONFIG), ByteTokenizer(special=["<|endoftext|>"])
    checkpoints.begin(folder / "base", CONFIG, tokenizer, {})
    checkpoints.save(folder / "base", model, [], {"step": 0})
    write(folder / "chats.jsonl", [chat(*talk) for talk in TALKS] * 5)
    before = os.getcwd()
    os.chdir(folder)
    options = ["--sft", "chats.jsonl", "--from", "base", "--out", "taught", "--lr", "0.01"]
    assert main(["train", *options, "--steps", "120"]) == 0
    os.chdir(before)
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def say(monkeypatch, *lines, folder="taught", options=()) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    assert main(["chat", folder, "--temperature", "0", *options]) == 0


def test_a_model_learns_to_answer_and_is_talked_with(here, capsys, monkeypatch):
    say(monkeypatch, "2 + 2?", "/new", "", "who?", "/bye", "bye")
    assert capsys.readouterr().out == "four\na model\n"
    log = read_log(here / "taught" / "log.jsonl")
    losses = [row["loss"] for row in log if "loss" in row]
    assert len(losses) == 120 and losses[-1] < 0.1
    assert "held_out" in log[-1]
    config = checkpoints.load_config("taught")
    assert config.vocab_size == 259  # and the two markers of the format


def test_only_the_answer_is_learnt(here):
    """Where a question goes on is as unknown as before; where an answer does is known."""
    (model, tokenizer), (base, _) = load("taught"), load("base")
    form, losses = form_of("taught", tokenizer), []
    ids = tokenizer.encode("<|im_start|>user\n2 + 2?<|im_end|>\n", "all")
    for one in (model, grow_vocabulary(base, 259)):
        losses.append(one.loss(np.array([ids[6:-3]]), np.array([ids[7:-2]])).item())
    assert form is CHATML and losses[0] > losses[1] - 1.0


def test_adapters_are_trained_saved_and_merged(here, capsys, monkeypatch):
    options = ["--sft", "chats.jsonl", "--from", "base", "--out", "adapted", "--lora", "4"]
    assert main(["train", *options, "--steps", "150", "--lr", "0.03"]) == 0
    said = capsys.readouterr().out
    trained = 4 * (2 * 48 + 3 * 48 + 48 + 2 * (48 + 192)) + 2 * 48
    assert f"{trained:,} of them trained" in said
    model, tokenizer = load("adapted")
    again = Transformer(model.config)
    again.load_state_dict(load_file("adapted/begin.safetensors"))
    load_peft(again, "adapted/adapter")
    ids = np.array([tokenizer.encode("who are you?")])
    np.testing.assert_allclose(again(ids).data, model(ids).data, atol=1e-5)
    begun = load_file("adapted/begin.safetensors")
    new = list(tokenizer.special.values())[1:]
    moved = np.flatnonzero((model.tokens.weight.data != begun["tokens.weight"]).any(1))
    assert moved.tolist() == new
    say(monkeypatch, "2 + 2?", folder="adapted")  # a folder like any other
    assert main(["train", "--resume", "adapted"]) == 0
    assert "has taken 150 of 150 steps" in capsys.readouterr().out


def test_adapters_over_four_bits_leave_the_rounded_weights_alone(here, capsys):
    options = ["--sft", "chats.jsonl", "--from", "base", "--out", "rounded", "--qlora", "4"]
    assert main(["train", *options, "--steps", "150", "--lr", "0.03"]) == 0
    trained = 4 * (2 * 48 + 3 * 48 + 48 + 2 * (48 + 192)) + 2 * 48
    assert f"{trained:,} of them trained" in capsys.readouterr().out
    model, tokenizer = load("rounded")  # written out: adapters and rounded weights in one
    plain = Transformer(model.config)
    plain.load_state_dict(load_file("rounded/begin.safetensors"))
    ids = np.array([tokenizer.encode("who are you?")])
    nn.quantize_maps(plain.stack, 4, 48, double=True)
    load_peft(plain, "rounded/adapter")
    np.testing.assert_allclose(plain(ids).data, model(ids).data, atol=1e-5)
    # A rank of 4 changes four directions of each map; the rest of the difference is rounding
    # (of the scales).
    begun = load_file("rounded/begin.safetensors")
    state = load_file("rounded/model.safetensors")
    name = "stack.blocks.0.feed_forward.up.weight"
    codes, scales = kernels.quantize(begun[name], 4, 48)
    rounded = kernels.dequantize(codes, scales, 4)
    sizes = np.linalg.svd(state[name] - rounded, compute_uv=False)
    assert sizes[4] < 0.02 * sizes[0] and sizes[3] > 2 * sizes[4]
    assert main(["train", "--resume", "rounded", "--steps", "155"]) == 0


def test_a_stopped_run_goes_on_where_it_stood(here, tmp_path):
    options = ["train", "--sft", "chats.jsonl", "--from", "base", "--lora", "2", "--steps", "40"]
    assert main([*options, "--out", str(tmp_path / "whole")]) == 0
    command = [sys.executable, "-m", "minilm", *options, "--out", str(tmp_path / "cut")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "cut" / "log.jsonl"
    while not (log.is_file() and log.read_text().count("\n") >= 3):
        assert process.poll() is None or log.is_file()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    if process.returncode != 0:  # a fast machine may have finished
        assert process.returncode == 130 and "minilm train --resume" in out
        assert main(["train", "--resume", str(tmp_path / "cut")]) == 0
    whole, cut = (load_file(tmp_path / n / "model.safetensors") for n in ("whole", "cut"))
    for name, array in whole.items():
        np.testing.assert_array_equal(cut[name], array)


def test_a_tokenizer_s_own_template_is_used_and_kept(here, tmp_path, capsys, monkeypatch):
    folder, tokenizer = tmp_path / "hf", ByteTokenizer(special=["</s>"])
    from minilm.models import llama

    sizes = {"vocab_size": 257, "layers": 1, "heads": 2, "kv_heads": 2, "channels": 48}
    save_hf(Transformer(llama(**sizes, context=96, ff=96)), folder)
    tokenizer.save(folder / "tokenizer.json")
    source = (
        "{% for m in messages %}{{ '<' + m.role + '>' + m.content.strip() + eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    facts = {"chat_template": source, "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    out = str(tmp_path / "out")
    options = ["--sft", "chats.jsonl", "--from", str(folder), "--out", out, "--steps", "60"]
    assert main(["train", *options, "--lr", "0.01"]) == 0
    assert "format: its own template" in capsys.readouterr().out
    assert form_of(out, load(out)[1]).source == source
    say(monkeypatch, "bye", folder=out)
    assert capsys.readouterr().out == "see you\n"


GOOD = chat("a", "b")
BAD = {
    "no json": ('{"messages": ', "line 2 of 'bad.jsonl' is not JSON"),
    "a list": ("[]", "line 2 of 'bad.jsonl' has no messages; it must be an object"),
    "none": ('{"messages": []}', "line 2 of 'bad.jsonl' has no messages"),
    "a role": (
        json.dumps({"messages": [{"role": "robot", "content": "x"}]}),
        "line 2 of 'bad.jsonl': messages[0] has the role 'robot'; allowed are",
    ),
    "no content": (
        '{"messages": [{"role": "user"}]}',
        "line 2 of 'bad.jsonl': messages[0] is a dict with the keys ['role']",
    ),
    "an empty answer": (
        json.dumps(chat("hi", " ")),
        "line 2 of 'bad.jsonl': messages[1] is an answer without text",
    ),
    "no answer": (
        json.dumps({"messages": GOOD["messages"][:1]}),
        "line 2 of 'bad.jsonl' has no message of an assistant",
    ),
    "a long question": (
        json.dumps(chat("why? " * 50, "so")),
        "line 2 of 'bad.jsonl': the first answer begins after 269 tokens; the model reads 96",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_and_nothing_is_written(name, here, capsys):
    line, sentence = BAD[name]
    (here / "bad.jsonl").write_text(json.dumps(GOOD) + "\n" + line + "\n")
    assert main(["train", "--sft", "bad.jsonl", "--from", "base", "--out", "never"]) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and not said.out
    assert not (here / "never").exists()


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--sft", "chats.jsonl"], "--from is missing"),
        (["--sft", "chats.jsonl", "--from", "nowhere"], "'nowhere' is not a folder"),
        (["--sft", "nowhere", "--from", "base"], "--sft 'nowhere' cannot be read"),
        (["--sft", "chats.jsonl", "--from", "base", "--text", "x"], "--text was given with --sft"),
        (["--sft", "chats.jsonl", "--from", "base", "--lora", "0"], "--lora is 0"),
        (["--sft", "chats.jsonl", "--from", "base", "--qlora", "0"], "--qlora is 0"),
        (
            ["--sft", "chats.jsonl", "--from", "base", "--lora", "2", "--qlora", "2"],
            "--lora and --qlora were both given",
        ),
        (["--sft", "chats.jsonl", "--from", "base", "--lr", "-1"], "--lr is -1.0"),
        (["--sft", "chats.jsonl", "--from", "base", "--template", "x"], "--template is 'x'"),
        (["--sft", "chats.jsonl", "--from", "base", "--out", "taught"], "--out is 'taught'"),
        (["--from", "base"], "--from was given without --sft"),
        (["--resume", "taught", "--lora", "2"], "--lora was given with --resume"),
        (["--resume", "taught", "--from", "base"], "--from was given with --resume"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, sentence, here, capsys):
    assert main(["train", *options]) == 2
    assert capsys.readouterr().err.startswith(f"minilm: {sentence}")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["base"], "'base' does not say how conversations are written down for its model"),
        (["nowhere"], "'nowhere' is not a folder"),
        (["taught", "--tokens", "0"], "--tokens is 0"),
        (["taught", "--seed", "-1"], "--seed is -1"),
        (["taught", "--temperature", "-1"], "--temperature is -1"),
    ],
)
def test_what_cannot_be_talked_with_is_refused(words, sentence, here, capsys):
    assert main(["chat", *words]) == 2
    assert capsys.readouterr().err.startswith(f"minilm: {sentence}")


def test_a_message_that_is_too_long_ends_nothing(here, capsys, monkeypatch):
    say(monkeypatch, "why? " * 40, "2 + 2?")
    said = capsys.readouterr()
    assert said.out == "four\n"
    assert "the message has" in said.err and "the model reads 96" in said.err


def talk(form=CHATML, **options) -> Talk:
    tokenizer = ByteTokenizer(special=form.special)
    model = Transformer(CONFIG.replace(vocab_size=tokenizer.vocab_size), seed=3)
    return Talk(model, tokenizer, form, tokens=8, rules=Rules(temperature=0), **options)


def test_the_oldest_exchange_is_forgotten_where_the_context_ends():
    one = talk(system="Be.")
    for i in range(4):
        "".join(one.answer(f"say {i}"))
    assert [m["role"] for m in one.messages] == ["system", *["user", "assistant"] * 4]
    ids = one._read({"role": "user", "content": "more"})
    text = one.tokenizer.decode(ids)
    assert len(ids) + 8 <= 96 and "Be." in text and "more" in text and "say 0" not in text
    one.forget()
    assert one.messages == [{"role": "system", "content": "Be."}]
    with pytest.raises(InputError, match="tokens is 0"):
        Talk(one.model, one.tokenizer, CHATML, tokens=0)


def test_an_answer_that_is_cut_short_is_kept_as_far_as_it_went():
    one = talk()
    pieces = one.answer("hi")
    first = next(pieces)
    pieces.close()
    assert one.messages[1] == {"role": "assistant", "content": first.strip()}


def test_a_format_without_marks_ends_at_the_end_of_the_line(monkeypatch):
    def written(*_, **__):
        yield from (np.array([byte]) for byte in b"ok\nmore")

    monkeypatch.setattr("minilm.align.talking.steps", written)
    assert "".join(talk(PLAIN).answer("hi")) == "ok"


def test_the_page_keeps_a_conversation(capsys):
    from minilm.course.show.talk import Said, talk_box

    talk_box(talk(), "hi <b>")
    said = capsys.readouterr().out
    assert said.startswith("user: hi <b>\nassistant:")
    page = Said([{"role": "user", "content": "hi <b>"}])._repr_html_()
    assert "hi &lt;b&gt;" in page and "<b>user</b>" in page


def test_a_quantized_model_is_saved_as_a_plain_one(tmp_path):
    model = Transformer(CONFIG)
    nn.quantize_maps(model.stack, 4, 16, double=True)
    checkpoints.begin(tmp_path / "q", CONFIG, ByteTokenizer(special=["<|e|>"]), {})
    checkpoints.save(tmp_path / "q", model, [], {"step": 0})
    again, _ = load(tmp_path / "q")
    ids = np.array([[1, 2, 3]])
    np.testing.assert_allclose(again(ids).data, model(ids).data, atol=1e-5)


def test_a_notebook_gets_a_line_to_type_in(monkeypatch):
    from minilm.course.show import talk as module

    boxes = []
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    monkeypatch.setattr(module, "interact", lambda fn, **controls: boxes.append((fn, controls)))
    one = talk()
    module.talk_box(one, "hi")
    ((answer, controls),) = boxes
    assert controls == {"say": "hi"}
    first, second = answer("hi"), answer("and?")
    assert len(first.messages) == 2 and len(second.messages) == 4
    assert second.messages[2]["content"] == "and?"
    assert answer(" ").messages == second.messages
    assert "the model reads 96" in answer("why? " * 40).messages[-1]["content"]
    assert len(answer("").messages) == 4


def test_questions_about_python_are_there_without_a_file():
    talks = python_questions()
    assert len(talks) > 1000 and len({q["content"] for q, _ in talks}) == len(talks)
    known = {question["content"]: answer["content"] for question, answer in talks}
    wanted = inspect.getdoc(textwrap.dedent).split("\n")[0]
    assert known["What does textwrap.dedent do?"] == wanted
    assert all(a["role"] == "assistant" and len(a["content"]) <= 100 for _, a in talks)


def test_a_model_is_taught_from_what_comes_with_python(here, tmp_path, capsys):
    out = str(tmp_path / "out")
    options = ["--sft", "python-questions", "--from", "base", "--out", out, "--steps", "2"]
    assert main(["train", *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith("python-questions: ") and f"minilm chat {out}" in said
