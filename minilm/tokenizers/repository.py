"""The files of one project as one document, so that a model sees a function where it is used.

    <repo_name>NAME<file_sep>PATH
    TEXT<file_sep>PATH
    TEXT

Source: StarCoder 2 (arXiv 2402.19173), section 5.1: repository context, files apart by a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.infill import fim_encode

REPO_NAME, FILE_SEP = "<repo_name>", "<file_sep>"
REPOSITORY_TOKENS = (REPO_NAME, FILE_SEP)


@dataclass(frozen=True)
class Repository:
    """A project.

    Attributes:
        name: what it is called.
        files: text by path, in the order in which a model reads them.
    """

    name: str
    files: Mapping[str, str]


def repository_text(repository: Repository) -> str:
    """The project as one text.

    Raises:
        InputError: no file; a name or path of several lines; a marker in a name, path or text.
    """
    if not repository.files:
        raise InputError("files is empty; a repository has at least one file")
    for what, text in _named(repository):
        for marker in REPOSITORY_TOKENS:
            if marker in text:
                raise InputError(f"{what} holds the marker {marker!r}; it must be ordinary text")
    parts = [f"{FILE_SEP}{path}\n{text}" for path, text in repository.files.items()]
    return f"{REPO_NAME}{repository.name}{''.join(parts)}"


def repository_files(text: str) -> Repository:
    """The project that `repository_text` was given.

    Raises:
        InputError: a text that does not begin with the marker of a name, or has no file.
    """
    head, *files = text.split(FILE_SEP)
    if not head.startswith(REPO_NAME) or not files:
        raise InputError(
            f"text begins with {text[:20]!r}; it must begin with {REPO_NAME} and hold {FILE_SEP}"
        )
    apart = [file.partition("\n") for file in files]
    return Repository(head[len(REPO_NAME) :], {path: body for path, _, body in apart})


def repository_encode(
    tokenizer: Tokenizer,
    repository: Repository,
    rng: np.random.Generator,
    rate: float = 0.5,
    spm_rate: float = 0.5,
) -> np.ndarray:
    """The ids, int32 (T,), of a project whose files are each rearranged by `fim_encode`.

    A hole never reaches from one file into the next.

    Raises:
        InputError: as `repository_text` for names and paths; a tokenizer without the markers.
    """
    if not repository.files:
        raise InputError("files is empty; a repository has at least one file")
    _named(repository)

    def plain(text: str) -> np.ndarray:
        return tokenizer.encode_array(text, (), (), add_special_tokens=False)

    def special(name: str) -> np.ndarray:
        return np.array([tokenizer.special_id(name)], np.int32)

    parts = [special(REPO_NAME), plain(repository.name)]
    for path, text in repository.files.items():
        parts += [special(FILE_SEP), plain(f"{path}\n")]
        parts.append(fim_encode(tokenizer, text, rng, rate, spm_rate))
    return np.concatenate(parts)


def _named(repository: Repository) -> list[tuple[str, str]]:
    """All texts of a project with what to call them; names of several lines are refused."""
    found = [("name", repository.name)]
    found += [(f"path {path!r}", path) for path in repository.files]
    for what, text in found:
        if "\n" in text:
            raise InputError(f"{what} has several lines; it must be one")
    return found + [(f"the text of {path!r}", text) for path, text in repository.files.items()]
