"""The thread that steps the scheduler, and what passes between it and those who asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from minilm.inference.request import Event, Request
from minilm.inference.scheduler import Scheduler
from minilm.inference.server.fields import Wanted
from minilm.inference.server.metrics import Metrics
from minilm.inference.server.problems import Problem, broken, busy, stopping, too_slow
from minilm.inference.stopping import TextStream


@dataclass(frozen=True)
class Piece:
    """What one token adds to a text.

    Attributes:
        choice: which of the job's texts.
        text: letters that are certain now; "" while none are.
        token: its id.
        event: what the scheduler told of it.
        reason: "stop" or "length" where it was the last.
    """

    choice: int
    text: str
    token: int
    event: Event
    reason: str | None


@dataclass(eq=False)
class Job:
    """The texts of one request.

    Attributes:
        wanted: what was asked for.
        tell: called in the engine's thread, in order, with pieces; once with a Problem instead,
            which is then the last.
        deadline: when it is given up, by `time.monotonic`.
        requests: the scheduler's, one per choice.
        shared: prompt tokens that need not be read.
    """

    wanted: Wanted
    tell: Callable[[list[Piece] | Problem], None]
    deadline: float
    began: float = field(default_factory=time.monotonic)
    requests: list[Request] = field(default_factory=list)
    streams: list[TextStream] = field(default_factory=list)
    latest: list[float] = field(default_factory=list)
    over: bool = False


class Engine:
    """Runs a scheduler in a thread of its own.

    Args:
        scheduler: nobody else may use it from now on.
        tokenizer: the model's.
        queue: texts that may wait beside those under way; more are refused.
        seconds: that a job may take.
        metrics: counts what happens.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        tokenizer: Any,
        queue: int = 256,
        seconds: float = 600,
        metrics: Metrics | None = None,
    ) -> None:
        self.scheduler, self.tokenizer = scheduler, tokenizer
        self.queue, self.seconds = queue, seconds
        self.metrics = Metrics() if metrics is None else metrics
        self._marks = frozenset(tokenizer.special.values())
        self._news = threading.Condition()
        self._in: list[Job] = []
        self._out: list[Job] = []
        self._open = 0  # texts that have not ended
        self._stop = False
        self._jobs: dict[Request, tuple[Job, int]] = {}
        self._thread = threading.Thread(target=self._work, name="minilm-engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next step; every job that is under way is told so. Returns at once."""
        with self._news:
            self._stop = True
            self._news.notify()

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def submit(self, wanted: Wanted, tell: Callable[[list[Piece] | Problem], None]) -> Job:
        """Queue a job.

        Raises:
            Problem: there are too many already, or the engine has been stopped.
        """
        texts = len(wanted.prompts) * wanted.samples
        job = Job(wanted, tell, time.monotonic() + self.seconds)
        with self._news:
            if self._stop:
                raise stopping()
            if self._open + texts > self.queue + self.scheduler.most:
                raise busy()
            self._open += texts
            self._in.append(job)
            self._news.notify()
        return job

    def cancel(self, job: Job) -> None:
        """Give a job up, as when its client has left; nothing more is told of it."""
        with self._news:
            self._out.append(job)
            self._news.notify()

    @property
    def waiting(self) -> int:
        """Texts that have not begun."""
        return max(0, self._open - len(self.scheduler.running))

    def _work(self) -> None:
        while True:
            with self._news:
                while not (self._in or self._out or self._stop or self.scheduler.busy):
                    self._news.wait()
                came, self._in = self._in, []
                went, self._out = self._out, []
                stop = self._stop
            for job in came:
                self._begin(job)
            for job in went:
                self._give_up(job)
            now = time.monotonic()
            for job in {job for job, _ in self._jobs.values()}:
                if stop or now > job.deadline:
                    self._give_up(job, stopping() if stop else too_slow(self.seconds))
            if stop:
                return
            try:
                events = self.scheduler.step()
            except Exception as error:  # a broken model: whoever asked is told, and others go on
                for job in {job for job, _ in self._jobs.values()}:
                    self._give_up(job, broken(error))
                continue
            self._deliver(events)

    def _begin(self, job: Job) -> None:
        wanted, now = job.wanted, time.monotonic()
        try:
            for ids, tokens in zip(wanted.prompts, wanted.tokens):
                elder = None
                for sample in range(wanted.samples):
                    request = self.scheduler.add(
                        ids, tokens, wanted.rules, wanted.ends, wanted.seed, sample,
                        wanted.logprobs, elder,
                    )  # fmt: skip
                    elder = elder or request
                    self._jobs[request] = job, len(job.requests)
                    job.requests.append(request)
                    job.streams.append(TextStream(self.tokenizer, wanted.stop))
                    job.latest.append(now)
        except Exception as error:
            self._give_up(job, Problem(400, str(error)))

    def _give_up(self, job: Job, problem: Problem | None = None) -> None:
        if job.over:
            return
        job.over = True
        texts = len(job.wanted.prompts) * job.wanted.samples
        ended = 0
        for request in job.requests:
            if request in self._jobs:
                self.scheduler.cancel(request)
                del self._jobs[request]
            else:
                ended += 1
        with self._news:
            self._open -= texts - ended
        if problem is not None:
            self._tell(job, problem)

    def _deliver(self, events: Iterable[Event]) -> None:
        told: dict[Job, list[Piece]] = {}
        for event in events:
            job, choice = self._jobs[event.request]
            try:
                piece = self._piece(job, choice, event)
            except Exception as error:  # an id that the tokenizer does not spell
                self._give_up(job, broken(error))
                told.pop(job, None)
                continue
            told.setdefault(job, []).append(piece)
            now = time.monotonic()
            first = len(event.request.written) == 1
            self.metrics.token(now - (job.began if first else job.latest[choice]), first)
            job.latest[choice] = now
            if piece.reason is not None:
                self.scheduler.cancel(event.request, piece.reason)  # a stop text has ended it
                del self._jobs[event.request]
                job.over = not any(request in self._jobs for request in job.requests)
                with self._news:
                    self._open -= 1
        for job, pieces in told.items():
            self._tell(job, pieces)

    def _tell(self, job: Job, what: list[Piece] | Problem) -> None:
        try:
            job.tell(what)
        except RuntimeError:  # whoever listened is gone
            self._give_up(job)

    def _piece(self, job: Job, choice: int, event: Event) -> Piece:
        stream, reason = job.streams[choice], event.reason
        text = "" if event.token in self._marks else stream.feed(event.token)
        if stream.ended:
            reason = "stop"
        elif reason is not None:
            text += stream.finish()
            reason = "stop" if stream.ended else reason
        return Piece(choice, text, event.token, event, reason)
