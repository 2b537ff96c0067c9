"""Plans for clusters: against published runs, what ranks count, and what users may type."""

from dataclasses import replace

import numpy as np
import pytest

from minilm import InputError
from minilm import parallel as P
from minilm.analysis import cluster
from minilm.analysis.cluster import Job, Layout, Link, machine, predict
from minilm.analysis.cluster.models import sizes_of
from minilm.cli import main
from minilm.models import Config, Transformer, gpt2, llama
from minilm.optim import SGD
from minilm.parallel import Zero, simulate, split_tensors

SMALL = gpt2(layers=4, heads=4, channels=16, vocab_size=20, context=8)
WIDTH = 8 / 2  # ranks are simulated in float64, plans count 16 bits


# ------------------------------------------------------------------------------ published runs

# MPT models trained with FSDP on nodes of 8 (llm-foundry, scripts/train/benchmarking/README.md,
# commit 061f2c7): layers, channels, heads, then what its tables hold.
MPT = {
    "70b": (80, 8192, 64, 64_862_437_376),
    "30b": (48, 7168, 56, 29_975_214_080),
    "13b": (40, 5120, 40, 12_853_954_560),
    "7b": (32, 4096, 32, 6_658_859_008),
    "3b": (32, 2560, 20, 2_651_837_440),
    "1b": (24, 2048, 16, 1_315_950_592),
}
# Machine, model, tokens, GPUs, micro-batch, accumulated, computed again, tokens/s/GPU. The first
# row of each machine is the one that its efficiency was set on.
RUNS = [
    ("h100", "7b", 2048, 8, 6, 1, False, 10643),
    ("h100", "70b", 2048, 64, 8, 4, True, 1039),
    ("h100", "70b", 2048, 32, 2, 16, True, 882),
    ("h100", "30b", 2048, 32, 14, 3, True, 2308),
    ("h100", "30b", 2048, 8, 3, 21, True, 2002),
    ("h100", "13b", 2048, 64, 2, 1, False, 4800),
    ("h100", "13b", 16384, 8, 3, 3, True, 2985),
    ("h100", "7b", 8192, 8, 8, 2, True, 6935),
    ("h100", "3b", 2048, 64, 6, 3, False, 22525),
    ("h100", "1b", 2048, 64, 20, 1, False, 44402),
    ("a100", "7b", 2048, 8, 6, 2, False, 4641),
    ("a100", "70b", 2048, 64, 8, 4, True, 410),
    ("a100", "70b", 2048, 32, 2, 16, True, 373),
    ("a100", "30b", 4096, 8, 1, 21, True, 814),
    ("a100", "13b", 4096, 8, 10, 3, True, 2060),
    ("a100", "7b", 8192, 8, 8, 2, True, 3206),
    ("a100", "3b", 2048, 8, 10, 2, False, 10811),
    ("a100", "1b", 2048, 8, 14, 4, False, 20513),
]
ODD = ("a100", "30b", 8192, 8, 1, 21, True, 574)  # one text at a time in a nearly full memory


def mpt(name: str, length: int) -> Config:
    layers, channels, heads, _ = MPT[name]
    return Config(
        vocab_size=50368, context=length, layers=layers, heads=heads, channels=channels, bias=False
    )


def told(row: tuple) -> float:
    """Predicted over published tokens per second."""
    name, model, length, gpus, micro, times, again, published = row
    job = Job(mpt(model, length), length, gpus * micro * times)
    kind = "full" if again else "selective"
    found = predict(job, machine(name), Layout(gpus, stage=3, recompute=kind, micro=micro))
    return found.tokens_per_second / gpus / published


@pytest.mark.parametrize("name", MPT)
def test_sizes_of_published_models(name: str) -> None:
    assert sizes_of(mpt(name, 2048)).total == pytest.approx(MPT[name][3], rel=5e-4)


@pytest.mark.parametrize("row", RUNS, ids=lambda row: "-".join(map(str, row[:4])))
def test_published_speeds_within_a_fifth(row: tuple) -> None:
    assert told(row) == pytest.approx(1, abs=0.2)


def test_the_exception_is_known() -> None:
    assert 1.2 < told(ODD) < 1.4


def test_published_runs_fitted_their_memory() -> None:
    for name, model, length, gpus, micro, times, again, _ in RUNS:
        job = Job(mpt(model, length), length, gpus * micro * times)
        kind = "full" if again else "selective"
        found = predict(job, machine(name), Layout(gpus, stage=3, recompute=kind, micro=micro))
        assert found.held < 1.1 * found.layout.devices * 80e9 / gpus, (name, model)


