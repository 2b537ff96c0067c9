"""Hugging Face files in and out, without their library."""

import json
import math

import numpy as np
import pytest

from minilm import InputError, models
from minilm.interop.hf import from_hf, load_hf, save_hf, to_hf
from minilm.interop.hf_config import config_from_hf
from minilm.interop.hf_config_out import architecture_of, config_to_hf
from minilm.models import Config, Rope, Transformer, model_of
from minilm.tensor import Tensor

TINY = dict(vocab_size=11, context=12, layers=2, heads=2, channels=8, ff=12)
CONFIGS = {
    "gpt2": models.gpt2(**TINY, tie=False),
    "gpt_bigcode": models.gpt2(**TINY, kv_heads=1),
    "gpt_bigcode untied": models.gpt2(**TINY, kv_heads=1, tie=False),
    "llama": models.llama(**TINY, kv_heads=1, rope=Rope(scaling={"kind": "linear", "factor": 2.0})),
    "mistral": models.mistral(**TINY, kv_heads=1, window=4),
    "mixtral": models.mixtral(**TINY, kv_heads=1, experts=3),
    "mixtral window": models.mixtral(**TINY, kv_heads=1, experts=3, window=4, tie=True),
    "bert": models.bert(**TINY),
    "bert untied": models.bert(**TINY, tie=False, activation="relu"),
    "bert masked": models.bert(**TINY, pooler=False),
    "bert pooled": models.bert(**TINY, head="none"),
    "bert bare": models.bert(**TINY, head="none", pooler=False),
    "t5": models.t5(**TINY, decoder_layers=1, activation="geglu_tanh"),
    "gpt_neox": models.gpt_neox(**TINY, rope=Rope(fraction=0.5)),
    "starcoder2": models.starcoder2(**TINY, kv_heads=1, window=4),
    "qwen2": models.qwen2(**TINY, kv_heads=1),
    "qwen3": models.qwen3(**TINY, kv_heads=1, head_size=6),
    "olmo2": models.olmo2(**TINY, kv_heads=1),
    "gemma2": models.gemma2(**TINY, kv_heads=1, head_size=6, window=4),
    "gemma3_text": models.gemma3(**TINY, kv_heads=1, head_size=6, window=4, global_every=2),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_there_and_back(name, tmp_path):
    model = model_of(CONFIGS[name], seed=2)
    theirs = to_hf(model.state_dict(), model.config)
    back = from_hf(theirs, model.config)
    for ours, array in model.state_dict().items():
        np.testing.assert_array_equal(back[ours], array, err_msg=ours)
    twice = 11 if name == "bert untied" else 0  # its decoder has the bias once more
    assert sum(a.size for a in theirs.values()) == model.num_parameters() + twice
    save_hf(model, tmp_path / "model")
    kind = json.loads((tmp_path / "model" / "config.json").read_text())["model_type"]
    assert kind == name.split()[0]
    again = load_hf(tmp_path / "model")
    for ours, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[ours], array, err_msg=ours)
    assert config_to_hf(again.config) == config_to_hf(model.config)


def test_names_as_the_published_files_have_them():
    """GPT-2's file lacks "transformer.", BERT's old one says gamma and beta."""
    model = Transformer(CONFIGS["gpt2"])
    theirs = to_hf(model.state_dict(), model.config)
    assert theirs["transformer.h.0.attn.c_attn.weight"].shape == (8, 24)
    bare = {name.removeprefix("transformer."): value for name, value in theirs.items()}
    bare["h.0.attn.bias"] = np.zeros((1, 1, 12, 12))
    again = from_hf(bare, model.config)
    np.testing.assert_array_equal(again["tokens.weight"], model.tokens.weight.data)
    model = Transformer(CONFIGS["bert"])
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in to_hf(model.state_dict(), model.config).items()
    }
    assert set(from_hf(old, model.config)) == set(model.state_dict())


