"""Steps of alignment beside PyTorch's, and bytes beside the formula that promises them.

`minilm bench align` prints the table. Both sides of a step have the same GPT with the same weights
and see the same padded batch of conversations, of which only the answers are scored; before
anything is timed, their gradients are compared.
"""

from collections.abc import Iterator

import numpy as np

from minilm import backend, nn
from minilm.backend import IGNORE, rng
from minilm.bench.peers import find_torch, twin
from minilm.bench.rows import Row
from minilm.bench.timing import best_threads, thread_counts, timed_row, use_threads
from minilm.bench.training import PEER, SIZES, Size, check_equal, our_step, torch_step
from minilm.models import Transformer

GOAL = 1.5  # of a step, at the sizes of the lessons
NEAR = 0.99  # of the bytes that the formula gives
GROUP, SECOND = 64, 256  # weights that share a scale; scales that share one of theirs


class Chats(Size):
    """A model, and a batch of conversations for it."""

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and targets, int64 (B, T): random lengths, the second half of each an answer."""
        r = rng(0, "bench", "chats")
        ids = r.integers(0, self.vocab_size, (self.batch, self.context + 1))
        lengths = r.integers(self.context // 3, self.context + 1, self.batch)[:, None]
        place = np.arange(1, self.context + 1)
        learnt = (place > lengths // 2) & (place <= lengths)
        return np.ascontiguousarray(ids[:, :-1]), np.where(learnt, ids[:, 1:], IGNORE)


def sft_rows(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """A step of supervised fine-tuning: AdamW on all weights, loss on the answers."""
    torch = find_torch()
    for name in names:
        size = Chats(*SIZES[name])
        for threads in thread_counts():
            use_threads(threads)
            model, theirs, peer = Transformer(size.config()), None, PEER
            if torch is not None:
                other = twin(model)
                check_equal(f"SFT, {name}", model, other, size)
                theirs = torch_step(other, *size.data())
                used = best_threads(theirs, threads)
                peer = f"{PEER}, {used} thread{'s' * (used > 1)}"
            title = f"SFT step, {name}, {threads} thread{'s' * (threads > 1)}"
            ours = our_step(model, *size.data())
            yield timed_row(title, "ms", ours, theirs, peer, GOAL, rounds)


def promised_bits() -> float:
    """Bits of a weight in NF4 with scales rounded twice (QLoRA, arXiv 2305.14314, section 3)."""
    return 4 + 8 / GROUP + 32 / (GROUP * SECOND)


def stored_bits(model: Transformer) -> float:
    """Bits that a weight of a model's quantized maps takes as they are held."""
    maps = [m for m in model.stack.modules() if isinstance(m, nn.QuantizedLinear)]
    held = sum(b.data.nbytes for m in maps for _, b in m.named_buffers())
    return 8 * held / sum(m.in_features * m.out_features for m in maps)


def bytes_rows(names: tuple[str, ...]) -> Iterator[Row]:
    """What frozen weights take in 4 bits, beside the formula."""
    for name in names:
        model = Transformer(SIZES[name].config())
        nn.quantize_maps(model.stack, 4, GROUP, double=True)
        ours, wanted = stored_bits(model), promised_bits()
        ratio = wanted / ours
        rest = ratio, (ratio, ratio), NEAR, ratio >= NEAR
        yield Row(f"QLoRA, bits of a frozen weight, {name}", "bit", ours, wanted, "formula", *rest)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    before = backend.threads()
    find_torch()  # loaded now, so that the thread counts set below hold for it too
    backend.keep_freed_memory()
    try:
        yield from sft_rows(("micro", "tiny"), 5 if quick else 15)
        yield from bytes_rows(("tiny", "small"))
    finally:
        use_threads(before)
