"""Compiles translated kernels with the machine's C++ compiler, once per source and settings."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from .report import EmulatorError
from .source import KernelSource, to_cpp

HERE = Path(__file__).parent
KEPT = 300  # compiled programs in the cache, about 0.4 MB each; the least recently used go first
HEADERS = HERE.parent / "kernels" / "cuda_tools"
BASE = ["-std=gnu++20", "-g1", "-w", "-fno-strict-aliasing", "-ffp-contract=off"]
WATCH = ["-fsanitize=thread", "-fsanitize-coverage=trace-pc"]


def cache_folder() -> Path:
    """The folder of compiled kernels: $MINILM_CACHE/emulator, else ~/.cache/minilm/emulator."""
    root = os.environ.get("MINILM_CACHE") or Path.home() / ".cache" / "minilm"
    folder = Path(root) / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@lru_cache(1)
def compiler() -> str:
    """The path of a C++ compiler.

    Raises:
        EmulatorError: there is none, or this is Windows.
    """
    if sys.platform == "win32":
        raise EmulatorError(
            "the CUDA C++ emulator runs on Linux and macOS; on Windows use it inside WSL, "
            "or write the kernel as a Numba-style Python function"
        )
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        found = name and shutil.which(name)
        if found:
            return found
    raise EmulatorError(
        "no C++ compiler was found, and the emulator compiles CUDA C++ with one: install g++ or "
        "clang++ (Debian: apt install g++; conda: conda install cxx-compiler)"
    )


@lru_cache(1)
def _runtime_key() -> str:
    digest = hashlib.sha256()
    for path in sorted([*HERE.glob("*.h"), *HERE.glob("*.cpp"), *HEADERS.glob("*.cuh")]):
        digest.update(path.read_bytes())
    version = subprocess.run([compiler(), "--version"], capture_output=True, text=True).stdout
    return digest.hexdigest() + version.splitlines()[0]


def _position() -> list[str]:
    return [] if sys.platform == "darwin" else ["-fno-pie", "-no-pie"]


def _run(command: list[str], where: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = re.findall(r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)$", done.stderr, re.M)
        if errors:
            file, line, text = errors[0]
            raise EmulatorError(f"does not compile: {text}", path=Path(file).name, line=int(line))
        raise EmulatorError(f"{where} does not compile: {done.stderr.strip()[-2000:]}")


def _runtime_object() -> Path:
    key = hashlib.sha256(_runtime_key().encode()).hexdigest()[:20]
    target = cache_folder() / f"runtime-{key}.o"
    if target.exists():
        os.utime(target)
    else:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / "runtime.o"
            _run(
                [compiler(), *BASE, *_position(), "-O2", "-c", str(HERE / "runtime.cpp")]
                + ["-o", str(made)],
                "the emulator",
            )
            made.replace(target)
    return target


def _prune(folder: Path) -> None:
    """Keeps the cache from growing without limit."""
    files = [p for p in folder.iterdir() if p.is_file()]
    if len(files) <= KEPT:
        return
    for path in sorted(files, key=lambda p: p.stat().st_mtime)[: len(files) - KEPT]:
        with contextlib.suppress(OSError):  # another process may have been quicker
            path.unlink()


def build(source: KernelSource, defines: dict[str, object]) -> Path:
    """The path of an executable that runs the kernels of `source` (see job.h), compiled if needed.

    Raises:
        EmulatorError: the source does not compile, or there is no compiler.
    """
    flags = [f"-D{k}={v}" for k, v in sorted(defines.items())]
    headers = b""
    if source.folder is not None:
        headers = b"".join(p.read_bytes() for p in sorted(source.folder.glob("*.cuh")))
    text = to_cpp(source)
    key = hashlib.sha256("\0".join([_runtime_key(), text, *flags]).encode() + headers).hexdigest()[
        :24
    ]
    target = cache_folder() / f"{Path(source.path).stem}-{key}"
    if target.exists():
        os.utime(target)
        return target
    _prune(target.parent)
    runtime = _runtime_object()
    include = [f"-I{HERE}", f"-I{HEADERS}"]
    if source.folder is not None:
        include.append(f"-I{source.folder}")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        cpp, obj, exe = (Path(folder) / n for n in (source.path, "kernel.o", "kernel"))
        cpp.write_text(text, encoding="utf-8")
        _run(
            [compiler(), *BASE, *_position(), "-O0", *WATCH, *flags, *include]
            + ["-x", "c++", "-c", str(cpp), "-o", str(obj)],
            source.path,
        )
        _run([compiler(), *_position(), str(obj), str(runtime), "-o", str(exe)], source.path)
        exe.replace(target)
    return target


def lines_of(executable: Path, addresses: list[int]) -> dict[int, list[tuple[str, int]]]:
    """For each code address, its positions in the source, the innermost inlined frame first."""
    wanted = sorted({a for a in addresses if a})
    tool = shutil.which("addr2line")
    if not wanted or tool is None:
        return {}
    done = subprocess.run(
        [tool, "-a", "-i", "-e", str(executable), *[hex(a) for a in wanted]],
        capture_output=True,
        text=True,
    )
    found: dict[int, list[tuple[str, int]]] = {}
    current: list[tuple[str, int]] = []
    for line in done.stdout.splitlines():
        if line.startswith("0x"):
            current = found.setdefault(int(line, 16), [])
            continue
        match = re.match(r"(.*):(\d+)", line)
        if match:
            current.append((Path(match.group(1)).name, int(match.group(2))))
    return found
