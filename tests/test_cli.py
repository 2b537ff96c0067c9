"""The command line: finds commands, and turns what goes wrong into one sentence and a status."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from minilm import cli, commands

FAKE = '''
"""A command for tests."""
import errno
from minilm.errors import InputError
HELP: str = "shows how commands end"
def arguments(parser):
    parser.add_argument("end")
def run(args):
    if args.end == "mistake":
        raise InputError("steps is -1; it must be 1 or more.")
    if args.end == "stop":
        raise KeyboardInterrupt
    if args.end == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")
    if args.end == "large":
        raise MemoryError("Unable to allocate 9 TiB")
    if args.end == "bug":
        raise ValueError("a bug")
    return 3 if args.end == "three" else None
'''


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A command named `fake-one`, found beside the real ones."""
    (tmp_path / "fake_one.py").write_text(FAKE)
    (tmp_path / "_shared.py").write_text("x = 1\n")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    yield "fake-one"
    sys.modules.pop("minilm.commands.fake_one", None)


def test_commands_are_found_and_listed(fake, capsys) -> None:
    assert cli.main([]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "minilm fake-one shows how commands end" in lines
    assert "minilm.commands.fake_one" not in sys.modules
    assert "-shared" not in cli.command_names()


@pytest.mark.parametrize(
    ("end", "status", "sentence"),
    [
        ("well", 0, ""),
        ("three", 3, ""),
        ("mistake", 2, "minilm: steps is -1; it must be 1 or more.\n"),
        ("stop", 130, "minilm: stopped by Ctrl-C; everything saved before is whole.\n"),
        ("large", 1, "minilm: there is not enough memory: Unable to allocate 9 TiB\n"),
        (
            "full",
            1,
            "minilm: the disk is full where model.safetensors is written; "
            "free some space and start again.\n",
        ),
    ],
)
def test_every_end_has_its_status_and_sentence(fake, capsys, end, status, sentence) -> None:
    assert cli.main([fake, end]) == status
    assert capsys.readouterr().err == sentence


def test_a_bug_is_not_hidden(fake) -> None:
    with pytest.raises(ValueError, match="a bug"):
        cli.main([fake, "bug"])


def test_an_unknown_command_names_the_near_one(capsys) -> None:
    assert cli.main(["labb"]) == 2
    assert "there is no command 'labb'" in (text := capsys.readouterr().err)
    assert "Did you mean lab?" in text


@pytest.mark.parametrize("name", cli.command_names())
def test_every_command_explains_itself(name, capsys) -> None:
    assert cli.help_line(name).strip()
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: minilm {name}" in capsys.readouterr().out


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command.format(python=f"'{sys.executable}'")],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_a_reader_that_leaves_is_no_error() -> None:
    done = run("{python} -m minilm | true")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_disk_that_is_full_is_one_sentence() -> None:
    done = run("{python} -m minilm > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "minilm: the disk is full; free some space and start again.\n"


def test_a_letter_that_the_terminal_lacks_becomes_a_question_mark(fake) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(narrow):
        assert cli.main([fake, "well"]) == 0
        print("caf\u00e9")
    narrow.flush()
    assert narrow.buffer.getvalue().endswith(b"caf?\n")
