"""Which wall this machine can build: each kind is tried once, before any submission runs."""

import shutil
import subprocess
import sys
from pathlib import Path

from minilm.errors import InputError
from minilm.sandbox.inside import confine
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import KINDS, Isolation, Limits, open_to_all


def choose(kit: Path, kind: str = "auto", unsafe: bool = False) -> Isolation:
    """The best wall that works here, tried once before any submission runs.

    Args:
        kit: a folder made by `make_kit`.
        kind: one of KINDS, or "auto".
        unsafe: accept "none" where nothing else works.

    Raises:
        InputError: no wall works and `unsafe` is not set, or the one asked for does not work.
    """
    if kind not in ("auto", *KINDS):
        raise InputError(f"isolation is {kind!r}; it must be auto or one of {', '.join(KINDS)}")
    if kind == "none" and not unsafe:
        raise InputError("isolation is 'none', which is no wall; accept the risk with --unsafe")
    reasons = []
    wanted = KINDS if kind == "auto" else (kind,)
    for one in wanted:
        if one == "none" and not unsafe:
            continue
        reason = _trouble(Isolation(one), kit)
        if reason is None:
            return Isolation(one)
        reasons.append(f"{one}: {reason}")
    raise InputError(
        "submissions are programs by strangers, and this machine offers no wall around them ("
        + "; ".join(reasons)
        + "); install bubblewrap, or use Linux 5.13 or later, or accept the risk with --unsafe"
    )


def _trouble(isolation: Isolation, kit: Path) -> str | None:
    """Why a kind of isolation does not work here, or None."""
    linux = sys.platform.startswith("linux")
    if isolation.kind.startswith("bwrap"):
        if not linux or shutil.which("bwrap") is None:
            return "bubblewrap is not installed"
        if isolation.kind == "bwrap-user" and isolation.root and not open_to_all(kit):
            return "this Python cannot be read by an unprivileged user"
    if isolation.kind == "landlock":
        if not linux or not confine.landlock_abi():
            return "this kernel has no Landlock"
    try:
        session = Session(isolation, kit, Limits())
        session.start(seconds=30)
        session.close()
    except (SessionError, OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None
