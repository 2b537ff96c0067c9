"""Greedy decoding with a cache, beside PyTorch's and beside what memory can deliver.

`minilm bench decode` prints the table. Ours is `minilm.inference.generate`, from a prompt of one
token to the end of the context. PyTorch's twin is written for speed: its functions are called
directly, with a cache made once, in inference mode, and with the number of threads that suits it
best.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend, inference
from minilm.analysis.accounting import kv_bytes_per_token
from minilm.bench.peers import find_torch, gpt, twin
from minilm.bench.rows import Row, alternate, row_of
from minilm.bench.timing import best_threads, raced, thread_counts
from minilm.inference.supported import read
from minilm.models import Transformer

SIZES = {
    "tiny": {"vocab_size": 512, "context": 128, "layers": 4, "heads": 4, "channels": 128},
    "small": {"vocab_size": 4096, "context": 256, "layers": 6, "heads": 6, "channels": 384},
}
ALONE = {1: 3.0, 2: 5.0}  # goal by threads, one text
TOGETHER = 2.0  # sixteen texts
INT8 = 3.0  # of our own float32
SHARE = 0.85  # of the memory's bandwidth
UNIT = "tokens/s"


def made(size: str) -> Transformer:
    """A model with weights so large that its choices are clear, and equal in both programs."""
    model = Transformer(gpt(**SIZES[size])).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= 3
    return model


def ours(model: Transformer, batch: int, weights: str = "float32") -> Callable[[], list]:
    """A call that writes a whole context for each of `batch` prompts of one token."""
    prompts = [[1 + row] for row in range(batch)]
    count = model.config.context - 1

    def write() -> list:
        return inference.generate(model, prompts, count, temperature=0, weights=weights)

    return write


def theirs(model: Transformer, batch: int, int8: bool = False) -> Callable[[], list]:
    """The same in PyTorch; `int8` turns its linear layers into dynamically quantised ones."""
    import torch
    from torch.nn import functional as TF

    config, other = model.config, twin(model)
    if int8:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces a move to another package
            kinds = {torch.nn.Linear}
            other = torch.ao.quantization.quantize_dynamic(other, kinds, dtype=torch.qint8)

    def linear(layer: Any) -> Callable:
        if int8:
            return layer
        weight, bias = layer.weight, layer.bias
        return lambda x: TF.linear(x, weight, bias)

    blocks = [
        (
            *(b.norm1.weight, b.norm1.bias, linear(b.attention.qkv), linear(b.attention.out)),
            *(b.norm2.weight, b.norm2.bias),
            *(linear(b.feed_forward.up), linear(b.feed_forward.down)),
        )
        for b in other.stack.blocks
    ]
    head, norm = linear(other.head), other.stack.norm
    tokens, places = other.tokens.weight, other.positions.weight
    wide, heads, context = (config.channels,), config.heads, config.context
    shape = (config.layers, batch, heads, context, config.D)
    keys, values = torch.zeros(shape), torch.zeros(shape)

    @torch.inference_mode()
    def write() -> list:
        ids, out = torch.arange(1, batch + 1), []
        for place in range(context - 1):
            x = tokens[ids] + places[place]
            for i, (w1, b1, qkv, mix, w2, b2, up, down) in enumerate(blocks):
                packed = qkv(TF.layer_norm(x, wide, w1, b1))
                q, k, v = packed.view(batch, 3, heads, 1, config.D).unbind(1)
                keys[i, :, :, place], values[i, :, :, place] = k[:, :, 0], v[:, :, 0]
                seen = keys[i, :, :, : place + 1], values[i, :, :, : place + 1]
                y = TF.scaled_dot_product_attention(q, *seen)
                x = x + mix(y.reshape(batch, -1))
                h = TF.gelu(up(TF.layer_norm(x, wide, w2, b2)), approximate="tanh")
                x = x + down(h)
            ids = head(TF.layer_norm(x, wide, norm.weight, norm.bias)).argmax(-1)
            out.append(ids)
        return torch.stack(out, 1).tolist()

    return write


def check_same(size: str, first: list, second: list) -> None:
    """Refuse to go on unless the two programs write the same.

    Raises:
        RuntimeError: they do not.
    """
    if first != second:
        raise RuntimeError(f"{size}: minilm and torch write different texts, so nothing was timed")


def torch_rows(size: str, model: Transformer, batch: int, rounds: int) -> Iterator[Row]:
    """Ours with 1 and 2 threads against torch at its best."""
    tokens = batch * (model.config.context - 1)
    other = theirs(model, batch) if find_torch() is not None else None
    used = best_threads(other, max(thread_counts())) if other is not None else 0
    for threads in thread_counts():
        goal = ALONE[threads] if batch == 1 else TOGETHER
        name = f"{size}, {batch} text{'s' * (batch > 1)}, {threads} thread{'s' * (threads > 1)}"
        backend.set_threads(threads)
        mine, peer = ours(model, batch), "torch"
        if other is not None:
            check_same(size, mine(), other())
            peer = f"torch, {used} thread{'s' * (used > 1)}"
        race, count = raced(mine, other, rounds)
        yield row_of(name, UNIT, tokens * count, race, peer, goal)


def int8_rows(size: str, model: Transformer, rounds: int) -> Iterator[Row]:
    """8-bit weights against our own float32, and against torch's dynamic int8."""
    backend.set_threads(1)
    tokens, name = model.config.context - 1, f"{size}, 1 text, int8, 1 thread"
    mine = ours(model, 1, "int8")
    race, count = raced(mine, ours(model, 1), rounds)
    yield row_of(name, UNIT, tokens * count, race, "ours, float32", INT8)
    other = None
    if find_torch() is not None:
        other = theirs(model, 1, int8=True)
        best_threads(other, max(thread_counts()))
    race, count = raced(mine, other, rounds)
    yield row_of(name, UNIT, tokens * count, race, "torch int8", None)


