"""An autograder for Gradescope: a zip of this package, one set and the lecturer's secret.

Gradescope unpacks it into /autograder/source and runs setup.sh once, with a network. For every
submission it runs run_autograder, with the student's files in /autograder/submission, and reads
/autograder/results/results.json. Students' code may be readable to itself only: the source and the
results are closed to everybody but root before it starts, and it runs as a user who owns nothing.
"""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from minilm.course.grade.assignment import read_secret
from minilm.course.grade.run import grade_paths
from minilm.course.grade.submissions import NothingFound
from minilm.course.places import Course, LessonFolder
from minilm.errors import InputError
from minilm.files import atomic_file

PACKAGE = Path(__file__).resolve().parents[2]
NEEDED = (
    "numpy",
    "numba",
    "scipy",
    "safetensors",
    "threadpoolctl",
    "tqdm",
    "greenlet",
    "ml_dtypes",
)
LEFT_OUT = ("__pycache__", "publish", "show", "bench")  # what draws and races, and no grading needs
STAMP = (2000, 1, 1, 0, 0, 0)  # of every file, so that the same sources give the same bytes
SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, while it builds the image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap || echo "no bubblewrap: other walls are tried"
python=""
for one in python3.13 python3.12 python3.11; do
    if apt-get install -y --no-install-recommends "$one" "$one-venv"; then python="$one"; break; fi
done
if [ -z "$python" ]; then
    echo "This image has no Python 3.11 or later; choose Ubuntu 22.04 or a later one." >&2
    exit 1
fi
"$python" -m venv /autograder/venv
/autograder/venv/bin/pip install --no-cache-dir -r /autograder/source/requirements.txt
"""
RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for every submission.
set -euo pipefail
chmod -R go-rwx /autograder/source /autograder/results
export HOME="${HOME:-/tmp}" PYTHONPATH=/autograder/source PYTHONDONTWRITEBYTECODE=1
export NUMBA_CACHE_DIR=/tmp/numba
exec /autograder/venv/bin/python -m minilm.course.grade.autograder /autograder
"""


def write_autograder(place: LessonFolder, hidden: Path | None, target: Path) -> Path:
    """Write the zip for one set.

    Args:
        place: the set.
        hidden: the lecturer's folder, with NN_slug.py and secret.txt where they are there.
        target: the zip, replaced if there is one.

    Raises:
        InputError: something of the set is missing, or the zip cannot be written.
    """
    if not place.exercise.is_file():
        raise InputError(f"{place.exercise} is missing; build it with minilm build {place.number}")
    if hidden is not None and not hidden.is_dir():
        raise InputError(f"--hidden {hidden} is not a folder")
    own = hidden / f"{place.slug}.py" if hidden else None
    files = {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.encode(),
        "requirements.txt": "".join(_requirements()).encode(),
        f"course/lessons/{place.slug}/tests.py": place.tests.read_bytes(),
        f"course/exercises/{place.slug}.ipynb": place.exercise.read_bytes(),
        "secret/secret.txt": (read_secret(hidden) + "\n").encode(),
    }
    if own is not None and own.is_file():
        files[f"secret/{place.slug}.py"] = own.read_bytes()
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        if path.is_file() and not any(part in LEFT_OUT for part in inside.parts):
            files[f"minilm/{inside.as_posix()}"] = path.read_bytes()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {target} cannot be written: {error.strerror}") from None
    with atomic_file(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, data)
    return target


def _requirements() -> Iterator[str]:
    """The libraries that grading needs, in the versions that the lecturer has."""
    for name in NEEDED:
        try:
            yield f"{name}=={version(name)}\n"
        except PackageNotFoundError:
            yield f"{name}\n"


def grade_here(home: Path) -> Path:
    """Grade what lies in `home`/submission and write `home`/results/results.json.

    What the student did wrong becomes a score of 0 with the reason. What is wrong with the grader
    is raised: without results Gradescope tells the lecturer, and no student loses points.
    """
    results = home / "results" / "results.json"
    with tempfile.TemporaryDirectory(prefix="minilm-results-") as scratch:
        try:
            _, wall, _ = grade_paths(
                [home / "submission"],
                course=Course(home / "source" / "course"),
                hidden=home / "source" / "secret",
                student=_student(home),
                out=Path(scratch),
                jobs=1,
                unsafe=True,  # the container is thrown away after each submission
            )
            shutil.copyfile(Path(scratch, "results.json"), results)
            print(f"graded behind this wall: {wall}")  # Gradescope shows it to the lecturer
        except NothingFound as error:
            results.write_text(json.dumps({"score": 0, "output": str(error)}), encoding="utf-8")
    return results


def _student(home: Path) -> str:
    """Who handed in, as Gradescope says: the same student has the same hidden numbers each time."""
    try:
        facts = json.loads((home / "submission_metadata.json").read_text(encoding="utf-8"))
        users = [str(user.get("email") or user.get("id")) for user in facts["users"]]
        return " + ".join(sorted(users)) or "student"
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return "student"


if __name__ == "__main__":
    import sys

    grade_here(Path(sys.argv[1]))
