"""A step of any batch and any loss: however it is split, its gradient is that of the whole."""

import itertools
import math
import signal

import numpy as np
import pytest

from minilm import InputError, Tensor, backend, optim
from minilm import functional as F
from minilm.models import Config, Transformer
from minilm.nn import Buffer, Linear, Module, Parameter
from minilm.tokenizers import ByteTokenizer
from minilm.train import EMA, checkpoints, choose_engine, examples, load, take_step, train
from minilm.train.batch import cut

TOKENS = np.frombuffer(b"to be or not to be, that is the question; " * 40, np.uint8)


@pytest.fixture
def threads(monkeypatch):
    """Sets the number of threads, of which even the smallest step makes use."""
    monkeypatch.setattr("minilm.train.engine._SPLIT_FROM", 0)
    before = backend.threads()
    yield backend.set_threads
    backend.set_threads(before)


def transformer(**changes):
    fields = dict(vocab_size=31, context=12, layers=1, heads=2, channels=16)
    return Transformer(Config(**{**fields, **changes}), dtype=np.float64)


def rows(count, scored, seed=0, length=12):
    """Ids and targets of some rows, the first `scored` targets of each not ignored."""
    ids = np.random.default_rng(seed).integers(0, 31, (count, length + 1))
    targets = ids[:, 1:].copy()
    targets[:, scored:] = -100
    return ids[:, :-1], targets


def gradients(model, batches, **how):
    engine = choose_engine(model, [], accumulate=len(batches), **how)
    loss = engine.gradients(engine.feed(iter(batches)), 0)
    return loss, [p.grad.copy() for p in model.parameters()]


UNEQUAL = {  # batches of one step
    "1 and 8 targets": [rows(1, 1), rows(1, 8, 1)],
    "rows and targets": [rows(4, 3), rows(1, 12, 1), rows(3, 1, 2)],
    "one ignored whole": [rows(2, 12), rows(2, 0, 1)],
    "the first ignored whole": [rows(2, 0), rows(2, 5, 1)],
    "all but one target ignored": [rows(3, 0), rows(1, 1, 1), rows(2, 0, 2)],
}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("name", UNEQUAL)
def test_every_way_of_splitting_a_step_gives_the_gradient_of_the_whole(threads, name, count):
    """The oracle is one batch of all rows, in float64, on the plain tape."""
    batches, model = UNEQUAL[name], transformer()
    whole = [np.concatenate(parts) for parts in zip(*batches)]
    right = model.loss(*whole)
    right.backward()
    wanted = [p.grad.copy() for p in model.parameters()]
    threads(count)
    for split in (batches, [tuple(whole)]):
        loss, found = gradients(model, split)
        assert loss == pytest.approx(right.item(), rel=1e-12)
        for a, b in zip(found, wanted):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


def test_batches_of_ignored_targets_only_do_not_halve_the_loss():
    model, full, empty = transformer(), rows(2, 12), rows(2, 0, 1)
    alone, _ = gradients(model, [full])
    for split in ([full, empty], [empty, full], [empty, empty, full]):
        assert gradients(model, split)[0] == pytest.approx(alone, rel=1e-14)
    nothing, grads = gradients(model, [empty, empty])
    assert nothing == 0 and all(not g.any() for g in grads)


def test_lengths_may_differ_between_the_batches_of_a_step():
    model, batches = transformer(), [rows(2, 3, 0, 4), rows(2, 12, 1, 12)]
    losses = [model.loss(*batch).item() for batch in batches]
    assert gradients(model, batches)[0] == pytest.approx(
        (6 * losses[0] + 24 * losses[1]) / 30, rel=1e-12
    )


class Line(Module):
    """y = w x + b; its least-squares gradient is known in closed form."""

    def __init__(self, inputs=3, dtype=np.float64):
        self.map = Linear(inputs, 1, dtype=dtype)


def squares(model, batch):
    difference = model.map(Tensor(batch["x"])) - batch["y"]
    return F.mean(F.mul(difference, difference))


