"""Conversations as batches for supervised fine-tuning: what is read, and which of it is learnt."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.chat import CHATML, Form, Message, encode_chat


def chat_batch(
    tokenizer: Tokenizer,
    conversations: Sequence[Sequence[Message]],
    form: Form = CHATML,
    context: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and the tokens that follow them, of which only an assistant's are scored.

    Shorter conversations are filled up on the right, where no earlier token can see it.

    Args:
        tokenizer: one whose special tokens include the markers of the format.
        conversations: lists of messages, dicts with "role" and "content".
        form: the format.
        context: longest row; what a conversation has beyond it is cut off. None: no limit.

    Returns:
        ids (B, T) int64, 0 after a conversation's end; targets (B, T) int64, shifted by one:
        targets[b, t] follows ids[b, t]. They are `minilm.backend.IGNORE` (-100) wherever that is
        not an answer or the end of one, so `model.loss(ids, targets)` learns to answer.

    Raises:
        InputError: no conversation; one in which nothing is scored, or nothing within the context;
            as `encode_chat`.
    """
    if not len(conversations):
        raise InputError("conversations is empty; a batch has at least one")
    if context is not None and context < 1:
        raise InputError(f"context is {context}; it must be 1 or more, or None")
    rows = [encode_chat(tokenizer, messages, form) for messages in conversations]
    longest = max(len(ids) for ids, _ in rows) - 1
    longest = longest if context is None else min(longest, context)
    ids = np.zeros((len(rows), max(longest, 0)), np.int64)
    targets = np.full(ids.shape, IGNORE, np.int64)
    for i, (own, said) in enumerate(rows):
        length = min(len(own) - 1, longest)
        ids[i, :length] = own[:length]
        targets[i, :length] = np.where(said[1:], own[1:], IGNORE)[:length]
        if not (targets[i] != IGNORE).any():
            within = "" if context is None else f" among its first {context + 1} tokens"
            raise InputError(f"conversations[{i}] has no answer of an assistant{within} to learn")
    return ids, targets


def read_chats(path: str | os.PathLike) -> dict[int, list[Message]]:
    """Conversations from a file with a line for each: {"messages": [{"role", "content"}, ...]}.

    Args:
        path: JSON lines; empty lines are passed over, and so is what else a line's object holds.

    Returns:
        Line number, from 1 -> messages.

    Raises:
        InputError: no such file, no conversation, or a line that holds none; it names the line.
    """
    return parse_chats(read_lines(path), path)


def read_lines(path: str | os.PathLike) -> list[bytes]:
    """The lines of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None


def parse_chats(lines: Sequence[bytes], path: str | os.PathLike) -> dict[int, list[Message]]:
    """The conversations of a file's lines; see `read_chats`."""
    found: dict[int, list[Message]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"line {number} of {str(path)!r} is not JSON") from None
        messages = row.get("messages") if isinstance(row, dict) else None
        if not isinstance(messages, list) or not messages:
            raise InputError(
                f"line {number} of {str(path)!r} has no messages; it must be an object with a list "
                "'messages' of objects with 'role' and 'content'"
            )
        found[number] = messages
    if not found:
        raise InputError(f"path {str(path)!r} holds no conversation")
    return found


def encode_chats(
    tokenizer: Tokenizer,
    conversations: dict[int, list[Message]],
    form: Form,
    context: int,
    path: str | os.PathLike = "conversations",
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The conversations of a file as ids and marks, each as `encode_chat` gives it.

    Args:
        tokenizer: the model's.
        conversations: as `read_chats` gives them.
        form: how they are written down.
        context: tokens that the model reads; an answer must begin within it.
        path: the file, for what is said of its lines.

    Raises:
        InputError: an unknown role, a template that fails, an assistant's message without text, no
            answer, or none within the context; it names the line.
    """
    return list(_encoded(tokenizer, conversations, form, context, str(path)))


def _encoded(
    tokenizer: Tokenizer,
    conversations: dict[int, list[Message]],
    form: Form,
    context: int,
    path: str,
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    for number, messages in conversations.items():
        where = f"line {number} of {path!r}"
        try:
            ids, said = encode_chat(tokenizer, messages, form)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        answers = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        empty = [i for i in answers if not messages[i]["content"].strip()]
        if empty:
            raise InputError(
                f"{where}: messages[{empty[0]}] is an answer without text; it must have some"
            )
        if not answers:
            raise InputError(f"{where} has no message of an assistant; there must be one to learn")
        first = int(said.argmax())
        if first > context:
            raise InputError(
                f"{where}: the first answer begins after {first} tokens; the model reads {context}"
            )
        yield ids, said
