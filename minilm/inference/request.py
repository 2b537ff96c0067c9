"""One text that a scheduler writes, and what it tells of each new token."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minilm.inference.pages import PageTable
from minilm.inference.rules import Rules
from minilm.inference.stopping import Stops


@dataclass(eq=False)
class Request:
    """A prompt and what follows it.

    Attributes:
        number: when it arrived, counted from 0: who is first is served first.
        ids: the prompt and what was written after it.
        prompt: how many of them are the prompt's.
        tokens: how many may be written.
        rules: how the next token is chosen.
        stops: what ends it.
        rng: what its draws come from; nobody else draws from it.
        logprobs: how many of the likeliest tokens to tell at each place; None: no log-probability.
        elder: one with the same prompt, whose pages it shares once that has read it.
        table: its pages; None while it waits.
        shared: tokens of its prompt that other texts had read already.
        reason: why it ended: "stop", "length" or "cancelled"; None while it has not.
    """

    number: int
    ids: list[int]
    prompt: int
    tokens: int
    rules: Rules
    stops: Stops
    rng: np.random.Generator
    logprobs: int | None = None
    elder: Request | None = None
    table: PageTable | None = None
    shared: int = 0
    reason: str | None = None

    @property
    def written(self) -> list[int]:
        """The new ids so far."""
        return self.ids[self.prompt :]

    @property
    def awaits_elder(self) -> bool:
        """Whether it waits because its elder has not read the prompt yet."""
        elder = self.elder
        return elder is not None and elder.reason is None and len(elder.ids) == elder.prompt

    @property
    def unread(self) -> int:
        """Tokens that the model has not read: the prompt's, then one at a time."""
        return len(self.ids) - (0 if self.table is None else self.table.length)


@dataclass(frozen=True)
class Event:
    """A token that was written.

    Attributes:
        request: whose.
        token: its id.
        logprob: the logarithm of the model's own probability of it; None where not asked.
        likeliest: (id, log-probability) of the likeliest tokens there, likeliest first.
        reason: "stop" or "length" where this was the last one.
    """

    request: Request
    token: int
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()
    reason: str | None = None


@dataclass
class Counts:
    """What a scheduler has done so far.

    Attributes:
        steps: steps of the model.
        read: tokens fed, read again after a preemption included.
        written: tokens chosen.
        shared: prompt tokens that were found in other texts' pages and not read.
        preempted: how often a text lost its pages.
        finished, cancelled: texts.
        fed: per text of the latest step, its number and how many tokens it fed.
    """

    steps: int = 0
    read: int = 0
    written: int = 0
    shared: int = 0
    preempted: int = 0
    finished: int = 0
    cancelled: int = 0
    fed: list[tuple[int, int]] = field(default_factory=list)
