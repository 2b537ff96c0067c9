"""Pictures of the reader's own: a folder of files, and what each of them is called."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minilm.errors import InputError, install

KINDS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


class Pictures(NamedTuple):
    """Pictures from a folder."""

    images: np.ndarray  # (N, C, side, side) float32, 0 to 1
    labels: np.ndarray  # (N,) int64, index into the names
    names: list[str]  # of the folders inside, or that of the folder itself


def load_pictures(folder: str | Path, side: int = 16, grey: bool = False) -> Pictures:
    """All pictures in a folder; those in folders inside it are called by these folders' names.

    Each is cut to its middle square and brought to one size.

    Args:
        folder: a folder with pictures, or with folders of pictures.
        side: pixels along each axis.
        grey: one channel in place of three.

    Raises:
        InputError: no such folder; no picture in it; a file that calls itself a picture and cannot
            be read as one; a side below 1; Pillow is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"folder is {str(folder)!r}; it must be a folder of pictures")
    if side < 1:
        raise InputError(f"side is {side}; it must be 1 or more")
    inside = sorted(part for part in folder.iterdir() if part.is_dir() and _files(part))
    places = inside or [folder]
    images, labels = [], []
    for label, place in enumerate(places):
        for file in _files(place):
            images.append(_read(file, side, grey))
            labels.append(label)
    if not images:
        raise InputError(
            f"folder is {str(folder)!r}, which holds no picture; allowed are {', '.join(KINDS)}"
        )
    return Pictures(np.stack(images), np.array(labels, np.int64), [place.name for place in places])


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in KINDS)


def _read(file: Path, side: int, grey: bool) -> np.ndarray:
    """One picture: float32 (C, side, side), 0 to 1."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            f"pictures need Pillow, which is not installed: {install('course')}"
        ) from None
    try:
        with Image.open(file) as opened:
            picture = opened.convert("L" if grey else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"{file} cannot be read as a picture; repair it or take it away") from None
    short = min(picture.size)
    left, top = ((length - short) // 2 for length in picture.size)
    square = picture.crop((left, top, left + short, top + short))
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BOX), np.float32) / 255
    return pixels[None] if grey else np.moveaxis(pixels, -1, 0)  # (H, W, C) -> (C, H, W)
