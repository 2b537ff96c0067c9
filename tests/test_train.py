"""The loop and its checkpoints: resumed bit for bit, whole after kill -9, honest about NaN."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minilm import InputError, backend, optim
from minilm import functional as F
from minilm.interrupt import Interrupt
from minilm.models import Config, Transformer
from minilm.nn import Parameter
from minilm.tokenizers import ByteTokenizer
from minilm.train import Diverged, checkpoints, choose_engine, load, plot_loss, train, watch

TOKENS = np.frombuffer(b"to be or not to be, that is the question; " * 40, np.uint8)


def model(seed=0, **changes):
    fields = dict(vocab_size=256, context=16, layers=1, heads=2, channels=16)
    return Transformer(Config(**{**fields, **changes}), seed=seed)


def weights(m):
    return {name: array.copy() for name, array in m.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


def quiet(m, steps, **options):
    return train(m, TOKENS, steps, **{"batch": 4, "progress": False, **options})


@pytest.fixture(autouse=True)
def split_small_steps(monkeypatch):
    """The models here are tiny; their steps are split over threads all the same."""
    monkeypatch.setattr("minilm.train.engine._SPLIT_FROM", 0)


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = backend.threads()
    backend.set_threads(request.param)
    yield request.param
    backend.set_threads(before)


def test_it_learns():
    run = quiet(model(), 150, lr=1e-2)
    assert run.losses[0] == pytest.approx(math.log(256), rel=0.05)
    assert np.mean(run.losses[-10:]) < 0.6 * run.losses[0]
    assert run.step == len(run.losses) == 150


@pytest.mark.parametrize("kind", ["adamw", "dropout", "accumulate", "muon and adamw"])
def test_resumed_it_goes_on_bit_for_bit(kind, tmp_path, threads):
    def start():
        m = model(dropout=0.2 if kind == "dropout" else 0.0)
        options = dict(steps=20, accumulate=2 if kind == "accumulate" else 1, seed=5)
        if kind == "muon and adamw":
            blocks = [p for n, p in m.named_parameters() if p.ndim == 2 and "stack" in n]
            rest = [p for p in m.parameters() if not any(p is q for q in blocks)]
            options["optimizer"] = [optim.Muon(blocks, lr=0.01), optim.AdamW(rest, lr=0.01)]
        return m, options

    straight, options = start()
    first = quiet(straight, **options)

    halves, options = start()
    half = {"count": 0}

    def stop_at_ten(step, log):
        half["count"] = step
        signal.raise_signal(signal.SIGINT)  # to this thread, and at once: os.kill promises neither
        return []

    run = quiet(halves, **options, out=tmp_path / "run", report=stop_at_ten, report_every=10)
    assert run.interrupted and run.step == half["count"] == 10
    other, options = start()
    for p in other.parameters():
        p.data[...] = 7.0  # whatever was there is replaced
    second = quiet(other, **options, out=tmp_path / "run", resume=True)
    for whole in (first, second):  # a signal from outside would end one early
        assert (whole.step, whole.interrupted) == (20, False)
    assert second.losses == first.losses  # tells at which step they part
    for name, array in weights(straight).items():
        np.testing.assert_array_equal(array, other.state_dict()[name], err_msg=name)


def test_only_large_steps_are_split_over_threads(monkeypatch):
    widths = []

    class Spied(Transformer):
        def loss(self, ids, targets):
            widths.append(len(ids))
            return super().loss(ids, targets)

    before = backend.threads()
    backend.set_threads(2)
    for limit, expected in ((0, [2, 2]), (1e9, [4])):
        monkeypatch.setattr("minilm.train.engine._SPLIT_FROM", limit)
        widths.clear()
        spied = Spied(model().config)
        quiet(spied, 1, batch=4)
        assert widths == expected
    backend.set_threads(before)


def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os; from minilm import backend; backend.set_threads(2); "
        "run = lambda: backend.parallel(lambda i: 2 * i, range(4)); run(); "
        "child = os.fork() if hasattr(os, 'fork') else 1; print(run(), flush=True); "
        "child or os._exit(0); hasattr(os, 'fork') and os.waitpid(child, 0)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert set(said.stdout.splitlines()) == {"[0, 2, 4, 6]"} and said.returncode == 0


def test_threads_change_nothing_but_rounding():
    results = []
    before = backend.threads()
    for count in (1, 2, 3):
        backend.set_threads(count)
        m = model()
        quiet(m, 3)
        results.append(weights(m))
    backend.set_threads(before)
    for other in results[1:]:
        for name in other:
            np.testing.assert_allclose(other[name], results[0][name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("ignored", ["most of one row", "a whole shard", "everything"])
def test_targets_that_do_not_count_weigh_nothing_whatever_the_threads(monkeypatch, ignored):
    monkeypatch.setattr("minilm.train.engine._SPLIT_FROM", 0)
    m = model()
    ids = np.random.default_rng(0).integers(0, m.config.vocab_size, (4, m.config.context))
    targets = np.roll(ids, -1, axis=1)
    targets[{"most of one row": np.s_[0, 1:], "a whole shard": np.s_[:2]}.get(ignored, ...)] = -100
    params, before, found = m.parameters(), backend.threads(), []
    for count in (1, 2, 3):
        backend.set_threads(count)
        engine = choose_engine(m, [])
        loss = engine.gradients(engine.feed(iter([(ids, targets)])), 0)
        found.append((loss, [p.grad for p in params]))
    backend.set_threads(before)
    for loss, grads in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        for a, b in zip(grads, found[0][1]):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_accumulated_batches_are_one_large_batch():
    m = model()
    grads = []
    for batch, accumulate in ((8, 1), (4, 2)):
        m.zero_grad()
        quiet(m, 1, batch=batch, accumulate=accumulate, optimizer=Remember(m, grads))
    for a, b in zip(*grads):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Remember(optim.SGD):
    """Notes the gradients it is given and changes nothing."""

    def __init__(self, m, notes):
        super().__init__(m.parameters(), lr=0.0)
        self.notes = notes

    def step(self, scale=1.0):
        self.notes.append([p.grad.copy() for p in self.params])


def test_a_schedule_of_your_own_and_the_norm_are_in_the_log():
    run = quiet(model(), 4, lr=0.5, schedule=lambda step: 1 / (step + 1), clip=1e-3)
    assert [row["lr"] for row in run.log.rows] == [0.5, 0.25, 0.5 / 3, 0.125]
    assert all(row["norm"] > 1e-3 for row in run.log.rows)


def test_minutes_end_a_run():
    run = quiet(model(), 10**9, minutes=0.005)
    assert 0.3 <= run.seconds < 60 and run.step >= 1
    rates = [row["lr"] for row in run.log.rows]
    assert rates[-1] < max(rates)


class Broken:
    """A model whose gradient for one parameter becomes NaN at a step."""

    def __init__(self, at):
        self.good, self.bad = Parameter(np.ones(3, np.float32)), Parameter(np.ones(3, np.float32))
        self.at, self.calls, self.training = at, 0, True

    def named_parameters(self):
        return [("layers.0.good", self.good), ("layers.1.bad", self.bad)]

    def parameters(self):
        return [self.good, self.bad]

    def train(self, mode=True):
        return self

    def eval(self):
        return self

    def loss(self, ids, targets):
        self.calls += 1
        x = F.mul(self.bad, np.float32(0 if self.calls == self.at else 1))
        return F.add(F.sum(self.good), F.sum(F.sqrt(x)))  # the slope of a root at 0 is infinite


def test_nan_stops_with_the_step_and_the_parameters_name():
    m = Broken(at=3)
    before = backend.threads()
    backend.set_threads(1)
    with np.errstate(all="ignore"), pytest.raises(Diverged) as caught:
        train(m, TOKENS, 10, batch=1, context=4, progress=False, lr=1e-3)
    backend.set_threads(before)
    assert "at step 3" in str(caught.value)
    assert "the gradient of 'layers.1.bad'" in str(caught.value)
    assert np.isfinite(m.good.data).all() and np.isfinite(m.bad.data).all()


def test_a_rate_that_explodes_names_step_parameter_and_the_whole_checkpoint(tmp_path):
    m = model(positions="none")
    with np.errstate(all="ignore"), pytest.raises(Diverged) as caught:
        optimizer = optim.SGD(m.parameters(), lr=1e38)
        quiet(m, 50, optimizer=optimizer, warmup=1, out=tmp_path / "run", save_every=1)
    text = str(caught.value)
    assert "training stopped at step " in text and "'" in text and "is whole" in text
    arrays, facts = checkpoints.load_arrays(tmp_path / "run" / checkpoints.STATE)
    assert f"step {facts['step']} in" in text


def test_ctrl_c_in_the_middle_of_a_step_finishes_it_and_saves(tmp_path):
    m = model()
    plain = m.loss
    calls = []

    def loss(ids, targets):
        calls.append(1)
        if len(calls) == 5 * backend.threads():
            signal.raise_signal(signal.SIGINT)
        return plain(ids, targets)

    before, handler = backend.threads(), signal.getsignal(signal.SIGINT)
    backend.set_threads(1)  # signals reach the main thread only
    m.loss = loss
    run = quiet(m, 50, out=tmp_path / "run")
    backend.set_threads(before)
    assert run.interrupted and run.step == 5
    assert load_state(tmp_path / "run")["step"] == 5
    assert signal.getsignal(signal.SIGINT) is handler


def load_state(folder):
    return checkpoints.load_arrays(folder / checkpoints.STATE)[1]


def test_a_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        signal.raise_signal(signal.SIGINT)


def test_other_threads_can_train_without_signals():
    runs = []
    thread = threading.Thread(target=lambda: runs.append(quiet(model(), 2)))
    thread.start()
    thread.join()
    assert runs[0].step == 2


VICTIM = """
import sys
import numpy as np
from minilm.models import Config, Transformer
from minilm.tokenizers import ByteTokenizer
from minilm.train import train

