"""Language models, from one screen of NumPy to every design of a config.

A ladder; each file's header says what it does not do:

- `gpt`: GPT-2 on one screen, forward only
- `transformer`: one stack that learns, of the `block`s that a `config` describes
- `encoder_decoder`: two stacks of the blocks in `cross`, and the `walk` back to one
- `presets`: GPT-2 to Mixtral, BERT, T5, GLM as configs; `build` makes the model of any
- `families`: GPT-NeoX to Gemma 3; `family_tree` says what each preset changed since 2017
- `state_model`: two that remember a text in a state of fixed size, `mamba` and
  `linear_transformer`, each with a config of its own

Beside it: `embed`, `sight` and `heads` (what goes into the blocks and comes out of them),
`initialise` (the first weights), `blank` (GLM's training text), `denoising` (BERT's and T5's),
`grow` (a larger vocabulary);
`sentences` (a reader and a judge of short sentences, for questions about many of them),
`graph_reader` (a pointer that moves along the edges of a graph that it is given).
"""

from minilm.models.blank import batch_blanks, blank_out, sample_spans
from minilm.models.build import config_of, count_parameters, model_of
from minilm.models.config import Config, EncoderDecoderConfig
from minilm.models.denoising import batch_corrupted, corrupt_spans, mask_out
from minilm.models.encoder_decoder import EncoderDecoder
from minilm.models.families import (
    gemma2,
    gemma3,
    gpt_neox,
    olmo2,
    phi3,
    qwen2,
    qwen3,
    starcoder2,
)
from minilm.models.groups import Relative, Rope
from minilm.models.grow import grow_vocabulary
from minilm.models.heads import ScalarHead
from minilm.models.linear_transformer import LinearConfig, LinearTransformer
from minilm.models.mamba import Mamba, MambaConfig
from minilm.models.presets import (
    bert,
    glm,
    gpt2,
    gpt3,
    llama,
    mistral,
    mixtral,
    prefix_lm,
    santacoder,
    starcoder,
    t5,
    vaswani,
)
from minilm.models.transformer import Transformer
from minilm.models.tree import family_tree
from minilm.models.walk import single_stack, walk_step

__all__ = [
    "Config",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "LinearConfig",
    "LinearTransformer",
    "Mamba",
    "MambaConfig",
    "Relative",
    "Rope",
    "ScalarHead",
    "Transformer",
    "batch_blanks",
    "batch_corrupted",
    "bert",
    "blank_out",
    "config_of",
    "corrupt_spans",
    "count_parameters",
    "family_tree",
    "gemma2",
    "gemma3",
    "glm",
    "gpt2",
    "gpt3",
    "gpt_neox",
    "grow_vocabulary",
    "llama",
    "mask_out",
    "mistral",
    "mixtral",
    "model_of",
    "olmo2",
    "phi3",
    "prefix_lm",
    "qwen2",
    "qwen3",
    "sample_spans",
    "single_stack",
    "santacoder",
    "starcoder",
    "starcoder2",
    "t5",
    "vaswani",
    "walk_step",
]
