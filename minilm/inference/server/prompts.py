"""What a request gives the model to read: texts, ids, or a conversation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError
from minilm.inference.server.problems import Problem, refuse
from minilm.inference.server.values import is_whole, kind_of
from minilm.tokenizers import Tokenizer, encode_chat
from minilm.tokenizers.chat import Form

MOST_CHOICES = 16  # n times prompts


@dataclass(frozen=True)
class Served:
    """The model as requests see it.

    Attributes:
        name: what it is called.
        tokenizer: its own.
        context: tokens that it reads.
        form: how conversations are written down; None: it does not chat.
        most: tokens that a text may have, at most.
    """

    name: str
    tokenizer: Tokenizer
    context: int
    form: Form | None = None
    most: int | None = None


def prompts_of(body: dict[str, Any], served: Served) -> list[list[int]]:
    """The ids of a text, of several, of a list of ids, or of several such lists.

    Raises:
        Problem: something else, or what the model cannot read.
    """
    given = body.get("prompt")
    alone = isinstance(given, str) or (isinstance(given, list) and given and is_whole(given[0]))
    several = [given] if alone else given
    if not isinstance(several, list) or not 1 <= len(several) <= MOST_CHOICES:
        raise refuse(
            "prompt",
            f"prompt must be a text, a list of ids, or 1 to {MOST_CHOICES} of either",
        )
    found = []
    for one in several:
        if isinstance(one, str):
            _refuse_long(len(one), "prompt", served)
            ids = _encoded("prompt", lambda text=one: _text_ids(served.tokenizer, text))
        elif isinstance(one, list) and all(map(is_whole, one)):
            ids = one
        else:
            raise refuse("prompt", f"prompt holds a {kind_of(one)}; it must hold texts, or ids")
        if not ids:
            raise refuse("prompt", "prompt is empty; there must be something to go on from")
        size = served.tokenizer.vocab_size
        if min(ids) < 0 or max(ids) >= size:
            raise refuse("prompt", f"prompt holds an id out of range; ids go from 0 to {size - 1}")
        found.append(list(ids))
    return found


def _text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text; an empty one is what separates texts, where the tokenizer has that."""
    return tokenizer.encode(text, disallowed_special=()) or list(tokenizer.special.values())[:1]


def conversation_of(body: dict[str, Any], served: Served) -> list[list[int]]:
    """The ids of a conversation, up to where the answer begins.

    Raises:
        Problem: messages of another form, or a model that does not chat.
    """
    given = body.get("messages")
    if served.form is None:
        message = "this model was not taught to chat; it answers /v1/completions"
        raise Problem(400, message, "messages", "unsupported_model")
    if not isinstance(given, list) or not given:
        raise refuse("messages", f"messages is {kind_of(given)}; it must be a list of messages")
    messages = [_message(i, one) for i, one in enumerate(given)]
    _refuse_long(sum(len(message["content"]) for message in messages), "messages", served)

    def ids() -> list[int]:
        return encode_chat(served.tokenizer, messages, served.form, reply=True)[0].tolist()

    return [_encoded("messages", ids)]


def _message(i: int, given: Any) -> dict[str, str]:
    """Role and content; content in parts is joined, where all of them are texts."""
    where = f"messages[{i}]"
    if not isinstance(given, dict):
        raise refuse(where, f"{where} is a {kind_of(given)}; it must be an object")
    for field, value in given.items():
        if field not in ("role", "content") and value is not None:
            raise refuse(f"{where}.{field}", f"{where}.{field} is not supported; leave it out")
    role, content = given.get("role"), given.get("content")
    if isinstance(content, list):
        texts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
        if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
            raise refuse(f"{where}.content", f"{where}.content has a part that is not text")
        content = "".join(texts)
    if not isinstance(role, str) or not isinstance(content, str):
        raise refuse(where, f"{where} must have role and content, both texts")
    return {"role": "system" if role == "developer" else role, "content": content}


def _refuse_long(letters: int, field: str, served: Served) -> None:
    """Refuse a text that cannot fit, before the time is spent to encode it."""
    longest = max(1, int(served.tokenizer.byte_lengths.max()))
    if letters > 8 * served.context * longest:
        raise refuse(
            field,
            f"{field} has {letters} letters; the model's context is {served.context} tokens",
            "context_length_exceeded",
        )


def _encoded(field: str, encode: Callable[[], list[int]]) -> list[int]:
    try:
        return encode()
    except (InputError, UnicodeError) as error:
        raise refuse(field, str(error)) from None
