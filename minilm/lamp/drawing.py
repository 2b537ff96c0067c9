"""The lamp in letters."""

SHADE = (
    "        ____        ",
    "       /    \\       ",
    "      /      \\      ",
    "     /________\\     ",
)
LIGHT = ("    . ' | || | ' .    ", "  .  '  | || |  '  .  ", " '  .   ' || '   .  ' ")
STAND = ("          ||          ", "          ||          ", "          ||          ")
FOOT = "        __||__        "
YELLOW, PLAIN = "\x1b[1;33m", "\x1b[0m"


def drawing(lit: bool, colour: bool = False) -> str:
    """Eight lines: with rays where it is lit."""
    rays = LIGHT if lit else STAND
    lines = [*(f" {line} " for line in SHADE), *rays, FOOT]
    text = "\n".join(line.rstrip() for line in lines)
    return f"{YELLOW}{text}{PLAIN}" if lit and colour else text
