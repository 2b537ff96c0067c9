"""Experts left in their file: the same logits, within the budget, and every request counted."""

import numpy as np
import pytest
from model_kinds import TINY, ids_of, spread
from safetensors.numpy import save_file

from minilm import models, nn
from minilm.analysis import routing
from minilm.errors import InputError
from minilm.inference import generate
from minilm.inference.offload import OffloadedExperts, ResidentExperts, expert_bytes, open_offloaded
from minilm.interop.safetensors import map_safetensors

CONFIG = models.mixtral(**TINY, kv_heads=1, ff=12, experts=4)
ONE = 3 * 8 * 12 * 4  # bytes of an expert


@pytest.fixture
def saved(tmp_path):
    model = spread(models.model_of(CONFIG)).eval()
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    return model, path


@pytest.mark.parametrize("experts", [1, 3, 8])
def test_the_same_logits_within_the_budget(saved, experts):
    model, path = saved
    away, held = open_offloaded(CONFIG, path, experts * ONE)
    ids = ids_of((3, 12))
    for _ in range(2):
        np.testing.assert_allclose(away(ids).data, model(ids).data, rtol=2e-5, atol=1e-5)
        assert held.nbytes <= held.budget and len(held.resident) * ONE == held.nbytes
    assert held.read == held.misses * ONE
    if experts == 8:
        assert expert_bytes(model) == 8 * ONE
        assert held.misses == len(held.resident) <= 8  # each is read once


def test_hits_are_those_of_the_routes(saved):
    """A replay of what the router chose, through a list in place of the cache."""
    model, path = saved
    away, held = open_offloaded(CONFIG, path, 3 * ONE)
    ids = ids_of((1, 12))
    hits, recent = 0, []
    for t in range(12):
        away(ids[:, t : t + 1])
        for layer, chosen in enumerate(routing.routes(model, ids[:, t : t + 1])):
            for expert in sorted(chosen.reshape(-1)):
                key = (layer, expert)
                if key in recent:
                    hits += 1
                    recent.remove(key)
                recent = [*recent, key][-3:]
    assert held.hits == hits > 0 and held.hits + held.misses == 12 * 2 * 2
    assert held.resident == recent
    assert held.hit_rate == pytest.approx(hits / 48)


def test_it_writes_what_the_whole_model_writes(saved):
    model, path = saved
    away, _ = open_offloaded(CONFIG, path, 2 * ONE)
    texts = [list(generate(each, [1, 2, 3], 6, temperature=0.0)) for each in (model, away)]
    assert texts[0] == texts[1]


def test_only_what_is_asked_for_is_read(saved):
    _, path = saved
    away, held = open_offloaded(CONFIG, path, 8 * ONE)
    assert held.read == 0 and not held.resident
    assert all(isinstance(block.feed_forward, OffloadedExperts) for block in away.blocks)
    away(ids_of((1, 1)))
    assert held.misses == 4  # two of four in each of two layers
    with nn.watch_routing() as seen:
        away(ids_of((1, 4)))
    assert len(seen) == 2


def test_what_does_not_fit_is_refused(saved, tmp_path):
    model, path = saved
    with pytest.raises(InputError, match=f"budget is {ONE - 1} bytes; one expert takes {ONE}"):
        open_offloaded(CONFIG, path, ONE - 1)
    with pytest.raises(InputError, match=r"of shape \(4, 8\); the config asks for \(5, 8\)"):
        open_offloaded(CONFIG.replace(experts=5), path, ONE)
    with pytest.raises(InputError, match="experts is None"):
        open_offloaded(models.mistral(**TINY, kv_heads=1), path, ONE)
    with pytest.raises(InputError, match="there must be a safetensors file"):
        open_offloaded(CONFIG, tmp_path / "none", ONE)
    short = tmp_path / "short.safetensors"
    short.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        open_offloaded(CONFIG, short, ONE)
    state = {n: a for n, a in model.state_dict().items() if "blocks.1.norm1" not in n}
    save_file(state, short)
    with pytest.raises(InputError, match="lacks 'stack.blocks.1.norm1.weight'"):
        open_offloaded(CONFIG, short, ONE)
    away, _ = open_offloaded(CONFIG, path, ONE)
    away.requires_grad_(True)
    with pytest.raises(InputError, match="offloaded experts have no gradient"):
        away(ids_of((1, 4)))


def test_mapped_arrays_are_the_file(tmp_path):
    held = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=np.int64)}
    save_file(held, tmp_path / "x", metadata={"facts": "{}"})
    mapped = map_safetensors(tmp_path / "x")
    assert mapped.keys() == held.keys()
    for name, array in held.items():
        assert isinstance(mapped[name], np.memmap) and mapped[name].dtype == array.dtype
        np.testing.assert_array_equal(mapped[name], array)


def test_a_cache_alone():
    layers = [tuple(np.full((4, 2, 2), i, np.float32) for _ in range(3)) for i in range(2)]
    held = ResidentExperts(layers, 2 * 48)
    for layer, expert in ((0, 0), (0, 1), (0, 0), (1, 2), (0, 1)):
        assert held.get(layer, expert)[0][0, 0] == layer
    assert held.resident == [(1, 2), (0, 1)]
    assert (held.hits, held.misses) == (1, 4)
