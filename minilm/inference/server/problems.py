"""What went wrong, in the shape that OpenAI's clients expect."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: of HTTP.
        message: one sentence.
        param: the field that it is about.
        code: a word that programs can test.

    Attributes:
        status: of HTTP.
    """

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def to_dict(self) -> dict[str, Any]:
        """{"error": {"message", "type", "param", "code"}}."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 429:
            kind = "rate_limit_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}


def refuse(param: str, message: str, code: str | None = None) -> Problem:
    """A field that cannot be used: status 400."""
    return Problem(400, message, param, code)


def busy() -> Problem:
    """Too many requests wait already."""
    return Problem(429, "the server has as many requests as it takes; try again later", code="busy")


def stopping() -> Problem:
    """The server ends."""
    return Problem(503, "the server is stopping", code="stopping")


def too_slow(seconds: float) -> Problem:
    """A request that took longer than it may."""
    return Problem(504, f"the answer took longer than {seconds:g} seconds", code="timeout")


def broken(error: BaseException) -> Problem:
    """A fault that is not the client's."""
    return Problem(500, f"{type(error).__name__}: {error}", code="internal")
