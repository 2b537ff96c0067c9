"""Hugging Face files in and out, without their library."""

import json

import numpy as np
import pytest

from minilm import InputError, models
from minilm.interop.hf import from_hf, load_hf, save_hf, to_hf
from minilm.interop.hf_config import architecture_of, config_from_hf, config_to_hf
from minilm.models import Config, Transformer

TINY = dict(vocab_size=11, context=12, layers=2, heads=2, channels=8, ff=12)
CONFIGS = {
    "gpt2": models.gpt2(**TINY, tie=False),
    "llama": models.llama(**TINY, kv_heads=1, rope_scaling={"kind": "linear", "factor": 2.0}),
    "mistral": models.mistral(**TINY, kv_heads=1, window=4),
    "bert": models.bert(**TINY),
    "t5": models.t5(**TINY, decoder_layers=1, activation="geglu_tanh"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_there_and_back(name, tmp_path):
    model = Transformer(CONFIGS[name], seed=2)
    theirs = to_hf(model.state_dict(), model.config)
    back = from_hf(theirs, model.config)
    for ours, array in model.state_dict().items():
        np.testing.assert_array_equal(back[ours], array, err_msg=ours)
    assert sum(a.size for a in theirs.values()) == model.num_parameters()
    save_hf(model, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == name
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

    broken("no whole safetensors file", content=weights[:-10])
    broken("no whole safetensors file", content=b"PK garbage")
    broken("JSON", config="{")
    broken("JSON object", config="[1]")
    broken("model_type", config=json.dumps({**fields, "model_type": "mamba"}))
    broken("'n_head'", config=json.dumps({k: v for k, v in fields.items() if k != "n_head"}))
    broken("does not fit", config=json.dumps({**fields, "n_embd": 16}))
    broken("lacks", config=json.dumps({**fields, "n_layer": 3}))
    broken("activation", config=json.dumps({**fields, "activation_function": "mish"}))
    with pytest.raises(InputError, match="config.json"):
        load_hf(tmp_path / "nowhere")
    save_hf(model, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="must be a safetensors file"):
        load_hf(folder)


def test_what_has_no_counterpart_says_so():
    with pytest.raises(InputError, match="no Hugging Face counterpart"):
        architecture_of(Config(**TINY, positions="alibi"))
    with pytest.raises(InputError, match="rope_type"):
        fields = config_to_hf(CONFIGS["llama"])
        config_from_hf({**fields, "rope_scaling": {"rope_type": "longrope", "factor": 2.0}})
    with pytest.raises(InputError, match="lacks"):
        to_hf({}, CONFIGS["gpt2"])
