"""Bytes and numbers of training on many devices, against published tables."""

import pytest

from minilm import InputError
from minilm.analysis import cluster

GB = 1e9
# Parameters, ranks, GB of each stage (Rajbhandari et al. 2019, figure 1 and table 1; by formula).
ZERO = [
    (7.5e9, 64, (120, 31.40625, 16.640625, 1.875)),
    (7.5e9, 4, (120, 52.5, 41.25, 30)),
    (7.5e9, 1024, (120, 30.088, 15.103, 0.117)),
    (128e9, 64, (2048, 536, 284, 32)),
    (1e12, 64, (16000, 4187.5, 2218.75, 250)),
]


@pytest.mark.parametrize(("parameters", "ranks", "table"), ZERO)
def test_zero_memory(parameters: float, ranks: int, table: tuple[float, ...]) -> None:
    found = [cluster.zero_memory(parameters, ranks, stage) / GB for stage in range(4)]
    assert found == pytest.approx(table, abs=5e-4)


def test_zero_traffic() -> None:
    assert [cluster.zero_traffic(64, 4, stage) for stage in range(4)] == [96, 96, 96, 144]


def test_activations_of_gpt3() -> None:
    a_layer = cluster.activation_bytes(2048, 1, 12288, 96)
    assert a_layer / 2**30 == 2.671875
    assert 96 * cluster.activation_bytes(2048, 1, 12288, 96, recompute=True) / 2**30 == 4.5


@pytest.mark.parametrize(
    ("stages", "batches", "share"), [(4, 4, 0.42857), (4, 8, 0.27273), (8, 32, 0.179487)]
)
def test_bubble(stages: int, batches: int, share: float) -> None:
    assert cluster.bubble(stages, batches) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize(("layers", "peak"), [(16, 8), (24, 10), (32, 12), (96, 20)])
def test_best_segments(layers: int, peak: int) -> None:
    segments, found = cluster.best_segments(layers)
    assert found == peak == cluster.kept_by_segments(layers, segments)


@pytest.mark.parametrize(
    ("flops", "bandwidth", "tokens"), [(312e12, 300e9, 1040), (312e12, 12.5e9, 24960)]
)
def test_ring_block(flops: float, bandwidth: float, tokens: float) -> None:
    assert cluster.ring_block(flops, bandwidth) == pytest.approx(tokens)


REFUSED = {
    "stage 1 of DeepSpeed": (lambda: cluster.deepspeed_memory(1e9, 4, 1), "stages 2 and 3"),
    "offload of stage 3": (lambda: cluster.deepspeed_memory(1e9, 4, 3, True), "offload is True"),
    "a stage of 4": (lambda: cluster.zero_memory(1e9, 4, 4), "stage is 4"),
    "no ranks": (lambda: cluster.zero_memory(1e9, 0, 1), "ranks is 0"),
    "more segments than layers": (lambda: cluster.kept_by_segments(4, 5), "segments is 5"),
    "no bandwidth": (lambda: cluster.ring_block(1e12, 0), "bandwidth is 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()


def test_deepspeed_says_more_than_the_paper() -> None:
    """Psi = 7.5e9, N = 64: 17.1 GB beside 16.6, because gradients are kept in float32, too."""
    found, _ = cluster.deepspeed_memory(7.5e9, 64, 2)
    assert found == 2 * 7.5e9 + 18 * 7.5e9 / 64 > cluster.zero_memory(7.5e9, 64, 2)
    assert cluster.deepspeed_memory(1e9, 8, 3, largest=1e8)[0] == 18e9 / 8 + 4e8
    assert cluster.deepspeed_memory(1e9, 2, 2, offload=True) == (2e9, 24e9)
    assert cluster.deepspeed_memory(1e9, 8, 2, offload=True) == (2e9, 48e9)


@pytest.mark.parametrize(("stages", "batches"), [(4, 4), (4, 8), (8, 32)])
def test_zero_bubble_is_a_third(stages: int, batches: int) -> None:
    idle = cluster.zero_bubble(stages, batches) / (1 - cluster.zero_bubble(stages, batches))
    plain = cluster.bubble(stages, batches) / (1 - cluster.bubble(stages, batches))
    assert idle == pytest.approx(plain / 3)
