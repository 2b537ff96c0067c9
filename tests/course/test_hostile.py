"""Hostile submissions among honest ones: each gets what it earned, no more, and harms nobody."""

import os
import socket
import threading
from pathlib import Path

import pytest

from course.grading import grade_cells, make_course, points
from course.hostile import HONEST, WORTH, Case, cheats, crashes, hangs, spies

pytestmark = pytest.mark.timeout(300)

EVERY = [*hangs.CASES, *crashes.CASES, *cheats.CASES, *spies.CASES]
# what depends on the wall and not only on the grader behind it
WALLED = {"fork bomb", "10 GB file", "files without end", "fills shared memory"}
WALLED |= {"signals to the parent", "starts programs", "memory outside the limit"}
ON_THE_WALL = [*spies.CASES, *(case for case in crashes.CASES if case.name in WALLED)]
HONEST_ONES = 10
SECONDS = 1.5
JOBS = 4  # most of them sleep or spin until they are stopped


class Listener:
    """Sockets that a submission may try to reach; `heard` counts those that got through."""

    def __init__(self) -> None:
        self.heard = 0
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(f"\0minilm-test-{os.getpid()}-{id(self)}")
        self.unix.listen()
        self.addresses = [
            ((socket.AF_INET, socket.SOCK_STREAM), self.tcp.getsockname()),
            ((socket.AF_INET, socket.SOCK_DGRAM), self.udp.getsockname()),
            ((socket.AF_UNIX, socket.SOCK_STREAM), self.unix.getsockname().decode()),
        ]
        for one in (self.tcp, self.unix, self.udp):
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def _listen(self, one: socket.socket) -> None:
        try:
            one.recv(1) if one.type == socket.SOCK_DGRAM else one.accept()
        except OSError:
            return  # closed at the end of the test
        self.heard += 1

    def close(self) -> None:
        for one in (self.tcp, self.udp, self.unix):
            one.close()


class Run:
    """One grading run of hostile and honest submissions."""

    left: set[str] = set()

    def __init__(
        self,
        folder: Path,
        cases: list[Case],
        isolation: str,
        honest: int = HONEST_ONES,
        jobs: int = JOBS,
    ) -> None:
        course = make_course(folder / "course")
        target = folder / "submissions"
        self.bait = folder / "bait.txt"
        self.bait.write_text("bait")
        places = [self.bait, folder, course / "hidden" / "secret.txt", course / "hidden"]
        places += [course / "lessons" / "00_first_steps" / "tests.py", target / "n000.ipynb"]
        places += [Path(__file__), Path.home(), Path.cwd()]
        listener = Listener()
        os.environ["MINILM_TEST_SECRET"] = "CANARY"
        notebooks = {}
        for number, case in enumerate(cases):
            if number * honest // len(cases) != (number - 1) * honest // len(cases):
                notebooks[f"honest {number}"] = list(HONEST.values())
            notebooks[case.name] = [
                cell.replace("PLACES", repr(list(map(str, places)))).replace(
                    "ADDRESSES", repr(listener.addresses)
                )
                for cell in case.cells
            ]
        try:
            self.grades = grade_cells(
                course,
                target,
                notebooks,
                hidden=course / "hidden",
                seconds=SECONDS,
                memory=1.0,
                jobs=jobs,
                isolation=isolation,
            )
        finally:
            del os.environ["MINILM_TEST_SECRET"]
            listener.close()
        self.heard = listener.heard
        self.said = {
            path.relative_to(target): path.read_text(encoding="utf-8")
            for path in sorted((target / "out").rglob("*"))
            if path.is_file()
        }

    def assert_earned(self, case: Case) -> None:
        got = points(self.grades[case.name])
        for question, (fewest, most) in case.expected().items():
            assert fewest <= got[question] <= most, (case.name, got, self.notes(case.name))

    def notes(self, name: str) -> list[str]:
        grade = self.grades[name]
        return grade.notes + [str(t.public) for q in grade.questions for t in q.tests]

    def assert_honest_are_whole(self) -> None:
        honest = {n: points(g) for n, g in self.grades.items() if n.startswith("honest")}
        assert len(honest) >= 2
        for name, got in honest.items():
            assert got == WORTH, (name, got, self.notes(name))

    def assert_nothing_leaked(self) -> None:
        assert self.heard == 0
        for path, text in self.said.items():
            assert path.suffix != ".html" or "<script" not in text
            for secret in ("CANARY", "777123", "777122", "root:x:"):
                assert secret not in text, (path, secret)
            # a spy that found nothing has nothing to raise, so the word stands nowhere
            assert "STOLEN" not in text, (path, text[text.index("STOLEN") :][:300])
        assert self.bait.read_text() == "bait"


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All cases behind the best wall of this machine."""
    return Run(tmp_path_factory.mktemp("best"), EVERY, "auto")


def test_there_are_enough_of_them() -> None:
    assert len(EVERY) >= 40
    assert len({case.name for case in EVERY}) == len(EVERY)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_gets_what_it_earned(best: Run, case: Case) -> None:
    best.assert_earned(case)


def test_the_honest_are_not_harmed(best: Run) -> None:
    best.assert_honest_are_whole()


def test_nothing_of_the_hidden_tests_leaks(best: Run) -> None:
    best.assert_nothing_leaked()


def test_the_feedback_says_write_your_own(best: Run) -> None:
    for name in ("the package's own", "the package's kernel", "a method of Tensor"):
        texts = [t.public.text for t in best.grades[name].questions[0].tests]
        assert any("write your own" in text for text in texts), texts


def test_landlock_alone_holds(tmp_path: Path) -> None:
    run = Run(tmp_path, ON_THE_WALL, "landlock")
    for case in ON_THE_WALL:
        run.assert_earned(case)
    run.assert_honest_are_whole()
    run.assert_nothing_leaked()
