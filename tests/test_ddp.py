"""Plain data parallelism: buckets whose sums begin during backward."""

import numpy as np
import pytest

from minilm import InputError
from minilm.analysis.cluster import zero_traffic
from minilm.parallel import DataParallel, simulate
from tests.small_runs import batch, build


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("bucket", [1, 3000, 25_000_000])
def test_buckets_give_the_mean_of_all_gradients(bucket: int, overlap: bool) -> None:
    model = build()
    model.loss(*batch(0)).backward()

    def worker(comm):
        own = build()
        ddp = DataParallel(comm, own, bucket, overlap)
        own.loss(*(np.split(x, comm.size)[comm.rank] for x in batch(0))).backward()
        started = comm.ledger.messages["all_reduce"] // (2 * (comm.size - 1))
        ddp.finish()
        return [p.grad for p in own.parameters()], len(ddp.buckets), started, comm.ledger.sent

    params = model.parameters()
    for grads, count, started, sent in simulate(worker, 4).values:
        for p, g in zip(params, grads, strict=True):
            np.testing.assert_allclose(g, p.grad, rtol=0, atol=1e-15)
        assert started == (count if overlap else 0)  # all of them before backward ended
        assert count == {1: len(params), 3000: count, 25_000_000: 1}[bucket]
        assert sent["all_reduce"] == pytest.approx(
            8 * zero_traffic(model.num_parameters(), 4, 0), rel=0.01
        )


def test_a_bucket_of_nothing() -> None:
    with pytest.raises(InputError, match="bucket is 0; it must be at least 1 byte"):
        simulate(lambda comm: DataParallel(comm, build(), bucket=0), 1)
