"""A household that talks to a lamp: commands, chatter with the same words, slips of the finger.

Everything is drawn from a seed, so that a simulation can be run again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minilm import backend
from minilm.errors import InputError

LIT = (
    "turn on the {lamp}", "turn the {lamp} on", "{lamp} on", "switch on the {lamp}",
    "put the {lamp} on", "give me some light", "i need light in {room}", "let there be light",
    "it is too dark in {room}", "i cannot see a thing", "can you light up {room}",
    "make it bright in {room}", "wake up lamp", "shine", "could we have the {lamp} on",
)  # fmt: skip
DARK = (
    "turn off the {lamp}", "turn the {lamp} off", "{lamp} off", "switch off the {lamp}",
    "put the {lamp} out", "kill the {lamp}", "it is too bright in {room}", "good night lamp",
    "make it dark in {room}", "we are leaving {room}", "time to sleep", "no more light",
    "save some power", "out with the {lamp}", "could we have the {lamp} off",
)  # fmt: skip
CHATTER = (
    "what is for dinner", "did you feed the {pet}", "the {pet} is on the sofa", "come on",
    "turn the music off", "turn on the radio", "i am off to work", "see you tomorrow",
    "the film was dark", "she has a bright idea", "put the kettle on", "where is the {pet}",
    "i like light beer", "the bill for power came", "who left the door open", "how was {day}",
    "we moved the lamp on {day}", "the shop sells lamps", "are you on the phone", "call me {day}",
    "the fire went out", "he will be late on {day}", "it rained all night", "no more coffee",
    "i sleep badly", "let us go out on {day}", "the {pet} needs a bath", "hand me the paper",
    "this room needs paint", "take the {pet} off the table",
)  # fmt: skip
SLOTS = {
    "lamp": ("light", "lights", "lamp", "reading lamp"),
    "room": ("here", "the kitchen", "the hall", "this room"),
    "pet": ("cat", "dog", "rabbit"),
    "day": ("monday", "friday", "sunday"),
}
OPENINGS = ("", "", "", "please ", "hey ", "okay ", "well ")
ENDINGS = ("", "", "", " please", " now", " thanks", " will you")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
KINDS = {"lit": LIT, "dark": DARK, "nothing": CHATTER}
SHARES = {"lit": 0.25, "dark": 0.25, "nothing": 0.5}
PAUSE = 5.0  # seconds between two utterances, on average
DELAY = 4.0  # seconds until somebody reaches the switch, on average


@dataclass(frozen=True)
class Utterance:
    """What was said at what second, what was meant, and when a wrong answer would be corrected."""

    at: float
    text: str
    meant: str  # "lit", "dark" or "nothing"
    delay: float


def misspelt(text: str, noise: float, rng: np.random.Generator) -> str:
    """Every letter is dropped, doubled, swapped with the next or replaced, by chance.

    Args:
        text: lower case.
        noise: the chance that something happens to a letter, from 0 to 1.
        rng: where the chance comes from.
    """
    out = list(text)
    for i, letter in enumerate(text):
        if letter == " " or rng.random() >= noise:
            continue
        slip = rng.integers(4)
        if slip == 0:
            out[i] = ""
        elif slip == 1:
            out[i] = 2 * letter
        elif slip == 2 and i + 1 < len(text):
            out[i], out[i + 1] = out[i + 1], out[i]
        else:
            out[i] = LETTERS[rng.integers(len(LETTERS))]
    return "".join(out)


def household(seed: int, minutes: float, noise: float = 0.1) -> Iterator[Utterance]:
    """Some minutes of talk.

    Args:
        seed: of all that is said.
        minutes: how long they talk; about 12 utterances a minute.
        noise: as for `misspelt`.

    Raises:
        InputError: minutes that are not above 0; noise outside 0 to 1.
    """
    if not 0 < minutes < np.inf:
        raise InputError(f"minutes is {minutes}; it must be above 0")
    if not 0 <= noise <= 1:
        raise InputError(f"noise is {noise}; it must be from 0 to 1")
    rng = backend.rng(seed, "household")
    at = 0.0
    while True:
        at += 1.0 + rng.exponential(PAUSE - 1.0)
        if at >= 60 * minutes:
            return
        meant = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        template = KINDS[meant][rng.integers(len(KINDS[meant]))]
        words = {name: choice[rng.integers(len(choice))] for name, choice in SLOTS.items()}
        said = template.format(**words)
        said = OPENINGS[rng.integers(len(OPENINGS))] + said + ENDINGS[rng.integers(len(ENDINGS))]
        yield Utterance(at, misspelt(said, noise, rng), meant, float(rng.exponential(DELAY)))
