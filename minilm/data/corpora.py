"""Text that every machine with Python already has: no download, the same on every run.

`python-docs` is English: the language reference of `pydoc` and the docstrings of the standard
library, about 2 MB. `python-code` is the library's source without its tests, about 11 MB. Source
is read with `ast`: nothing is imported, so nothing runs.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.files import write_atomically

NAMES = ("python-docs", "python-code")
SEPARATOR = "\n\n"  # between documents when they are joined to one text
_FORMAT = 1  # of the documents below; changing it makes cached ones stale
_SKIPPED_FOLDERS = frozenset(
    "site-packages dist-packages test tests idle_test __pycache__ lib-dynload _bundled".split()
)


def corpus(name: str) -> str:
    """A corpus as one text; see `documents`."""
    return SEPARATOR.join(documents(name))


@functools.lru_cache(maxsize=len(NAMES))
def documents(name: str) -> tuple[str, ...]:
    """The documents of a corpus, in an order that is always the same for one version of Python.

    Args:
        name: "python-docs" (a document is a topic of the reference, or a module's docstrings) or
            "python-code" (a document is a file).

    Raises:
        InputError: another name, or a Python that comes without the source of its library.
    """
    if name not in NAMES:
        raise InputError(f"corpus is {name!r}; allowed are {', '.join(NAMES)}")
    if name == "python-code":
        return tuple(sources().values())
    stored = _cache_path()
    if stored is not None and stored.is_file():
        with contextlib.suppress(OSError, ValueError):
            return tuple(json.loads(stored.read_text(encoding="utf-8")))
    texts = tuple(_python_docs())
    if stored is not None:
        with contextlib.suppress(OSError, InputError):  # without a cache it takes two seconds more
            stored.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stored, json.dumps(texts).encode())
    return texts


def split(
    documents: tuple[str, ...] | list[str], validation: float = 0.1, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Documents to train on and documents to validate on; no document is in both.

    Args:
        documents: texts; a single one is cut in two at the end of a line.
        validation: share of the characters to validate on, above 0 and below 1.
        seed: chooses the documents.

    Returns:
        Both lists, each in the order given.

    Raises:
        InputError: a share out of range, or too little text to split.
    """
    if not 0 < validation < 1:
        raise InputError(f"validation is {validation}; it must be above 0 and below 1")
    texts = [text for text in documents if text]
    if len(texts) == 1:
        text = texts[0]
        cut = max(1, int(len(text) * (1 - validation)))
        cut = text.rfind("\n", 0, cut) + 1 or cut
        if len(text) < 2:
            raise InputError("documents holds one character; a split needs at least two")
        return [text[:cut]], [text[cut:]]
    if not texts:
        raise InputError("documents is empty; a split needs at least two characters of text")
    wanted = validation * sum(map(len, texts))
    chosen: set[int] = set()
    size = 0
    for i in backend.rng(seed, "split").permutation(len(texts)).tolist():
        if chosen and (size + len(texts[i]) / 2 > wanted or len(chosen) == len(texts) - 1):
            continue
        chosen.add(i)
        size += len(texts[i])
    train = [text for i, text in enumerate(texts) if i not in chosen]
    return train, [text for i, text in enumerate(texts) if i in chosen]


def encode_documents(
    tokenizer: Any, documents: tuple[str, ...] | list[str], end: str = "<|endoftext|>"
) -> np.ndarray:
    """The ids of all documents, one after the other, int32 (T,); each is followed by that of `end`.

    Args:
        tokenizer: one of `minilm.tokenizers`. Without a special token `end` the documents are
            joined by blank lines instead. Special tokens in the documents are ordinary text.
        documents: texts.
        end: the special token that ends a document.
    """
    if end not in tokenizer.special:
        return tokenizer.encode_array(SEPARATOR.join(documents), (), (), add_special_tokens=False)
    last = np.array([tokenizer.special_id(end)], np.int32)
    parts = [np.zeros(0, np.int32)]
    for text in documents:
        parts += [tokenizer.encode_array(text, (), (), add_special_tokens=False), last]
    return np.concatenate(parts)


@functools.cache
def sources() -> dict[str, str]:
    """The standard library's source by path, without its tests and what describes this machine."""
    root = Path(sysconfig.get_path("stdlib"))
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in _SKIPPED_FOLDERS and "config-" not in f]
        for file in files:
            # topics.py is the text of python-docs, _sysconfigdata is about one machine.
            if file.endswith(".py") and file != "topics.py" and "_sysconfigdata" not in file:
                path = Path(folder, file)
                with contextlib.suppress(UnicodeDecodeError):
                    text = path.read_text(encoding="utf-8")
                    if text.strip():
                        found[path.relative_to(root).as_posix()] = text
    if not found:
        raise InputError(
            "corpus needs the source of the standard library, which this Python lacks; "
            "use a text file or folder of your own"
        )
    return dict(sorted(found.items()))


def _python_docs() -> list[str]:
    texts = []
    with contextlib.suppress(ImportError):  # some systems package it separately
        from pydoc_data.topics import topics

        texts += [topics[name].strip() + "\n" for name in sorted(topics)]
    for path, source in sources().items():
        text = _docstrings(path.removesuffix(".py").replace("/", "."), source)
        if text:
            texts.append(text)
    return texts


def _docstrings(module: str, source: str) -> str:
    """A module's docstrings as one document, in the order of the source; "" if it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old files
        tree = ast.parse(source)
    parts = []
    own = ast.get_docstring(tree)
    if own:
        parts.append(own)

    def visit(node: ast.AST, path: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                name = path + child.name
                text = ast.get_docstring(child)
                if text:
                    if isinstance(child, ast.ClassDef):
                        head = f"class {name}"
                    else:
                        head = f"{name}({ast.unparse(child.args)})"
                    lines = [f"    {line}".rstrip() for line in text.split("\n")]
                    parts.append("\n".join([head, *lines]))
                visit(child, name + ".")

    visit(tree, "")
    if not parts:
        return ""
    module = module.removesuffix(".__init__")
    return "\n\n".join([f"{module}\n{'=' * len(module)}", *parts]) + "\n"


def _cache_path() -> Path | None:
    """Where the documentation is cached; None where there is no home folder."""
    about = f"{_FORMAT} {sys.version} {sysconfig.get_path('stdlib')}"
    name = f"python-docs-{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"
    folder = cache_folder()
    return None if folder is None else folder / name


def cache_folder() -> Path | None:
    """The folder for what can be made again; None where there is no home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "minilm"
