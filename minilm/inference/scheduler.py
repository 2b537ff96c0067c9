"""Continuous batching: at every step each text that is there takes part, and none waits for others.

A batch that is fixed until its longest text ends leaves most of its rows idle. Here a text leaves
when it ends and the next one enters at the next step (Orca, Yu et al., OSDI 2022). Long prompts are
read in chunks beside those that write (arXiv 2308.16369), so that nobody's tokens stop for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm.errors import InputError
from minilm.inference.batch import as_rows
from minilm.inference.pages import OutOfPages, Pages, PageTable
from minilm.inference.prefix import PrefixTree
from minilm.inference.request import Counts, Event, Request
from minilm.inference.rules import Rules
from minilm.inference.stepping import Share, Stepper
from minilm.inference.stopping import Stops


class Scheduler:
    """Writes many texts over one pool of pages.

    Each step feeds one token of every text that writes, then as much of the prompts, earliest
    first, as the step still holds. Where pages run out, those that nobody writes are given up, then
    the latest text loses its own and is read again later; so the earliest always goes on. What a
    text says does not depend on its neighbours, except for near-ties: sums over many rows at once
    are taken in another order.

    Args:
        model: a decoder on the CPU.
        pages: how many pages there are; None: enough for `most` texts as long as the context.
        page: places of a page.
        most: texts that may be under way at once.
        chunk: tokens of a step, at least `most`.
        share: whether texts share the pages of what they begin with in common.
        refill: False lets new texts in only when all have ended: static batching, to compare with.
        weights: "float32" or "int8".
        tokenizer: the model's; needed for stop texts.

    Attributes:
        waiting, running: the requests, in order of arrival.
        counts: what was done so far.
        pages, prefixes: where keys and values are.

    Raises:
        InputError: a size out of range; a model that `Stepper` refuses.
    """

    def __init__(
        self,
        model: Any,
        pages: int | None = None,
        page: int = 16,
        most: int = 32,
        chunk: int = 128,
        share: bool = True,
        refill: bool = True,
        weights: str = "float32",
        tokenizer: Any = None,
    ) -> None:
        for name, value, least in (("page", page, 1), ("most", most, 1), ("chunk", chunk, most)):
            if value < least:
                raise InputError(f"{name} is {value}; it must be {least} or more")
        config = model.config
        if pages is None:
            pages = most * -(-config.context // page)
        self.model, self.tokenizer = model.eval(), tokenizer
        self.pages = Pages(config, pages, page, model.tokens.weight.data.dtype)
        self.prefixes = PrefixTree(self.pages) if share else None
        self.most, self.chunk, self.refill = most, chunk, refill
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.counts = Counts()
        self._feed = Stepper(model, self.pages, weights)
        self._arrived = 0

    def add(
        self,
        ids: Sequence[int],
        tokens: int,
        rules: Rules | None = None,
        stop: Sequence[int | str] | str = (),
        seed: int = 0,
        sample: int = 0,
        logprobs: int | None = None,
        elder: Request | None = None,
    ) -> Request:
        """Queue a prompt.

        Args:
            ids: the prompt's tokens, at least one.
            tokens: how many to write at most.
            rules: how the next token is chosen; None: greedy.
            stop: ids and texts that end it; the token that completes one is still told.
            seed, sample: of its draws: what `generate` gives for this seed in row `sample`.
            logprobs: tell log-probabilities, and this many of the likeliest tokens.
            elder: a request with the same prompt: this one waits until that has read it, and then
                shares its pages.

        Raises:
            InputError: a value out of range; a text that can never fit into context or pages.
        """
        rows, single = as_rows(list(ids), self.model.config.vocab_size)
        if not single:
            raise InputError("ids holds several prompts; add takes one")
        if tokens < 1:
            raise InputError(f"tokens is {tokens}; it must be 1 or more")
        if logprobs is not None and not 0 <= logprobs <= self.model.config.vocab_size:
            raise InputError(
                f"logprobs is {logprobs}; it must be from 0 to {self.model.config.vocab_size}"
            )
        text = rows[0].tolist()
        whole, context = len(text) + tokens, self.model.config.context
        if whole > context:
            raise InputError(
                f"the prompt has {len(text)} tokens and tokens is {tokens}; together they must fit "
                f"into the model's context of {context}"
            )
        if self.pages.needed(whole) > len(self.pages.pool):
            raise InputError(
                f"the prompt has {len(text)} tokens and tokens is {tokens}; together they must fit "
                f"into {len(self.pages.pool)} pages of {self.pages.size}"
            )
        request = Request(
            self._arrived, text, len(text), tokens, Rules(0.0) if rules is None else rules,
            Stops(stop, self.tokenizer, 1), backend.rng(seed, "sample", sample), logprobs, elder,
        )  # fmt: skip
        self._arrived += 1
        self.waiting.append(request)
        return request

    @property
    def busy(self) -> bool:
        """Whether any text waits or is under way."""
        return bool(self.waiting or self.running)

    def cancel(self, request: Request, reason: str = "cancelled") -> None:
        """End a text now; its pages are free at once. One that has ended already stays as it is.

        Args:
            request: the text.
            reason: why; "stop" counts it as finished.
        """
        if request.reason is None:
            self._end(request, reason)

    def step(self) -> list[Event]:
        """One step of the model; the tokens that it wrote, in order of arrival of their texts."""
        plan = self._plan()
        self.counts.fed = [(request.number, count) for request, count in plan]
        if not plan:
            return []
        shares = []
        for request, count in plan:
            done = request.table.length
            ids = request.ids[done : done + count]
            shares.append(Share(request.table, ids, int(count == request.unread)))
        writers = [request for request, count in plan if count == request.unread]
        logits = self._feed(shares)
        self.counts.steps += 1
        self.counts.read += sum(count for _, count in plan)
        events = self._choose(writers, logits)
        return sorted(events, key=lambda event: event.request.number)

    def run(self) -> None:
        """Steps until every text has ended."""
        while self.busy:
            self.step()

    def _plan(self) -> list[tuple[Request, int]]:
        """Who feeds how many tokens: those that write, then prompts, then newcomers."""
        plan: dict[Request, int] = {}
        left = self.chunk
        enter = self.refill or not self.running
        for request in sorted(self.running, key=lambda r: (r.unread > 1, r.number)):
            count = min(request.unread if request.table else 0, left)
            if count and self._room(request, count, plan):
                plan[request] = count
                left = self.chunk - sum(plan.values())
        for request in list(self.waiting) if enter else ():
            if not left or len(self.running) == self.most:
                break
            if request.awaits_elder:
                continue
            if not self._enter(request):
                break
            count = min(request.unread, left)
            if self._room(request, count, plan):
                plan[request] = count
                left -= count
        return list(plan.items())

    def _enter(self, request: Request) -> bool:
        """Let a text in if its pages are free, with one to go on."""
        known = self._known(request)
        lacking = known.missing(request.unread) + bool(self.running) - self.pages.pool.free
        if lacking > 0 and self.prefixes is not None:
            lacking -= self.prefixes.evict(lacking)
        if lacking > 0 and self.running:
            known.free()
            return False
        request.table, request.shared = known, known.length
        self.counts.shared += known.length
        self.waiting.remove(request)
        self.running.append(request)
        return True

    def _known(self, request: Request) -> PageTable:
        """A table with what others have read of a text's beginning."""
        elder = request.elder
        if elder is not None and elder.table is not None and len(elder.ids) > elder.prompt:
            table = elder.table.fork()
            table.truncate(min(table.length, elder.prompt, len(request.ids) - 1))
            return table
        return self.prefixes.find(request.ids) if self.prefixes else PageTable(self.pages)

    def _room(self, request: Request, count: int, plan: dict[Request, int]) -> bool:
        """Reserve pages, at the cost of what nobody writes and of later texts; False: gave way."""
        pool = self.pages.pool
        while (lacking := request.table.missing(count) - pool.free) > 0:
            if self.prefixes is not None and self.prefixes.evict(lacking):
                continue
            latest = max(self.running, key=lambda r: r.number)
            if len(self.running) == 1 and self.prefixes is not None and self.prefixes.held:
                self.prefixes.clear()  # it holds pages of this text only; now the text alone does
                continue
            if len(self.running) == 1:
                raise OutOfPages(f"{lacking} more pages are needed, which others hold")
            self._preempt(latest)
            plan.pop(latest, None)
            if latest is request:
                return False
        request.table.reserve(count)
        return True

    def _preempt(self, request: Request) -> None:
        """Take a text's pages; it waits at the place that its arrival gives it."""
        self._remember(request)
        request.table.free()
        request.table = None
        self.running.remove(request)
        self.waiting.append(request)
        self.waiting.sort(key=lambda r: r.number)
        self.counts.preempted += 1

    def _remember(self, request: Request, whole: bool = False) -> None:
        """Keep a text's pages for texts that begin alike; `whole`: not one that is still filled."""
        if self.prefixes is not None:
            size = self.pages.size
            known = request.table.length // size * size if whole else request.table.length
            self.prefixes.insert(request.ids[:known], request.table)

    def _choose(self, writers: list[Request], logits: np.ndarray) -> list[Event]:
        """The next token of each text, row by row of the logits (M, V)."""
        chosen = np.empty(len(writers), np.int64)
        alike: dict[Rules, list[int]] = {}
        for row, request in enumerate(writers):
            alike.setdefault(request.rules, []).append(row)
        for rules, rows in alike.items():
            own = [writers[row] for row in rows]
            part = logits if len(rows) == len(logits) else logits[rows]
            chosen[rows] = rules.choose(part, [r.ids for r in own], [r.rng for r in own])
        return [self._told(r, row, int(t)) for r, row, t in zip(writers, logits, chosen)]

    def _told(self, request: Request, logits: np.ndarray, token: int) -> Event:
        """Add a token to its text, and end the text where it ends."""
        logprob, likeliest = None, ()
        if request.logprobs is not None:
            logs = kernels.log_softmax(logits[None])[0]
            order = np.argsort(-logs, kind="stable")[: request.logprobs]
            logprob, likeliest = float(logs[token]), tuple((int(i), float(logs[i])) for i in order)
        if len(request.ids) == request.prompt:
            self._remember(request, whole=True)  # for those that wait with the same beginning
        request.ids.append(token)
        self.counts.written += 1
        if request.stops.ends(0, token):
            self._end(request, "stop")
        elif len(request.ids) - request.prompt == request.tokens:
            self._end(request, "length")
        return Event(request, token, logprob, likeliest, request.reason)

    def _end(self, request: Request, reason: str) -> None:
        request.reason = reason
        cancelled = reason == "cancelled"
        self.counts.cancelled += cancelled
        self.counts.finished += not cancelled
        if request.table is None:
            self.waiting.remove(request)
            return
        self._remember(request)
        request.table.free()
        request.table = None
        self.running.remove(request)
