"""Gets a notebook to run in a worker, again and again, within the budget of its submission.

Nobody's notebook costs more than its budget of processor time and its number of loads, whatever its
cells do and however often its functions end the worker.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minilm.course.checking.questions import Outcome
from minilm.course.checking.remote import RemoteChannel
from minilm.course.checking.student import StudentError
from minilm.course.grade.assignment import Assignment
from minilm.sandbox.inside.cells import FULL, LEAN, NEEDED, SKIP
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import Isolation, Limits

MOST_LOADS = 16  # starts of one notebook, complete or not
MOST_FAILED_STARTS = 3  # in a row
CELLS_SHARE = 1 / 3  # of the budget that the cells of one load may use
LESS = {FULL: NEEDED, NEEDED: LEAN, LEAN: SKIP, SKIP: SKIP}  # what to run after trouble
MOST_NOTES = 50
WORDS = {
    "time": "it took longer than {seconds:g} s and was stopped",
    "gone": "the program ended by itself",
    "size": "the answer is too large",
    "broken": "its answer cannot be read",
}


class NoWorkerError(RuntimeError):
    """The machine starts no worker any more, which is no student's fault."""


class Loader:
    """One submission's notebook and what is left of its budget.

    Args:
        assignment: the set.
        cells: of the notebook.
        wall, kit, limits: of every worker.
        state: as `state` gave it, where another process went on to here.
        tell: takes `state` whenever a load begins and when the first one is complete, so that it
            outlives this process.
    """

    def __init__(
        self,
        assignment: Assignment,
        cells: Sequence[str],
        wall: Isolation,
        kit: Path,
        limits: Limits,
        state: dict[str, Any],
        tell: Callable[[dict[str, Any]], None] = lambda state: None,
    ) -> None:
        self.assignment, self.cells = assignment, list(cells)
        self.wall, self.kit, self.limits, self.tell = wall, kit, limits, tell
        self.loads = state.get("loads", 0)
        self.before = state.get("spent", 0.0) - time.process_time()
        self.modes = state.get("modes", []) or [FULL] * len(self.cells)
        self.complete = bool(state.get("complete"))  # whether all cells have run once
        self.notes: list[str] = list(state.get("notes", []))
        self.listening = True  # until the first hidden case: nothing said later is passed on
        self.channel: RemoteChannel | None = None
        self._failed_starts = 0

    @property
    def state(self) -> dict[str, Any]:
        """What another process needs to go on."""
        return {
            "loads": self.loads,
            "modes": self.modes,
            "complete": self.complete,
            "notes": self.notes,
        }

    @property
    def left(self) -> float:
        """Seconds of the budget that nobody has used yet."""
        now = self.channel.session.spent if self.channel is not None else 0.0
        return self.limits.budget - self.before - now - time.process_time()

    def allow(self) -> None:
        """Start the clock of a question."""
        self.channel.session.allow(min(self.limits.seconds, self.left))

    def words(self, error: SessionError) -> str:
        """What became of a worker, for its student."""
        return WORDS[error.kind].format(seconds=self.limits.seconds)

    def stop(self) -> None:
        """End the worker, and remember what it has used."""
        if self.channel is not None:
            self._end(self.channel.session)
            self.channel = None

    def _end(self, session: Session) -> None:
        session.close()
        self.before += session.spent

    def tidy(self) -> None:
        """Let go of what the question made; a hang in that spoils nothing that comes later."""
        try:
            self.allow()
            threads = self.channel.forget()
        except (SessionError, StudentError):
            self.stop()
            return
        if threads != 1:  # whoever is left running would slow down the next question
            self.stop()

    def ready(self) -> Outcome | None:
        """Have a worker with all cells run; returns what stands in the way, or None.

        After one complete load, no other runs more than the definitions and what they rest on. So
        it is with a cell that hangs or kills the worker, and after two such cells with all; one
        that still does is reduced to its definitions alone, then left out.

        Raises:
            NoWorkerError: the sandbox does not start.
        """
        if self.channel is not None and self.channel.session.alive and self.left > 0:
            return None
        self.stop()
        while self.loads < MOST_LOADS:
            if self.left <= 0:
                budget = f"{self.limits.budget:g} s"
                return Outcome("time", f"the notebook has used up the {budget} that it had in all")
            self.loads += 1
            self.tell(self.state)
            session = Session(self.wall, self.kit, self.limits, self.assignment.exercise.libraries)
            try:
                session.start()
            except SessionError as error:  # no line of the student's has run
                self._end(session)
                self._failed_starts += 1
                if self._failed_starts == MOST_FAILED_STARTS:
                    raise NoWorkerError(str(error)) from None
                continue
            self._failed_starts = 0
            try:
                errors = self._load(session)
            except SessionError as error:
                self._end(session)
                self._blame(error)
                continue
            if not self.complete:
                self._note_errors(errors)
                self.complete = True
                self._reduce()
                self.tell(self.state)
            self.channel = RemoteChannel(session)
            return None
        return Outcome("gone", "the notebook cannot be run: its cells hang or end the program")

    def _reduce(self) -> None:
        self.modes = [NEEDED if mode == FULL else mode for mode in self.modes]

    def _load(self, session: Session) -> Any:
        """Have the worker run the cells; returns the errors it reports.

        Raises:
            SessionError: it died or hung; `cell` says in which cell.
        """
        given = [[number, text] for number, text in enumerate(self.assignment.given)]
        cells = [[n, text, mode] for n, (text, mode) in enumerate(zip(self.cells, self.modes))]
        most = min(self.left, CELLS_SHARE * self.limits.budget)
        session.allow(self.limits.seconds)
        at = None
        try:
            session.send({"given": given, "cells": cells, "asked": self._asked()})
            for _ in range(len(cells) + 2):
                message, blobs = session.receive()
                if not isinstance(message, dict) or blobs:
                    break
                if "ready" in message:
                    return message["ready"]
                at = message.get("at")
                if type(at) is not int or not -1 <= at < len(cells):
                    at = None
                    break
                if session.spent > most:
                    at = None
                    raise SessionError("time", "the cells took too long together")
                session.allow(self.limits.seconds)
            raise SessionError("broken", "no report of a cell")
        except SessionError as error:
            error.cell = at
            raise

    def _asked(self) -> list[str]:
        return [name for question in self.assignment.exercise.questions for name in question.asks]

    def _blame(self, error: SessionError) -> None:
        """Reduce the cell that a worker died in, or all of them if that cannot be known."""
        if error.cell is None or error.cell < 0:
            self.modes = [LESS[mode] for mode in self.modes]
            said = self.words(error) if error.kind != "time" else "they took too long"
            self._note(f"while the cells ran, {said}; only definitions were run")
            return
        self.modes[error.cell] = LESS[self.modes[error.cell]]
        self._note(
            f"code cell {error.cell + 1}: {self.words(error)}; only its definitions were run"
        )
        if self.loads >= 2:
            self._reduce()

    def _note_errors(self, errors: Any) -> None:
        if not isinstance(errors, list):
            return
        for entry in errors[:MOST_NOTES]:
            if (
                isinstance(entry, list)
                and len(entry) == 2
                and type(entry[0]) is int
                and isinstance(entry[1], str)
            ):
                self._note(f"code cell {entry[0] + 1}: {entry[1][:300]}")

    def _note(self, text: str) -> None:
        if self.listening and text not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(text)
