"""Steps of the networks of videos, beside the same networks in PyTorch.

A training step (forward, backward, clipping, AdamW) of the causal autoencoder, whose convolutions
in PyTorch are oneDNN's of three axes, and of the video DiT. Gradients have to agree before anything
is timed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend, optim
from minilm.bench.drawing_twins import _time, _with_weights, ada_parts
from minilm.bench.images import _our_step, _stirred, _their_step, gradients_apart
from minilm.bench.peers import find_torch
from minilm.bench.rows import Row, alternate, missing_row, row_of
from minilm.bench.timing import thread_counts
from minilm.diffusion.training import noisy_batches
from minilm.diffusion.video_dit import VideoDiT, VideoDiTConfig
from minilm.train import choose_engine, examples, take_step
from minilm.vision.video_ae import VideoAE, causal_ae

BATCH, GOAL = 16, 1.2
APART = 1e-3  # most that gradients may differ, by the norm of each


def video_dit_twin(model: VideoDiT) -> Any:
    """A torch module that computes what a video DiT does, from a copy of its weights."""
    import torch
    from torch import nn
    from torch.nn import functional as TF

    config, c = model.config, model.config.width
    Map, Block, norm = ada_parts(c, config.heads)  # noqa: N806, classes
    f, p, side = config.per, config.patch, config.side
    grid = config.frames // f, side // p, side // p

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            numbers = config.colours * f * p * p
            self.cut, self.out = nn.Linear(numbers * (1 + config.beside), c), nn.Linear(c, numbers)
            self.place = nn.Embedding(config.tokens, c)
            self.words = nn.Embedding(sum(config.slots), c)
            self.time, self.last = _time(c), Map(2)
            self.blocks = nn.ModuleList(Block() for _ in range(config.layers))

        def forward(self, x: torch.Tensor, t: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            b = len(x)
            x = x.reshape(b, -1, grid[0], f, grid[1], p, grid[2], p)
            x = x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, config.tokens, -1)
            x = self.cut(x) + self.place.weight
            said = self.words(given + torch.from_numpy(model.starts)).sum(1)
            condition = TF.silu(self.time(t) + said)
            for block in self.blocks:
                x = block(x, condition)
            x = self.out(norm(x, *self.last(condition)))
            x = x.reshape(b, *grid, config.colours, f, p, p).permute(0, 4, 1, 5, 2, 6, 3, 7)
            return x.reshape(b, config.channels, side, side)

    return _with_weights(Twin(), model)


def video_ae_twin(model: VideoAE) -> Any:
    """A torch module that computes what an autoencoder of videos does, from its weights."""
    import torch
    from torch import nn
    from torch.nn import functional as TF

    config = model.config
    h, fold = config.hidden, config.fold

    class Conv(nn.Conv3d):
        """Zeros before the first frame, none behind the last."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            before = self.kernel_size[0] - self.stride[0]
            return super().forward(TF.pad(x, (0, 0, 0, 0, before, 0)))

    def conv(ins: int, outs: int, taps: int, window: int, step: int, stride: int) -> Any:
        around = (0, window // 2, window // 2) if stride == 1 else 0
        return Conv(ins, outs, (taps, window, window), (step, stride, stride), around)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = (conv(h, h, config.taps, 3, 1, 1) for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.two(TF.silu(self.one(TF.silu(x))))

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            depth, patch = range(config.depth), config.patch
            self.cut = conv(config.colours, h, 1, patch, 1, patch)
            self.see = nn.Sequential(*(Residual() for _ in depth))
            self.narrow = conv(h, config.latent, fold, 1, fold, 1)
            self.widen = conv(config.latent, h * fold, 1, 1, 1, 1)
            self.draw = nn.Sequential(*(Residual() for _ in depth))
            self.join = nn.ConvTranspose2d(h, config.colours, patch, patch)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.widen(self.narrow(self.see(self.cut(x))))
            b, _, s, down, right = z.shape
            z = z.reshape(b, h, fold, s, down, right).transpose(2, 3)
            z = self.draw(z.reshape(b, h, s * fold, down, right))
            y = self.join(z.transpose(1, 2).reshape(-1, h, down, right))
            return y.reshape(b, s * fold, *y.shape[1:]).transpose(1, 2)

    twin = Twin()
    names = {name: p.shape for name, p in twin.named_parameters()}
    ours = model.state_dict()
    if {name: a.shape for name, a in ours.items()} != {n: tuple(s) for n, s in names.items()}:
        raise AssertionError("the twin has other parameters than the autoencoder")
    return _with_weights(twin, model)


def ae_gradients_apart(model: VideoAE, twin: Any, videos: np.ndarray) -> float:
    """The largest relative difference of a parameter's gradient, by the norm of each."""
    import torch

    model.zero_grad()
    model.loss(videos).backward()
    x = torch.from_numpy(videos)
    torch.nn.functional.mse_loss(twin(x), x).backward()
    theirs = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    apart = (
        float(np.linalg.norm(p.grad - theirs[name]) / (np.linalg.norm(theirs[name]) or 1.0))
        for name, p in model.named_parameters()
    )
    worst = max(apart)
    model.zero_grad()
    twin.zero_grad(set_to_none=True)
    return worst


def _ae_steps(model: VideoAE, twin: Any, videos: np.ndarray) -> tuple[Callable, Callable]:
    import torch

    settings = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.01}
    mine = optim.AdamW(model.parameters(), **settings)
    engine = choose_engine(model, mine, VideoAE.loss, examples)
    other, x = torch.optim.AdamW(twin.parameters(), **settings), torch.from_numpy(videos)

    def ours() -> None:
        take_step(engine, engine.feed(iter([videos])), 0)

    def theirs() -> None:
        other.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(twin(x), x).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        other.step()

    return ours, theirs


def _title(what: str, threads: int) -> str:
    return f"{what}, batch {BATCH}, {threads} thread{'s' * (threads > 1)}"


def ae_row(threads: int, rounds: int) -> Row:
    """A step of the causal autoencoder, 8 frames of 12 by 12 pixels."""
    title, torch = _title("causal video autoencoder", threads), find_torch()
    if torch is None:
        return missing_row(title, "ms", "PyTorch eager", GOAL)
    torch.set_num_threads(threads)
    model = _stirred(VideoAE(causal_ae()))
    videos = backend.rng(0, "bench video").random((BATCH, 3, 8, 12, 12), dtype=np.float32)
    twin = video_ae_twin(model)
    apart = ae_gradients_apart(model, twin, videos)
    if apart > APART:
        raise AssertionError(f"gradients of {title} differ by {apart:.1e}, so nothing was timed")
    race = alternate(*_ae_steps(model, twin, videos), rounds)
    return row_of(title, "steps/s", 1, race, "PyTorch eager", GOAL)


def dit_row(threads: int, rounds: int) -> Row:
    """A step of the video DiT, 36 blocks of 2 frames of 4 by 4 pixels."""
    title, torch = _title("video DiT", threads), find_torch()
    if torch is None:
        return missing_row(title, "ms", "PyTorch eager", GOAL)
    torch.set_num_threads(threads)
    config = VideoDiTConfig(slots=(9, 9))
    model, random = _stirred(VideoDiT(config)), backend.rng(0, "bench video")
    shape = (BATCH, config.channels, config.side, config.side)
    pictures = random.standard_normal(shape, dtype=np.float32)
    given = random.integers(0, 9, (BATCH, 2))
    batch = noisy_batches(pictures, given, np.zeros(2, np.int64), BATCH)(0)
    twin = video_dit_twin(model)
    apart = gradients_apart(model, twin, batch)
    if apart > APART:
        raise AssertionError(f"gradients of {title} differ by {apart:.1e}, so nothing was timed")
    race = alternate(_our_step(model, batch), _their_step(twin, batch), rounds)
    return row_of(title, "steps/s", 1, race, "PyTorch eager", GOAL)


def rows(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    before, rounds = backend.threads(), 5 if quick else 15
    backend.keep_freed_memory()
    try:
        for threads in thread_counts():
            backend.set_threads(threads)
            yield ae_row(threads, rounds)
            yield dit_row(threads, rounds)
    finally:
        backend.set_threads(before)
