"""Eight families against the `transformers` library, at odd sizes: logits, gradients, files."""

import numpy as np
import pytest

from minilm import models
from minilm.errors import InputError
from minilm.inference import ContiguousCache
from minilm.interop.hf import from_hf, load_hf, save_hf, to_hf
from minilm.interop.hf_config import config_from_hf
from minilm.interop.hf_entry import Entry
from minilm.interop.hf_names import name_map
from minilm.models import Rope, model_of

pytestmark = pytest.mark.oracle
TOLERANCE = 1e-4
VOCAB = 91
IDS = dict(pad_token_id=None, bos_token_id=None, eos_token_id=None)
STACK = dict(vocab_size=VOCAB, hidden_size=42, intermediate_size=53, num_hidden_layers=3)
STACK |= dict(num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=47, **IDS)
GEMMA = {**STACK, "head_dim": 10, "query_pre_attn_scalar": 13, "sliding_window": 6}
NEOX = {k: v for k, v in STACK.items() if k != "num_key_value_heads"}
NEOX |= dict(hidden_size=48)  # heads of 8, of which a quarter is a pair
STRETCHED = {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0}
TWO = {"full_attention": STRETCHED, "sliding_attention": {"rope_type": "default"}}
PART = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
ODD = dict(hidden_size=45, num_attention_heads=5, num_key_value_heads=1, head_dim=14)
KINDS = {
    "qwen2": ("Qwen2", STACK | dict(hidden_size=60)),
    "qwen2 window": (
        "Qwen2",
        STACK | ODD | dict(use_sliding_window=True, sliding_window=5, max_window_layers=0),
    ),
    "qwen2 tied": ("Qwen2", STACK | ODD | dict(tie_word_embeddings=True)),
    "qwen3": ("Qwen3", STACK | dict(head_dim=14)),
    "qwen3 biased": ("Qwen3", STACK | ODD | dict(attention_bias=True)),
    "qwen3 stretched": ("Qwen3", STACK | ODD | dict(rope_parameters=STRETCHED)),
    "gemma2": ("Gemma2", GEMMA | dict(attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma2 plain": (
        "Gemma2",
        GEMMA | dict(attn_logit_softcapping=None, hidden_activation="gelu"),
    ),
    "gemma3_text": ("Gemma3Text", GEMMA | dict(num_hidden_layers=7)),
    "gemma3_text stretched": (
        "Gemma3Text",
        GEMMA | dict(num_hidden_layers=5, sliding_window_pattern=2, rope_parameters=TWO),
    ),
    "gemma3_text local": ("Gemma3Text", GEMMA | dict(final_logit_softcapping=3.0)),
    "phi3": ("Phi3", STACK | dict(hidden_size=60)),
    "phi3 window": ("Phi3", STACK | dict(hidden_size=60, sliding_window=6)),
    "phi3 part": ("Phi3", STACK | dict(hidden_size=48, rope_parameters=PART)),
    "olmo2": ("Olmo2", STACK | dict(hidden_size=60)),
    "olmo2 odd": ("Olmo2", STACK | ODD | dict(attention_bias=True, tie_word_embeddings=True)),
    "gpt_neox": ("GPTNeoX", NEOX),
    "gpt_neox in turn": (
        "GPTNeoX",
        NEOX | dict(use_parallel_residual=False, hidden_act="gelu_fast", rotary_pct=0.5),
    ),
    "gpt_neox unbiased": (
        "GPTNeoX",
        NEOX | dict(attention_bias=False, tie_word_embeddings=True, rotary_pct=1.0),
    ),
    "starcoder2": ("Starcoder2", STACK | dict(hidden_size=60, sliding_window=6)),
    "starcoder2 odd": ("Starcoder2", STACK | ODD | dict(hidden_act="relu")),
}


def _theirs(name):
    """A model of theirs whose weights are large enough that a wrong rule shows."""
    import torch
    import transformers as hf

    kind, fields = KINDS[name]
    config = getattr(hf, f"{kind}Config")(**fields)
    config._attn_implementation = "eager"
    made = getattr(hf, f"{kind.removesuffix('Text')}ForCausalLM")(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2, generator=generator)
            else:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
    return made.eval()


def _ours(theirs):
    fields = theirs.config.to_dict()
    config = config_from_hf(fields)
    state = {name: value.detach().numpy() for name, value in theirs.state_dict().items()}
    model = model_of(config, allocate=False)
    model.load_state_dict(from_hf(state, config, fields["model_type"]))
    return model.eval()


def _ids(shape, seed=0):
    return np.random.default_rng(seed).integers(1, VOCAB, shape)


def _logits(theirs, ids):
    import torch

    with torch.no_grad():
        return theirs(torch.from_numpy(ids)).logits.numpy()


def _close(ours, theirs):
    assert ours.dtype == np.float32 and np.abs(theirs).max() > 0.5
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", KINDS)
def test_logits(name):
    theirs, ids = _theirs(name), _ids((3, 41))
    _close(_ours(theirs)(ids).data, _logits(theirs, ids))


@pytest.mark.parametrize("name", KINDS)
def test_their_files_are_read_and_ours_are_read_by_them(name, tmp_path):
    import transformers as hf

    theirs, ids = _theirs(name), _ids((2, 37))
    kind = name.split()[0]
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_hf(tmp_path / "theirs")
    _close(ours.eval()(ids).data, _logits(theirs, ids))
    save_hf(ours, tmp_path / "ours", kind)
    again = hf.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    assert type(again) is type(theirs)
    _close(ours(ids).data, _logits(again.eval(), ids))
    np.testing.assert_allclose(
        load_hf(tmp_path / "ours")(ids).data, ours(ids).data, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", KINDS)
def test_decoding_with_a_cache_gives_their_logits(name):
    theirs, ids = _theirs(name), _ids((2, 29))
    ours, expected, at = _ours(theirs), _logits(theirs, ids), 0
    cache = ContiguousCache(ours.config, 2, 29)
    for count in (17, 1, 1, 9, 1):
        logits = ours(ids[:, at : at + count], cache=cache).data
        _close(logits, expected[:, at : at + count])
        at += count


@pytest.mark.parametrize("name", [name for name in KINDS if " " not in name])
def test_gradient_of_every_weight(name):
    """Of the cross-entropy, through their autograd, in float32."""
    import torch
    import torch.nn.functional as torch_F

    theirs, ids, targets = _theirs(name), _ids((2, 23)), _ids((2, 23), 1)
    model = _ours(theirs)
    loss = model.loss(ids, targets)
    loss.backward()
    logits = theirs(torch.from_numpy(ids)).logits
    expected = torch_F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    wanted = {n: p.grad.numpy() for n, p in theirs.named_parameters()}
    slopes = from_hf(wanted, model.config, name)
    plus = {n for n, entry in name_map(model.config, name).items() if entry.added}
    for own, parameter in model.named_parameters():
        slope = slopes[own] - (1 if own in plus else 0)  # 1 is of the weight, not of its slope
        scale = max(np.abs(slope).max(), 1e-2)
        np.testing.assert_allclose(parameter.grad / scale, slope / scale, atol=1e-3, err_msg=own)


OURS = {
    "qwen2": models.qwen2,
    "qwen3": models.qwen3,
    "gemma2": models.gemma2,
    "gemma3_text": models.gemma3,
    "phi3": models.phi3,
    "olmo2": models.olmo2,
    "gpt_neox": models.gpt_neox,
    "starcoder2": models.starcoder2,
}
SMALL = dict(vocab_size=VOCAB, context=47, layers=3, heads=6, channels=48)


@pytest.mark.parametrize("name", OURS)
def test_our_presets_are_their_models(name, tmp_path):
    import transformers as hf

    fields = dict(SMALL) if name == "gpt_neox" else {**SMALL, "kv_heads": 2, "ff": 52}
    if OURS[name]().window is not None:
        fields["window"] = 7
    ours = model_of(OURS[name](**fields), seed=3).eval()
    rng = np.random.default_rng(0)
    for parameter in ours.parameters():
        parameter.data += rng.normal(0, 0.2, parameter.shape).astype("f")
    save_hf(ours, tmp_path, name)
    theirs = hf.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    assert theirs.config.model_type == name
    ids = _ids((2, 40))
    _close(ours(ids).data, _logits(theirs, ids))


@pytest.mark.parametrize("name", OURS)
def test_the_real_sizes_are_what_their_config_says(name):
    """Their own configs' defaults, of published models, and the presets in their words."""
    import transformers as hf

    from minilm.interop.hf_config_out import config_to_hf

    fields = config_to_hf(OURS[name](), name)
    config = hf.AutoConfig.for_model(**fields)
    assert config_from_hf(config.to_dict()) == config_from_hf(fields)


def test_a_phi3_is_saved_as_a_llama_where_nothing_else_is_said(tmp_path):
    import transformers as hf

    theirs, ids = _theirs("phi3"), _ids((2, 30))
    ours = _ours(theirs)
    save_hf(ours, tmp_path)
    again = hf.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(again).__name__ == "LlamaForCausalLM"
    _close(_logits(again, ids), _logits(theirs, ids))


REFUSED = {
    "qwen2 layers": ("Qwen2", dict(use_sliding_window=True, max_window_layers=2), "layer_types"),
    "gemma3 types": ("Gemma3Text", dict(layer_types=["full_attention"] + 2 * ["sliding_attention"]),
                     "layer_types"),
    "gemma2 two ways": ("Gemma2", dict(use_bidirectional_attention=True),
                        "use_bidirectional_attention is True"),
    "gemma3 cap": ("Gemma3Text", dict(attn_logit_softcapping=9.0), "attn_logit_softcapping is 9.0"),
    "starcoder2 bias": ("Starcoder2", dict(use_bias=False), "use_bias is False"),
    "olmo2 rope": (
        "Olmo2",
        dict(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
        "rope_type is 'dynamic'",
    ),
    "phi3 rope": (
        "Phi3",
        dict(rope_parameters={"rope_type": "longrope", "short_factor": 3 * [1.0],
                              "long_factor": 3 * [2.0], "rope_theta": 1e4}),
        "long_factor",
    ),
    "qwen3 activation": ("Qwen3", dict(hidden_act="relu"), "hidden_act is 'relu'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_is_refused_by_the_name_of_the_field(name):
    import transformers as hf

    kind, changes, words = REFUSED[name]
    fields = getattr(hf, f"{kind}Config")(**{**GEMMA, **changes} if "Gemma" in kind else
                                          {**STACK, **changes}).to_dict()  # fmt: skip
    with pytest.raises(InputError) as error:
        config_from_hf(fields)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_old_files_name_the_rotation_in_other_fields():
    """As the makers published them, before `transformers` 5: flat, and each in its own way."""
    flat = {"model_type": "gpt_neox", **NEOX, "rotary_pct": 0.25, "rotary_emb_base": 500}
    assert config_from_hf(flat).rope == Rope(500.0, fraction=0.25)
    gemma = {"model_type": "gemma3_text", **GEMMA, "rope_theta": 2e6, "num_hidden_layers": 7}
    gemma |= {"rope_local_base_freq": 5e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    wanted = Rope(2e6, scaling={"kind": "linear", "factor": 8.0}, local_theta=5e3)
    config = config_from_hf(gemma)
    assert config.rope == wanted and (config.window, config.global_every) == (6, 6)
    qwen = {"model_type": "qwen2", **STACK, **ODD, "sliding_window": 9, "use_sliding_window": False}
    assert config_from_hf(qwen).window is None


def test_an_entry_is_undone():
    order = np.array([2, 0, 1])
    entry = Entry(("x",), order=order, added=1.0)
    array = np.array([1.0, 5.0, 9.0])
    (back,) = entry.theirs(entry.ours([array]))
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(entry.ours([array]), array[order] + 1)


def test_to_hf_keeps_the_bytes_of_what_is_only_moved():
    model = model_of(models.gpt_neox(**SMALL))
    theirs = to_hf(model.state_dict(), model.config)
    back = from_hf(theirs, model.config)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
