"""The folder that a worker starts from: `inside/` alone, or with the emulator of CUDA kernels.

The worker that holds a student's notebook gets no line of minilm, so none of it can answer. The one
that launches kernels gets the emulator, and never a student's notebook.
"""

import compileall
import shutil
from pathlib import Path

from minilm.sandbox.inside.magics import copy_parser

PACKAGE = Path(__file__).resolve().parents[1]
ANSWERS, EMULATOR = "answers", "emulator"  # what a worker starts from, and does with it
PROGRAMS = "programs"  # a third thing to do, with the files of ANSWERS


def make_kit(folder: Path) -> Path:
    """Fill a folder with what each role may read beside Python and its libraries.

    Args:
        folder: where to write; made if missing.

    Returns:
        The folder; in it one folder for each role.
    """
    skipped = shutil.ignore_patterns("__pycache__")
    for role in (ANSWERS, EMULATOR):
        target = folder / role
        shutil.copytree(PACKAGE / "sandbox" / "inside", target / "inside", ignore=skipped)
        shutil.move(target / "inside" / "start.py", target / "start.py")
    copy_parser(folder / ANSWERS / "inside")
    alone = folder / EMULATOR / "minilm"  # the package with nothing in it but the emulator
    shutil.copytree(PACKAGE / "emulator", alone / "emulator", ignore=skipped)
    (alone / "__init__.py").touch()
    compileall.compile_dir(folder, quiet=2)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o444)
    return folder
