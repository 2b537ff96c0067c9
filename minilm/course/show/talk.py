"""A conversation with a model on a notebook's page: a line to type in, and what was said."""

import html
from collections.abc import Sequence
from typing import Any

from minilm.course.show.display import interact
from minilm.course.show.style import in_notebook
from minilm.errors import InputError

_COLOURS = {"user": "#E3F0FA", "assistant": "#F3F4F7", "system": "#FFF6DA"}


class Said:
    """Messages, shown one below the other: as HTML on a page, as lines elsewhere.

    Args:
        messages: dicts with "role" and "content".
    """

    def __init__(self, messages: Sequence[dict[str, str]]) -> None:
        self.messages = list(messages)

    def __repr__(self) -> str:
        return "\n".join(f"{m['role']}: {m['content']}" for m in self.messages)

    def _repr_html_(self) -> str:
        return f'<div class="minilm-talk">{"".join(map(_bubble, self.messages))}</div>'


def _bubble(message: dict[str, str]) -> str:
    role, content = message["role"], html.escape(message["content"])
    side = "margin-left:80px" if role == "user" else "margin-right:80px"
    return (
        f'<div style="margin:6px 0;{side};padding:6px 12px;border-radius:10px;color:#1A1A1A;'
        f'background:{_COLOURS.get(role, "#F3F4F7")};white-space:pre-wrap">'
        f"<small><b>{html.escape(role)}</b></small><br>{content}</div>"
    )


def talk_box(talk: Any, say: str) -> None:
    """Talk with a model on the page; the first exchange stays in the notebook.

    Args:
        talk: an `align.talking.Talk`.
        say: the first message; a reader types others in its place.
    """

    def answer(say: str) -> Said:
        try:
            for _ in talk.answer(say) if say.strip() else ():
                pass
        except InputError as error:  # the conversation goes on
            return Said([*talk.messages, {"role": "note", "content": str(error)}])
        return Said(talk.messages)

    if in_notebook():
        interact(answer, say=say)
    else:
        print(repr(answer(say)))
