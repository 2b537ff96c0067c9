"""Steps of networks that draw beside the same networks in PyTorch, and a sampling.

`minilm bench images`: a DiT's and a U-Net's training step (forward, backward, clipping, AdamW)
beside PyTorch eager, whose gradients have to agree before anything is timed; a convolution of 3 by
3 beside oneDNN; and 64 pictures in 20 steps.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend, optim
from minilm import functional as F
from minilm.bench.drawing_twins import dit_twin, unet_twin
from minilm.bench.peers import find_torch
from minilm.bench.rows import Row, alternate, missing_row, row_of
from minilm.bench.timing import thread_counts
from minilm.diffusion.dit import DiT, DiTConfig
from minilm.diffusion.generate import draw_pictures
from minilm.diffusion.training import denoising_loss, noisy_batches
from minilm.diffusion.unet import UNet, UNetConfig
from minilm.tensor import Tensor
from minilm.train import choose_engine, examples, take_step

BATCH = 64
GOALS = {"DiT": 1.3, "U-Net": 1.0, "conv": 0.9}


def _batch(side: int) -> Any:
    random = backend.rng(0, "bench images")
    pictures = random.standard_normal((BATCH, 1, side, side), dtype=np.float32)
    labels = random.integers(0, 10, BATCH)
    return noisy_batches(pictures, labels, np.int64(10), BATCH)(0)


def _our_step(model: Any, batch: Any) -> Callable[[], None]:
    optimizer = optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.99), weight_decay=0.01)
    engine = choose_engine(model, optimizer, denoising_loss, examples)

    def step() -> None:
        take_step(engine, engine.feed(iter([batch])), 0)

    return step


def _their_step(twin: Any, batch: Any) -> Callable[[], None]:
    import torch

    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-4, betas=(0.9, 0.99), weight_decay=0.01)
    x, t, given, wanted = (torch.from_numpy(np.asarray(part)) for part in batch[:4])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(twin(x, t, given), wanted).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        optimizer.step()

    return step


def gradients_apart(model: Any, twin: Any, batch: Any) -> float:
    """The largest relative difference of a parameter's gradient, by the norm of each."""
    import torch

    model.zero_grad()
    denoising_loss(model, batch).backward()
    twin.zero_grad(set_to_none=True)
    x, t, given, wanted = (torch.from_numpy(np.asarray(part)) for part in batch[:4])
    torch.nn.functional.mse_loss(twin(x, t, given), wanted).backward()
    theirs = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    worst = 0.0
    for name, p in model.named_parameters():
        size = float(np.linalg.norm(theirs[name]))
        worst = max(worst, float(np.linalg.norm(p.grad - theirs[name])) / (size or 1.0))
    model.zero_grad()
    twin.zero_grad(set_to_none=True)
    return worst


def _stirred(model: Any) -> Any:
    """The model with its zeros replaced, so that every gradient says something."""
    random = backend.rng(0, "stirred")
    for p in model.parameters():
        if not p.data.any():
            p.data[...] = 0.02 * random.standard_normal(p.shape)
    return model


def step_row(
    name: str, model: Any, make_twin: Callable[[Any], Any], threads: int, rounds: int
) -> Row:
    """A training step of one network, ours and PyTorch's."""
    goal, batch = GOALS[name.split()[0]], _batch(model.config.side)
    title = f"{name}, batch {BATCH}, {threads} thread{'s' * (threads > 1)}"
    torch = find_torch()
    if torch is None:
        return missing_row(title, "ms", "PyTorch eager", goal)
    torch.set_num_threads(threads)
    twin = make_twin(_stirred(model))
    apart = gradients_apart(model, twin, batch)
    if apart > 1e-3:
        raise AssertionError(f"gradients of {name} differ by {apart:.1e}, so nothing was timed")
    race = alternate(_our_step(model, batch), _their_step(twin, batch), rounds)
    return row_of(title, "steps/s", 1, race, "PyTorch eager", goal)


def conv_row(threads: int, rounds: int) -> Row:
    """A convolution of 3 by 3, forward and backward, 64 channels of 16 by 16."""
    name = f"conv 3x3, 64 of 64 x 16 x 16, {threads} thread{'s' * (threads > 1)}"
    torch = find_torch()
    if torch is None:
        return missing_row(name, "ms", "oneDNN", GOALS["conv"])
    torch.set_num_threads(threads)
    random = backend.rng(0, "conv")
    x = random.standard_normal((BATCH, 64, 16, 16), dtype=np.float32)
    w = random.standard_normal((64, 64, 3, 3), dtype=np.float32)

    def ours() -> None:
        a, b = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
        F.conv2d(a, b, None, 1, (1, 1)).backward(x)

    def theirs() -> None:
        a, b = (torch.from_numpy(part).requires_grad_() for part in (x, w))
        torch.nn.functional.conv2d(a, b, padding=1).backward(torch.from_numpy(x))

    race = alternate(ours, theirs, rounds)
    return row_of(name, "calls/s", 1, race, "oneDNN", GOALS["conv"])


def sampling_row(threads: int, rounds: int) -> Row:
    """64 pictures in 20 steps with guidance: 40 passes."""
    model = _stirred(DiT(DiTConfig()))
    labels = np.arange(BATCH) % 10

    def ours() -> None:
        draw_pictures(model, labels, backend.rng(0, "sampling"), 20, 1.5)

    name = f"64 pictures in 20 guided steps, {threads} thread{'s' * (threads > 1)}"
    return row_of(name, "s", None, alternate(ours, None, rounds), "", None)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    before, rounds = backend.threads(), 5 if quick else 15
    backend.keep_freed_memory()
    try:
        for threads in thread_counts():
            backend.set_threads(threads)
            yield step_row("DiT 8x8", DiT(DiTConfig()), dit_twin, threads, rounds)
            yield step_row("U-Net 8x8", UNet(UNetConfig()), unet_twin, threads, rounds)
            yield conv_row(threads, rounds)
            yield sampling_row(threads, rounds)
    finally:
        backend.set_threads(before)