def points(count, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, 3))
    return {"x": x, "y": x @ np.array([[1.0], [-2.0], [0.5]]) + 1, "name": "a line", "scale": 2.0}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_batch_and_any_loss(threads, count):
    threads(count)
    model, batches = Line(), [points(5), points(2, 1), points(9, 2)]
    x, y = (np.concatenate([batch[name] for batch in batches]) for name in "xy")
    w, b = model.map.weight.data, model.map.bias.data
    error = x @ w.T + b - y  # (N, 1)
    loss, found = gradients(model, batches, loss=squares, weigh=examples)
    assert loss == pytest.approx((error**2).mean(), rel=1e-12)
    np.testing.assert_allclose(found[0], 2 * error.T @ x / len(x), rtol=1e-10)
    np.testing.assert_allclose(found[1], 2 * error.mean(0), rtol=1e-10)


def test_a_loss_whose_examples_know_of_each_other_is_never_split(threads):
    seen = []

    def contrast(model, batch):
        seen.append(len(batch[0]))
        return squares(model, {"x": batch[0], "y": batch[1]})

    threads(4)
    batch = points(8)["x"], points(8)["y"]
    gradients(Line(), [batch, batch], loss=contrast)
    assert sorted(seen) == [8, 8]
    seen.clear()
    gradients(Line(), [batch], loss=contrast, weigh=examples)
    assert sorted(seen) == [2, 2, 2, 2]


def test_a_batch_is_cut_by_rows_and_what_has_none_goes_everywhere():
    pair = (np.arange(5), {"a": np.arange(10).reshape(5, 2), "b": [np.float32(3), None, "text"]})
    one, two = cut(pair, 2)
    assert one[0].tolist() == [0, 1, 2] and two[0].tolist() == [3, 4]
    assert two[1]["a"].tolist() == [[6, 7], [8, 9]] and two[1]["b"] == [np.float32(3), None, "text"]
    with pytest.raises(InputError, match="the arrays of a batch have 2 and 3 rows"):
        cut((np.zeros(2), np.zeros(3)), 2)


def test_train_takes_any_batch_and_any_loss():
    model = Line(dtype=np.float32)

    def draw(number):
        batch = points(16, number)
        return {**batch, "x": batch["x"].astype(np.float32), "y": batch["y"].astype(np.float32)}

    run = train(model, draw, 200, loss=squares, weigh=examples, lr=0.1, weight_decay=0,
                progress=False)  # fmt: skip
    assert run.losses[-1] < 1e-3 < 1 < run.losses[0]
    assert "examples_per_second" in run.log.rows[0]
    np.testing.assert_allclose(model.map.weight.data, [[1, -2, 0.5]], atol=0.05)


def test_a_step_of_your_own_loop():
    model = Line()
    engine = choose_engine(model, optim.SGD(model.parameters(), lr=0.1), squares, examples)
    source = engine.feed(points(16, n) for n in range(60))
    found = [take_step(engine, source, step, clip=100.0) for step in range(60)]
    assert found[-1][0] < 1e-3 < found[0][0] and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["function", "ema", "hook"])
def test_resumed_it_goes_on_bit_for_bit(kind, tmp_path, threads):
    threads(2)
    hooked = {"after_step": lambda run: model.map.bias.data.__imul__(np.float32(0.9))}
    options = {"ema": {"ema": 0.9}, "hook": hooked}.get(kind, {})

    def draw(number):
        batch = points(8, number)
        return {**batch, "x": batch["x"].astype(np.float32), "y": batch["y"].astype(np.float32)}

    def start(steps, **more):
        return train(model, draw, steps, loss=squares, weigh=examples, accumulate=2, warmup=1,
                     schedule=lambda step: 1.0, progress=False, **options, **more)  # fmt: skip

    model = Line(dtype=np.float32)
    first = {name: a.copy() for name, a in model.state_dict().items()}
    whole = start(10)
    right = {name: a.copy() for name, a in model.state_dict().items()}
    model.load_state_dict(first)
    start(4, out=tmp_path / "run")
    for p in model.parameters():
        p.data[...] = 7.0
    run = start(10, out=tmp_path / "run", resume=True)
    assert run.losses == whole.losses
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, right[name], err_msg=name)
    if kind == "ema":
        for name, array in whole.ema.averages.items():
            np.testing.assert_array_equal(run.ema.averages[name], array)


