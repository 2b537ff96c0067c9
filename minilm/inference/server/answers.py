"""What was written, in the shape of OpenAI's answers: whole, or as chunks of a stream."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from minilm.inference.server.engine import Job, Piece
from minilm.inference.server.fields import Wanted
from minilm.inference.server.prompts import Served


class Answer:
    """The answer to one request, as its pieces come.

    Args:
        wanted: what was asked for.
        served: the model.
    """

    def __init__(self, wanted: Wanted, served: Served) -> None:
        self.wanted, self.served = wanted, served
        self._chat = wanted.kind == "chat"
        number = secrets.token_hex(12)
        self._head = {
            "id": f"chatcmpl-{number}" if self._chat else f"cmpl-{number}",
            "created": int(time.time()),
            "model": served.name,
        }
        self.choices = len(wanted.prompts) * wanted.samples
        self._pieces: list[list[Piece]] = [[] for _ in range(self.choices)]
        self._letters = [0] * self.choices  # of what a stream has told so far
        self._ended = 0

    def take(self, pieces: list[Piece]) -> None:
        """Add what came."""
        for piece in pieces:
            self._pieces[piece.choice].append(piece)
            self._ended += piece.reason is not None

    @property
    def complete(self) -> bool:
        """Whether every text has ended."""
        return self._ended == self.choices

    def whole(self, job: Job) -> dict[str, Any]:
        """All of it, once it is complete."""
        choices = []
        for index, pieces in enumerate(self._pieces):
            text = "".join(piece.text for piece in pieces)
            choice: dict[str, Any] = {"index": index}
            if self._chat:
                choice["message"] = {"role": "assistant", "content": text, "refusal": None}
            else:
                choice["text"] = text
            choice["logprobs"] = self._logprobs(pieces, 0)
            choices.append(choice | {"finish_reason": pieces[-1].reason})
        kind = "chat.completion" if self._chat else "text_completion"
        return self._head | {"object": kind, "choices": choices, "usage": self.usage(job)}

    def beginnings(self) -> Iterator[dict[str, Any]]:
        """The first chunks of a stream: in a chat, who speaks."""
        if self._chat:
            for index in range(self.choices):
                delta = {"role": "assistant", "content": ""}
                yield self._chunk([self._change(index, delta, None, None)])

    def chunks(self, pieces: list[Piece]) -> Iterator[dict[str, Any]]:
        """Pieces as chunks of a stream; one that shows nothing yet gives none."""
        for piece in pieces:
            logprobs = self._logprobs([piece], self._letters[piece.choice])
            self._letters[piece.choice] += len(piece.text)
            if not (piece.text or piece.reason or logprobs):
                continue
            content: Any = {"content": piece.text} if self._chat else piece.text
            if self._chat and piece.reason and not piece.text:
                content = {}
            yield self._chunk([self._change(piece.choice, content, logprobs, piece.reason)])

    def last(self, job: Job) -> dict[str, Any]:
        """The chunk that counts tokens."""
        return self._chunk([]) | {"usage": self.usage(job)}

    def usage(self, job: Job) -> dict[str, Any]:
        """Tokens read and written; what was found in the cache is among those read."""
        read = sum(map(len, self.wanted.prompts))
        written = sum(map(len, self._pieces))
        first = job.requests[:: self.wanted.samples]
        shared = sum(request.shared for request in first)
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": min(shared, read)},
        }

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return self._head | {"object": kind, "choices": choices}

    def _change(self, index: int, content: Any, logprobs: Any, reason: str | None) -> dict:
        name = "delta" if self._chat else "text"
        return {"index": index, name: content, "logprobs": logprobs, "finish_reason": reason}

    def _logprobs(self, pieces: list[Piece], letters: int) -> dict[str, Any] | None:
        if self.wanted.logprobs is None:
            return None
        if self._chat:
            return {"content": [self._token_of_chat(p) for p in pieces], "refusal": None}
        offsets, tops = [], []
        for piece in pieces:
            offsets.append(letters)
            letters += len(piece.text)
            tops.append({self._spelt(i): logprob for i, logprob in piece.event.likeliest})
        return {
            "tokens": [self._spelt(piece.token) for piece in pieces],
            "token_logprobs": [piece.event.logprob for piece in pieces],
            "top_logprobs": tops if self.wanted.logprobs else None,
            "text_offset": offsets,
        }

    def _token_of_chat(self, piece: Piece) -> dict[str, Any]:
        likeliest = [self._one(i, logprob) for i, logprob in piece.event.likeliest]
        return self._one(piece.token, piece.event.logprob) | {"top_logprobs": likeliest}

    def _one(self, token: int, logprob: float | None) -> dict[str, Any]:
        raw = self._bytes(token)
        text = raw.decode("utf-8", "replace")
        return {"token": text, "logprob": logprob, "bytes": list(raw)}

    def _spelt(self, token: int) -> str:
        """A token's letters; one that is no whole character, by its bytes."""
        raw = self._bytes(token)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)

    def _bytes(self, token: int) -> bytes:
        try:
            return self.served.tokenizer.token_bytes(token)
        except ValueError:  # the model has more ids than its tokenizer
            return b""
