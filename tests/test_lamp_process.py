"""`minilm lamp` as people run it: real processes, killed at any moment."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minilm.lamp.state import load

COMMAND = [sys.executable, "-m", "minilm", "lamp"]


def answers(text: str) -> int:
    """How many sentences were answered: "3: it lights up"."""
    return sum(": it " in line for line in text.splitlines())


def test_kill_at_any_moment_loses_at_most_the_turn_being_typed(tmp_path: Path) -> None:
    """The state goes from process to process; each is killed after a time of its own."""
    path, rng, answered, sent = tmp_path / "lamp.npz", np.random.default_rng(0), 0, 0
    for _ in range(12):
        process = subprocess.Popen(
            [*COMMAND, "--state", str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        process.stdout.readline()  # it has started
        process.stdin.write("lights on\n+\nlights off\n-\nhello\n" * 40)
        process.stdin.flush()
        time.sleep(float(rng.uniform(0, 0.4)))
        process.kill()  # SIGKILL
        shown = answers(process.communicate()[0])
        before, heard = answered, load(path).heard  # the file is whole
        assert heard >= before + shown  # all that was answered is there
        assert heard <= before + shown + 1  # and at most the one that was being answered
        answered, sent = heard, sent + shown
    assert sent > 0


def test_a_process_learns_and_the_next_one_knows(tmp_path: Path) -> None:
    path, pin = tmp_path / "lamp.npz", tmp_path / "pin"

    def say(text: str) -> str:
        done = subprocess.run(
            [*COMMAND, "--state", str(path), "--device", str(pin)],
            input=text, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert "1: it does nothing" in say("lights on\n+\nlights off\n-\nlights on\n+\n")
    assert "4: it lights up" in say("lights on\n")
    assert pin.read_text() == "1\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--state", "README"], "--state is 'README'; it must be a file that minilm lamp wrote"),
        (["--simulate", "0"], "--simulate is 0.0; it must be above 0"),
        (["--device", "a/b"], "--device is 'a/b'; it must be a file in a folder that exists"),
        (["--window", "-1"], "--window is -1.0; it must be 0 seconds or more"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "README").write_text("text")
    done = subprocess.run(
        [*COMMAND, *words], input="", capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (2, f"minilm: {sentence}\n")
