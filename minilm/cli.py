"""The command line: finds `minilm/commands/*.py` and imports only the one that was typed."""

import argparse
import ast
import errno
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from minilm import __version__, commands
from minilm.errors import InputError

MISTAKE = 2  # exit status of a mistake in what the user typed; argparse uses the same
INTERRUPTED = 130  # what shells report for Ctrl-C: 128 + SIGINT
FULL_DISK = NO_MEMORY = 1
BROKEN_PIPE = 141  # 128 + SIGPIPE: the reader of our output (`| head`) has left


def command_names() -> list[str]:
    """The commands as they are typed, sorted."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def help_line(name: str) -> str:
    """The `HELP` text of a command, read from its source: importing them all would be slow."""
    spec = importlib.util.find_spec(f"minilm.commands.{name.replace('-', '_')}")
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            targets, value = [node.target], node.value
        else:
            continue
        if value and any(isinstance(t, ast.Name) and t.id == "HELP" for t in targets):
            return str(ast.literal_eval(value))
    raise ValueError(f"{spec.origin} has no HELP line")


def overview() -> str:
    """What `minilm` alone prints: every command with its one line."""
    names = command_names()
    width = max(map(len, names), default=0)
    lines = [f"  minilm {name:<{width}}  {help_line(name)}" for name in names]
    return "\n".join(
        [
            "usage: minilm COMMAND ...",
            "",
            "Language models from scratch in NumPy, and the course that explains them.",
            "",
            *lines,
            "",
            "minilm COMMAND --help says what a command takes.",
        ]
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments after `minilm COMMAND`; `.run` is the command's function.

    Raises:
        InputError: there is no such command.
    """
    name = argv[0]
    if name not in command_names():
        import difflib

        near = difflib.get_close_matches(name, command_names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"there is no command {name!r}; minilm alone lists them all.{hint}")
    module = importlib.import_module(f"minilm.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"minilm {name}", description=module.HELP)
    module.arguments(parser)
    parser.set_defaults(run=module.run)
    return parser.parse_args(argv[1:])


def dispatch(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if argv[0] in ("-V", "--version"):
        print(__version__)
        return 0
    args = parse(argv)
    return int(args.run(args) or 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `minilm ARGV` and return its exit status; a user's mistake is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a letter gets "?" for it
            stream.reconfigure(errors="replace")
    try:
        status = dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except InputError as error:
        return complain(str(error), MISTAKE)
    except KeyboardInterrupt:
        return complain("stopped by Ctrl-C; everything saved before is whole.", INTERRUPTED)
    except BrokenPipeError:
        drop_output()
        return BROKEN_PIPE
    except MemoryError as error:
        return complain(f"there is not enough memory: {error}", NO_MEMORY)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            if error.filename is None:  # not about a path, so not about what was typed
                raise
            return complain(f"path is {str(error.filename)!r}; {error.strerror}", MISTAKE)
        drop_output()
        where = f" where {error.filename} is written" if error.filename else ""
        return complain(f"the disk is full{where}; free some space and start again.", FULL_DISK)


def drop_output() -> None:
    """Send what stdout still holds nowhere: Python flushes it at exit and would complain there."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # stdout is not a file of the system (a notebook, a test): exit flushes nothing


def complain(sentence: str, status: int) -> int:
    """Print `minilm: sentence` on stderr and pass the status on."""
    print(f"minilm: {sentence}", file=sys.stderr)
    return status
