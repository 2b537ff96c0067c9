"""Logits of small random models against the `transformers` library, on the same weights."""

import numpy as np
import pytest

from minilm.interop.hf import from_hf, load_hf, save_hf, to_hf
from minilm.interop.hf_config import config_from_hf
from minilm.interop.hf_config_out import config_to_hf
from minilm.interop.hf_experts import one_by_one
from minilm.models import model_of

pytestmark = pytest.mark.oracle
TOLERANCE = 1e-4


def _state(theirs):
    return {name: value.detach().numpy() for name, value in theirs.state_dict().items()}


def _ours(theirs, **changes):
    config = config_from_hf(theirs.config.to_dict()).replace(**changes)
    model = model_of(config, allocate=False)
    model.load_state_dict(from_hf(_state(theirs), config))
    return model.eval()


def _spread(theirs, seed=0):
    """Weights an order larger than the library's start, so that a wrong rule shows."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2, generator=generator)
            else:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
    return theirs.eval()


def _ids(shape, vocab, seed=0):
    return np.random.default_rng(seed).integers(0, vocab, shape)


def _torch(array):
    import torch

    return torch.from_numpy(np.asarray(array))


def _close(ours, theirs):
    theirs = theirs.detach().numpy()
    assert ours.dtype == np.float32
    assert np.abs(theirs).max() > 0.5
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def _gpt2():
    import transformers as hf

    config = hf.GPT2Config(vocab_size=97, n_positions=40, n_embd=48, n_layer=3, n_head=4)
    return _spread(hf.GPT2LMHeadModel(config))


def _llama(**changes):
    import transformers as hf

    fields = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=3)
    fields |= dict(num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=64)
    return _spread(hf.LlamaForCausalLM(hf.LlamaConfig(**(fields | changes))))


def _mistral():
    import transformers as hf

    config = hf.MistralConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=64,
        sliding_window=7,
    )
    return _spread(hf.MistralForCausalLM(config))


def _mixtral(**changes):
    import transformers as hf

    fields = dict(vocab_size=97, hidden_size=44, intermediate_size=52, num_hidden_layers=3)
    fields |= dict(num_attention_heads=6, num_key_value_heads=3, head_dim=10)
    fields |= dict(max_position_embeddings=64, num_local_experts=5, num_experts_per_tok=2)
    config = hf.MixtralConfig(**(fields | changes))
    if config.intermediate_size % 4:  # their grouped product takes rows of 16 bytes only
        config._experts_implementation = "eager"
    return _spread(hf.MixtralForCausalLM(config))


def _bert():
    import transformers as hf

    config = hf.BertConfig(
        vocab_size=97,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=40,
    )
    return _spread(hf.BertForPreTraining(config))


def _gpt_bigcode(**changes):
    import transformers as hf

    fields = dict(vocab_size=97, n_positions=40, n_embd=48, n_layer=3, n_head=4)
    fields |= dict(bos_token_id=0, eos_token_id=0)
    return _spread(hf.GPTBigCodeForCausalLM(hf.GPTBigCodeConfig(**(fields | changes))))


def _gpt_bigcode_untied():
    return _gpt_bigcode(tie_word_embeddings=False, activation_function="gelu", n_inner=80)


def _small_bert(**changes):
    import transformers as hf

    fields = dict(vocab_size=97, hidden_size=48, num_hidden_layers=2, num_attention_heads=4)
    fields |= dict(intermediate_size=96, max_position_embeddings=40)
    return hf.BertConfig(**(fields | changes))


def _bert_masked():
    import transformers as hf

    return _spread(hf.BertForMaskedLM(_small_bert(hidden_act="gelu_pytorch_tanh")))


def _bert_model():
    import transformers as hf

    return _spread(hf.BertModel(_small_bert()))


def _bert_bare():
    import transformers as hf

    return _spread(hf.BertModel(_small_bert(), add_pooling_layer=False))


def _bert_untied():
    import transformers as hf

    config = hf.BertConfig(
        vocab_size=97,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=40,
        hidden_act="relu",
        tie_word_embeddings=False,
    )
    theirs = hf.BertForPreTraining(config)
    predictions = theirs.cls.predictions
    predictions.decoder.bias = predictions.bias  # where they are two, the model reads the first
    return _spread(theirs)


def _t5(**changes):
    import transformers as hf

    fields = dict(vocab_size=97, d_model=48, d_kv=10, d_ff=96, num_layers=2, num_heads=4)
    fields |= dict(num_decoder_layers=3, decoder_start_token_id=0)
    return _spread(hf.T5ForConditionalGeneration(hf.T5Config(**(fields | changes))))


def test_gpt2_logits():
    theirs = _gpt2()
    ids = _ids((3, 40), 97)
    _close(_ours(theirs)(ids).data, theirs(_torch(ids)).logits)


def _their_logits(theirs, ids):
    given = {"input_ids": _torch(ids)}
    if theirs.config.is_encoder_decoder:
        given["decoder_input_ids"] = _torch(ids[:, ::-1].copy())
    return theirs(**given)[0]


@pytest.mark.parametrize(
    "make", [_gpt2, _gpt_bigcode, _llama, _mixtral, _bert, _t5], ids=lambda make: make.__name__
)
def test_gradient_of_every_weight(make):
    """Of the cross-entropy, through their autograd, in float32."""
    import torch.nn.functional as torch_F

    theirs = make()
    # Not id 0: their BERT treats it as padding, whose embedding gets no gradient.
    ids, targets = 1 + _ids((2, 24), 96), _ids((2, 24), 97, 1)
    model = _ours(theirs)
    inputs = (ids, ids[:, ::-1]) if model.config.kind == "encoder-decoder" else (ids,)
    loss = model.loss(*inputs, targets)
    loss.backward()
    logits = _their_logits(theirs, ids)
    expected = torch_F.cross_entropy(logits.flatten(0, 1), _torch(targets).flatten())
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    named = one_by_one(
        {n: None if p.grad is None else p.grad.numpy() for n, p in theirs.named_parameters()}
    )
    grads = {
        name: np.zeros_like(p.data) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
    for name, gradient in to_hf(grads, model.config).items():
        wanted = 0.0 if named[name] is None else named[name]
        # Between float32 sums in other orders, 1e-3 of the largest entry is agreement.
        scale = max(np.abs(wanted).max(), 1e-2)
        np.testing.assert_allclose(gradient / scale, wanted / scale, atol=1e-3, err_msg=name)


def test_gpt_bigcode_logits():
    """A GPT of one head of keys and values, ours first: read by them to the same logits."""
    theirs = _gpt_bigcode()
    ids = _ids((3, 40), 97)
    ours = _ours(theirs)
    assert ours.config.kv_heads == 1 and ours.config.activation == "gelu_tanh"
    _close(ours(ids).data, theirs(_torch(ids)).logits)


def test_our_starcoder_is_their_gpt_bigcode(tmp_path):
    import transformers as hf

    from minilm import models

    config = models.starcoder(vocab_size=97, context=40, layers=2, heads=4, channels=48)
    ours = model_of(config, seed=3).eval()
    for parameter in ours.parameters():
        parameter.data += np.random.default_rng(0).normal(0, 0.2, parameter.shape).astype("f")
    save_hf(ours, tmp_path)
    theirs = hf.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == "GPTBigCodeForCausalLM"
    ids = _ids((2, 40), 97)
    _close(ours(ids).data, theirs(_torch(ids)).logits)


def test_llama_logits_grouped_queries():
    theirs = _llama()
    ids = _ids((3, 64), 97)
    _close(_ours(theirs)(ids).data, theirs(_torch(ids)).logits)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    ],
    ids=lambda rope: rope["rope_type"],
)
def test_llama_stretched_rope(rope):
    theirs = _llama(rope_parameters={"rope_theta": 10000.0, **rope}, head_dim=16)
    ids = _ids((2, 64), 97)
    _close(_ours(theirs)(ids).data, theirs(_torch(ids)).logits)


def test_ntk_frequencies():
    """The library's dynamic NTK at a text `factor` times the context, where both rules meet."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    from minilm.nn.positions import rope_frequencies

    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 1.0}
    config = LlamaConfig(head_dim=64, max_position_embeddings=100, rope_parameters=rope)
    theirs, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, "cpu", seq_len=400)
    ours, factor = rope_frequencies(64, 10000.0, {"kind": "ntk", "factor": 4.0})
    assert factor == 1.0
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


