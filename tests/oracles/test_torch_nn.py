"""Layers and whole models against torch.nn: values and gradients, float32."""

import numpy as np
import pytest

from minilm import functional as F
from minilm import nn
from minilm.models import EncoderDecoder, EncoderDecoderConfig
from minilm.models.cross import CrossBlock
from minilm.nn.attention import Sight
from minilm.tensor import Tensor

pytestmark = pytest.mark.oracle


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _torch(array, grad=False):
    import torch

    return torch.from_numpy(np.array(array)).requires_grad_(grad)


def _spread(model, seed=3):
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.2, parameter.shape).astype(np.float32)
    return model


def _copy(theirs, ours):
    import torch

    with torch.no_grad():
        theirs.copy_(torch.from_numpy(ours.data))


def _same(ours, theirs, tolerance=1e-4):
    theirs = theirs.detach().numpy()
    scale = max(1.0, np.abs(theirs).max())
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=tolerance)


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_against_scaled_dot_product_attention(groups, causal):
    import torch

    q = _normal(2, 4, 9, 8)
    k, v = _normal(2, groups, 9, 8, seed=1), _normal(2, groups, 9, 8, seed=2)
    g = _normal(2, 4, 9, 8, seed=3)
    ours = [Tensor(a, requires_grad=True) for a in (q, k, v)]
    theirs = [_torch(a, grad=True) for a in (q, k, v)]
    out = F.attention(*ours, causal=causal)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *theirs, is_causal=causal, enable_gqa=True
    )
    _same(out.data, expected, 1e-5)
    out.backward(g)
    expected.backward(torch.from_numpy(g))
    for a, b in zip(ours, theirs, strict=True):
        _same(a.grad, b.grad, 1e-5)


def test_attention_layer_against_multihead_attention():
    import torch

    layer = _spread(nn.Attention(24, 4))
    theirs = torch.nn.MultiheadAttention(24, 4, batch_first=True)
    _copy(theirs.in_proj_weight, layer.qkv.weight)
    _copy(theirs.in_proj_bias, layer.qkv.bias)
    _copy(theirs.out_proj.weight, layer.out.weight)
    _copy(theirs.out_proj.bias, layer.out.bias)
    x, g = _normal(2, 7, 24), _normal(2, 7, 24, seed=1)
    ours_x, theirs_x = Tensor(x, requires_grad=True), _torch(x, grad=True)
    look = np.tri(7, dtype=bool)
    out = layer(ours_x, Sight(mask=look))
    expected, _ = theirs(theirs_x, theirs_x, theirs_x, attn_mask=_torch(~look))
    _same(out.data, expected)
    out.backward(g)
    expected.backward(torch.from_numpy(g))
    _same(ours_x.grad, theirs_x.grad)
    _same(layer.qkv.weight.grad, theirs.in_proj_weight.grad)
    _same(layer.out.bias.grad, theirs.out_proj.bias.grad)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "Linear", "Embedding"])
def test_layers(name):
    import torch

    x, g = _normal(3, 5, 16), _normal(3, 5, 16, seed=1)
    if name == "Linear":
        ours, theirs = nn.Linear(16, 16), torch.nn.Linear(16, 16)
    elif name == "Embedding":
        x = np.random.default_rng(2).integers(0, 9, (3, 5))
        ours, theirs = nn.Embedding(9, 16), torch.nn.Embedding(9, 16)
    else:
        ours, theirs = getattr(nn, name)(16, eps=1e-5), getattr(torch.nn, name)(16, eps=1e-5)
    _spread(ours)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        _copy(other, own)
    out, expected = ours(Tensor(x)), theirs(_torch(x))
    _same(out.data, expected, 1e-5)
    out.backward(g)
    expected.backward(torch.from_numpy(g))
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        _same(own.grad, other.grad, 1e-5)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_encoder_decoder_against_torch_transformer(place):
    """torch.nn.Transformer, layer by layer the same weights; logits and every gradient."""
    import torch

    config = EncoderDecoderConfig(
        vocab_size=31,
        context=16,
        layers=2,
        decoder_layers=3,
        heads=4,
        channels=24,
        ff=40,
        activation="relu",
        positions="none",
        norm_position=place,
    )
    model = _spread(EncoderDecoder(config))
    theirs = torch.nn.Transformer(
        24, 4, 2, 3, 40, dropout=0.0, batch_first=True, norm_first=place == "pre"
    )
    if place == "post":  # theirs ends in one more norm; ours, like the paper's, does not
        theirs.encoder.norm = theirs.decoder.norm = None
    pairs = []
    for ours, layers in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        for block, layer in zip(ours.blocks, layers.layers, strict=True):
            pairs += _pairs(block, layer)
        if place == "pre":
            pairs += [(ours.norm.weight, layers.norm.weight), (ours.norm.bias, layers.norm.bias)]
    for own, other in pairs:
        _copy(other, own)
    rng = np.random.default_rng(0)
    source, target, labels = (rng.integers(0, 31, (2, n)) for n in (11, 9, 9))
    table = _torch(model.tokens.weight.data, grad=True)
    hidden = theirs(
        table[_torch(source)],
        table[_torch(target)],
        tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(9),
        tgt_is_causal=True,
    )
    expected = hidden @ table.T
    _same(model(source, target).data, expected)
    loss = model.loss(source, target, labels)
    loss.backward()
    torch.nn.functional.cross_entropy(expected.flatten(0, 1), _torch(labels).flatten()).backward()
    _same(model.tokens.weight.grad, table.grad)
    for own, other in pairs:
        _same(own.grad, other.grad)


