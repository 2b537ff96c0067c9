"""Running a trained model: key/value caches, sampling, generation; `retrieval` and `recall`."""

from minilm.inference.batch import Ragged, pad_left
from minilm.inference.cache import ContiguousCache, RollingCache
from minilm.inference.decoder import Decoder
from minilm.inference.generate import endless, generate, steps
from minilm.inference.rules import Rules
from minilm.inference.sampling import (
    greedy,
    min_p,
    repetition_penalty,
    sample,
    temperature,
    top_k,
    top_p,
)
from minilm.inference.stopping import TextStream
from minilm.inference.written import Written

__all__ = [
    "ContiguousCache",
    "Decoder",
    "Ragged",
    "RollingCache",
    "Rules",
    "TextStream",
    "Written",
    "endless",
    "generate",
    "greedy",
    "min_p",
    "pad_left",
    "repetition_penalty",
    "sample",
    "steps",
    "temperature",
    "top_k",
    "top_p",
]
