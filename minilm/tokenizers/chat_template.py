r"""A tokenizer's own way to write conversations down: the Jinja text in `tokenizer_config.json`.

It is rendered as Hugging Face renders it (trimmed blocks, `raise_exception`, `tojson`), in Jinja's
sandbox, since it comes with a model that somebody else made. What people wrote is hidden from it
where it spells a special token, so a template cannot turn it into one.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.files import parse_json
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.chat import Message, check_message

ROLES = ("system", "user", "assistant", "tool")
_OPEN, _CLOSE = "\ue000", "\ue001"  # of the private use area: around the number of a hidden text


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template as a form of `encode_chat`.

    Attributes:
        source: the template.
        special: the tokenizer's special tokens; they count in what the template writes.
        names: what it may call by name: "bos_token", "eos_token".
    """

    source: str
    special: tuple[str, ...]
    names: dict[str, str] = field(default_factory=dict)

    def pieces(self, messages: Sequence[Message], reply: bool = False) -> list[tuple[str, str]]:
        """(kind, text) in order, as `minilm.tokenizers.chat.Form` says.

        An answer is what a conversation grows by when the assistant's message comes to it: it is
        written with and without. Where a reply is asked for and that cannot be told, nothing is
        marked.

        Raises:
            InputError: an unknown role, a message of another form, a template that fails or that
                writes earlier messages in another way once later ones have come.
        """
        hidden: list[str] = []
        given = []
        for i, message in enumerate(messages):
            role, content = check_message(message, i, ROLES)
            given.append({"role": role, "content": self._hide(content, hidden)})
        whole = self._render(given, reply)
        done, parts = 0, []
        for i, message in enumerate(given):
            if message["role"] != "assistant":
                continue
            prompt = self._render(given[:i], True)
            answered = self._render(given[: i + 1], False)
            if not (whole.startswith(answered) and answered.startswith(prompt)):
                if reply:  # to be read and not to be learnt
                    return _shown("marker", whole, hidden)
                raise InputError(
                    f"chat_template writes what is before the answer messages[{i}] in another way "
                    "once it is there; to learn answers it must only add to the text"
                )
            parts += [("marker", whole[done : len(prompt)]), ("end", answered[len(prompt) :])]
            done = len(answered)
        parts.append(("marker", whole[done:]))
        return [piece for kind, text in parts for piece in _shown(kind, text, hidden)]

    def _hide(self, content: str, hidden: list[str]) -> str:
        """The text with special tokens, and our own two signs, as numbers between these signs."""

        def number(found: re.Match) -> str:
            hidden.append(found[0])
            return f"{_OPEN}{len(hidden) - 1}{_CLOSE}"

        words = sorted((_OPEN, _CLOSE, *self.special), key=len, reverse=True)
        return re.sub("|".join(map(re.escape, words)), number, content)

    def _render(self, messages: list[Message], reply: bool) -> str:
        try:
            return self._template.render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=reply,
                **self.names,
            )
        except InputError:
            raise
        except Exception as error:  # whatever a foreign program may do
            raise InputError(
                f"chat_template cannot write these messages down: {type(error).__name__}: {error}"
            ) from None

    @cached_property
    def _template(self) -> Any:
        from jinja2 import TemplateError
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        class Generation(Extension):
            """{% generation %} marks answers for other libraries; here it changes nothing."""

            tags = {"generation"}

            def parse(self, parser: Any) -> Any:
                next(parser.stream)
                return parser.parse_statements(("name:endgeneration",), drop_needle=True)

        def refuse(sentence: str) -> None:
            raise InputError(f"chat_template refuses these messages: {sentence}")

        room = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
        )
        room.filters["tojson"] = lambda x, **how: json.dumps(x, ensure_ascii=False, **how)
        room.globals["raise_exception"] = refuse
        room.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            return room.from_string(self.source)
        except TemplateError as error:
            raise InputError(f"chat_template is not valid Jinja: {error}") from None


def _shown(kind: str, text: str, hidden: list[str]) -> list[tuple[str, str]]:
    """What the template wrote in pieces, with the hidden texts as what people said."""
    said = "answer" if kind == "end" else "content"
    cut = re.split(f"{_OPEN}([0-9]+){_CLOSE}", text)
    pieces = [(said, hidden[int(part)]) if i % 2 else (kind, part) for i, part in enumerate(cut)]
    return [piece for piece in pieces if piece[1]]


def read_template(folder: str | Path, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The template that a folder brings for its tokenizer; None where it brings none.

    Args:
        folder: may hold `chat_template.jinja`, or `tokenizer_config.json` with "chat_template".
        tokenizer: its special tokens are the template's.

    Raises:
        InputError: a file that cannot be read, or a template that is not a text.
    """
    path = Path(folder) / "tokenizer_config.json"
    facts: Any = {}
    if path.is_file():
        try:
            facts = parse_json(path.read_bytes())
        except ValueError as error:
            raise InputError(f"path {str(path)!r} {error}") from None
        if not isinstance(facts, dict):
            raise InputError(f"path {str(path)!r} holds a {type(facts).__name__}, not an object")
    source = facts.get("chat_template")
    if isinstance(source, list):  # several with names
        by_name = {each.get("name"): each.get("template") for each in source}
        source = by_name.get("default")
    own = Path(folder) / "chat_template.jinja"
    if own.is_file():
        source = own.read_text(encoding="utf-8")
    if source is None:
        return None
    if not isinstance(source, str):
        raise InputError(
            f"chat_template of {str(path)!r} is of type {type(source).__name__}; it must be a text"
        )
    names = {}
    for name in ("bos_token", "eos_token"):
        token = facts.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            names[name] = token
    return ChatTemplate(source, tuple(tokenizer.special), names)
