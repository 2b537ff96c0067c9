"""Programs judged per second, warm, beside a fresh Python for each program.

`minilm bench sandbox` prints the table. The programs are solutions of small problems with eight
tests each, a tenth of them wrong; the peer starts `python -I -c` with the same tests as assert
statements, without any wall. A hundred a second on two cores was the goal.
"""

import subprocess
import sys
from collections.abc import Iterator

from minilm.bench.rows import Row, alternate, row_of
from minilm.data.worlds.katas import Kata, katas
from minilm.sandbox.programs import Programs, Tests


def jobs(count: int) -> list[tuple[str, Tests]]:
    """Programs with their tests; every tenth has the body of another problem."""
    problems = katas(count, seed=0)
    found: list[tuple[str, Tests]] = []
    for i, one in enumerate(problems):
        body = problems[i - 1].solution if i % 10 == 9 else one.solution
        found.append((one.prompt + body, [("f", given, want) for given, want in one.tests]))
    return found


def fresh(problems: list[Kata]) -> None:
    """A Python for each program, one after the other."""
    for one in problems:
        lines = "".join(f"assert f(*{given!r}) == {want!r}\n" for given, want in one.tests)
        command = [sys.executable, "-I", "-c", one.text + lines]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    count, rounds = (20, 3) if quick else (100, 5)
    asked, problems = jobs(count), katas(count, seed=0)
    with Programs(places=2) as programs:
        race = alternate(lambda: programs.run_many(asked), lambda: fresh(problems), rounds)
    peer = "python -c, no wall, one by one"
    yield row_of("judge programs, 2 places", "programs/s", count, race, peer, 4.0)
