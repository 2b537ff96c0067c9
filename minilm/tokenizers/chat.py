"""Conversations as text: a format says how a message begins and ends, nothing more.

The markers become single ids; what people wrote is always ordinary text, so that nobody can end a
turn or speak as the system by typing a marker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.checks import check_text

Message = dict[str, str]  # {"role": "user", "content": "..."}


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation is written down.

    Attributes:
        begin: text before the first message.
        head: text before a message; `{role}` stands for who speaks.
        tail: text after a message.
        special: the markers among these texts that are single tokens.
        roles: who may speak.
    """

    begin: str
    head: str
    tail: str
    special: tuple[str, ...]
    roles: tuple[str, ...] = ("system", "user", "assistant", "tool")


CHATML = ChatFormat("", "<|im_start|>{role}\n", "<|im_end|>\n", ("<|im_start|>", "<|im_end|>"))
LLAMA3 = ChatFormat(
    "<|begin_of_text|>",
    "<|start_header_id|>{role}<|end_header_id|>\n\n",
    "<|eot_id|>",
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
PLAIN = ChatFormat("", "{role}: ", "\n", ())


def _pieces(messages: Sequence[Message], form: ChatFormat, reply: bool) -> list[tuple[str, str]]:
    """(kind, text) in order: "marker", "content", and for an assistant "answer" and "end"."""
    pieces = [("marker", form.begin)] if form.begin else []
    for i, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            keys = f" with the keys {list(message)}" if isinstance(message, dict) else ""
            raise InputError(
                f"messages[{i}] is a {type(message).__name__}{keys}; it must be a dict with the "
                "keys 'role' and 'content'"
            )
        role = message["role"]
        if role not in form.roles:
            raise InputError(
                f"messages[{i}] has the role {role!r}; allowed are {', '.join(form.roles)}"
            )
        content = check_text(message["content"], f"content of messages[{i}]")
        speaks = role == "assistant"
        pieces.append(("marker", form.head.format(role=role)))
        pieces.append(("answer" if speaks else "content", content))
        pieces.append(("end" if speaks else "marker", form.tail))
    if reply:
        pieces.append(("marker", form.head.format(role="assistant")))
    return pieces


def render_chat(messages: Sequence[Message], form: ChatFormat = CHATML, reply: bool = False) -> str:
    """The conversation as one text, for reading.

    Args:
        messages: dicts with "role" and "content".
        form: the format.
        reply: end with the beginning of an assistant's message, for a model to continue.

    Raises:
        InputError: an unknown role, or a message of another form.
    """
    return "".join(text for _, text in _pieces(messages, form, reply))


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    form: ChatFormat = CHATML,
    reply: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a conversation, and which of them an assistant said.

    Args:
        tokenizer: one whose special tokens include the markers of the format.
        messages: dicts with "role" and "content".
        form: the format.
        reply: end with the beginning of an assistant's message.

    Returns:
        Ids, int32 (T,), and a bool (T,) that is True on answers and their ends: the tokens that
        supervised fine-tuning learns.

    Raises:
        InputError: a marker that the tokenizer lacks, an unknown role, a message of another form.
    """
    for name in form.special:
        tokenizer.special_id(name)
    ids: list[np.ndarray] = [np.zeros(0, np.int32)]
    said: list[np.ndarray] = [np.zeros(0, bool)]
    for kind, text in _pieces(messages, form, reply):
        markers = form.special if kind in ("marker", "end") else ()
        part = tokenizer.encode_array(text, markers, (), add_special_tokens=False)
        ids.append(part)
        said.append(np.full(part.size, kind in ("answer", "end")))
    return np.concatenate(ids), np.concatenate(said)
