"""Bad configs and bad input: one sentence that names the argument."""

import dataclasses
import json

import numpy as np
import pytest
from model_kinds import KINDS, TINY, ids_of

from minilm import InputError, models
from minilm.models import (
    Config,
    EncoderDecoder,
    EncoderDecoderConfig,
    Relative,
    Rope,
    Transformer,
    model_of,
)


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
        (dict(positions="rope", head_size=3), "head size is 3; .* even"),
        (dict(positions="2d"), "glm"),
        (dict(kind="glm"), "2d"),
        (dict(dropout=1.0), "dropout"),
        (dict(eps=0), "eps"),
        (dict(window=0), "window"),
        (dict(window=3, kind="encoder"), "window"),
        (dict(decoder_layers=2), "decoder_layers"),
        (dict(pooler=True), "pooler"),
        (dict(positions="rope", rope={"scaling": {"kind": "cubic"}}), "rope scaling"),
        (dict(positions="rope", rope={"layout": "quarter"}), "rope layout is 'quarter'"),
        (dict(positions="rope", rope={"theta": 0}), "rope theta is 0"),
        (dict(positions="rope", rope={"base": 1e4}), "rope has 'base'; its fields are theta"),
        (dict(positions="rope", rope=1e4), "rope is 10000.0; with positions 'rope'"),
        (dict(positions="alibi", rope={"theta": 1e4}), "with positions 'alibi' it must be None"),
        (dict(positions="rope", rope={}, rope_theta=1e4), "config has rope and, flat, its theta"),
        (dict(relative={"buckets": 8}), "with positions 'learned' it must be None"),
        (dict(share_cross=True), "share_cross"),
        (dict(kind="encoder-decoder", decoder_layers=1, share_stacks=True), "decoder_layers"),
        (dict(positions="relative", relative={"buckets": 7}), "relative buckets is 7"),
        (dict(positions="relative", relative={"distance": 8}), "relative distance is 8"),
        (dict(positions="relative", relative_buckets=7), "relative buckets is 7"),
        (dict(kind="encoder-decoder", share_cross=1), "share_cross is 1"),
        (dict(kind="encoder-decoder", window=3), "window is 3"),
        (dict(depth=3), "depth"),
        (dict(bias="no"), "bias is 'no'; it must be true or false"),
        (dict(attention_bias=0), "attention_bias is 0; it must be None, true, false or 'qkv'"),
        (dict(positions="rope", rope_scaling={"kind": "linear"}), "has factor None"),
        (dict(positions="rope", rope_scaling={"kind": "yarn", "factor": 2}), "original_context"),
    ],
)
def test_bad_configs_are_one_sentence(changes, word):
    with pytest.raises(InputError, match=word) as error:
        Config.from_dict({**TINY, **changes})
    assert "\n" not in str(error.value) and not str(error.value).endswith(".")


def test_config_goes_through_json_and_lacks_nothing():
    config = models.llama("3-8b", rope=Rope(5e5, scaling={"kind": "ntk", "factor": 2.0}))
    written = json.loads(json.dumps(config.to_dict()))
    assert Config.from_dict(written) == config
    assert written["rope"] == {
        "theta": 5e5,
        "layout": "half",
        "scaling": {"kind": "ntk", "factor": 2.0},
        "fraction": 1.0,
        "local_theta": None,
    }
    with pytest.raises(InputError, match="lacks the field 'heads'"):
        Config.from_dict({k: v for k, v in TINY.items() if k != "heads"})
    with pytest.raises(InputError, match="small"):
        models.gpt2("tiny")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.heads = 3


def test_a_group_is_there_where_its_positions_are():
    assert Config(**TINY, positions="rope").rope == Rope(1e4, "half", None)
    assert Config(**TINY, positions="relative").relative == Relative(32, 128)
    turned = Config(**TINY, positions="rope", rope=Rope(5e5))
    assert turned.replace(layers=3).rope == Rope(5e5)
    other = turned.replace(positions="relative")
    assert (other.rope, other.relative) == (None, Relative())
    assert turned.replace(positions="relative", relative=Relative(8, 16)).relative.buckets == 8
    with pytest.raises(InputError, match="rope"):
        turned.replace(positions="alibi", rope=Rope())


def test_the_kind_says_which_config_and_which_model():
    both = EncoderDecoderConfig(**TINY, joint_positions=True)
    assert Config.from_dict(both.to_dict()) == both
    assert EncoderDecoderConfig.from_dict({**TINY, "joint_positions": True}) == both
    assert isinstance(model_of(both), EncoderDecoder)
    one = both.replace(kind="encoder", joint_positions=False)
    assert one == Config(**TINY, kind="encoder") and isinstance(model_of(one), Transformer)
    assert one.replace(kind="encoder-decoder", joint_positions=True) == both
    with pytest.raises(InputError, match="its config is an EncoderDecoderConfig"):
        Config(**TINY, kind="encoder-decoder")
    with pytest.raises(InputError, match="EncoderDecoderConfig takes encoder-decoder"):
        EncoderDecoderConfig(**TINY, kind="decoder")
    with pytest.raises(InputError, match="Transformer takes Config, and model_of"):
        Transformer(both)
    with pytest.raises(InputError, match="EncoderDecoder takes EncoderDecoderConfig"):
        EncoderDecoder(one)


def _model(name):
    return model_of(KINDS[name])


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
        (lambda: _model("gpt2")([[0, 1]], token_types=[[0, 0]]), "token_types"),
        (lambda: _model("gpt2").loss([[0, 1]], [[0, 1, 2]]), "targets"),
        (lambda: _model("gpt2")(), "ids is missing"),
        (lambda: _model("gpt2")([[0]], embeddings=np.ones((1, 1, 8))), "takes one of them"),
        (lambda: _model("gpt2")(embeddings=np.ones((1, 2, 7))), "(batch, time, 8)"),
        (lambda: _model("gpt2")(embeddings=np.ones((1, 2, 8), int)), "must be floats"),
        (lambda: _model("gpt2")(embeddings=np.ones((1, 13, 8))), "embeddings reaches 13"),
        (lambda: _model("gpt2").loss([[0, 1]], [[0, 1]], weights=[1.0, 1.0]), "weights"),
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
        (lambda: _model("t5")([[0, 1]], [[0]], valid=[[True]]), "valid is bool of shape"),
        (lambda: _model("t5").loss([[0, 1]], [[0]], [[0, 1]]), "targets is int64 of shape"),
        (lambda: _model("walked")(ids_of((1, 7)), ids_of((1, 6))), "context is 12"),
        (lambda: Transformer(KINDS["gpt2"], dtype=np.float16), "dtype"),
        (lambda: Transformer(KINDS["gpt2"].replace(head="none")).loss([[0]], [[0]]), "head"),
    ],
)
def test_bad_input_is_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as error:
        call()
    assert "\n" not in str(error.value) and not str(error.value).endswith(".")


def test_what_one_stack_is_not_given_cannot_be_passed():
    """No second sequence slips in as another argument."""
    for call in (
        lambda: _model("gpt2")([[0, 1]], [[0, 1]]),
        lambda: _model("gpt2").hidden([[0, 1]], [[0, 1]]),
        lambda: _model("gpt2").loss([[0, 1]]),
        lambda: _model("t5").loss([[0, 1]], [[0]]),
        lambda: _model("t5")([[0, 1]], [[0]], prefix=1),
    ):
        with pytest.raises(TypeError, match="argument"):
            call()
