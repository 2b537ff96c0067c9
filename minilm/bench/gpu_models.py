"""GPT-2 124M on a GPU beside PyTorch: training steps, and tokens one after another.

Both sides have the same weights. PyTorch trains as its users do: float32 weights, bf16 autocast,
fused AdamW, SDPA, both eager and compiled; it decodes in bf16 with a cache made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import backend
from minilm.bench.peers import gpt, twin
from minilm.bench.rows import missing_row
from minilm.errors import InputError
from minilm.inference import ContiguousCache, Decoder
from minilm.models import Transformer
from minilm.optim import AdamW

EAGER, COMPILED, DECODING = 1.0, 0.8, 2.0  # goals: times torch's speed
SAME = 0.02  # of the loss: how far two bf16 runs of one model may differ


def make_model(sizes: Any, dtype: str = "bfloat16") -> tuple[Transformer, Transformer]:
    """A model with GPT-2's parts on the GPU, and the same in float32 on the host."""
    heads = max(1, sizes.channels // 64)
    config = gpt(sizes.vocab, sizes.context, sizes.layers, heads, sizes.channels).replace(tie=True)
    host = Transformer(config, seed=0)
    there = Transformer(config, seed=0).to(device="cuda")
    return there.to(dtype=backend.precision(dtype).dtype), host


def step_of(model: Transformer, ids: Any, targets: Any) -> Callable[[], Any]:
    """One training step, gradients and AdamW; it returns the loss, which stays on the device."""
    optimizer = AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)

    def step() -> Any:
        loss = model.loss(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.data

    return step


def torch_step(torch: Any, module: Any, ids: Any, targets: Any, device: str) -> Callable[[], Any]:
    """The same with a torch module, in bf16 autocast."""
    fused = {"fused": True} if device == "cuda" else {}
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-4, weight_decay=0.1, **fused)

    def step() -> Any:
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = module(ids, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def training_rows(b: Any) -> None:
    """Tokens a second of whole training steps, against torch eager and torch.compile."""
    sizes = b.sizes
    model, host = make_model(sizes)
    rows = np.random.default_rng(0).integers(0, sizes.vocab, (sizes.batch, sizes.context + 1))
    pieces = [np.ascontiguousarray(part) for part in (rows[:, :-1], rows[:, 1:])]
    ids, targets = (b.cp.asarray(part) for part in pieces)
    ours = step_of(model, ids, targets)
    tokens = float(ids.size)
    name = f"training {host.num_parameters() / 1e6:.0f}M, {sizes.batch} x {sizes.context} tokens"
    if b.torch is None:
        b.add(f"{name}, torch eager", "tokens/s", tokens, ours, None, EAGER, 3)
        b.add(f"{name}, torch.compile", "tokens/s", tokens, ours, None, COMPILED, 3)
        return
    torch = b.torch
    torch.set_float32_matmul_precision("high")
    there = [torch.as_tensor(part, device="cuda") for part in pieces]
    eager = twin(host).to("cuda")
    peer = torch_step(torch, eager, *there, "cuda")
    first, theirs = float(ours()), float(peer())
    if abs(first - theirs) > SAME * theirs:
        raise InputError(
            f"losses are {first:.4f} of ours and {theirs:.4f} of torch's; those of equal models "
            f"must be within {SAME:.0%}"
        )
    b.add(f"{name}, torch eager", "tokens/s", tokens, ours, peer, EAGER, 3)
    compiled = torch_step(torch, torch.compile(eager), *there, "cuda")
    try:
        compiled()
    except Exception as problem:  # whatever torch's compiler raises, ours can still be timed
        print(f"torch.compile failed ({type(problem).__name__}), so nothing is compared with it")
        b.rows.append(missing_row(f"{name}, torch.compile", "tokens/s", "torch.compile", COMPILED))
        return
    b.add(f"{name}, torch.compile", "tokens/s", tokens, ours, compiled, COMPILED, 3)


def torch_decoder(torch: Any, module: Any, config: Any, length: int) -> Callable[[int, int], list]:
    """Greedy decoding of a `twin` with a cache made beforehand: (first id, count) -> ids."""
    weight = module.tokens.weight
    shape = (1, config.heads, length, config.D)
    keys, values = (
        [torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in module.stack.blocks]
        for _ in range(2)
    )
    attend = torch.nn.functional.scaled_dot_product_attention

    @torch.no_grad()
    def decode(first: int, count: int) -> list:
        ids = torch.full((1,), first, device=weight.device)
        new = []
        for place in range(count):
            x = module.tokens(ids) + module.positions.weight[place]
            for block, k, v in zip(module.stack.blocks, keys, values):
                packed = block.attention.qkv(block.norm1(x)).view(3, config.heads, config.D)
                k[0, :, place], v[0, :, place] = packed[1], packed[2]
                past = k[:, :, : place + 1], v[:, :, : place + 1]
                mixed = attend(packed[0][None, :, None], *past)
                x = x + block.attention.out(mixed.reshape(1, -1))
                x = x + block.feed_forward(block.norm2(x))
            ids = module.head(module.stack.norm(x)).argmax(-1)
            new.append(ids)
        return torch.cat(new).tolist()

    return decode


def generating_rows(b: Any) -> None:
    """Tokens a second at batch 1, with a graph and kernel by kernel, against torch eager."""
    sizes = b.sizes
    model, host = make_model(sizes)
    config = model.config
    cache = ContiguousCache(config, 1, sizes.steps, dtype=model.tokens.weight.dtype, device="cuda")
    peer = None
    if b.torch is not None:
        theirs = twin(host).to("cuda").to(b.torch.bfloat16)
        decode = torch_decoder(b.torch, theirs, config, sizes.steps)
        peer = lambda: decode(1, sizes.steps)  # noqa: E731
    decoder = Decoder(model, cache)

    def ours() -> np.ndarray:
        cache.truncate(0)
        return decoder.greedy(np.array([1]), sizes.steps)

    ours()  # makes the scratch, which knows whether graphs are available
    name = f"decoding {host.num_parameters() / 1e6:.0f}M at batch 1"
    can = decoder.weights.room.graphs
    for graphs, how in ((True, "graph replayed"), (False, "kernel by kernel")):
        decoder.weights.room.use_graphs(graphs and can)
        goal = DECODING if graphs else None
        b.add(f"{name}, {how}", "tokens/s", float(sizes.steps), ours, peer, goal, 1)