# ------------------------------------------------------------------------------ counted by ranks


def train(comm, stage: int) -> int:
    """One step; bytes that this rank sent in it."""
    model = Transformer(SMALL, seed=0, dtype=np.float64)
    zero = Zero(comm, model, model.stack.blocks, lambda p: SGD(p, lr=0.1), stage)
    before = comm.ledger.sent.total()
    ids = np.random.default_rng(comm.rank).integers(0, 20, (2, 9))
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    zero.step()
    return comm.ledger.sent.total() - before


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_traffic_of_data_ranks(stage: int, ranks: int) -> None:
    job = Job(SMALL, 8, 2 * ranks)
    assert job.sizes.total == Transformer(SMALL).num_parameters()
    layout = Layout(ranks, stage=stage, micro=2)
    plan = WIDTH * predict(job, machine("h100"), layout).sent["data"]
    if stage == 3:  # the simulated ranks keep what is in no block whole: it is gathered once less
        rest = job.sizes.total - job.sizes.layers * job.sizes.active
        plan -= 8 * rest * (ranks - 1) / ranks
    for sent in simulate(train, ranks, stage).values:
        assert sent == pytest.approx(plan, rel=5e-3)  # pieces differ by a number


@pytest.mark.parametrize("ranks", [2, 4])
def test_traffic_of_tensor_ranks(ranks: int) -> None:
    def work(comm) -> int:
        model = Transformer(SMALL, seed=0, dtype=np.float64)
        split_tensors(comm, model)
        ids = np.random.default_rng(0).integers(0, 20, (3, 9))
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        return comm.ledger.sent["all_reduce"]

    job = Job(SMALL, 8, 3)
    plan = predict(job, machine("h100"), Layout(tp=ranks, micro=3)).sent["tensor"]
    assert simulate(work, ranks).values == [WIDTH * plan] * ranks


