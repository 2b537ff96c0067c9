"""Running a trained model: caches, sampling, generation; `retrieval`, `recall`, `graph_search`."""

from minilm.inference.batch import Ragged, pad_left
from minilm.inference.cache import ContiguousCache, RollingCache
from minilm.inference.decoder import Decoder
from minilm.inference.drafts import LookupDraft, ModelDraft
from minilm.inference.generate import endless, generate, steps
from minilm.inference.paged_cache import PagedCache
from minilm.inference.pages import BlockPool, OutOfPages, Pages, PageTable
from minilm.inference.prefix import PrefixTree
from minilm.inference.quantized_cache import QuantizedCache
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
from minilm.inference.scheduler import Scheduler
from minilm.inference.speculate import Speculated, accept, speculate
from minilm.inference.stepping import Share, Stepper
from minilm.inference.stopping import TextStream
from minilm.inference.written import Written

__all__ = [
    "BlockPool",
    "ContiguousCache",
    "Decoder",
    "LookupDraft",
    "ModelDraft",
    "OutOfPages",
    "PageTable",
    "PagedCache",
    "Pages",
    "PrefixTree",
    "QuantizedCache",
    "Ragged",
    "RollingCache",
    "Rules",
    "Scheduler",
    "Share",
    "Speculated",
    "Stepper",
    "TextStream",
    "Written",
    "accept",
    "endless",
    "generate",
    "greedy",
    "min_p",
    "pad_left",
    "repetition_penalty",
    "sample",
    "speculate",
    "steps",
    "temperature",
    "top_k",
    "top_p",
]
