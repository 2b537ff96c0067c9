"""What `minilm info` says of sizes and costs, of our folders and of Hugging Face's."""

import json

import pytest

from minilm import models
from minilm.cli import main
from minilm.commands.info import facts, of_config
from minilm.interop.hf import save_hf
from minilm.interop.hf_config_out import config_to_hf

TINY = dict(vocab_size=11, context=12, layers=2, heads=2, channels=8, ff=12)


def test_mixtral_as_its_makers_count_it(tmp_path):
    """46.7 billion, of which 12.9; a folder with no weights in it suffices."""
    fields = {**config_to_hf(models.mixtral()), "router_aux_loss_coef": 0.02}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    text = "\n".join(facts(tmp_path))
    assert "decoder, 46,702,792,704 parameters" in text
    assert "a token uses 2 of 8 experts, 12,879,925,248 parameters (27.6%)" in text
    assert "131,072 bytes per token, 2 bytes per number" in text


def test_work_per_token():
    """2 FLOPs for each weight of a matrix that a token meets, and half a context of scores."""
    for config in (models.mixtral(), models.llama("7b"), models.gpt2()):
        work = float(of_config(config)["work"].split()[0].replace(",", ""))
        experts = 3 if config.gated else 2
        chosen = config.experts_per_token or 1
        c, f = config.channels, config.F
        layer = 2 * c * config.D * (config.heads + config.G) + experts * c * f * chosen
        layer += c * (config.experts or 0) + (config.context + 1) * config.heads * config.D
        assert work == 2 * (config.layers * layer + c * config.vocab_size)


def test_a_window_is_said_and_an_encoder_has_no_cache():
    assert of_config(models.mistral())["context"] == "8192 tokens, of which a token sees 4096"
    assert "cache" not in of_config(models.bert())
    for config in (models.t5(), models.prefix_lm(), models.glm()):
        assert {"cache", "work"} <= of_config(config).keys()


def test_a_folder_of_theirs(tmp_path, capsys):
    save_hf(models.model_of(models.mixtral(**TINY, kv_heads=1, experts=4)), tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "2 of 4 experts" in out and "model.safetensors" in out


@pytest.mark.parametrize("content", ["{", "[1]", "{}"])
def test_a_folder_of_nobodys_is_one_sentence(content, tmp_path, capsys):
    (tmp_path / "config.json").write_text(content)
    assert main(["info", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("minilm: ") and err.count("\n") == 1
