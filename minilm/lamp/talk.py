"""The lamp in a terminal: every answer is on the disk before it is shown."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from minilm.errors import InputError
from minilm.lamp.drawing import drawing
from minilm.lamp.state import save
from minilm.lamp.turns import Lamp

HELP = (
    "Type what you would say, then Enter. Wrong? Press + for lit, - for dark, 0 for nothing.\n"
    "Ctrl-D ends."
)
SAYS = {"lit": "lights up", "dark": "goes dark", "nothing": "does nothing"}


def talk(
    lamp: Lamp,
    events: Iterable[tuple[str, str]],
    path: Path,
    say: Callable[[str], None],
    device: Callable[[bool], None] | None = None,
    colour: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Answer every event, until there are no more.

    Args:
        lamp: learns as it goes.
        events: as `keys.typed` gives them.
        path: of the state, written before an answer is shown.
        say: shows a text.
        device: sets a real lamp.
        colour: whether the text may be coloured.
        clock: seconds.
    """
    for kind, word in events:
        if kind == "say":
            answer = f"it {SAYS[lamp.hear(word, clock())]}"
        elif not lamp.turns:
            say("nothing was said yet")
            continue
        elif lamp.correct(word, clock()):
            answer = f"learnt: {word}"
        else:
            say(f"more than {lamp.window:g} seconds ago; nothing changed")
            continue
        save(lamp, path)
        if device is not None:
            try:
                device(lamp.lit)
            except InputError as error:
                answer += f"\n({error})"
        say(f"{drawing(lamp.lit, colour)}\n{lamp.heard}: {answer}")
