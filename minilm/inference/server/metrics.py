"""What a server counts, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """How many values were at most so large, for each of BUCKETS; their number and sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(BUCKETS, value)] += 1
        self.total += value

    def lines(self, name: str, what: str) -> list[str]:
        """As Prometheus reads it."""
        out, so_far = [f"# HELP {name} {what}", f"# TYPE {name} histogram"], 0
        for limit, count in zip([*map(str, BUCKETS), "+Inf"], self.counts):
            so_far += count
            out.append(f'{name}_bucket{{le="{limit}"}} {so_far}')
        return [*out, f"{name}_sum {self.total:.6f}", f"{name}_count {so_far}"]


class Metrics:
    """Times and answers, counted from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.first, self.between = Histogram(), Histogram()
        self.answers: Counter[int] = Counter()

    def token(self, seconds: float, first: bool) -> None:
        """A token came, that long after the request or after the text's last one."""
        with self._lock:
            (self.first if first else self.between).add(seconds)

    def answer(self, status: int) -> None:
        """A request was answered with a status."""
        with self._lock:
            self.answers[status] += 1

    def text(self, engine: Any) -> str:
        """Everything, with what an engine's scheduler says of itself."""
        scheduler = engine.scheduler
        counts, pool = scheduler.counts, scheduler.pages.pool
        kept = 0 if scheduler.prefixes is None else scheduler.prefixes.held
        simple: Iterable[tuple[str, str, str, float]] = (
            ("texts_running", "gauge", "texts under way", len(scheduler.running)),
            ("texts_waiting", "gauge", "texts that have not begun", engine.waiting),
            ("pages_total", "gauge", "pages of the cache", len(pool)),
            ("pages_used", "gauge", "pages that only texts under way hold", pool.used - kept),
            ("pages_kept", "gauge", "pages kept for texts that begin alike", kept),
            ("steps_total", "counter", "steps of the model", counts.steps),
            ("tokens_read_total", "counter", "tokens that the model read", counts.read),
            ("tokens_written_total", "counter", "tokens that it wrote", counts.written),
            ("tokens_shared_total", "counter", "prompt tokens found in the cache", counts.shared),
            ("preemptions_total", "counter", "texts that lost their pages", counts.preempted),
            ("cancelled_total", "counter", "texts given up", counts.cancelled),
        )
        lines = []
        for name, kind, what, value in simple:
            name = f"minilm_{name}"
            lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", f"{name} {value}"]
        with self._lock:
            name = "minilm_answers_total"
            lines += [f"# HELP {name} answers by status", f"# TYPE {name} counter"]
            for status, count in sorted(self.answers.items()):
                lines.append(f'{name}{{status="{status}"}} {count}')
            lines += self.first.lines(
                "minilm_first_token_seconds", "from a request to its first token"
            )
            lines += self.between.lines(
                "minilm_between_tokens_seconds", "from a token to the text's next one"
            )
        return "\n".join(lines) + "\n"
