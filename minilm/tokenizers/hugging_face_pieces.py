"""Reading `tokenizer.json` of WordPiece (BERT) and Unigram (T5)."""

from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.checks import check_string, refuse_shared_ids, vocabulary_size
from minilm.tokenizers.frames import frame_of
from minilm.tokenizers.hugging_face import added_tokens, refuse_cutting
from minilm.tokenizers.unigram import Unigram
from minilm.tokenizers.wordpiece import WordPiece


def word_piece_of(content: dict[str, Any], source: str) -> WordPiece:
    """The WordPiece of a `tokenizer.json`.

    Raises:
        InputError: an option that is not supported, or a vocabulary that contradicts itself.
    """
    model = content["model"]
    vocabulary = model["vocab"]
    refuse_shared_ids(vocabulary, source)
    pieces = _pieces(content, vocabulary, source)
    return WordPiece(
        pieces,
        added_tokens(content, vocabulary, source),
        content,
        frame_of(content.get("post_processor"), source),
        unknown=model["unk_token"],
        prefix=model["continuing_subword_prefix"],
        longest=model["max_input_chars_per_word"],
        source=source,
    )


def unigram_of(content: dict[str, Any], source: str) -> Unigram:
    """The Unigram of a `tokenizer.json`.

    Raises:
        InputError: an option that is not supported, or a vocabulary that contradicts itself.
    """
    model = content["model"]
    vocabulary: dict[str, int] = {}
    for number, (piece, _) in enumerate(model["vocab"]):
        if piece in vocabulary:
            raise InputError(
                f"{source} holds the piece {piece!r} twice, as {vocabulary[piece]} and {number}"
            )
        vocabulary[piece] = number
    pieces = _pieces(content, vocabulary, source)
    return Unigram(
        pieces,
        [score for _, score in model["vocab"]],
        added_tokens(content, vocabulary, source),
        content,
        frame_of(content.get("post_processor"), source),
        unknown=model.get("unk_id"),
        byte_fallback=bool(model.get("byte_fallback")),
        source=source,
    )


def _pieces(content: dict[str, Any], vocabulary: dict[str, int], source: str) -> list[str | None]:
    """Texts by id, with room for the added tokens; also what both kinds refuse."""
    refuse_cutting(content, source)
    added = [token["id"] for token in content.get("added_tokens") or []]
    pieces: list[str | None] = [None] * vocabulary_size([*vocabulary.values(), *added], source)
    for piece, number in vocabulary.items():
        pieces[number] = check_string(piece, "a piece")
    return pieces
