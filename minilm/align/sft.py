"""Supervised fine-tuning: the language model's own loss, on what an assistant said only.

The instruction half of Ouyang et al. 2022 (arXiv 2203.02155, section 3.5).
"""

from collections.abc import Sequence
from typing import Any

from minilm.backend import to_numpy
from minilm.data.packing import Example, Packed, PackedBatches
from minilm.tensor import Tensor
from minilm.train import Run, train
from minilm.train.batch import scored

_TABLES = ("learned", "sinusoidal")  # positions that count from the beginning of a row


def sft_loss(model: Any, batch: Packed) -> Tensor:
    """Mean loss of a token that is learnt, in nats; texts that share a row do not see each other.

    Args:
        model: a `Transformer` of kind "decoder".
        batch: from `PackedBatches`.
    """
    options: dict[str, Any] = {}
    documents = to_numpy(batch.documents)
    if (documents > 0).any():
        options["documents"] = documents
        if model.config.positions in _TABLES:  # others know distances only
            options["positions"] = to_numpy(batch.positions)
    return model.loss(batch.ids, batch.targets, **options)


def sft(
    model: Any,
    examples: Sequence[Example],
    steps: int,
    *,
    batch: int = 16,
    context: int | None = None,
    pack: bool = True,
    seed: int = 0,
    **settings: Any,
) -> Run:
    """Fine-tune a model in place on conversations; adapters and chosen rows train alone.

        rows = [encode_chat(tokenizer, messages) for messages in conversations]
        sft(model, rows, 300, lr=2e-3)

    Args:
        model: a `Transformer`.
        examples: (ids, learnt) each, as `encode_chat` gives them: int (T,) and bool (T,).
        steps: how many in all.
        batch: rows of a step.
        context: tokens of a row; None: the model's context.
        pack: put several conversations into a row; they do not see each other.
        seed: of the order.
        settings: of `minilm.train.train`: lr, warmup, schedule, out, resume, progress, ...

    Returns:
        What happened, see `minilm.train.Run`.

    Raises:
        InputError: as `PackedBatches` and `train`.
    """
    context = model.config.context if context is None else context
    batches = PackedBatches(examples, context, batch, seed, pack)
    settings = {"weight_decay": 0.0, **settings}
    return train(model, batches, steps, loss=sft_loss, weigh=scored, seed=seed, **settings)
