"""What a person types: sentences, and single keys that correct the lamp.

In a terminal a key acts at once; where the input is a pipe, a line of that one letter does.
"""

import os
import sys
from collections.abc import Iterator
from typing import TextIO

KEYS = {"+": "lit", "-": "dark", "0": "nothing"}
ERASE, END = ("\x7f", "\b"), "\x04"


def typed(source: TextIO, echo: TextIO) -> Iterator[tuple[str, str]]:
    """("say", sentence) or ("correct", symbol), as they come.

    Args:
        source: a terminal or a pipe.
        echo: where the letters typed are shown, if `source` is a terminal.
    """
    if source.isatty() and sys.platform != "win32":
        yield from _from_terminal(source, echo)
        return
    for line in source:
        words = line.strip()
        if words in KEYS:
            yield "correct", KEYS[words]
        elif words:
            yield "say", words


def _from_terminal(source: TextIO, echo: TextIO) -> Iterator[tuple[str, str]]:
    import termios
    import tty

    handle = source.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield from edited(_letters(handle), echo)
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _letters(handle: int) -> Iterator[str]:
    """One character at a time; bytes of one that is cut are waited for."""
    rest = b""
    while new := os.read(handle, 64):
        rest += new
        text = rest.decode("utf-8", "ignore")
        rest = rest[len(text.encode()) :] if len(rest) < 4 else b""
        yield from text


def edited(letters: Iterator[str], echo: TextIO) -> Iterator[tuple[str, str]]:
    """Letters to sentences and corrections; backspace erases, Ctrl-D ends."""
    line = ""
    for letter in letters:
        if letter == END:
            return
        if letter in KEYS and not line:
            yield "correct", KEYS[letter]
        elif letter in "\r\n":
            print(file=echo, flush=True)
            if line.strip():
                yield "say", line.strip()
            line = ""
        elif letter in ERASE:
            if line:
                line = line[:-1]
                print("\b \b", end="", file=echo, flush=True)
        elif letter.isprintable():
            line += letter
            print(letter, end="", file=echo, flush=True)