def test_mistral_sliding_window():
    theirs = _mistral()
    ids = _ids((2, 40), 97)
    ours = _ours(theirs)
    assert ours.config.window == 7
    _close(ours(ids).data, theirs(_torch(ids)).logits)


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize(("experts", "chosen"), [(5, 2), (8, 2), (3, 3), (4, 1)])
def test_mixtral_logits(experts, chosen, window):
    changes = dict(num_local_experts=experts, num_experts_per_tok=chosen, hidden_size=43)
    theirs = _mixtral(**changes, intermediate_size=53, sliding_window=window)
    ids = _ids((3, 41), 97)
    ours = _ours(theirs)
    assert ours.config.window == window and ours.config.experts == experts
    assert ours.config.rope.theta == 1e6
    _close(ours(ids).data, theirs(_torch(ids)).logits)


def test_mixtral_router_and_balance_loss():
    """Logits of every layer; their loss counts a token once per choice, ours once: 2 to 1."""
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    from minilm import functional as F
    from minilm import nn

    theirs = _mixtral()
    ids = _ids((2, 33), 97)
    out = theirs(_torch(ids), output_router_logits=True)
    with nn.watch_routing() as seen:
        _ours(theirs)(ids)
    assert len(seen) == len(out.router_logits) == 3
    for ours, logits in zip(seen, out.router_logits, strict=True):
        _close(ours.logits.data, logits)
        loss = load_balancing_loss_func((logits,), 5, 2)
        assert 2 * F.load_balance_loss(ours.logits, ours.experts).item() == pytest.approx(
            loss.item(), rel=1e-4
        )


