"""What `minilm train --images` learns from, and how a text asks for a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilm.data.images import digits, glyphs, sprites
from minilm.data.images.folder import load_pictures
from minilm.diffusion.dit import DiT, DiTConfig
from minilm.diffusion.mmdit import MMDiT, MMDiTConfig
from minilm.errors import InputError
from minilm.files import parse_json
from minilm.train import checkpoints

OWN = ("digits", "glyphs", "sprites")
SIDES = {"digits": 8, "glyphs": 16, "sprites": 12}
COUNT = 6000  # pictures that are drawn for a world without an end


class World(NamedTuple):
    """Pictures to learn from."""

    pictures: np.ndarray  # float32 (N, C, H, W), -1 to 1
    given: np.ndarray  # labels (N,) or words (N, L)
    names: list[str]  # of the labels; none where captions are given


def load_world(name: str, side: int | None = None, seed: int = 0) -> World:
    """One of `OWN`, or a folder of pictures.

    Args:
        name: a word of `OWN` or the path of a folder.
        side: pixels along each axis; None: the world's own, 16 for a folder.
        seed: of what is drawn at random.

    Raises:
        InputError: neither a word of `OWN` nor a folder; a side that the world does not have; a
            file that is no picture.
    """
    own = SIDES.get(name)
    if own is not None and name != "glyphs" and side not in (None, own):
        raise InputError(f"side is {side}; {name} have {own} pixels along each axis")
    if name == "digits":
        images, labels = digits()
        return World(2 * images[:, None] - 1, labels, list("0123456789"))
    if name == "glyphs":
        drawn = glyphs(COUNT, own if side is None else side, seed=seed)
        return World(2 * drawn.images[:, None] - 1, drawn.labels, list("0123456789"))
    if name == "sprites":
        scenes = sprites.sprites(COUNT, seed)
        return World(2 * scenes.images - 1, sprites.encode(scenes.captions), [])
    if not Path(name).is_dir():
        raise InputError(f"images is {name!r}; it must be {', '.join(OWN)} or a folder of pictures")
    found = load_pictures(name, 16 if side is None else side)
    return World(2 * found.images - 1, found.labels, found.names)


def config_for(world: World, patch: int | None = None) -> DiTConfig | MMDiTConfig:
    """A small network for a world.

    Args:
        world: what it is to draw.
        patch: pixels of a patch; None: a quarter of the side, at least 2.

    Raises:
        InputError: a patch that does not divide the side.
    """
    _, channels, side, _ = world.pictures.shape
    shape: dict[str, Any] = {"side": side, "channels": channels}
    if world.given.ndim == 2:
        return MMDiTConfig(
            **shape,
            patch=4 if patch is None else patch,
            words=len(sprites.WORDS),
            longest=sprites.LONGEST,
        )
    patch = max(2, side // 4) if patch is None else patch
    return DiTConfig(**shape, patch=patch, classes=len(world.names))


def build(config: DiTConfig | MMDiTConfig, seed: int = 0) -> DiT | MMDiT:
    """The network of a config."""
    return DiT(config, seed) if isinstance(config, DiTConfig) else MMDiT(config, seed)


def nothing_given(config: DiTConfig | MMDiTConfig) -> np.ndarray:
    """What stands for no condition."""
    if isinstance(config, DiTConfig):
        return np.int64(config.classes)
    return np.zeros(config.longest, np.int64)


def asked_for(text: str, names: Sequence[str]) -> np.ndarray:
    """The labels or words that a text asks for, a row for each picture.

    A caption of the sprite world asks for one picture. Where pictures have names, a text is their
    names with spaces between; names of one letter need none: "2026" asks for four pictures.

    Args:
        text: as it was typed.
        names: of the labels; none: the text is a caption.

    Raises:
        InputError: a text that the grammar or the names do not have.
    """
    if not names:
        return sprites.encode([text])
    words = [text.strip()] if text.strip() in names else text.split()
    if all(len(name) == 1 for name in names):
        words = [letter for word in words for letter in word]
    unknown = [word for word in words if word not in names]
    if unknown or not words:
        given = f"{unknown[0]!r} is asked for" if unknown else "nothing is asked for"
        raise InputError(f"{given}; this model draws {', '.join(names)}")
    return np.array([list(names).index(word) for word in words], np.int64)


def load_artist(folder: str | Path) -> tuple[DiT | MMDiT, list[str]]:
    """A network that `minilm train --images` has trained, and the names of its labels.

    Raises:
        InputError: no such folder, or one that holds something else or half of it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{str(folder)!r} is not a folder; it must be one that minilm train --images has "
            "written"
        )
    facts = read_recipe(folder)
    if not (folder / checkpoints.MODEL).is_file():
        raise InputError(
            f"{str(folder)!r} holds no whole checkpoint: {checkpoints.MODEL} is missing, so "
            "training stopped before its first save"
        )
    model = build(config_of(facts["model"]))
    weights, _ = checkpoints.load_arrays(folder / checkpoints.MODEL)
    try:
        model.load_state_dict(weights)
    except InputError as error:
        raise InputError(
            f"{folder / checkpoints.MODEL} does not fit {checkpoints.RECIPE}: {error}"
        ) from None
    return model.eval(), facts["names"]


def read_recipe(folder: Path) -> dict[str, Any]:
    """What was written beside a network that draws.

    Raises:
        InputError: the folder holds no such thing.
    """
    path = folder / checkpoints.RECIPE
    facts = parse_json(path.read_bytes()) if path.is_file() else None
    if not isinstance(facts, dict) or not {"images", "model", "names"} <= facts.keys():
        raise InputError(
            f"{str(folder)!r} holds no model that draws; minilm train --images makes one"
        )
    return facts


def config_of(fields: dict[str, Any]) -> DiTConfig | MMDiTConfig:
    """The config that `to_dict` wrote.

    Raises:
        InputError: a field that is missing or unknown.
    """
    kind = MMDiTConfig if "words" in fields else DiTConfig
    try:
        return kind(**fields)
    except TypeError as error:
        raise InputError(
            f"the model's fields are not those of a {kind.__name__}: {error}"
        ) from None
