"""Bad configs and bad input: one sentence that names the argument."""

import dataclasses

import numpy as np
import pytest
from model_kinds import KINDS, TINY, ids_of

from minilm import InputError, models
from minilm.models import Config, Transformer


@pytest.mark.parametrize(
    "changes, word",
    [
        (dict(vocab_size=0), "vocab_size"),
        (dict(layers=1.5), "layers"),
        (dict(heads=True), "heads"),
        (dict(channels=9), "channels"),
        (dict(kv_heads=3), "kv_heads"),
        (dict(kind="decoder-only"), "kind"),
        (dict(norm="batch"), "norm"),
        (dict(activation="swish"), "activation"),
        (dict(positions="absolute"), "positions"),
        (dict(positions="rope", head_size=3), "even head size"),
        (dict(positions="2d"), "glm"),
        (dict(kind="glm"), "2d"),
        (dict(dropout=1.0), "dropout"),
        (dict(eps=0), "eps"),
        (dict(window=0), "window"),
        (dict(window=3, kind="encoder"), "window"),
        (dict(decoder_layers=2), "decoder_layers"),
        (dict(pooler=True), "pooler"),
        (dict(rope_scaling={"kind": "cubic"}), "rope_scaling"),
        (dict(share_cross=True), "share_cross"),
        (dict(kind="encoder-decoder", decoder_layers=1, share_stacks=True), "decoder_layers"),
        (dict(positions="relative", relative_buckets=7), "relative_buckets"),
        (dict(positions="relative", relative_distance=8), "relative_distance"),
        (dict(depth=3), "depth"),
        (dict(bias="no"), "bias must be true or false"),
        (dict(attention_bias=0), "attention_bias must be None, true or false"),
        (dict(positions="rope", rope_scaling={"kind": "linear"}), "a 'factor' of at least 1"),
        (dict(positions="rope", rope_scaling={"kind": "yarn", "factor": 2}), "original_context"),
    ],
)
def test_bad_configs_are_one_sentence(changes, word):
    with pytest.raises(InputError, match=word) as error:
        Config.from_dict({**TINY, **changes})
    assert "\n" not in str(error.value)


def test_config_goes_through_json_and_lacks_nothing():
    config = models.llama("3-8b", rope_scaling={"kind": "ntk", "factor": 2.0})
    assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(InputError, match="lacks the field 'heads'"):
        Config.from_dict({k: v for k, v in TINY.items() if k != "heads"})
    with pytest.raises(InputError, match="small"):
        models.gpt2("tiny")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.heads = 3


def _model(name):
    return Transformer(KINDS[name])


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: _model("gpt2")(ids_of((1, 13))), "context is 12"),
        (lambda: _model("gpt2")([[0, 11]]), "from 0 to 10"),
        (lambda: _model("gpt2")([[0, -1]]), "-1"),
        (lambda: _model("gpt2")([0, 1]), "shape"),
        (lambda: _model("gpt2")([[0.5, 1.0]]), "whole numbers"),
        (lambda: _model("gpt2")([[0], [1, 2]]), "ids"),
        (lambda: _model("gpt2")(np.zeros((1, 0), int)), "ids"),
        (lambda: _model("gpt2")([[0, 1]], positions=[0, 1, 2]), "positions"),
        (lambda: _model("gpt2")([[0, 1]], positions=[0, 12]), "12"),
        (lambda: _model("gpt2")([[0, 1]], valid=np.ones((1, 3), bool)), "valid"),
        (lambda: _model("gpt2")([[0, 1]], valid=[[1, 1]]), "bool"),
        (lambda: _model("gpt2")([[0, 1]], prefix=1), "prefix"),
        (lambda: _model("gpt2")([[0, 1]], [[0]]), "target_ids"),
        (lambda: _model("gpt2")([[0, 1]], token_types=[[0, 0]]), "token_types"),
        (lambda: _model("gpt2").loss([[0, 1]], [[0, 1, 2]]), "targets"),
        (lambda: _model("gpt2").loss([[0, 1]]), "ids, targets"),
        (lambda: _model("gpt2").pooled(None), "pooler"),
        (lambda: _model("bert")([[0, 1]], cache=object()), "cache"),
        (lambda: _model("bert")([[0, 1]], token_types=[[0, 2]]), "token_types"),
        (lambda: _model("prefix-lm")([[0, 1]], prefix=3), "prefix"),
        (lambda: _model("prefix-lm")([[0, 1]], prefix=0.5), "prefix"),
        (lambda: _model("glm")([[0, 1]], positions=[[1, 2], [0, 13]]), "positions"),
        (lambda: _model("glm")([[0, 1]], positions=[1, 2]), "GLM"),
        (lambda: _model("t5")([[0, 1]]), "target_ids"),
        (lambda: _model("t5")([[0, 1]], [[0], [1]]), "sequences"),
        (lambda: _model("t5")(None, [[0]]), "cache"),
        (lambda: _model("t5").loss([[0, 1]], [[0]]), "source_ids, target_ids, targets"),
        (lambda: _model("walked")(ids_of((1, 7)), ids_of((1, 6))), "context is 12"),
        (lambda: Transformer(KINDS["gpt2"], dtype=np.float16), "dtype"),
        (lambda: Transformer(KINDS["gpt2"].replace(head="none")).loss([[0]], [[0]]), "head"),
    ],
)
def test_bad_input_is_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as error:
        call()
    assert "\n" not in str(error.value)
