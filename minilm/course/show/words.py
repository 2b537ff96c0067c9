"""Text as a model meets it: a row of words, each in the colour of its kind."""

from __future__ import annotations

import html
from collections.abc import Sequence

from minilm.course.show.style import COLOURS, MUTED, in_notebook
from minilm.errors import InputError


def coloured_words(
    words: Sequence[str],
    kinds: Sequence[str],
    strong: Sequence[bool] | None = None,
    caption: str = "",
) -> None:
    """Show words in a row, underlined in the colour of their kind, with a legend.

    Args:
        words: the text, word by word.
        kinds: the kind of each word; at most seven different ones, coloured in order of first
            use. Words of kind "" stay plain.
        strong: which words stand out, on a tinted ground and in bold.
        caption: a line above the text.

    Raises:
        InputError: lengths that differ, no words, or more kinds than there are colours.
    """
    strong = [False] * len(words) if strong is None else list(strong)
    if not len(words) == len(kinds) == len(strong) or not len(words):
        raise InputError(
            f"words, kinds and strong have lengths {len(words)}, {len(kinds)} and {len(strong)}; "
            "they must be equal and above 0"
        )
    used = [kind for kind in dict.fromkeys(kinds) if kind]
    if len(used) > len(COLOURS):
        raise InputError(
            f"kinds holds {len(used)} kinds; it may hold {len(COLOURS)}, one for each colour"
        )
    if not in_notebook():
        print(*([caption] if caption else []), " ".join(words), sep="\n")
        return
    from IPython.display import display

    page = _page(words, kinds, strong, dict(zip(used, COLOURS, strict=False)), caption)
    plain = "\n".join(filter(None, (caption, " ".join(words))))
    display({"text/html": page, "text/plain": plain}, raw=True)


def _page(
    words: Sequence[str],
    kinds: Sequence[str],
    strong: Sequence[bool],
    colours: dict[str, str],
    caption: str,
) -> str:
    parts = [f'<div style="color:{MUTED};margin-bottom:6px">{html.escape(caption)}</div>']
    parts = parts if caption else []
    parts.append('<div style="line-height:2">')
    for word, kind, stands_out in zip(words, kinds, strong, strict=True):
        look = f"border-bottom:3px solid {colours[kind]}" if kind else ""
        if stands_out:  # a hex colour with two more digits is that colour, nearly transparent
            look += f";background:{colours.get(kind, MUTED)}2E;font-weight:600;padding:1px 4px"
        parts.append(f'<span style="{look}">{html.escape(word)}</span> ')
    parts.append("</div>")
    legend = " &nbsp; ".join(
        f'<span style="border-bottom:3px solid {colour}">{html.escape(kind)}</span>'
        for kind, colour in colours.items()
    )
    if len(colours) > 1:
        parts.append(f'<div style="color:{MUTED};margin-top:10px;font-size:85%">{legend}</div>')
    return f'<div class="minilm-words">{"".join(parts)}</div>'
