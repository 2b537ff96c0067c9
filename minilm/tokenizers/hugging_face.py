r"""Reading `tokenizer.json`: byte-level BPE here, WordPiece and Unigram in `hugging_face_pieces`.

An option is honoured as Hugging Face's library honours it, or refused by its name.
"""

import json
from collections.abc import Iterable
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.bpe import BPE
from minilm.tokenizers.checks import refuse_shared_ids, vocabulary_size
from minilm.tokenizers.frames import frame_of
from minilm.tokenizers.saving import BYTE, REGEX

_FORMS = ("NFC", "NFKC", "NFD", "NFKD")
_OPTIONS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def bpe_of(content: dict[str, Any], source: str) -> BPE:
    """The byte-level BPE of a `tokenizer.json`.

    Args:
        content: the file.
        source: what it is, for error messages ("path 'a.json'").

    Raises:
        InputError: an option that is not supported, or a vocabulary that contradicts itself.
    """
    model = content["model"]
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(field):
            raise InputError(f"{source} sets model.{field}, which is not supported")
    refuse_cutting(content, source)
    normalizer = content.get("normalizer")
    if normalizer is not None and normalizer["type"] not in _FORMS:
        raise InputError(
            f"{source} has the normalizer {normalizer['type']!r}; allowed are none, "
            f"{', '.join(_FORMS[:-1])} and {_FORMS[-1]}"
        )
    decoder = content.get("decoder")
    if decoder is not None and decoder["type"] != "ByteLevel":
        raise InputError(
            f"{source} has the decoder {decoder['type']!r}; allowed are none and ByteLevel"
        )
    pattern, prefix_space = _words_of(content.get("pre_tokenizer"), source)
    return bpe_from(
        model["vocab"],
        model["merges"],
        added_tokens(content, model["vocab"], source),
        source,
        pattern=pattern,
        whole_words=bool(model.get("ignore_merges")),
        normalize=normalizer and normalizer["type"],
        prefix_space=prefix_space,
        frame=frame_of(content.get("post_processor"), source),
    )


def refuse_cutting(content: dict[str, Any], source: str) -> None:
    """Refuse a file that makes every text short, or every text long.

    Raises:
        InputError: it names the setting.
    """
    padding = content.get("padding")
    if content.get("truncation") is not None:
        raise InputError(f"{source} sets truncation, which is not supported; it must be null")
    if padding is not None and padding.get("strategy") != "BatchLongest":
        raise InputError(
            f"{source} sets padding to {padding.get('strategy')!r}; it must be null or BatchLongest"
        )


def added_tokens(
    content: dict[str, Any], vocabulary: dict[str, int], source: str
) -> list[AddedToken]:
    """The added tokens of a `tokenizer.json`.

    Raises:
        InputError: one whose id is not the one that Hugging Face's library gives it: that of the
            vocabulary, else the next one after the vocabulary and the tokens before.
    """
    added: list[AddedToken] = []
    last = -1
    for token in content.get("added_tokens") or []:
        text, number = token["content"], token["id"]
        vocabulary_size([number], source)
        expected = vocabulary.get(text, last + 1 if last >= len(vocabulary) else len(vocabulary))
        if number != expected:
            raise InputError(
                f"{source} gives the added token {text!r} the id {number}; by its vocabulary and "
                f"the tokens before it must be {expected}"
            )
        last = max(last, number)
        added.append(AddedToken(text, number, **{name: bool(token[name]) for name in _OPTIONS}))
    return added


def bpe_from(
    vocabulary: dict[str, int],
    merges: Iterable[Any],
    added: list[AddedToken],
    source: str,
    **options: Any,
) -> BPE:
    """A BPE from names of tokens as files have them.

    Raises:
        InputError: an id twice, a name that does not spell bytes, or a merge of unknown names.
    """
    numbers = [token.number for token in added]
    size = vocabulary_size([*vocabulary.values(), *numbers], source)
    refuse_shared_ids(vocabulary, source)
    tokens: list[bytes | None] = [None] * size
    given = {token.text: token.number for token in added}
    for name, number in vocabulary.items():
        if given.get(name) != number or name in BYTE:
            tokens[number] = _bytes(name, source)
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]
    try:
        triples = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in pairs]
    except (KeyError, ValueError) as error:
        raise InputError(f"{source} has a merge that its vocabulary lacks: {error}") from None
    return BPE(tokens, triples, added=added, **options)


def _bytes(name: str, source: str) -> bytes:
    try:
        return bytes([BYTE[c] for c in name])
    except KeyError:
        raise InputError(
            f"{source} holds the token {name!r}, which does not spell bytes; "
            "only byte-level BPE can be read"
        ) from None


def _words_of(before: dict[str, Any] | None, source: str) -> tuple[str, bool]:
    """The pattern by which words are cut, and whether what is cut gets a blank before it."""
    steps = [before] if before and before["type"] != "Sequence" else []
    steps = steps or (before or {}).get("pretokenizers", [])
    kinds = [step["type"] for step in steps]
    if kinds and kinds[-1] == "ByteLevel":
        *first, last = steps
        prefix, by_regex = bool(last["add_prefix_space"]), last.get("use_regex", True)
        if kinds == ["ByteLevel"] and by_regex:
            return "gpt2", prefix
        if kinds == ["Digits", "ByteLevel"] and by_regex and first[0]["individual_digits"]:
            return "starcoder", prefix
        if kinds == ["Split", "ByteLevel"] and not by_regex:
            written = first[0]["pattern"].get("Regex")
            # Its words are all of the text, so that it is one whether they or what is between
            # them is taken for the border, kept apart or not.
            whole = (first[0]["behavior"], bool(first[0].get("invert")))
            for name, regex in REGEX.items():
                if written == regex and whole in (
                    ("Isolated", False),
                    ("Isolated", True),
                    ("Removed", True),
                ):
                    return name, prefix
    raise InputError(
        f"{source} cuts words in an unknown way ({json.dumps(before)[:200]}); "
        f"known are the patterns {', '.join(REGEX)}"
    )
