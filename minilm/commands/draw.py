"""`minilm draw`: a picture of what is asked for, drawn by a model that was trained on pictures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from minilm.commands._options import naming
from minilm.errors import InputError

if TYPE_CHECKING:
    import numpy as np

HELP = "draw a picture with a model that minilm train --images has trained"
PIXEL = 16  # of the written file for one of the picture


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm draw` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what minilm train has saved")
    parser.add_argument("caption", metavar="TEXT", help='"red ring left of blue bar", or 2026')
    parser.add_argument("--out", type=Path, metavar="FILE", help="the picture to write (TEXT.png)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="tries, one a row (1)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="passes (20)")
    parser.add_argument("--guidance", type=float, default=1.5, metavar="W", help="1: none (1.5)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another picture (0)")


def run(args: argparse.Namespace) -> int:
    """Draw, write the file, and say where it is."""
    import numpy as np

    from minilm.backend import rng
    from minilm.diffusion.generate import draw_pictures
    from minilm.diffusion.worlds import asked_for, load_artist

    for name in ("count", "steps"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be 1 or more")
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    model, names = load_artist(args.folder)
    wanted = asked_for(args.caption, names)
    out = args.out or Path(f"{'-'.join(args.caption.split())}.png")
    if out.suffix.lower() not in (".png", ".gif", ".bmp"):
        raise InputError(f"--out is {str(out)!r}; it must end in .png, .gif or .bmp")
    with naming(guidance="--guidance"):
        given = np.concatenate([wanted] * args.count)
        random = rng(args.seed, "draw")
        drawn = draw_pictures(model, given, random, args.steps, args.guidance)
    _write(drawn, len(wanted), out)
    many = len(given)
    print(f"{many} picture{'s' * (many > 1)} of {args.caption!r} in {out}")
    return 0


def _write(pictures: "np.ndarray", columns: int, out: Path) -> None:
    """Pictures (N, C, H, W), -1 to 1, side by side, `columns` a row."""
    import numpy as np
    from PIL import Image

    n, channels, height, width = pictures.shape
    pixels = np.clip(127.5 * (pictures + 1), 0, 255).astype(np.uint8)
    if channels == 1:
        pixels = 255 - pixels  # ink is dark
    framed = np.pad(pixels, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=128)
    tiles = framed.reshape(n // columns, columns, channels, height + 1, width + 1)
    sheet = tiles.transpose(0, 3, 1, 4, 2)  # -> (rows, H, columns, W, C)
    sheet = sheet.reshape(n // columns * (height + 1), columns * (width + 1), channels)
    sheet = sheet[:-1, :-1].repeat(PIXEL, 0).repeat(PIXEL, 1)
    try:
        Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(out)
    except OSError as error:
        raise InputError(f"--out is {str(out)!r}, which cannot be written: {error}") from None
