"""Pictures cut into patches, one token each, and put together again."""

from minilm import functional as F
from minilm.errors import InputError
from minilm.tensor import Tensor


def patchify(pictures: Tensor, size: int) -> Tensor:
    """Cut pictures into square patches: (B, C, H, W) -> (B, T, C p p), T = (H / p)(W / p).

    Patches are in reading order; inside a token, the numbers are in the order (C, p, p), so a
    linear map of the tokens is a convolution with a window and stride of p, its weight (O, C, p, p)
    as (O, C p p) (ViT, Dosovitskiy et al. 2021, arXiv 2010.11929, eq. 1).

    Args:
        pictures: (B, C, H, W).
        size: p, pixels of a patch along each axis.

    Raises:
        InputError: other than four axes; a size below 1, or one that does not divide H and W.
    """
    _check_size(size)
    if len(pictures.shape) != 4:
        raise InputError(f"pictures are {tuple(pictures.shape)}; they must be (B, C, H, W)")
    b, c, h, w = pictures.shape
    _check_divides(size, h, w)
    channels = F.pixel_unshuffle(pictures, size)  # (B, C, H, W) -> (B, C p p, H / p, W / p)
    rows = channels.reshape(b, c * size**2, (h // size) * (w // size))  # -> (B, C p p, T)
    return rows.transpose(1, 2)  # -> (B, T, C p p)


def unpatchify(tokens: Tensor, size: int, height: int, width: int) -> Tensor:
    """Put patches together again, `patchify` undone: (B, T, C p p) -> (B, C, H, W).

    Args:
        tokens: (B, T, C p p).
        size: p.
        height, width: H and W of the pictures.

    Raises:
        InputError: other than three axes; a size below 1, or one that does not divide H and W;
            tokens that are not (H / p)(W / p) of a multiple of p p numbers.
    """
    _check_size(size)
    _check_divides(size, height, width)
    if len(tokens.shape) != 3:
        raise InputError(f"tokens are {tuple(tokens.shape)}; they must be (B, T, C p p)")
    b, t, numbers = tokens.shape
    down, right = height // size, width // size
    if t != down * right or numbers % size**2:
        raise InputError(
            f"tokens are {tuple(tokens.shape)}; {height} by {width} in patches of {size} needs "
            f"{down * right} tokens of a multiple of {size**2} numbers"
        )
    rows = tokens.transpose(1, 2)  # (B, T, C p p) -> (B, C p p, T)
    channels = rows.reshape(b, numbers, down, right)  # -> (B, C p p, H / p, W / p)
    return F.pixel_shuffle(channels, size)  # -> (B, C, H, W)


def _check_size(size: int) -> None:
    if size < 1:
        raise InputError(f"size is {size}; it must be 1 or more")


def _check_divides(size: int, height: int, width: int) -> None:
    if height < 1 or width < 1 or height % size or width % size:
        raise InputError(f"pictures are {height} by {width}; size {size} must divide both")
