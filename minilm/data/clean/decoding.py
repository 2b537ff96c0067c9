"""Bytes as text, or the reason why they are none."""

import codecs
import re

# Tried in this order: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def decode_text(content: bytes, language: str | None = None) -> tuple[str, str]:
    """A file's text, with line ends as "\\n", and "" or the reason why it has none.

    A byte-order mark decides; then, in Python, the encoding that a comment in the first two lines
    declares (PEP 263); then UTF-8. Nothing is guessed: a wrong guess is text that nobody wrote.

    Args:
        content: the file.
        language: "python" for files that may declare their encoding.
    """
    if not content.strip():
        return "", "empty"
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None:
        if b"\0" in content:
            return "", "binary"
        encoding = _declared(content) if language == "python" else None
    try:
        text = content.decode(encoding or "utf-8")
        text.encode()  # some encodings give half of a surrogate pair, which is no text
    except UnicodeError:
        return "", f"not {'UTF-8' if encoding is None else 'the encoding that it declares'}"
    except (LookupError, ValueError):  # unknown, or not one of text
        return "", "declares an unknown encoding"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        return "", "binary"
    return (text, "") if text.strip() else ("", "empty")


def _declared(content: bytes) -> str | None:
    for line in content.split(b"\n", 2)[:2]:
        match = _COOKIE.match(line)
        if match:
            return match[1].decode("ascii", "replace")
        if line.strip() and not line.lstrip().startswith(b"#"):
            return None  # the second line counts only below a comment
    return None