def reading(nbytes: int, times: int, threads: int) -> Callable[[], None]:
    """A call that reads that many bytes that many times and does next to nothing with them."""
    parts = [np.ones(nbytes // 4 // threads, np.float32) for _ in range(threads)]

    def read_part(part: np.ndarray) -> None:
        for _ in range(times):
            np.dot(part, part)

    def run() -> None:
        workers = [threading.Thread(target=read_part, args=(part,)) for part in parts[1:]]
        for worker in workers:
            worker.start()
        read_part(parts[0])
        for worker in workers:
            worker.join()

    return run


def bandwidth_rows(size: str, model: Transformer, rounds: int) -> Iterator[Row]:
    """Bytes read per second, against a program that only reads as many bytes.

    A token reads every weight once, and the keys and values of the tokens before it.
    """
    count = model.config.context - 1
    nbytes = read(model, model.config.context).nbytes
    nbytes += kv_bytes_per_token(model.config, 4) * (count - 1) // 2  # on average
    backend.blas_threads(1)
    for threads in thread_counts():
        backend.set_threads(threads)
        race = alternate(ours(model, 1), reading(nbytes, count, threads), rounds)
        name = f"{size}, share of the memory's speed, {threads} thread{'s' * (threads > 1)}"
        yield row_of(name, "GB/s", nbytes * count / 1e9, race, "reading", SHARE)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; about two minutes, or half a minute where `quick`."""
    before, rounds = backend.threads(), 3 if quick else 9
    torch = find_torch()
    torch_before = torch.get_num_threads() if torch is not None else 0
    try:
        for size in SIZES:
            model = made(size)
            for batch in (1, 16):
                yield from torch_rows(size, model, batch, rounds)
            yield from int8_rows(size, model, rounds)
        yield from bandwidth_rows("small", model, rounds)
    finally:
        backend.set_threads(before)
        if torch is not None:
            torch.set_num_threads(torch_before)
