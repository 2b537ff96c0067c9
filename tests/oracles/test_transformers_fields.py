"""Every field of a Hugging Face config, changed alone: the same logits, or refused by name."""

import numpy as np
import pytest

from minilm.errors import InputError
from minilm.interop.hf import load_hf

pytestmark = pytest.mark.oracle

GPT = {"vocab_size": 31, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4}
STACK = {"vocab_size": 31, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
STACK |= {"num_attention_heads": 4, "max_position_embeddings": 16}
GROUPED = STACK | {"num_key_value_heads": 2}
NO_IDS = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
MODERN = GROUPED | NO_IDS
KINDS = {
    "GPT2Config GPT2LMHeadModel": GPT,
    "GPTBigCodeConfig GPTBigCodeForCausalLM": GPT | {"multi_query": True},
    "LlamaConfig LlamaForCausalLM": GROUPED,
    "MistralConfig MistralForCausalLM": GROUPED | {"sliding_window": 4},
    "MixtralConfig MixtralForCausalLM": GROUPED
    | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "BertConfig BertForMaskedLM": STACK,
    "Qwen2Config Qwen2ForCausalLM": MODERN,
    "Qwen3Config Qwen3ForCausalLM": MODERN | {"head_dim": 6},
    "Gemma2Config Gemma2ForCausalLM": MODERN | {"head_dim": 6, "sliding_window": 4},
    "Gemma3TextConfig Gemma3ForCausalLM": MODERN | {"head_dim": 6, "sliding_window": 4},
    "Phi3Config Phi3ForCausalLM": MODERN,
    "Olmo2Config Olmo2ForCausalLM": MODERN,
    "GPTNeoXConfig GPTNeoXForCausalLM": STACK | {"hidden_size": 32} | NO_IDS,
    "Starcoder2Config Starcoder2ForCausalLM": MODERN,
}
NAMES = {"transformers_version", "architectures", "model_type", "dtype", "_name_or_path"}


def other(value):
    """Other values of a field's type; None may become a number."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value]
    if isinstance(value, float):
        return [2 * value or 0.5, 1e-3]
    if isinstance(value, str):
        return ["gelu", "relu", "silu", "quick_gelu"]
    return [2, 0.5] if value is None else []


def theirs_of(kind, fields, folder):
    """Ids and logits of a saved model whose weights show a wrong rule; None: they refuse it."""
    import torch
    import transformers as hf

    config, model = (getattr(hf, name) for name in kind.split())
    generator = torch.Generator().manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 30, (1, 12))
    try:
        made = model(config(**fields)).eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
            logits = made(torch.tensor(ids)).logits.numpy()
        made.save_pretrained(folder)
        return ids, logits
    except Exception:  # noqa: BLE001  whatever a config without sense gives there
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_is_read_or_refused(kind, tmp_path):
    import transformers as hf

    plain = getattr(hf, kind.split()[0])(**KINDS[kind]).to_dict()
    read = refused = 0
    for name, value in plain.items():
        for new in other(value) if name not in NAMES else ():
            found = theirs_of(kind, KINDS[kind] | {name: new}, tmp_path)
            if found is None:
                continue
            ids, logits = found
            try:
                ours = load_hf(tmp_path)
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
                continue
            read += 1
            np.testing.assert_allclose(
                ours.eval()(ids).data, logits, rtol=3e-4, atol=3e-4, err_msg=f"{name}={new}"
            )
    assert read > 15 and refused >= 2
