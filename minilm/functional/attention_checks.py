"""What attention refuses: layouts, heads and masks that do not fit."""

from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.meeting import fits


def check_layout(layout: str) -> None:
    """Refuse a layout of rotary pairs that does not exist."""
    if layout not in ("half", "interleaved"):
        raise InputError(f"layout is {layout!r}; allowed are 'half' and 'interleaved'")


def check_heads(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> None:
    """Refuse shapes of queries, keys and values that do not fit each other."""
    if len(q) != 4 or len(k) != 4 or len(v) != 4:
        raise InputError(f"attention: q is {q}, k {k}, v {v}; they need 4 axes (B, H, T, D)")
    if k[:3] != v[:3] or q[0] != k[0] or q[3] != k[3] or not k[1] or q[1] % k[1]:
        raise InputError(
            f"attention: q (B, H, T, D) is {q}, k (B, G, S, D) is {k}, v is {v}; "
            "B, D and S must agree and G must divide H"
        )
    if not q[3] or not v[3]:  # the compiled kernel would read past arrays without memory
        raise InputError(f"attention: heads must have a size of at least 1; q {q}, k {k}, v {v}")


def check_sight(
    scores: tuple[int, ...],
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
) -> None:
    """Refuse a mask, bias or window that does not fit scores of the shape (B, H, T, S)."""
    if mask is not None and mask.dtype != bool:
        raise InputError(
            f"attention mask is {mask.dtype}; it must be bool, True where a query may look"
        )
    for name, given in (("mask", mask), ("bias", bias)):
        if given is not None and not fits(given.shape, scores):
            raise InputError(
                f"attention {name} has shape {given.shape}; it must broadcast to (B, H, T, S) = "
                f"{scores}"
            )
    if window is not None and (not causal or window < 1):
        raise InputError(f"attention window is {window}; it needs causal=True and at least 1")
