"""Configs that earlier versions saved, one of each family, still give the same models.

The dictionaries are what `Config.to_dict` wrote when all fields were flat.
"""

import json

import numpy as np
import pytest
from model_kinds import KINDS

from minilm import models
from minilm.models import Config, Relative, Rope, model_of
from minilm.tokenizers import ByteTokenizer
from minilm.train import checkpoints

# fmt: off
FLAT = {"kv_heads": None, "head_size": None, "ff": None, "decoder_layers": None, "kind": "decoder",
        "head": "lm", "tie": True, "pooler": False, "token_types": 0, "norm": "layer",
        "eps": 1e-05, "norm_position": "pre", "norm_affine": True, "activation": "gelu",
        "bias": True, "attention_bias": None, "dropout": 0.0, "attention_scale": None,
        "positions": "learned", "rope_theta": 10000.0, "rope_layout": "half",
        "rope_scaling": None, "relative_buckets": 32, "relative_distance": 128, "window": None,
        "embedding_norm": False, "embedding_scale": 1.0, "logit_scale": 1.0,
        "share_cross": False, "share_stacks": False, "same_layer": False, "causal_input": False,
        "merged_softmax": False, "joint_positions": False, "init_std": 0.02}
OLD = {
    "gpt2": {**FLAT, "vocab_size": 50257, "context": 1024, "layers": 12, "heads": 12,
             "channels": 768, "activation": "gelu_tanh"},
    "llama": {**FLAT, "vocab_size": 128256, "context": 8192, "layers": 32, "heads": 32,
              "channels": 4096, "kv_heads": 8, "ff": 14336, "tie": False, "norm": "rms",
              "activation": "swiglu", "bias": False, "positions": "rope",
              "rope_theta": 500000.0, "rope_layout": "interleaved",
              "rope_scaling": {"kind": "llama3", "factor": 8.0, "original_context": 8192}},
    "mistral": {**FLAT, "vocab_size": 32000, "context": 8192, "layers": 32, "heads": 32,
                "channels": 4096, "kv_heads": 8, "ff": 14336, "tie": False, "norm": "rms",
                "activation": "swiglu", "bias": False, "positions": "rope", "window": 4096},
    "bert": {**FLAT, "vocab_size": 30522, "context": 512, "layers": 12, "heads": 12,
             "channels": 768, "kind": "encoder", "head": "mlm", "pooler": True,
             "token_types": 2, "eps": 1e-12, "norm_position": "post", "embedding_norm": True},
    "vaswani": {**FLAT, "vocab_size": 37000, "context": 1024, "layers": 6, "heads": 8,
                "channels": 512, "ff": 2048, "kind": "encoder-decoder", "norm_position": "post",
                "activation": "relu", "attention_bias": False, "positions": "sinusoidal",
                "embedding_scale": 22.627416997969522},
    "t5": {**FLAT, "vocab_size": 32128, "context": 512, "layers": 6, "heads": 8,
           "channels": 512, "ff": 2048, "decoder_layers": 2, "kind": "encoder-decoder",
           "norm": "rms", "eps": 1e-06, "activation": "relu", "bias": False,
           "attention_scale": 1.0, "positions": "relative", "relative_buckets": 16,
           "relative_distance": 64, "logit_scale": 0.04419417382415922},
    "prefix-lm": {**FLAT, "vocab_size": 50257, "context": 1024, "layers": 12, "heads": 12,
                  "channels": 768, "kind": "prefix-lm", "activation": "gelu_tanh"},
    "glm": {**FLAT, "vocab_size": 30522, "context": 512, "layers": 12, "heads": 12,
            "channels": 768, "kind": "glm", "positions": "2d"},
    "walked": {**FLAT, "vocab_size": 11, "context": 12, "layers": 2, "heads": 2, "channels": 8,
               "kind": "encoder-decoder", "share_cross": True, "share_stacks": True,
               "same_layer": True, "merged_softmax": True, "joint_positions": True},
}
NEW = {
    "gpt2": models.gpt2(),
    "llama": models.llama("3-8b", rope=Rope(
        5e5, "interleaved", {"kind": "llama3", "factor": 8.0, "original_context": 8192})),
    "mistral": models.mistral(),
    "bert": models.bert(),
    "vaswani": models.vaswani(),
    "t5": models.t5(decoder_layers=2, relative=Relative(16, 64)),
    "prefix-lm": models.prefix_lm(),
    "glm": models.glm(),
    "walked": KINDS["walked"],
}
# fmt: on


@pytest.mark.parametrize("family", OLD)
def test_a_flat_config_is_read_and_written_grouped(family):
    config = Config.from_dict(json.loads(json.dumps(OLD[family])))
    assert config == NEW[family] and type(config) is type(NEW[family])
    written = config.to_dict()
    assert not any(name.startswith(("rope_", "relative_")) for name in written)
    assert ("share_cross" in written) == (config.kind == "encoder-decoder")
    assert Config.from_dict(json.loads(json.dumps(written))) == config


def test_a_flat_config_keeps_only_what_its_positions_use():
    old = {**OLD["gpt2"], "rope_theta": 7.0, "relative_buckets": 8}
    assert Config.from_dict(old) == NEW["gpt2"]


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "walked"])
def test_a_checkpoint_of_before_still_loads(family, tmp_path):
    """The config flat, the weights under the names that they have always had."""
    old = {**OLD[family], "vocab_size": 256, "context": 12, "layers": 2, "heads": 2, "channels": 8}
    old |= {"kv_heads": 1, "ff": 12}
    model = model_of(Config.from_dict(old), seed=3)
    checkpoints.begin(tmp_path, model.config, ByteTokenizer(), {})
    checkpoints.save(tmp_path, model, [], {})
    checkpoints.save_json(tmp_path / checkpoints.CONFIG, {"format": checkpoints.FORMAT, **old})
    loaded, _ = checkpoints.load(tmp_path)
    assert type(loaded) is type(model) and loaded.config == model.config
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], array, err_msg=name)


def test_weights_have_the_names_that_old_files_give_them():
    """In this order too: an optimizer's state counts parameters."""
    names = {name: list(model_of(KINDS[name]).state_dict()) for name in ("gpt2", "t5", "walked")}
    block = ["norm1.weight", "norm1.bias", "attention.qkv.weight", "attention.qkv.bias"]
    block += ["attention.out.weight", "attention.out.bias", "norm2.weight", "norm2.bias"]
    block += ["feed_forward.up.weight", "feed_forward.up.bias"]
    block += ["feed_forward.down.weight", "feed_forward.down.bias"]
    first = ["tokens.weight", "positions.weight"]
    both = [f"blocks.{i}.{part}" for i in range(2) for part in block]
    last = ["norm.weight", "norm.bias"]
    assert names["gpt2"] == [*first, *(f"stack.{name}" for name in [*both, *last])]
    shared = [f"encoder.{name}" for name in both]
    assert names["walked"] == [*first, *shared, *(f"decoder.{name}" for name in last)]
    own = [name for name in block if "bias" not in name]
    cross = ["cross_norm.weight", "cross.query.weight", "cross.key_value.weight"]
    cross = [f"decoder.blocks.0.{part}" for part in [*own, *cross, "cross.out.weight"]]
    reads = [f"encoder.blocks.{i}.{part}" for i in range(2) for part in own]
    reads += ["encoder.norm.weight", "encoder.relative.weight"]
    ends = ["decoder.norm.weight", "decoder.relative.weight"]
    assert names["t5"] == ["tokens.weight", *reads, *cross, *ends]