def test_shards(tmp_path):
    from safetensors.numpy import save_file

    model = Transformer(CONFIGS["llama"])
    theirs = to_hf(model.state_dict(), model.config)
    save_hf(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    names = sorted(theirs)
    weight_map = {name: f"part{i % 2}.safetensors" for i, name in enumerate(names)}
    for part in set(weight_map.values()):
        save_file({n: theirs[n] for n in names if weight_map[n] == part}, tmp_path / part)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    ids = np.arange(6)[None]
    np.testing.assert_array_equal(load_hf(tmp_path)(ids).data, model(ids).data)
    index.write_text(json.dumps({"weight_map": {"x": "../part0.safetensors"}}))
    with pytest.raises(InputError, match="outside"):
        load_hf(tmp_path)


def test_bad_folders_are_one_sentence(tmp_path):
    folder = tmp_path / "model"
    model = Transformer(CONFIGS["gpt2"])
    save_hf(model, folder)
    weights = (folder / "model.safetensors").read_bytes()
    fields = json.loads((folder / "config.json").read_text())

    def broken(word, config=None, content=None):
        (folder / "config.json").write_text(json.dumps(fields) if config is None else config)
        (folder / "model.safetensors").write_bytes(weights if content is None else content)
        with pytest.raises(InputError, match=word) as error:
            load_hf(folder)
        assert "\n" not in str(error.value)

    broken("not a whole safetensors file", content=weights[:-10])
    broken("not a whole safetensors file", content=b"PK garbage")
    broken("JSON", config="{")
    broken("JSON object", config="[1]")
    broken("model_type", config=json.dumps({**fields, "model_type": "rwkv"}))
    broken("'n_head'", config=json.dumps({k: v for k, v in fields.items() if k != "n_head"}))
    broken("asks for", config=json.dumps({**fields, "n_embd": 16}))
    broken("lacks", config=json.dumps({**fields, "n_layer": 3}))
    broken("activation", config=json.dumps({**fields, "activation_function": "mish"}))
    with pytest.raises(InputError, match="config.json"):
        load_hf(tmp_path / "nowhere")
    save_hf(model, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="there must be a safetensors file"):
        load_hf(folder)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_array_that_the_model_does_not_ask_for_is_refused(name):
    """One more layer than config.json counts, or a bias that the config has not."""
    config = CONFIGS[name]
    deeper = to_hf(model_of(config.replace(layers=3)).state_dict(), config.replace(layers=3))
    unasked = {
        "gpt2": r"transformer\.h\.2\.",
        "gpt_bigcode": r"transformer\.h\.2\.",
        "t5": r"encoder\.block\.2\.",
    }
    where = unasked.get(name.split()[0], r"\.2\.")
    with pytest.raises(InputError, match=rf"state has '[\w.]*{where}.*of 2 layers") as error:
        from_hf(deeper, config)
    assert "\n" not in str(error.value)
    state = to_hf(model_of(config).state_dict(), config)
    biased = {**state, "model.layers.0.mlp.bias": np.zeros(8)}
    with pytest.raises(InputError, match="mlp.bias"):
        from_hf(biased, config)
    with pytest.raises(InputError, match="state has 'stack.blocks.9"):
        to_hf({**model_of(config).state_dict(), "stack.blocks.9.norm1.weight": 0}, config)


@pytest.mark.parametrize(
    "name, aside",
    [
        ("gpt2", {"transformer.h.1.attn.masked_bias": np.array(-1e4)}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2)}),
        ("bert", {"bert.embeddings.position_ids": np.arange(12)[None]}),
        ("bert", {"cls.seq_relationship.weight": np.ones((2, 8))}),
        ("t5", {"encoder.embed_tokens.weight": "shared.weight"}),
        ("t5", {"lm_head.weight": "shared.weight"}),
        ("bert", {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"}),
        ("bert untied", {"cls.predictions.decoder.bias": "cls.predictions.bias"}),
    ],
)
def test_buffers_and_equal_copies_are_left_aside(name, aside):
    config = CONFIGS[name]
    state = to_hf(model_of(config).state_dict(), config)
    for extra, value in aside.items():
        copied = isinstance(value, str)
        state[extra] = state[value].copy() if copied else value
        from_hf(state, config)
        if copied:
            state[extra][0] += 1
            with pytest.raises(InputError, match="which differ; the config makes them one"):
                from_hf(state, config)


@pytest.mark.parametrize(
    "name, changes, word",
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gpt2", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ("llama", {"attention_bias": True}, "attention_bias is True"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 0.7}},
            "mscale",
        ),
        ("llama", {"rope_scaling": {"type": "yarn", "factor": 2.0, "truncate": False}}, "truncate"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0, "warp": 3}}, "rope.* 'warp'"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "par",
        ),
        ("bert", {"is_decoder": True}, "is_decoder is True"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("t5", {"tie_encoder_decoder": True}, "tie_encoder_decoder is True"),
        ("t5", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj is 'gated-silu'"),
    ],
)
def test_a_setting_that_changes_the_model_is_not_passed_over(name, changes, word):
    fields = config_to_hf(CONFIGS[name])
    fields.pop("rope_scaling", None)
    with pytest.raises(InputError, match=word) as error:
        config_from_hf({**fields, **changes})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "extra"),
    [("bert masked", ("pooler", "seq")), ("bert bare", ("pooler",)), ("bert pooled", ())],
)
def test_a_pooler_is_read_where_the_file_has_one(name, extra, tmp_path):
    """bert-base-uncased calls itself a BertForMaskedLM and has the pooler and the other head."""
    from safetensors.numpy import load_file, save_file

    model = model_of(CONFIGS[name], seed=1)
    save_hf(model, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    fields = json.loads((tmp_path / "config.json").read_text())
    fields.pop("add_pooling_layer", None)  # as theirs writes it
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert load_hf(tmp_path).config.pooler == CONFIGS[name].pooler
    if "pooler" in extra:
        state["bert.pooler.dense.weight"] = np.eye(8, dtype=np.float32)
        state["bert.pooler.dense.bias"] = np.ones(8, np.float32)
    if "seq" in extra:
        state["cls.seq_relationship.weight"] = np.ones((2, 8), np.float32)
    save_file(state, tmp_path / "model.safetensors")
    again = load_hf(tmp_path)
    assert again.config == CONFIGS[name].replace(pooler=True)
    ids = np.arange(6)[None]
    np.testing.assert_array_equal(again.hidden(ids).data, model.hidden(ids).data)


def test_a_pretrained_bert_without_its_pooler_is_incomplete(tmp_path):
    from safetensors.numpy import load_file, save_file

    save_hf(model_of(CONFIGS["bert"]), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["bert.pooler.dense.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="lacks 'bert.pooler.dense.weight'"):
        load_hf(tmp_path)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu_pytorch_tanh", "gelu_tanh"), ("gelu_fast", "gelu_tanh"), ("gelu_python", "gelu")]
    + [("swish", "silu"), ("gelu_new", "gelu_tanh"), ("gelu", "gelu"), ("relu", "relu")],
)
def test_names_of_activations(theirs, ours):
    for name, field in (("gpt2", "activation_function"), ("bert", "hidden_act")):
        fields = {**config_to_hf(CONFIGS[name]), field: theirs}
        assert config_from_hf(fields).activation == ours
    fields = {**config_to_hf(CONFIGS["t5"]), "feed_forward_proj": theirs}
    assert config_from_hf(fields).activation == ours


def test_a_gpt_bigcode_of_as_many_keys_as_queries_is_refused():
    """Its file has the three of each head side by side."""
    fields = config_to_hf(CONFIGS["gpt_bigcode"])
    with pytest.raises(InputError, match="multi_query is False"):
        config_from_hf({**fields, "multi_query": False})


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf{}", b"[" * 100_000, b"\xff\xfe{"])
def test_a_config_that_another_program_spoilt_is_one_sentence(content, tmp_path):
    save_hf(model_of(CONFIGS["gpt2"]), tmp_path)
    for name in ("config.json", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} (begins with|is not JSON)") as error:
            load_hf(tmp_path)
        assert "\n" not in str(error.value)
        save_hf(model_of(CONFIGS["gpt2"]), tmp_path)


def test_an_untied_bert_keeps_its_own_head():
    config = config_from_hf(config_to_hf(CONFIGS["bert untied"]))
    assert not config.tie and config.activation == "relu"
    state = to_hf(model_of(config, seed=1).state_dict(), config)
    own = state["cls.predictions.decoder.weight"]
    assert np.abs(own - state["bert.embeddings.word_embeddings.weight"]).max() > 0.01
    np.testing.assert_array_equal(from_hf(state, config)["head.weight"], own)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
def test_berts_head_has_the_feed_forwards_activation(activation):
    """Theirs is hidden_act in both places: norm(act(W h + b)) E^T + bias, in float64."""
    model = model_of(models.bert(**TINY, activation=activation), dtype=np.float64)
    head, h = model.head, np.random.default_rng(0).normal(0, 2, (1, 3, 8))
    head.dense.weight.data *= 50
    x = h @ head.dense.weight.data.T
    x = {
        "gelu": lambda x: x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2,
        "gelu_tanh": lambda x: x / 2 * (1 + np.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))),
        "relu": lambda x: np.maximum(x, 0),
        "silu": lambda x: x / (1 + np.exp(-x)),
    }[activation](x)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    expected = x @ model.tokens.weight.data.T
    np.testing.assert_allclose(model.logits(Tensor(h)).data, expected, atol=1e-10)


def test_what_has_no_counterpart_says_so():
    with pytest.raises(InputError, match="no Hugging Face counterpart"):
        architecture_of(Config(**TINY, positions="alibi"))
    grouped = models.gpt2(**{**TINY, "heads": 4}, kv_heads=2)  # theirs has one for all, or each
    for config in (
        models.gpt2(**TINY, window=4),
        grouped,
        CONFIGS["t5"].replace(joint_positions=True),
    ):
        with pytest.raises(InputError, match="no Hugging Face counterpart"):
            architecture_of(config)
    with pytest.raises(InputError, match="rope_type"):
        fields = config_to_hf(CONFIGS["llama"])
        config_from_hf({**fields, "rope_scaling": {"rope_type": "longrope", "factor": 2.0}})
    with pytest.raises(InputError, match="lacks"):
        to_hf({}, CONFIGS["gpt2"])


def test_another_number_of_experts_is_one_sentence():
    config = CONFIGS["mixtral"]
    state = to_hf(model_of(config).state_dict(), config)
    for experts in (2, 4):
        with pytest.raises(
            InputError, match=rf"has 3 experts in .*; the config asks for {experts}"
        ):
            from_hf(state, config.replace(experts=experts))
    with pytest.raises(InputError, match="lacks 'num_local_experts'"):
        fields = config_to_hf(config)
        config_from_hf({k: v for k, v in fields.items() if k != "num_local_experts"})
    for router in ("noisy", "balanced"):  # theirs has neither the second map nor the biases
        with pytest.raises(InputError, match="no Hugging Face counterpart"):
            architecture_of(config.replace(router=router))
