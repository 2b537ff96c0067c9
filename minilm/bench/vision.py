"""Steps of models that see pictures and videos beside the same models in PyTorch.

`minilm bench vision`: forward, backward, clipping and AdamW of an eye, a projector and a language
model that all learn; and with a visual expert, where the eye and the language model are frozen, as
in CogVLM; then those of `vision_video`. Gradients have to agree before anything is timed.
"""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np

from minilm import backend, nn, optim
from minilm.bench import vision_video
from minilm.bench.peers import find_torch, gpt
from minilm.bench.rows import Row, alternate, missing_row, row_of
from minilm.bench.timing import thread_counts
from minilm.bench.vision_twins import vision_twin
from minilm.models import Transformer
from minilm.train import choose_engine, take_step
from minilm.vision.language import VisionLanguage
from minilm.vision.projectors import Mlp2x
from minilm.vision.vit import EyeConfig, ViT

BATCH, TEXT, WORDS = 32, 16, 512
GOAL = 1.2
PEER = "PyTorch eager"


def sees(expert: bool, layers: int = 4, channels: int = 128, side: int = 32) -> VisionLanguage:
    """The model that is timed: 64 patches and 16 words, or what the sizes say."""
    nn.manual_seed(0)
    language = Transformer(gpt(WORDS, (side // 4) ** 2 + 2 + TEXT, layers, 4, channels))
    eye = ViT(EyeConfig(side, 4, layers // 2, channels, 4))
    model = VisionLanguage(language, eye, Mlp2x(channels, channels), expert)
    return model.learn("expert") if expert else model.learn("all", eye=True)


def batch_of(model: VisionLanguage, count: int = BATCH) -> tuple[np.ndarray, ...]:
    """Random pictures, ids and targets."""
    random, side = backend.rng(0, "bench vision"), model.eye.config.side
    pictures = random.standard_normal((count, 3, side, side), dtype=np.float32)
    rows = random.integers(0, WORDS, (count, TEXT + 1))
    return pictures, np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])


def gradients_apart(model: VisionLanguage, twin: Any, batch: tuple[np.ndarray, ...]) -> float:
    """The largest relative difference of a parameter's gradient, by the norm of each."""
    import torch

    model.zero_grad()
    model.loss(*batch).backward()
    twin.zero_grad(set_to_none=True)
    twin(*(torch.from_numpy(part) for part in batch)).backward()
    theirs = {name: p.grad for name, p in twin.named_parameters()}
    worst = 0.0
    for name, p in model.named_parameters():
        if p.requires_grad:
            size = float(np.linalg.norm(theirs[name].numpy()))
            apart = float(np.linalg.norm(p.grad - theirs[name].numpy()))
            worst = max(worst, apart / (size or 1.0))
    model.zero_grad()
    twin.zero_grad(set_to_none=True)
    return worst


def _our_step(model: VisionLanguage, batch: tuple) -> Callable[[], None]:
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = optim.AdamW(learning, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    engine = choose_engine(model, optimizer)
    source = engine.feed(repeat(batch))
    model.train()

    def step() -> None:
        take_step(engine, source, 0)

    return step


def _their_step(model: VisionLanguage, twin: Any, batch: tuple) -> Callable[[], None]:
    import torch

    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    for name, p in twin.named_parameters():
        p.requires_grad_(name in learns)
    learning = [p for p in twin.parameters() if p.requires_grad]
    settings = {"lr": 1e-4, "betas": (0.9, 0.95), "weight_decay": 0.1, "fused": True}
    optimizer = torch.optim.AdamW(learning, **settings)
    parts = [torch.from_numpy(part) for part in batch]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        twin(*parts).backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()

    return step


def step_row(name: str, expert: bool, threads: int, rounds: int) -> Row:
    """A training step, ours and PyTorch's."""
    title = f"{name}, batch {BATCH}, {threads} thread{'s' * (threads > 1)}"
    torch = find_torch()
    if torch is None:
        return missing_row(title, "steps/s", PEER, GOAL)
    torch.set_num_threads(threads)
    model = sees(expert)
    batch, twin = batch_of(model), vision_twin(model)
    apart = gradients_apart(model, twin, batch)
    if apart > 1e-3:
        raise AssertionError(f"gradients of {name} differ by {apart:.1e}, so nothing was timed")
    race = alternate(_our_step(model, batch), _their_step(model, twin, batch), rounds)
    return row_of(title, "steps/s", 1, race, PEER, GOAL)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    before, rounds = backend.threads(), 5 if quick else 15
    backend.keep_freed_memory()
    try:
        for threads in thread_counts():
            backend.set_threads(threads)
            yield step_row("VLM, all learns", False, threads, rounds)
            yield step_row("VLM, expert learns", True, threads, rounds)
    finally:
        backend.set_threads(before)
    yield from vision_video.rows(quick)