@pytest.mark.parametrize("ranks", [2, 4])
def test_traffic_of_context_ranks(ranks: int) -> None:
    """Keys and values go round once in forward, with their gradients twice as much in backward."""
    length = 2 * ranks

    def work(comm) -> int:
        own = np.ones((4, length // ranks, 4))  # (H, T, D)
        places = comm.rank * len(own[0]) + np.arange(len(own[0]))
        P.ring_attention(comm, own, own, own, places)
        return comm.ledger.sent["send"] - (ranks - 1) * places.nbytes

    plan = predict(Job(SMALL, length, 1), machine("h100"), Layout(cp=ranks)).sent["context"]
    one_layer_forward = WIDTH * plan / SMALL.layers / 3
    assert simulate(work, ranks).values == [one_layer_forward] * ranks


@pytest.mark.parametrize(("stages", "pieces"), [(2, 1), (4, 1), (2, 2), (4, 2)])
def test_messages_and_bubble_of_a_pipeline(stages: int, pieces: int) -> None:
    job = Job(replace(SMALL, layers=8), 8, 8)
    found = predict(job, machine("h100"), Layout(pp=stages, pieces=pieces))
    schedule = "interleaved" if pieces > 1 else "1f1b"
    line = P.simulate_pipeline(stages, 8, schedule, pieces=pieces)
    sent = [0] * stages
    last = stages * pieces - 1
    for task, _, _ in line.tasks:
        place = task.piece * stages + task.stage
        sent[task.stage] += (task.kind == "F" and place < last) or (task.kind == "B" and place > 0)
    assert found.sent["pipeline"] == max(sent) * 2 * 8 * 16
    rest = found.seconds["optimizer"] + found.seconds["data"]
    assert found.seconds["bubble"] / (found.step - rest) == pytest.approx(line.bubble)


# ------------------------------------------------------------------------------ what must hold


@pytest.mark.parametrize(
    ("stage", "gigabytes"), [(0, 120), (1, 31.40625), (2, 16.640625), (3, 1.875)]
)
def test_memory_is_the_papers(stage: int, gigabytes: float) -> None:
    """7.5 billion parameters on 64 ranks: weights, gradients and optimizer of its figure 1."""
    config = cluster.transformer_of(7.5e9)
    found = predict(Job(config, 4096, 64), machine("a100"), Layout(64, stage=stage))
    kinds = found.memory["weights"] + found.memory["gradients"] + found.memory["optimizer"]
    s = sizes_of(config)
    if stage == 3:  # and two whole layers
        kinds -= 2 * 2 * s.total / s.layers
    assert kinds / s.total * 7.5 == pytest.approx(gigabytes, rel=1e-9)


def test_activations_are_the_papers() -> None:
    """GPT-3's 2.671875 GiB a layer with scores kept, and 4.5 GiB in all with only inputs kept."""
    from minilm.analysis.cluster.predict import kept_bytes
    from minilm.models import gpt3

    job = Job(gpt3(), 2048, 1)
    assert kept_bytes(job, Layout(recompute="none")) / 2**30 == 2.671875
    assert 96 * kept_bytes(job, Layout(recompute="full")) / 2**30 == 4.5


def test_seconds_add_up_and_shares_too() -> None:
    job = Job(llama("2-70b"), 4096, 256)
    layout = Layout(16, 4, 4, 2, pieces=2, micro=2)
    found = predict(job, machine("h100"), layout)
    assert sum(found.seconds.values()) == pytest.approx(found.step)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.bound == "compute"
    assert found.tokens_per_second == pytest.approx(256 * 4096 / found.step)
    assert found.mfu < machine("h100").efficiency


def test_more_ranks_never_hold_more() -> None:
    job = Job(llama("7b", context=4096), 4096, 512)
    for stage in (1, 2, 3):
        held = [predict(job, machine("a100"), Layout(n, stage=stage)).held for n in (8, 64, 512)]
        assert held[0] > held[1] > held[2]


@pytest.mark.parametrize("parameters", [1e8, 1e9, 7e9, 70e9, 175e9, 1e12, 1e13])
def test_a_transformer_of_that_size(parameters: float) -> None:
    config = cluster.transformer_of(parameters)
    assert sizes_of(config).total == pytest.approx(parameters, rel=0.02)
    assert 1.5 < config.F / config.channels < 5 and 40 < config.channels / config.layers < 250


def test_the_best_of_the_search_is_the_best_of_all() -> None:
    job, h100 = Job(llama("2-70b"), 4096, 128), machine("h100")
    found, quickest, leanest = cluster.search(job, h100, 128, most=3)
    every = [predict(job, h100, layout) for layout in cluster.layouts(job, 128)]
    assert found[0].step == min(p.step for p in every if p.fits)
    assert quickest.step == min(p.step for p in every)
    assert leanest.held == min(p.held for p in every)
    assert {p.layout.devices for p in every} == {128} and all(p.fits for p in found)


def test_tens_of_thousands_of_devices() -> None:
    job = Job(cluster.transformer_of(405e9, 8192), 8192, 2048)
    found, _, _ = cluster.search(job, machine("h100"), 16384)
    assert found[0].layout.devices == 16384 and 0.2 < found[0].mfu < 0.5


def test_experts_are_spread() -> None:
    job = Job(llama("7b"), 2048, 64, experts=8, chosen=2)
    whole, spread = (predict(job, machine("h100"), Layout(8, ep=n, stage=0)) for n in (1, 8))
    assert spread.memory["weights"] < 0.25 * whole.memory["weights"]
    assert whole.sent["experts"] == 0 < spread.sent["experts"]


# ------------------------------------------------------------------------------ this machine


def test_a_link_from_its_times() -> None:
    sizes = [1e3, 1e5, 1e7]
    link = cluster.fit_link(sizes, [2e-5 + size / 3e9 for size in sizes])
    assert link.latency == pytest.approx(2e-5, rel=1e-6)
    assert link.bandwidth == pytest.approx(3e9, rel=1e-6)
    assert link.seconds(3e9, 2) == pytest.approx(1 + 4e-5)
    assert cluster.fit_link([1e6, 2e6], [1e-4, 4e-4]).latency == 0  # never below nothing


class Clocked:
    """Two ranks on a link that is known, with a clock that moves only when they talk."""

    size = 2

    def __init__(self) -> None:
        self.now = 0.0

    def _take(self, x, times: float):
        self.now += times * (1e-4 + x.nbytes / 1e9)
        return x

    def all_reduce(self, x, op="sum"):
        return self._take(x, 2)

    def reduce_scatter(self, x):
        return self._take(x, 1)

    def all_gather(self, x):
        self._take(np.empty(2 * x.size, x.dtype), 1)
        return [x, x]

    def barrier(self) -> None:
        pass


def test_a_step_predicted_from_what_was_measured(monkeypatch) -> None:
    comm = Clocked()
    monkeypatch.setattr("time.perf_counter", lambda: comm.now)
    links = cluster.measure_collectives(comm)
    assert links["all_reduce"].latency == pytest.approx(2e-4)
    assert links["all_gather"].bandwidth == pytest.approx(1e9)

    def work() -> None:
        comm.now += 0.5

    units = [1e6, 250e3]
    seconds = cluster.measure_work(comm, work)
    assert seconds == 0.5
    for stage, times in ((0, 2), (1, 2), (2, 2), (3, 3)):
        found = cluster.predicted_step(seconds, 0.1, units, links, stage)
        assert found == pytest.approx(0.6 + times * (2 * 1e-4 + 5e-3))


# ------------------------------------------------------------------------------ what users type


def test_a_plan_in_words(capsys) -> None:
    assert main("plan --params 70e9 --gpus 1024 --machine h100 --tokens 2T".split()) == 0
    said = capsys.readouterr().out
    assert "80 layers" in said and "1,024 h100" in said and "bound by" in said and "days" in said
    rows = [line for line in said.splitlines() if line.startswith("dp")]
    assert len(rows) == 5 and all("compute" in row for row in rows)


def test_what_would_be_needed(capsys) -> None:
    assert main("plan --params 70B --gpus 8".split()) == 1
    said = capsys.readouterr().out
    assert "Nothing fits" in said and "Needed: 16 devices" in said
    assert main("plan --params 1e14 --gpus 8".split()) == 1
    assert "more devices like these do not help" in capsys.readouterr().out


REFUSED = {
    "--params 5": "--params is 5; it must lie between",
    "--gpus 0": "--gpus is 0; it must be at least 1",
    "--gpus 1000003": "--gpus is 1000003",
    "--machine v100": "--machine is 'v100'; it must be one of a100, h100",
    "--batch 0": "--batch is 0",
    "--length -4": "--length is -4",
    "--experts 4 --chosen 5": "--chosen is 5; it must lie between 1 and 4",
    "--tokens -1": "--tokens is -1",
    "--layouts 0": "--layouts is 0",
    "--gpus 48 --batch 7": "no layout of 7 texts over all of them",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_refused_on_the_command_line(typed: str, capsys) -> None:
    assert main(["plan", *typed.split()]) == 2
    said = capsys.readouterr().err
    assert REFUSED[typed] in said and said.count("\n") == 1


JOB = Job(SMALL, 8, 8)
CANNOT = {
    "heads": (lambda: JOB.check_layout(Layout(tp=3)), "heads is 4; it must be a multiple of tp, 3"),
    "layers": (lambda: JOB.check_layout(Layout(pp=3)), "layers is 4"),
    "texts": (lambda: JOB.check_layout(Layout(dp=3)), "batch is 8; it must be a multiple of dp"),
    "tokens": (lambda: JOB.check_layout(Layout(cp=3)), "length is 8"),
    "interleaved": (lambda: JOB.check_layout(Layout(dp=8, pp=2, pieces=2)), "interleaving needs"),
    "experts": (lambda: Layout(dp=4, ep=3), "ep is 3; it must divide dp, 4"),
    "a stage": (lambda: Layout(stage=4), "stage is 4"),
    "no ranks": (lambda: Layout(dp=0), "dp is 0; it must be at least 1"),
    "again": (lambda: Layout(recompute="some"), "recompute is 'some'"),
    "chosen": (lambda: Job(SMALL, 8, 8, 2, 3), "chosen is 3; there are 2 experts"),
    "no texts": (lambda: Job(SMALL, 8, 0), "batch is 0"),
    "devices": (lambda: list(cluster.layouts(JOB, 0)), "devices is 0"),
    "one size": (lambda: cluster.fit_link([1e3], [1e-3]), "there must be two sizes or more"),
    "no time": (lambda: cluster.fit_link([1, 2], [0, 1]), "each must be above 0"),
    "falling": (lambda: cluster.fit_link([1e3, 1e6], [1, 1e-3]), "do not grow"),
    "step": (lambda: cluster.predicted_step(1, 1, [], {"x": Link(0, 1)}, 5), "stage is 5"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = CANNOT[name]
    with pytest.raises(InputError, match=words):
        call()
