"""BERT, GPT, T5 and GLM at one size: what each is built of, what it is shown, how it is asked."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minilm import backend
from minilm.models import (
    Config,
    EncoderDecoderConfig,
    batch_blanks,
    batch_corrupted,
    blank_out,
    corrupt_spans,
    mask_out,
    model_of,
    sample_spans,
)
from minilm.models.embed import embed
from minilm.models.language_model import LanguageModel
from minilm.models.sight import self_sight
from minilm.tensor import Tensor, no_grad

from .texts import END, MASK, PROMPT, SENTINELS, START, VOCABULARY, WINDOW, WORDS, stream

Array = np.ndarray
LAYERS, HEADS, CHANNELS, BATCH = 2, 3, 48, 32
SPECIAL = {"mask_id": MASK, "start_id": START, "end_id": END}
# name -> (kind of model, share of the texts whose end is the span: from half of it to all)
OBJECTIVES = {
    "BERT": ("encoder", 0.0),
    "GPT": ("decoder", 0.0),
    "T5": ("encoder-decoder", 0.0),
    "GLM": ("glm", 0.5),
    "GLM, short spans": ("glm", 0.0),
    "T5, GLM's spans": ("encoder-decoder", 0.5),
}


def kind_of(name: str) -> str:
    """Kind of the model that is trained with an objective."""
    return OBJECTIVES[name][0]


def config_of(name: str) -> Config:
    """Two layers of 48 channels; T5 has two that read and two that write."""
    kind = kind_of(name)
    made = EncoderDecoderConfig if kind == "encoder-decoder" else Config
    return made(
        VOCABULARY, 44, LAYERS, HEADS, CHANNELS, kind=kind, activation="gelu_tanh",
        positions="2d" if kind == "glm" else "learned", init_std=0.5 / CHANNELS**0.5,
    )  # fmt: skip


class Learner:
    """A model as the trainer sees it: a batch is a row of windows, the objective does the rest."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.model = name, model_of(config_of(name), seed)

    def parameters(self) -> list[Any]:
        """Those of the model."""
        return self.model.parameters()

    def num_parameters(self) -> int:
        """How many."""
        return self.model.num_parameters()

    def loss(self, rows: Array, r: np.random.Generator) -> Tensor:
        """Nats per word that the objective asks for; rows (B, WINDOW)."""
        given, named = asked(self.name, rows, r)
        return self.model.loss(*given, **named)


