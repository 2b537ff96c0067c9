"""How large the models of the study of small text are, and how many multiply-adds they take."""

from minilm.data.images import documents

PLAIN = {"12 px": 12, "24 px": 24}
LOW, FULL, PATCH = 12, documents.SIDE, 4
WIDTH, LAYERS = 48, 2
FINE, BRANCH = 24, 12  # width of the fine tokens, and of the narrow branch


def stack_macs(tokens: int, width: int, layers: int) -> int:
    """Multiply-adds of a stack of blocks: 12 C^2 a token, and 2 T^2 C for attention, per layer."""
    return layers * (12 * width**2 * tokens + 2 * tokens**2 * width)


def eye_macs(side: int, width: int = WIDTH) -> int:
    """Of an eye and the projector behind it."""
    tokens = (side // PATCH) ** 2
    return (
        tokens * width * (3 * (2 * PATCH) ** 2)
        + stack_macs(tokens, width, 1)
        + tokens * width * WIDTH
    )


def macs(model: str, boxes: int = 1) -> int:
    """Multiply-adds of finding boxes and reading them, without the last map to the words.

    A model that zooms is asked where all of them are, and reads one.
    """
    words = 3 * boxes

    def sequence(*sides: int, words: int = words) -> int:
        tokens = words + sum((side // PATCH) ** 2 + 2 for side in sides)
        return stack_macs(tokens, WIDTH, LAYERS)

    if model in PLAIN:
        return eye_macs(PLAIN[model]) + sequence(PLAIN[model])
    if model == "zoom":
        return 2 * eye_macs(LOW) + sequence(LOW, LOW, words=3 + boxes)
    fine, short = (FULL // PATCH) ** 2, (LOW // PATCH) ** 2 + 2 + words
    branch = 2 * fine * FINE * BRANCH + 2 * short * WIDTH * BRANCH + 2 * short * fine * BRANCH
    own = fine * FINE * (3 * (2 * PATCH) ** 2) + stack_macs(fine, FINE, 1)
    return eye_macs(LOW) + sequence(LOW) + own + LAYERS * branch


def steps_of(model: str, steps: int) -> int:
    """Steps of a model that cost as many multiply-adds as so many of "24 px"."""
    return round(steps * macs("24 px", 4) / macs(model, 4))