def test_averages_are_the_formula():
    model = Line()
    average = [p.data.copy() for p in model.parameters()]
    ema, rng = EMA(model, 0.8), np.random.default_rng(0)
    for step in range(1, 80):
        d = min(0.8, (1 + step) / (10 + step))
        for p, a in zip(model.parameters(), average):
            p.data += rng.normal(size=p.shape)
            a[...] = d * a + (1 - d) * p.data
        ema.update()
    own = [p.data.copy() for p in model.parameters()]
    with ema.applied():
        for p, a in zip(model.parameters(), average):
            np.testing.assert_allclose(p.data, a, rtol=1e-12)
    for p, a in zip(model.parameters(), own):
        np.testing.assert_array_equal(p.data, a)


def test_what_is_loaded_are_the_averages_and_what_is_resumed_the_weights(tmp_path):
    fields = dict(vocab_size=256, context=12, layers=1, heads=2, channels=16)
    model = Transformer(Config(**fields))
    how = {"batch": 2, "progress": False, "out": tmp_path / "run"}
    run = train(model, TOKENS, 5, **how, ema=0.5, tokenizer=ByteTokenizer())
    loaded, _ = load(tmp_path / "run")
    for name, array in loaded.state_dict().items():
        np.testing.assert_array_equal(array, run.ema.averages[name])
        assert not np.array_equal(array, model.state_dict()[name])
    arrays, _ = checkpoints.load_arrays(tmp_path / "run" / checkpoints.STATE)
    np.testing.assert_array_equal(arrays["model.tokens.weight"], model.tokens.weight.data)
    with pytest.raises(InputError, match="holds averaged weights; ema must be a number"):
        train(Transformer(Config(**fields)), TOKENS, 6, **how, resume=True)
    train(model, TOKENS, 2, batch=2, progress=False, out=tmp_path / "plain")
    with pytest.raises(InputError, match="holds no averaged weights; ema must be None"):
        train(model, TOKENS, 3, batch=2, ema=0.5, resume=True, progress=False,
              out=tmp_path / "plain")  # fmt: skip


def test_a_hook_sees_every_step_and_may_end_the_run(tmp_path):
    seen = []

    def hook(run):
        seen.append((run.step, len(run.losses)))
        return run.step == 3

    run = train(transformer(), TOKENS % 31, 9, batch=2, progress=False, after_step=hook,
                out=tmp_path / "run")  # fmt: skip
    assert seen == [(1, 1), (2, 2), (3, 3)] and run.step == 3
    assert not run.interrupted and not run.exhausted
    assert checkpoints.read_facts(tmp_path / "run")["step"] == 3


@pytest.mark.parametrize("accumulate, steps", [(1, 5), (2, 3)])
def test_batches_that_end_end_the_run_with_its_work_saved(tmp_path, capsys, accumulate, steps):
    given = iter([rows(2, 12, n) for n in range(5)])
    run = train(transformer(), given, 9, accumulate=accumulate, progress=False,
                out=tmp_path / "run")  # fmt: skip
    assert (run.step, run.exhausted, run.interrupted) == (steps, True, False)
    assert checkpoints.read_facts(tmp_path / "run")["step"] == steps
    said = capsys.readouterr().out
    assert said == (
        f"the batches ended after step {steps} of 9; everything is saved in {tmp_path / 'run'}\n"
    )
    with pytest.raises(InputError, match="tokens is an iterator that has ended"):
        train(transformer(), given, 9, progress=False)


def test_an_iterator_is_left_where_the_run_ends():
    given = iter([rows(2, 12, n) for n in range(5)])
    train(transformer(), given, 2, accumulate=2, progress=False)
    assert len(list(given)) == 1


