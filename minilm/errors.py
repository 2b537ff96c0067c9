"""The one exception a user is meant to read, and how a missing part is installed."""

from pathlib import Path


class InputError(ValueError):
    """Input that cannot be used.

    Its text is one sentence without a final dot: what was given, then what is allowed, as in
    `dtype is int32; it must be float32 or float64`. The command line prints the sentence alone and
    exits with status 2.
    """


def install(extra: str) -> str:
    """The command that adds what a part of the package needs: in a clone, and elsewhere.

    Args:
        extra: as pyproject.toml calls it, such as "cuda12".
    """
    clone = Path(__file__).resolve().parents[1]
    if not (clone / "pyproject.toml").is_file():
        return f"pip install 'minilm[{extra}]'"
    there = "" if clone == Path.cwd() else f" in {clone}"
    return f"pip install -e '.[{extra}]'{there}"
