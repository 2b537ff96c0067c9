"""Conversations as text: a format says how a message begins and ends, nothing more.

The markers become single ids; what people wrote is always ordinary text, so that nobody can end a
turn or speak as the system by typing a marker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.checks import check_text

Message = dict[str, str]  # {"role": "user", "content": "..."}


class Form(Protocol):
    """How a conversation is written down: `ChatFormat`, or a tokenizer's own `ChatTemplate`."""

    special: tuple[str, ...]

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[tuple[str, str]]:
        """(kind, text) in order.

        The kinds: "marker", in which special tokens count; "content", in which they do not; what an
        assistant says, which is learnt, is "answer" (they do not count) and "end" (they do).
        """


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation is written down, message by message.

    Attributes:
        begin: text before the first message.
        head: text before a message; `{role}` stands for who speaks.
        tail: text after a message.
        special: the markers among these texts that are single tokens.
        roles: who may speak.
        turns: (who, head, tail) where a speaker's differ; "system user" is a user after a system.
        alternate: after a system, if any, user and assistant must take turns.
    """

    begin: str
    head: str
    tail: str
    special: tuple[str, ...]
    roles: tuple[str, ...] = ("system", "user", "assistant", "tool")
    turns: tuple[tuple[str, str, str], ...] = ()
    alternate: bool = False

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[tuple[str, str]]:
        """(kind, text) in order, as `Form` says.

        Raises:
            InputError: an unknown role, one out of turn, or a message of another form.
        """
        pieces = [("marker", self.begin)] if self.begin else []
        before = ""
        for i, message in enumerate(messages):
            role, content = check_message(message, i, self.roles)
            if self.alternate:
                _check_turn(i, role, before)
            head, tail = self.around(role, before)
            speaks = role == "assistant"
            pieces.append(("marker", head))
            pieces.append(("answer" if speaks else "content", content))
            pieces.append(("end" if speaks else "marker", tail))
            before = role
        if reply:
            pieces.append(("marker", self.around("assistant", before)[0]))
        return pieces

    def around(self, role: str, before: str = "") -> tuple[str, str]:
        """The texts before and after a message of this role that follows one of another."""
        own = {who: (head, tail) for who, head, tail in self.turns}
        plain = (self.head.format(role=role), self.tail)
        return own.get(f"{before} {role}", own.get(role, plain))


CHATML = ChatFormat("", "<|im_start|>{role}\n", "<|im_end|>\n", ("<|im_start|>", "<|im_end|>"))
LLAMA2 = ChatFormat(
    "",
    "",
    "",
    ("<s>", "</s>"),
    ("system", "user", "assistant"),
    (
        ("system", "<s>[INST] <<SYS>>\n", "\n<</SYS>>\n\n"),
        ("system user", "", " [/INST]"),
        ("user", "<s>[INST] ", " [/INST]"),
        ("assistant", " ", " </s>"),
    ),
    alternate=True,
)
LLAMA3 = ChatFormat(
    "<|begin_of_text|>",
    "<|start_header_id|>{role}<|end_header_id|>\n\n",
    "<|eot_id|>",
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
ZEPHYR = ChatFormat("", "<|{role}|>\n", "</s>\n", ("</s>",), ("system", "user", "assistant"))
TULU = ChatFormat(
    "",
    "<|{role}|>\n",
    "\n",
    ("</s>",),
    ("system", "user", "assistant"),
    (("assistant", "<|assistant|>\n", "</s>\n"),),
)
PLAIN = ChatFormat("", "{role}: ", "\n", ())
FORMATS = {
    "chatml": CHATML,
    "llama2": LLAMA2,
    "llama3": LLAMA3,
    "zephyr": ZEPHYR,
    "tulu": TULU,
    "plain": PLAIN,
}


def check_message(message: object, i: int, roles: Sequence[str]) -> tuple[str, str]:
    """Role and content of the i-th message.

    Raises:
        InputError: an unknown role, or a message of another form.
    """
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        keys = f" with the keys {list(message)}" if isinstance(message, dict) else ""
        raise InputError(
            f"messages[{i}] is a {type(message).__name__}{keys}; it must be a dict with the "
            "keys 'role' and 'content'"
        )
    role = message["role"]
    if role not in roles:
        raise InputError(f"messages[{i}] has the role {role!r}; allowed are {', '.join(roles)}")
    return role, check_text(message["content"], f"content of messages[{i}]")


def _check_turn(i: int, role: str, before: str) -> None:
    """Refuse a system that is not first, and whoever speaks out of turn."""
    allowed = {"": ("system", "user"), "user": ("assistant",)}.get(before, ("user",))
    if role not in allowed:
        after = f"after {before!r}" if before else "at the beginning"
        raise InputError(
            f"messages[{i}] has the role {role!r} {after}; this format allows "
            f"{' or '.join(allowed)} there"
        )


def render_chat(messages: Sequence[Message], form: Form = CHATML, reply: bool = False) -> str:
    """The conversation as one text, for reading.

    Args:
        messages: dicts with "role" and "content".
        form: the format.
        reply: end with the beginning of an assistant's message, for a model to continue.

    Raises:
        InputError: an unknown role, or a message of another form.
    """
    return "".join(text for _, text in form.pieces(messages, reply))


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    form: Form = CHATML,
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
        InputError: a marker that the tokenizer lacks, an unknown role, a message of another form,
            a template that fails.
    """
    for name in form.special:
        tokenizer.special_id(name)
    ids: list[np.ndarray] = [np.zeros(0, np.int32)]
    said: list[np.ndarray] = [np.zeros(0, bool)]
    for kind, text in form.pieces(messages, reply):
        markers = form.special if kind in ("marker", "end") else ()
        part = tokenizer.encode_array(text, markers, (), add_special_tokens=False)
        ids.append(part)
        said.append(np.full(part.size, kind in ("answer", "end")))
    return np.concatenate(ids), np.concatenate(said)


def ends_of(form: Form, tokenizer: Tokenizer) -> list[int | str]:
    """What ends an answer: any special token, or the text behind it where that has none."""
    stop: list[int | str] = list(tokenizer.special.values())
    if isinstance(form, ChatFormat):
        _, tail = form.around("assistant", "user")
        if not any(name in tail for name in form.special):
            stop.append(tail)
    return stop
