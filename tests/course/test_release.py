"""What leaves the lecturer's hands: the students' copy, and the autograder for Gradescope."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from course.grading import SET, make_course, write_submission
from course.hostile import HONEST
from minilm.cli import main
from minilm.course.build import notebook as nb
from minilm.course.build.percent import read_percent
from minilm.course.checking.questions import load_set
from minilm.course.grade.autograder import write_autograder
from minilm.course.grade.release import without_hidden, write_release
from minilm.course.places import Course
from minilm.errors import InputError

ROOT = Path(__file__).parents[2]
SETS = Course(ROOT).sets
REGION = re.compile(r"### BEGIN SOLUTION\n(.*?)\n[ \t]*### END SOLUTION", re.DOTALL)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real course as students get it, written from a copy that has secrets lying about."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "course"
    for name in ("lessons", "exercises", "solutions", "minilm"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, source / name)
    for name in ("secret", "submissions", "grades", "hidden"):
        (source / name).mkdir()
        (source / name / "secret.txt").write_text("CANARY")
    (source / "notes.txt").write_text("CANARY")
    (source / "lessons" / ".answers.py").write_text("CANARY")
    (source / "lessons" / "00_start_here" / ".env").write_text("CANARY")
    answered = source / "exercises" / "00_start_here.ipynb"
    typed = nb.read(answered)
    typed["cells"].append(nb.make_cell("code", "CANARY = 1"))
    nb.write(answered, typed)
    write_release(Course(source), folder / "students")
    return folder / "students"


def test_students_get_no_solutions_and_no_secrets(release: Path) -> None:
    names = {path.relative_to(release).as_posix() for path in release.rglob("*")}
    assert {"solutions", "secret", "submissions", "grades", "tests"}.isdisjoint(names)
    lessons = [name for name in names if name.startswith("lessons/")]
    assert not [name for name in lessons if name.endswith(("questions.py", "wrong.py"))]
    for path in release.rglob("*"):
        if path.is_file():
            assert b"CANARY" not in path.read_bytes(), path


@pytest.mark.parametrize("slug", SETS)
def test_no_line_of_a_solution_is_in_an_exercise(release: Path, slug: str) -> None:
    cells, _ = read_percent(SETS[slug].questions)
    given = nb.read(release / "exercises" / f"{slug}.ipynb")["cells"]
    text = "\n".join(nb.source_of(cell) for cell in given)
    assert "SOLUTION" not in text
    regions = [found for cell in cells for found in REGION.findall(nb.source_of(cell))]
    assert len(regions) >= 4
    for region in regions:
        code = region.strip()
        assert len(code) < 25 or code not in text, code


@pytest.mark.parametrize("slug", SETS)
def test_hidden_cases_are_gone_and_the_shown_ones_are_the_same(release: Path, slug: str) -> None:
    path = release / "lessons" / slug / "tests.py"
    levels = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
    assert "hidden" not in [node.value for node in levels]
    before, after = load_set(SETS[slug].tests), load_set(path)
    assert [q.name for q in before.questions] == [q.name for q in after.questions]
    for old, new in zip(before.questions, after.questions):
        for one, other in zip(old.tests, new.tests, strict=True):
            assert one.title == other.title
            shown = [repr(list(t.runs("public", np.random.default_rng(7)))) for t in (one, other)]
            shown = [re.sub(r" at 0x[0-9a-f]+", "", text) for text in shown]  # of functions
            assert shown[0] == shown[1]
            assert list(other.runs("hidden", np.random.default_rng(7)))  # still a test


def test_a_level_that_cannot_be_taken_out_is_refused() -> None:
    for text in (
        'def f(rng, level):\n    yield {"n": 9 if level == "hidden" else 3}\n',
        'def f(rng, level):\n    if level == "hidden":\n        yield 1\n    else:\n        pass\n',
        'def f(rng, level):\n    if level != "public":\n        yield {}\n',
    ):
        with pytest.raises(InputError, match="asks for the level"):
            without_hidden(text, Path("tests.py"))


def test_students_can_work_with_their_copy(release: Path) -> None:
    line = [sys.executable, "-c"]
    where = "import minilm; from pathlib import Path; print(Path(minilm.__file__).parents[1])"
    said = subprocess.run([*line, where], cwd=release, capture_output=True, text=True).stdout
    assert said.strip() == str(release)
    line = [sys.executable, "-m", "minilm", "progress"]
    said = subprocess.run(line, cwd=release, capture_output=True, text=True).stdout
    for slug in SETS:
        assert f"{slug}: 0 of " in said
    line = [sys.executable, "-m", "minilm", "build", "--check", *SETS]
    done = subprocess.run(line, cwd=release, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_release_needs_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "bare").mkdir()
    for out, words in (
        (full, "is there already"),
        (tmp_path / "file", "is there already"),
        (tmp_path / "file" / "below", "cannot be written"),
    ):
        assert main(["release", "--root", str(ROOT), "--out", str(out)]) == 2
        assert words in capsys.readouterr().err
    assert main(["release", "--root", str(tmp_path / "bare"), "--out", str(tmp_path / "o")]) == 2
    assert "holds no lesson" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "file", "full"]


def test_the_lecturer_s_folders_are_not_committed() -> None:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/secret/", "/submissions/", "/grades/"} <= set(lines)


# --- Gradescope -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("gradescope") / "course")


class Container:
    """Gradescope's layout in a root of its own: only a system, Python, and /autograder."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self.home = folder / "autograder"
        for name in ("source", "submission", "results", "venv"):
            (self.home / name).mkdir(parents=True)
        with zipfile.ZipFile(archive) as source:
            source.extractall(self.home / "source")
        shutil.copyfile(self.home / "source" / "run_autograder", self.home / "run_autograder")
        (self.home / "run_autograder").chmod(0o755)
        users = {"users": [{"id": 7, "email": "ann@x.edu"}]}
        (self.home / "submission_metadata.json").write_text(json.dumps(users))

    def run(self, wall: str = "the best") -> subprocess.CompletedProcess:
        line = ["bwrap", "--unshare-net", "--unshare-pid", "--die-with-parent", "--clearenv"]
        line += ["--setenv", "PATH", "/usr/bin:/bin", "--perms", "1777", "--tmpfs", "/tmp"]
        python = {sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
        system = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
        for path in (*system, *sorted(python)):
            if os.path.exists(path) and not (path in python and path.startswith("/usr")):
                for parent in reversed(Path(path).parents[:-1]):
                    line += ["--perms", "0755", "--dir", str(parent)]
                line += ["--ro-bind", path, path]
        line += ["--dev", "/dev", "--proc", "/proc", "--bind", str(self.home), "/autograder"]
        line += ["--ro-bind", sys.prefix, "/autograder/venv", "--chdir", "/"]
        if wall != "the best":
            line += ["--ro-bind", "/dev/null", shutil.which("bwrap")]
        if wall == "none":
            with (self.home / "source" / "minilm" / "sandbox" / "walls.py").open("a") as file:
                file.write('\nKINDS = ("none",)\n')
        return subprocess.run(
            [*line, "/autograder/run_autograder"], capture_output=True, text=True, timeout=100
        )

    def results(self) -> dict:
        return json.loads((self.home / "results" / "results.json").read_text())


@pytest.fixture
def container(course: Path, tmp_path: Path) -> Container:
    archive = tmp_path / "autograder.zip"
    write_autograder(Course(course).sets[SET], course / "hidden", archive)
    return Container(tmp_path, archive)


def test_the_autograder_grades_in_gradescope_s_layout(container: Container) -> None:
    write_submission(container.home / "submission" / "my work.ipynb", list(HONEST.values()))
    (container.home / "submission" / "notes.txt").write_text("x")
    done = container.run()
    assert done.returncode == 0, done.stderr
    results = container.results()
    assert (results["score"], results["extra_data"]["max_score"]) == (
        14,
        14,
    )  # the lecturer's own test too
    assert "hidden test 1" in [test["name"].split(": ")[1] for test in results["tests"]]
    assert "CANARY" not in json.dumps(results)


@pytest.mark.parametrize("wall", ["the best", "without bubblewrap", "none"])
def test_a_student_s_code_reads_nothing_of_the_autograder(container: Container, wall: str) -> None:
    if wall == "none" and os.geteuid() != 0:
        wall = "without bubblewrap"  # Gradescope's container is root's
    spy = (
        "import glob, os\n"
        "found = []\n"
        "for top in ('/autograder/source', '/autograder/results', '/root'):\n"
        "    for name in glob.glob(top + '/**', recursive=True):\n"
        "        try:\n"
        "            found.append(open(name).read())\n"
        "        except OSError:\n"
        "            pass\n"
        "def softmax(x):\n"
        "    raise ValueError(f'STOLEN {len(found)} {found}'[:200])\n"
    )
    cells = [spy, *(HONEST[name] for name in HONEST if name != "softmax")]
    write_submission(container.home / "submission" / "spy.ipynb", cells)
    done = container.run(wall)
    assert done.returncode == 0, done.stderr
    said = json.dumps(container.results())
    assert "STOLEN 0" in said and "CANARY" not in said


def test_a_submission_without_a_notebook_gets_zero_and_the_reason(container: Container) -> None:
    (container.home / "submission" / "essay.pdf").write_text("x")
    done = container.run()
    assert done.returncode == 0, done.stderr
    assert container.results()["score"] == 0
    assert "essay.pdf" in container.results()["output"]


def test_what_is_wrong_with_the_grader_costs_no_student_points(container: Container) -> None:
    write_submission(container.home / "submission" / "a.ipynb", list(HONEST.values()))
    shutil.rmtree(container.home / "source" / "course")
    assert container.run().returncode != 0
    assert not (container.home / "results" / "results.json").exists()


def test_the_autograder_is_the_same_bytes_each_time(course: Path, tmp_path: Path) -> None:
    place = Course(course).sets[SET]
    first, again = (
        write_autograder(place, course / "hidden", tmp_path / name).read_bytes() for name in "ab"
    )
    assert first == again
    with zipfile.ZipFile(tmp_path / "a") as archive:
        names = set(archive.namelist())
        modes = {e.filename: e.external_attr >> 16 for e in archive.infolist()}
        setup = archive.read("setup.sh").decode()
        wanted = archive.read("requirements.txt").decode()
    assert {"setup.sh", "run_autograder", f"secret/{SET}.py", "secret/secret.txt"} <= names
    course_files = {name for name in names if name.startswith("course/")}
    assert course_files == {f"course/lessons/{SET}/tests.py", f"course/exercises/{SET}.ipynb"}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    assert subprocess.run(["bash", "-n"], input=setup, text=True).returncode == 0
    assert f"numpy=={np.__version__}\n" in wanted


def test_mistakes_are_one_sentence(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    line = ["gradescope", "--root", str(course), "--out", str(tmp_path / "a.zip")]
    (tmp_path / "file").touch()
    for more, words in (
        (["--set", "77"], "--set is '77'; the sets here are"),
        (["--set", "00", "--hidden", str(tmp_path / "none")], "is not a folder"),
        (["--set", "00", "--out", str(tmp_path / "file" / "a.zip")], "cannot be written"),
        (["--set", "00", "--out", str(tmp_path)], "cannot be written"),
    ):
        assert main([*line, *more]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert not (tmp_path / "a.zip").exists()