def _pairs(block, layer):
    """(ours, theirs) for every parameter; packed cross weights as two views."""
    pairs = [
        (block.attention.qkv.weight, layer.self_attn.in_proj_weight),
        (block.attention.qkv.bias, layer.self_attn.in_proj_bias),
    ]
    modules = [
        (block.attention.out, layer.self_attn.out_proj),
        (block.feed_forward.up, layer.linear1),
        (block.feed_forward.down, layer.linear2),
        (block.norm1, layer.norm1),
        (block.norm2, layer.norm2),
    ]
    if isinstance(block, CrossBlock):
        modules[-1] = (block.norm2, layer.norm3)
        modules += [
            (block.cross_norm, layer.norm2),
            (block.cross.out, layer.multihead_attn.out_proj),
        ]
        for what in ("weight", "bias"):
            packed = getattr(layer.multihead_attn, f"in_proj_{what}")
            pairs += [(_Packed(block.cross, what), packed)]
    for own, other in modules:
        pairs += [(own.weight, other.weight), (own.bias, other.bias)]
    return pairs


class _Packed:
    """Our query and key_value maps as torch packs them."""

    def __init__(self, cross, what):
        self.parts = [getattr(cross.query, what), getattr(cross.key_value, what)]

    @property
    def data(self):
        return np.concatenate([part.data for part in self.parts])

    @property
    def grad(self):
        return np.concatenate([part.grad for part in self.parts])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("fused", [False, True])
def test_losses_of_tokens_by_the_row_and_with_weights(reduction, fused):
    """torch's loss by the row, times the weights; a mean is divided by those of kept targets."""
    import torch

    x, w, g = _normal(3, 5, 8), _normal(11, 8, seed=1), np.abs(_normal(3, 5, seed=2))
    rng = np.random.default_rng(3)
    weights, targets = rng.random((3, 5)).astype(np.float32), rng.integers(0, 11, (3, 5))
    targets[0, 2] = targets[2, 4] = -100
    ours = [Tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [_torch(a, grad=True) for a in (x, w)]
    how = {"label_smoothing": 0.1, "reduction": reduction, "weights": weights}
    if fused:
        loss = F.linear_cross_entropy(*ours, targets, **how)
    else:
        loss = F.cross_entropy(F.linear(*ours), targets, **how)
    each = torch.nn.functional.cross_entropy(
        (theirs[0] @ theirs[1].T).flatten(0, 1),
        _torch(targets).flatten(),
        label_smoothing=0.1,
        reduction="none",
    )
    each = each.reshape(3, 5) * _torch(weights)
    expected = {"none": each, "sum": each.sum(), "mean": each.sum() / weights[targets >= 0].sum()}
    _same(loss.data, expected[reduction], 1e-5)
    loss.backward(g if reduction == "none" else None)
    expected[reduction].backward(_torch(g) if reduction == "none" else None)
    for a, b in zip(ours, theirs, strict=True):
        _same(a.grad, b.grad, 1e-5)