def test_our_mixtral_is_theirs(tmp_path):
    import transformers as hf

    from minilm import models

    sizes = dict(vocab_size=97, context=40, layers=2, heads=4, channels=48, kv_heads=2, ff=52)
    ours = model_of(models.mixtral(**sizes, experts=3), seed=3).eval()
    for parameter in ours.parameters():
        parameter.data += np.random.default_rng(0).normal(0, 0.2, parameter.shape).astype("f")
    save_hf(ours, tmp_path)
    theirs = hf.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == "MixtralForCausalLM"
    ids = _ids((2, 40), 97)
    _close(ours(ids).data, theirs(_torch(ids)).logits)


def test_bert_logits_padding_and_pooler():
    theirs = _bert()
    ids, types = _ids((3, 40), 97), _ids((3, 40), 2, 1)
    valid = np.arange(40) < np.array([[40], [25], [7]])
    ours = _ours(theirs)
    out = theirs.bert(_torch(ids), attention_mask=_torch(valid), token_type_ids=_torch(types))
    hidden = ours.hidden(ids, valid=valid, token_types=types)
    _close(hidden.data[valid], out.last_hidden_state[_torch(valid)])
    _close(ours.pooled(hidden).data, out.pooler_output)
    logits = theirs(
        _torch(ids), attention_mask=_torch(valid), token_type_ids=_torch(types)
    ).prediction_logits
    _close(ours(ids, valid=valid, token_types=types).data[valid], logits[_torch(valid)])


@pytest.mark.parametrize("proj", ["relu", "gated-gelu"])
def test_t5_logits(proj):
    theirs = _t5(feed_forward_proj=proj)
    source, target = _ids((3, 150), 97), _ids((3, 30), 97, 1)
    valid = np.arange(150) < np.array([[150], [90], [11]])
    out = theirs(
        input_ids=_torch(source), attention_mask=_torch(valid), decoder_input_ids=_torch(target)
    )
    _close(_ours(theirs)(source, target, valid=valid).data, out.logits)


@pytest.mark.parametrize(
    "make",
    [_gpt2, _gpt_bigcode, _gpt_bigcode_untied, _llama, _mistral, _mixtral, _t5]
    + [_bert, _bert_untied, _bert_masked, _bert_model, _bert_bare],
    ids=lambda make: make.__name__,
)
def test_folders_go_both_ways(make, tmp_path):
    """Theirs saved, ours loaded, saved again, loaded by them: the same weights and logits."""
    theirs = make()
    theirs.save_pretrained(tmp_path / "theirs")
    model = load_hf(tmp_path / "theirs").eval()
    save_hf(model, tmp_path / "ours")
    bare = {"add_pooling_layer": False} if make is _bert_bare else {}
    back = type(theirs).from_pretrained(tmp_path / "ours", **bare).eval()
    before, after = one_by_one(_state(theirs)), one_by_one(_state(back))
    ours = set(to_hf(model.state_dict(), model.config))
    if type(theirs).__name__ == "BertModel":  # its own names have no prefix
        ours = {name.removeprefix("bert.") for name in ours}
    assert ours <= set(before)
    for name in ours:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    ids = _torch(_ids((2, 20), 97))
    given = {"input_ids": ids}
    if model.config.kind == "encoder-decoder":
        given["decoder_input_ids"] = ids
    np.testing.assert_array_equal(theirs(**given)[0].detach(), back(**given)[0].detach())
    ours = model(*(array.numpy() for array in given.values()))
    _close(ours.data, back(**given)[0])
    fields = config_to_hf(model.config)
    assert config_to_hf(config_from_hf(fields)) == fields


def test_bfloat16_file_is_read_exactly(tmp_path):
    import torch

    theirs = _gpt2().to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    ours = to_hf(load_hf(tmp_path).state_dict(), config_from_hf(theirs.config.to_dict()))
    state = theirs.state_dict()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, state[name].float().numpy(), err_msg=name)
