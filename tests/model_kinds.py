"""One tiny config of every kind of model, and input for it; shared by the tests of models."""

import numpy as np

from minilm import models
from minilm.models import Config, EncoderDecoderConfig, Rope
from minilm.models.walk import walk_step

TINY = dict(vocab_size=11, context=12, layers=2, heads=2, channels=8)
GEMMA = dict(**TINY, kv_heads=1, ff=12, head_size=4, window=3, attention_scale=0.7)
KINDS = {
    "gpt2": models.gpt2(**TINY),
    "llama": models.llama(**TINY, kv_heads=1, ff=12),
    "window": models.mistral(**TINY, kv_heads=1, ff=12, window=3),
    "experts": models.mixtral(**TINY, kv_heads=1, ff=12, experts=4),
    "gpt-neox": models.gpt_neox(**TINY, rope=Rope(20.0, fraction=0.5)),
    "qwen2": models.qwen2(**TINY, kv_heads=1, ff=12),
    "qwen3": models.qwen3(**TINY, kv_heads=1, ff=12, head_size=6),
    "olmo2": models.olmo2(**TINY, kv_heads=1, ff=12),
    "gemma2": models.gemma2(**GEMMA, attention_cap=1.5, logit_cap=5.0),
    "gemma3": models.gemma3(**GEMMA, global_every=2),
    "alibi": Config(**TINY, positions="alibi", activation="relu"),
    "relative": Config(**TINY, positions="relative", norm="rms", activation="geglu"),
    "post-norm decoder": Config(**TINY, norm_position="post", positions="sinusoidal"),
    "bert": models.bert(**TINY, ff=12),
    "vaswani": models.vaswani(**TINY, ff=12),
    "t5": models.t5(**TINY, ff=12, decoder_layers=1),
    "prefix-lm": models.prefix_lm(**TINY),
    "glm": models.glm(**TINY),
    "walked": walk_step(EncoderDecoderConfig(**TINY), 3, merged=True),
}


def ids_of(shape, vocab=11, seed=0):
    return np.random.default_rng(seed).integers(0, vocab, shape)


def inputs_of(config, batch=2, time=6):
    ids = ids_of((batch, time), config.vocab_size)
    if config.kind == "encoder-decoder":
        return ids, ids_of((batch, time - 1), config.vocab_size, 1)
    return (ids,)


def options_of(config):
    return {"prefix": 3} if config.kind in ("prefix-lm", "glm") else {}


def spread(model, seed=3):
    """Weights large enough that every part matters."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.shape).astype(parameter.dtype)
    return model