def test_an_interrupted_run_says_so_in_one_line(capsys):
    def press(run):
        if run.step == 3:
            signal.raise_signal(signal.SIGINT)

    run = train(transformer(), TOKENS % 31, 9, batch=2, progress=False, after_step=press)
    assert run.interrupted and run.step == 3
    assert capsys.readouterr().out == (
        "interrupted after step 3 of 9; the model is only partly trained\n"
    )


def test_a_step_holds_no_more_gradients_than_there_are_threads(threads, monkeypatch):
    from minilm.train import engine

    threads(2)
    waves = []
    plain = backend.parallel
    monkeypatch.setattr(
        engine.backend, "parallel", lambda work, jobs: waves.append(len(jobs)) or plain(work, jobs)
    )
    gradients(transformer(), [rows(1, 12, n) for n in range(5)])
    assert waves == [2, 2, 1]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"bach": 3}, "train was given 'bach'; its settings are batch, context"),
        ({"save_every": 0}, "save_every is 0; it must be 1 or more"),
        ({"resume": True}, "out is None; with resume it must be the folder of a checkpoint"),
        ({"ema": 1.0}, r"ema is 1.0; it must be in \[0, 1\)"),
        ({"loss": lambda model, batch: model(batch[0])}, r"loss gave shape .*one number"),
        ({"loss": lambda model, batch: 3.0}, "loss gave a float; it must give a Tensor"),
        ({"tokens": [rows(2, 12), rows(2, 12)]}, "tokens is a list; it must be"),
        ({"tokens": np.zeros((8, 20), int)}, r"tokens is of shape \(8, 20\); it must be"),
        ({"optimizer": optim.SGD([Parameter(np.ones(3))], lr=1)}, "must be one of the model's"),
    ],
)
def test_mistakes_give_one_sentence(options, words):
    with pytest.raises(InputError, match=words):
        given = {"tokens": TOKENS % 31, "batch": 2, "progress": False, **options}
        train(transformer(), steps=3, **given)


def test_a_model_without_a_config_trains_and_resumes(tmp_path):
    def start(steps, **how):
        model = Line()
        train(model, map(points, itertools.repeat(4)), steps, loss=squares, progress=False,
              schedule=lambda step: 1.0, out=tmp_path / "run", **how)  # fmt: skip
        return model.map.weight.data

    start(2)
    assert math.isfinite(start(4, resume=True).sum())
    assert not (tmp_path / "run" / checkpoints.CONFIG).exists()


class _Follows(Module):
    """A map, and a buffer that a hook moves."""

    def __init__(self):
        self.map = Linear(3, 1)
        self.mean = Buffer(np.zeros(3, np.float32))

    def forward(self, x):
        return self.map(x - self.mean.data)


def test_a_hook_moves_a_buffer_and_a_resumed_run_has_it(tmp_path):
    """Buffers are in the checkpoint, with averaged weights too, and go on from there."""
    x = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)

    def follow(run):
        model.mean.data[...] = 0.9 * model.mean.data + 0.1 * x.mean(axis=0)

    def run(steps, **options):
        return train(
            model, lambda number: (x, x[:, :1]), steps, loss=lambda m, b: F.mse(m(b[0]), b[1]),
            ema=0.5, after_step=follow, out=tmp_path, progress=False, **options,
        )  # fmt: skip

    model = _Follows()
    run(3, schedule=lambda step: 1.0)
    before = model.mean.data.copy()
    model = _Follows()
    run(5, schedule=lambda step: 1.0, resume=True)
    wanted = before
    for _ in range(2):
        wanted = 0.9 * wanted + 0.1 * x.mean(axis=0)
    np.testing.assert_allclose(model.mean.data, wanted, rtol=1e-6)
    arrays, _ = checkpoints.load_arrays(tmp_path / checkpoints.MODEL)
    np.testing.assert_array_equal(arrays["mean"], model.mean.data)