def spans_of(share: float, r: np.random.Generator) -> list[tuple[int, int]]:
    """What is cut out of a window: 15 % in short spans, or its end, half of it or more."""
    if r.random() < share:
        return [(int(r.integers(0, WINDOW // 2 + 1)), WINDOW)]
    return sample_spans(WINDOW, r)


def asked(name: str, rows: Array, r: np.random.Generator) -> tuple[tuple, dict[str, Any]]:
    """What `loss` of the model gets for these windows."""
    kind, share = OBJECTIVES[name]
    if kind == "decoder":
        return (rows[:, :-1], rows[:, 1:]), {}
    if kind == "encoder":
        return mask_out(rows, r, mask_id=MASK, vocab_size=WORDS), {}
    cut = [spans_of(share, r) for _ in rows]
    if kind == "glm":
        made = batch_blanks(
            [blank_out(row, s, r.permutation(len(s)), **SPECIAL) for row, s in zip(rows, cut)]
        )
        named = {"positions": made.positions, "prefix": made.prefix, "valid": made.valid}
        return (made.inputs, made.targets), named
    corrupted = batch_corrupted(
        [corrupt_spans(row, s, sentinels=SENTINELS, start_id=START) for row, s in zip(rows, cut)]
    )
    return (corrupted.source, corrupted.fed, corrupted.targets), {"valid": corrupted.valid}


@cache
def _text(seed: int, steps: int) -> Array:
    """The windows of a run, (steps, BATCH, WINDOW): the same for every objective."""
    return stream(steps * BATCH * WINDOW, 1000 + seed).reshape(steps, BATCH, WINDOW)


def draws(steps: int) -> Callable[[int, int], tuple[Array, np.random.Generator]]:
    """Seed and step -> the windows of that step, and the draws of what is hidden in them."""
    return lambda seed, step: (_text(seed, steps)[step], backend.rng(seed, "hide", str(step)))


# ----------------------------------------------------------------------------- how it is asked


def log_softmax(z: Array) -> Array:
    """Over the last axis, float64."""
    z = z.astype(np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def logits(model: LanguageModel, *given: Any, part: int = 512, **named: Any) -> Array:
    """Logits of many rows, some at a time; arrays among the arguments are cut by their batch."""
    found = []
    with no_grad():
        for i in range(0, len(given[0]), part):
            cut = slice(i, i + part)
            found.append(model(*(a[cut] for a in given), **named).numpy())
    return np.concatenate(found)


def _nats(model: LanguageModel, rows: Array, part: int = 512) -> Array:
    """What a decoder pays for each word but the first, (N, T - 1)."""
    with no_grad():
        cuts = [rows[i : i + part] for i in range(0, len(rows), part)]
        paid = [model.loss(r[:, :-1], r[:, 1:], reduction="none").numpy() for r in cuts]
    return np.concatenate(paid).astype(np.float64)


def bets(name: str, model: LanguageModel, prompt: Array, written: Array) -> Array:
    """Log probabilities (N, WORDS) of the next word after prompt (N, P) and written (N, t)."""
    kind, n = kind_of(name), len(prompt)
    so_far = np.concatenate([prompt, written], axis=1)

    def column(token: int) -> Array:
        return np.full((n, 1), token)

    if kind == "decoder":
        z = logits(model, so_far)[:, -1]
    elif kind == "encoder":  # the word in the place of a mask at the end
        z = logits(model, np.concatenate([so_far, column(MASK)], axis=1))[:, -1]
    elif kind == "encoder-decoder":
        source = np.concatenate([prompt, column(SENTINELS[0])], axis=1)
        fed = np.concatenate([column(START), column(SENTINELS[0]), written], axis=1)
        z = logits(model, source, fed)[:, -1]
    else:
        ids = np.concatenate([prompt, column(MASK), column(START), written], axis=1)
        a = prompt.shape[1] + 1
        z = logits(model, ids, positions=places(a, ids.shape[1], a), prefix=a)[:, -1]
    return log_softmax(z[:, :WORDS])


def places(part_a: int, length: int, mask_at: int) -> Array:
    """GLM's two rows of places for one span at the end, (2, length)."""
    one = np.minimum(np.arange(1, length + 1), part_a)
    one[part_a:] = mask_at
    return np.stack([one, np.maximum(np.arange(length) - part_a + 1, 0)])


def fillings(name: str, model: LanguageModel, ids: Array, place: int, candidates: Array) -> Array:
    """Log weights (N, K) of the candidates (N, K) for the word at `place` of the texts ids (N, T).

    An encoder is asked once. A decoder weighs each whole text. The others write the candidate and
    then end, so that the length of the hole counts.
    """
    kind, (n, k) = kind_of(name), candidates.shape
    if kind == "encoder":
        hidden = ids.copy()
        hidden[:, place] = MASK
        return np.take_along_axis(log_softmax(logits(model, hidden)[:, place]), candidates, 1)
    rows, words = np.repeat(ids, k, axis=0), candidates.reshape(-1, 1)  # (N K, T), (N K, 1)
    if kind == "decoder":
        rows[:, place] = words[:, 0]
        return -_nats(model, rows)[:, place - 1 :].sum(1).reshape(n, k)

    def column(token: int) -> Array:
        return np.full((n * k, 1), token)

    if kind == "encoder-decoder":
        rows[:, place] = SENTINELS[0]
        fed = np.concatenate([column(START), column(SENTINELS[0]), words], axis=1)
        z = log_softmax(logits(model, rows, fed)[:, 1:])  # after the sentinel, after the word
        end = SENTINELS[1]
    else:
        rows[:, place] = MASK
        a = rows.shape[1]
        rows = np.concatenate([rows, column(START), words], axis=1)
        z = logits(model, rows, positions=places(a, a + 2, place + 1), prefix=a)[:, a:]
        z, end = log_softmax(z), END
    found = np.take_along_axis(z[:, 0], words, 1)[:, 0] + z[:, 1, end]
    return found.reshape(n, k)


def states(name: str, model: LanguageModel, ids: Array) -> Array:
    """What the model makes of whole texts (N, T): hidden states (N, T, C), none asked for."""
    with no_grad():
        if kind_of(name) == "encoder-decoder":
            x, (rope, _) = embed(model, ids, 0)
            here = np.arange(ids.shape[1])
            sight = self_sight(model.config, x, here, here, causal=False, two_way=True, rope=rope)
            return model.encoder(x, sight).numpy()
        named = {"prefix": ids.shape[1]} if kind_of(name) == "glm" else {}
        return model.hidden(ids, **named).numpy()


def write(name: str, model: LanguageModel, prompt: Array, words: int, seed: int) -> Array:
    """Draws `words` words after each prompt (N, P), (N, words)."""
    r, written = backend.rng(seed, "write"), np.zeros((len(prompt), 0), np.int64)
    for _ in range(words):
        p = np.exp(bets(name, model, prompt, written)).cumsum(1)
        drawn = (p < r.random((len(prompt), 1)) * p[:, -1:]).sum(1)
        written = np.concatenate([written, np.minimum(drawn, WORDS - 1)[:, None]], axis=1)
    return written


__all__ = [
    "PROMPT",
    "Learner",
    "asked",
    "bets",
    "config_of",
    "draws",
    "fillings",
    "states",
    "write",
]