tokens = np.arange(4000, dtype=np.int64) % 256
model = Transformer(Config(vocab_size=256, context=16, layers=1, heads=2, channels=64))
print("ready", flush=True)
train(model, tokens, 10**6, batch=1, out=sys.argv[1], tokenizer=ByteTokenizer(), save_every=1,
      progress=False)
"""


def test_kill_9_at_any_moment_leaves_the_last_checkpoint_whole(tmp_path):
    """The victim saves after every step, so almost every moment is one of saving."""
    rng = np.random.default_rng()
    found = []
    for trial in range(4):
        folder = tmp_path / str(trial)
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(folder)], stdout=subprocess.PIPE, text=True
        )
        victim.stdout.readline()
        while len(watch.read_log(folder / watch.LOG)) < 2:
            assert victim.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        victim.kill()
        victim.wait()
        m, tokenizer = load(folder)
        assert tokenizer.vocab_size == 256
        state, facts = checkpoints.load_arrays(folder / checkpoints.STATE)
        assert state["optimizer.0.steps"] == facts["step"]
        again = Transformer(m.config, seed=9)
        resumed = train(
            again,
            np.arange(4000) % 256,
            facts["step"] + 1,
            batch=1,
            out=folder,
            resume=True,
            progress=False,
        )
        assert resumed.step == facts["step"] + 1
        assert [row["step"] for row in resumed.log.rows] == list(range(1, resumed.step + 1))
        found.append(facts["step"])
    assert min(found) > 0 and max(found) > 3


def test_config_tokenizer_and_recipe_are_written_once(tmp_path):
    folder, times = tmp_path / "run", []

    def note(run):
        names = checkpoints.CONFIG, checkpoints.TOKENIZER, checkpoints.RECIPE
        times.append([(folder / name).stat().st_mtime_ns for name in names])

    how = {"out": folder, "tokenizer": ByteTokenizer(), "recipe": {"a": 1}, "save_every": 1}
    quiet(model(), 3, **how, after_step=note)
    quiet(model(), 5, **how, after_step=note, resume=True)
    assert len(times) == 5 and len({tuple(t) for t in times}) == 1


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    m = model()
    quiet(m, 4, out=tmp_path / "run", tokenizer=ByteTokenizer())
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    real = os.fsync

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        checkpoints.save(tmp_path / "run", m, [], {"step": 99})
    monkeypatch.setattr(os, "fsync", real)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    loaded, _ = load(tmp_path / "run")
    assert same(weights(loaded), weights(m))


def test_a_disk_that_fills_up_during_a_run_says_what_is_whole(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left.*checkpoint of step [1-9].* is whole"):
        quiet(model(), 50, out=tmp_path / "run", save_every=1)
    monkeypatch.setattr(os, "fsync", real)
    step = load_state(tmp_path / "run")["step"]
    again = quiet(model(seed=3), 50, out=tmp_path / "run", resume=True)
    straight = quiet(model(), 50)
    assert step < 50 and again.losses == straight.losses


def test_what_was_saved_is_what_is_loaded_and_other_programs_can_read_it(tmp_path):
    from safetensors.numpy import load_file

    m = model(norm="rms", activation="swiglu", positions="rope", bias=False)
    quiet(m, 2, out=tmp_path / "run", tokenizer=ByteTokenizer())
    loaded, tokenizer = load(tmp_path / "run")
    assert loaded.config == m.config and not loaded.training
    assert same(weights(loaded), weights(m))
    assert same(load_file(tmp_path / "run" / "model.safetensors"), weights(m))
    assert tokenizer.encode("né") == ByteTokenizer().encode("né")


def break_file(name, change):
    def spoil(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def foreign_json(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8}))


def bfloat16_weights(folder):
    """What other programs write and NumPy has no name for."""
    head = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    size = len(head).to_bytes(8, "little")
    (folder / "model.safetensors").write_bytes(size + head + bytes(4))


def another_models_weights(folder):
    from safetensors.numpy import save_file

    save_file({"x": np.ones(3, np.float32)}, folder / "model.safetensors")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda f: (f / "config.json").unlink(), "config.json is missing"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (break_file("model.safetensors", lambda b: b[:-40]), "half-written"),
        (break_file("model.safetensors", lambda b: b[:5]), "half-written"),
        (break_file("model.safetensors", lambda b: b""), "half-written"),
        (break_file("model.safetensors", lambda b: b"PK\x03\x04" + b), "half-written or no"),
        (break_file("config.json", lambda b: b[:20]), "config.json is not JSON, or only"),
        (break_file("config.json", lambda b: b"[1, 2]"), "must hold a JSON object"),
        (break_file("config.json", lambda b: b"[" * 100_000), "config.json .* nests too deeply"),
        (break_file("config.json", lambda b: b"\xef\xbb\xbf" + b), "begins with a byte-order mark"),
        (break_file("tokenizer.json", lambda b: b"[" * 100_000), "json' .* nests too deeply"),
        (foreign_json, "was not written by minilm"),
        (bfloat16_weights, "numbers that NumPy lacks"),
        (another_models_weights, "does not fit config.json"),
    ],
)
def test_a_half_written_or_foreign_checkpoint_is_refused_in_one_sentence(tmp_path, spoil, words):
    folder = tmp_path / "run"
    quiet(model(), 1, out=folder, tokenizer=ByteTokenizer())
    spoil(folder)
    with pytest.raises(InputError, match=words) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_or_taken(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        load(tmp_path / "nowhere")
    quiet(model(), 1, out=tmp_path / "run")
    with pytest.raises(InputError, match="already holds a checkpoint"):
        quiet(model(), 1, out=tmp_path / "run")
    with pytest.raises(InputError, match="state.safetensors is missing"):
        quiet(model(), 1, out=tmp_path / "empty", resume=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        quiet(model(), 1, out=tmp_path / "file" / "run")


def test_resuming_with_another_model_changes_neither(tmp_path):
    quiet(model(), 1, out=tmp_path / "run")
    other = model(channels=32)
    before = weights(other)
    with pytest.raises(InputError, match="does not fit the model"):
        quiet(other, 2, out=tmp_path / "run", resume=True)
    assert same(weights(other), before)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"steps": 0}, "steps is 0; it must be 1 or more"),
        ({"batch": 0}, "batch is 0"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"context": 17}, "context is 17; it must be from 1 to the model's, 16"),
        ({"clip": 0}, "clip is 0"),
        ({"minutes": 0}, "minutes is 0; it must be more than 0"),
        ({"warmup": 9}, "warmup is 9; it must be from 0 to steps, 3"),
        ({"seed": -1}, "seed is -1"),
        ({"tokens": np.array([1, 2, 3])}, "context 16 needs at least 17"),
        ({"tokens": np.full(99, 256)}, "256"),
    ],
)
def test_mistakes_give_one_sentence(options, words):
    given = {"tokens": TOKENS, "steps": 3, "batch": 2, "progress": False, **options}
    with pytest.raises(InputError, match=words):
        train(model(), **given)


def test_a_log_that_a_crash_cut_off_is_read_up_to_there(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.25}\n{"step": 3, "lo')
    assert [row["loss"] for row in watch.read_log(path)] == [2.5, 2.25]
    assert watch.Log(tmp_path, upto=1).rows == [{"step": 1, "loss": 2.5}]


def test_the_plot_is_a_picture(tmp_path):
    run = quiet(model(), 60)
    run.log.add(step=30, bits_per_byte=3.0)
    assert plot_loss(run.log, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
