"""What Hugging Face's post-processors put around a text, as ids before and after it.

Read and written are those of `tokenizer.json`: BERT's, RoBERTa's, templates, and sequences of them.
What they say of pairs of texts and of segments is not kept.
"""

from collections.abc import Mapping
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.base import Frame

_NONE: Frame = ((), ())


def frame_of(after: dict[str, Any] | None, source: str) -> Frame:
    """The ids before and after a text.

    Args:
        after: "post_processor" of a `tokenizer.json`.
        source: what it is from, for the error message.

    Raises:
        InputError: another kind of post-processor.
    """
    if after is None or after["type"] == "ByteLevel":  # the latter changes offsets only
        return _NONE
    kind = after["type"]
    if kind in ("BertProcessing", "RobertaProcessing"):
        return (after["cls"][1],), (after["sep"][1],)
    if kind == "TemplateProcessing":
        return _of_template(after, source)
    if kind == "Sequence":
        before: tuple[int, ...] = ()
        behind: tuple[int, ...] = ()
        for part in after["processors"]:
            outer = frame_of(part, source)
            before, behind = outer[0] + before, behind + outer[1]
        return before, behind
    raise InputError(
        f"{source} has the post-processor {kind!r}; allowed are none, ByteLevel, BertProcessing, "
        "RobertaProcessing, TemplateProcessing and a Sequence of them"
    )


def _of_template(after: dict[str, Any], source: str) -> Frame:
    sides: tuple[list[int], list[int]] = ([], [])
    texts = 0
    for piece in after["single"]:
        if "Sequence" in piece:
            texts += 1
        else:
            sides[min(texts, 1)].extend(after["special_tokens"][piece["SpecialToken"]["id"]]["ids"])
    if texts != 1:
        raise InputError(
            f"{source} has a template with {texts} places for the text; it must have one"
        )
    return tuple(sides[0]), tuple(sides[1])


def post_processor(frame: Frame, names: Mapping[int, str]) -> dict[str, Any] | None:
    """A template for `tokenizer.json`.

    Args:
        frame: the ids before and after a text.
        names: what each id is called.
    """
    if frame == _NONE:
        return None
    names = {number: names[number] for side in frame for number in side}
    before, after = (
        [{"SpecialToken": {"id": names[number], "type_id": 0}} for number in side] for side in frame
    )
    text, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [*before, text, *after],
        "pair": [*before, text, *after, second, *after],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for number, name in names.items()
        },
    }
