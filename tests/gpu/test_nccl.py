"""The communicator over NCCL, its calls proven on a stand-in; with GPUs, on the real one."""

import numpy as np
import pytest

from minilm.errors import InputError
from minilm.models import Transformer, gpt2
from minilm.optim import SGD
from minilm.parallel import Zero, simulate
from minilm.parallel.nccl import Nccl

from . import fake_cupy, fake_nccl


@pytest.fixture
def cupy():
    with fake_cupy.installed() as module, fake_nccl.installed(module):
        yield module


def over(comm, worker):
    fake_nccl.here.comm, fake_nccl.here.group = comm, None
    fake_nccl.here.log = []
    return worker(Nccl(comm))


def given_by(rank: int, kind=np.float32) -> np.ndarray:
    return np.random.default_rng(rank).integers(-9, 9, (3, 5)).astype(kind)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_collectives_by_their_definition(cupy, ranks: int) -> None:
    """Also where pieces differ by a number: 15 numbers on 2 and 4 ranks."""
    total = sum(given_by(rank) for rank in range(ranks))

    def worker(comm):
        mine = cupy.asarray(given_by(comm.rank))
        same = np.testing.assert_array_equal
        same(comm.all_reduce(mine).get(), total)
        largest = np.max([given_by(rank) for rank in range(ranks)], axis=0)
        same(comm.all_reduce(mine, "max").get(), largest)
        part = np.array_split(total.reshape(-1), ranks)[comm.rank]
        same(comm.reduce_scatter(mine).get(), part)
        for rank, found in enumerate(comm.all_gather(mine[: comm.rank])):
            same(found.get(), given_by(rank)[:rank])
        root = ranks - 1
        found = comm.broadcast(mine if comm.rank == root else None, root)
        same(found.get(), given_by(root))
        parts = [mine * np.float32(10) + np.float32(to) for to in range(ranks)]
        for source, found in enumerate(comm.all_to_all(parts)):
            same(found.get(), given_by(source) * 10 + comm.rank)
        same(comm.all_reduce(np.array([1.0])), [ranks])  # an array of the host
        comm.barrier()
        started = comm.start_all_gather(mine.reshape(-1), [15] * ranks)
        same(started.wait()[root].get(), given_by(root).reshape(-1))
        return comm.ledger.sent, comm.ledger.messages

    counted = simulate(lambda comm: over(comm, worker), ranks).values

    def plain(comm):
        mine = given_by(comm.rank)
        comm.all_reduce(mine), comm.all_reduce(mine, "max"), comm.reduce_scatter(mine)
        comm.all_gather(mine[: comm.rank]), comm.all_gather(mine.reshape(-1))
        comm.broadcast(mine, ranks - 1), comm.all_to_all([mine] * ranks)
        return comm.ledger.sent, comm.ledger.messages

    assert counted == simulate(plain, ranks).values


def test_messages_in_any_order_of_tags(cupy) -> None:
    """All send before any receives; by tag; on the host, too."""

    def worker(comm):
        after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        mine = cupy.asarray(given_by(comm.rank))
        for tag in (3, 5):
            comm.send(mine * np.float32(tag), after, tag)
        comm.send(given_by(comm.rank), after, 9)
        np.testing.assert_array_equal(comm.recv(before, 9), given_by(before))
        for tag in (5, 3):
            np.testing.assert_array_equal(comm.recv(before, tag).get(), given_by(before) * tag)
        comm.barrier()

    simulate(lambda comm: over(comm, worker), 3)


def test_what_was_started_has_a_stream_of_its_own(cupy) -> None:
    def worker(comm):
        comm.start_all_reduce(cupy.asarray(given_by(0))).wait()
        comm.send(cupy.asarray(given_by(0)), 1 - comm.rank)
        comm.recv(1 - comm.rank)
        return fake_nccl.here.log

    for log in simulate(lambda comm: over(comm, worker), 2).values:
        assert log == [("allReduce", 1), ("send", 0), ("recv", 0)]


def test_groups(cupy) -> None:
    def worker(comm):
        mine = [comm.rank % 2, comm.rank % 2 + 2]
        fake_nccl.here.comm = comm.host.group(mine)
        pair = comm.group(mine)
        return float(pair.all_reduce(cupy.asarray(np.array([comm.rank], np.float32))).get()[0])

    assert simulate(lambda comm: over(comm, worker), 4).values == [2, 4, 2, 4]


def test_a_type_that_it_does_not_carry(cupy) -> None:
    with pytest.raises(InputError, match="dtype is complex64; NCCL carries float16"):
        simulate(
            lambda comm: over(comm, lambda c: c.all_reduce(cupy.asarray(np.ones(2, np.complex64)))),
            1,
        )


def test_no_gpu_and_no_library_are_sentences() -> None:
    with fake_cupy.installed() as module:
        with pytest.raises(InputError, match="this CuPy has no NCCL"):
            simulate(Nccl, 1)
        module.cuda.runtime.getDeviceCount = lambda: 0
        with pytest.raises(InputError, match="needs an NVIDIA GPU"):
            simulate(Nccl, 1)


@pytest.mark.parametrize("stage", [0, 3])
def test_zero_on_devices(cupy, stage: int) -> None:
    """A step of training whose weights and gradients stay on the devices."""
    rows = np.random.default_rng(0).integers(0, 20, (4, 9))
    ids, targets = rows[:, :-1], rows[:, 1:]
    config = gpt2(layers=2, heads=2, channels=16, vocab_size=20, context=8)
    alone = Transformer(config, seed=0)
    alone.loss(ids, targets).backward()
    SGD(alone.parameters(), lr=0.1).step()

    def worker(comm):
        model = Transformer(config, seed=0).to(device="cuda")
        zero = Zero(
            comm, model, model.stack.blocks, lambda groups: SGD(groups, lr=0.1), stage, overlap=True
        )
        model.loss(*(np.split(x, comm.size)[comm.rank] for x in (ids, targets))).backward()
        zero.step()
        with zero.whole():
            return {name.replace(".inside", ""): p.data for name, p in model.named_parameters()}

    for found in simulate(lambda comm: over(comm, worker), 2).values:
        for name, p in alone.named_parameters():
            assert isinstance(found[name], cupy.ndarray)
            np.testing.assert_allclose(found[name].get(), p.data, rtol=0, atol=1e-6)


@pytest.mark.gpu
def test_one_gpu() -> None:
    """The real calls, with a communicator of one."""
    cp = pytest.importorskip("cupy")

    def worker(comm):
        own = Nccl(comm)
        x = cp.asarray(given_by(0))
        for found in (own.all_reduce(x), own.all_gather(x)[0], own.broadcast(x)):
            np.testing.assert_array_equal(found.get(), given_by(0))
        np.testing.assert_array_equal(own.reduce_scatter(x).get(), given_by(0).reshape(-1))
        own.barrier()

    simulate(worker, 1)
