"""Learning from answers in PyTorch, eager, written as TRL's trainers do it.

Log-probabilities are gathered from whole logits, answers are written with a cache of keys and
values, and AdamW is the fused one. All start from the weights of a model of ours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.align.answers import Answers, Pairs, next_tokens
from minilm.align.ppo import Policing
from minilm.bench.peers import twin
from minilm.models import Transformer


class Policy:
    """A twin that says how likely answers are, and writes some.

    Args:
        model: ours, of a config that `gpt` made.
    """

    def __init__(self, model: Transformer) -> None:
        self.module, self.config = twin(model), model.config

    def hidden(self, ids: Any, cache: list[Any] | None = None, place: int = 0) -> Any:
        """(N, T, C) of ids (N, T) that follow `place` cached ones; the cache grows."""
        import torch
        from torch.nn import functional as TF

        n, t = ids.shape
        x = self.module.tokens(ids) + self.module.positions(torch.arange(place, place + t))
        for i, block in enumerate(self.module.stack.blocks):
            qkv = block.attention.qkv(block.norm1(x))
            q, k, v = qkv.view(n, t, 3, self.config.heads, -1).permute(2, 0, 3, 1, 4)
            if cache is not None and place:
                k, v = (torch.cat(pair, 2) for pair in zip(cache[i], (k, v)))
            if cache is not None:
                cache[i] = k, v
            y = TF.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
            x = x + block.attention.out(y.transpose(1, 2).reshape(n, t, -1))
            x = x + block.feed_forward(block.norm2(x))
        return self.module.stack.norm(x)

    def logp(self, ids: Any, targets: Any) -> tuple[Any, Any]:
        """(N, T) log-probabilities of the targets, 0 where there is none, and (N, T, C) states."""
        hidden = self.hidden(ids)
        logits = self.module.head(hidden)
        found = logits.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0] - logits.logsumexp(2)
        return found * (targets >= 0), hidden

    def write(self, prompts: Any, tokens: int) -> Any:
        """(N, L + tokens) the prompts (N, L) and what is drawn after each."""
        import torch

        ids, place, cache = prompts, 0, [None] * self.config.layers
        with torch.inference_mode():
            for _ in range(tokens):
                logits = self.module.head(self.hidden(ids[:, place:], cache, place)[:, -1])
                place = ids.shape[1]
                ids = torch.cat([ids, torch.multinomial(logits.softmax(1), 1)], 1)
        return ids.clone()


def optimizer_of(*modules: Any, lr: float) -> Any:
    """The fused AdamW, without decay."""
    import torch

    params = [p for module in modules for p in module.parameters()]
    settings = {"lr": lr, "betas": (0.9, 0.95), "weight_decay": 0.0, "fused": True}
    return torch.optim.AdamW(params, **settings)


def tensors_of(answers: Answers) -> tuple[Any, Any]:
    """Ids that are read and the tokens that follow them, (N, L - 1) each."""
    import torch

    return torch.from_numpy(answers.ids[:, :-1].copy()), torch.from_numpy(next_tokens(answers))


def dpo_loss(policy: Policy, pairs: Pairs, better: np.ndarray, worse: np.ndarray) -> Any:
    """The loss of a batch of pairs, whose sides are read as one batch; beta is .1."""
    import torch
    from torch.nn import functional as TF

    sides = [tensors_of(side) for side in (pairs.better, pairs.worse)]
    ids, targets = (torch.cat(part) for part in zip(*sides))
    logp = policy.logp(ids, targets)[0].sum(1)
    n = len(better)
    gap = logp[:n] - torch.from_numpy(better) - (logp[n:] - torch.from_numpy(worse))
    return -TF.logsigmoid(0.1 * gap).mean()


def dpo_step(
    model: Transformer, pairs: Pairs, better: np.ndarray, worse: np.ndarray, lr: float
) -> Callable[[], float]:
    """A call that takes one step."""
    policy = Policy(model)
    optimizer = optimizer_of(policy.module, lr=lr)

    def step() -> float:
        loss = dpo_loss(policy, pairs, better, worse)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def ppo_rounds(
    model: Transformer,
    ref: Transformer,
    reward: Callable[[Answers], np.ndarray],
    prompts: np.ndarray,
    tokens: int,
    rounds: int,
    how: Policing,
    lr: float,
) -> Callable[[], float]:
    """A call that runs whole iterations: answers, rewards, advantages, and steps on them.

    Args:
        model, ref: ours, whose weights are copied.
        reward: of answers.
        prompts: (N, L) ids.
        tokens: of an answer.
        rounds: iterations of a call.
        how: the details of ours, all at their usual setting.
        lr: learning rate.
    """
    import torch

    policy, other = Policy(model), Policy(ref)
    value = torch.nn.Linear(model.config.channels, 1)
    optimizer = optimizer_of(policy.module, value, lr=lr)
    asked = torch.from_numpy(prompts)

    def play() -> tuple[Any, ...]:
        ids = policy.write(asked, tokens)
        said = torch.zeros(ids.shape, dtype=torch.bool)
        said[:, prompts.shape[1] :] = True
        read, targets = ids[:, :-1], torch.where(said, ids, -100)[:, 1:]
        with torch.no_grad():
            old, hidden = policy.logp(read, targets)
            base = other.logp(read, targets)[0]
            values = value(hidden)[:, :, 0] * said[:, 1:]
        earned = -how.beta * (old - base)
        scores = torch.from_numpy(reward(Answers(ids.numpy(), said.numpy())))
        earned[:, -1] += scores.to(earned.dtype)
        found, carried = torch.zeros_like(earned), 0.0
        for t in reversed(range(earned.shape[1])):
            after = values[:, t + 1] if t + 1 < earned.shape[1] else 0.0
            carried = earned[:, t] + after - values[:, t] + how.smoothing * carried
            found[:, t] = carried
        mask = said[:, 1:]
        found = found * mask
        returns = found + values
        there = found[mask]
        gain = (found - there.mean()) / (there.std() + 1e-8) * mask
        return read, targets, mask, old, gain, returns

    def improve(rows: Any, batch: tuple[Any, ...]) -> float:
        read, targets, mask, old, gain, returns = (part[rows] for part in batch)
        logp, hidden = policy.logp(read, targets)
        ratio, gain = torch.exp(logp[mask] - old[mask]), gain[mask]
        held = ratio.clamp(1 - how.clip, 1 + how.clip)
        loss = -torch.minimum(ratio * gain, held * gain).mean()
        loss = loss + 0.5 * ((value(hidden)[:, :, 0][mask] - returns[mask]) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def run() -> float:
        loss = 0.0
        for _ in range(rounds):
            batch = play()
            for _ in range(how.epochs):
                for rows in torch.randperm(len(prompts)).chunk(how.minibatches):
                    loss = improve(rows, batch)
        return loss

    return run
