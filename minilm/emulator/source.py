"""Reads CUDA C++: finds the kernels of a `.cu` file and translates it to C++ for the emulator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SCALARS = {
    "float": "float32",
    "double": "float64",
    "int": "int32",
    "unsigned": "uint32",
    "unsigned int": "uint32",
    "uint32_t": "uint32",
    "int32_t": "int32",
    "long long": "int64",
    "int64_t": "int64",
    "unsigned long long": "uint64",
    "uint64_t": "uint64",
    "size_t": "uint64",
    "short": "int16",
    "uint16_t": "uint16",
    "unsigned short": "uint16",
    "char": "int8",
    "signed char": "int8",
    "int8_t": "int8",
    "unsigned char": "uint8",
    "uint8_t": "uint8",
    "bool": "bool",
    "__half": "float16",
    "half": "float16",
    "__nv_bfloat16": "bfloat16",
}


def dtype_of(name: str) -> np.dtype:
    """The NumPy dtype called `name`; bfloat16 comes from ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: its name, its C type without `const`, and how many `*` follow."""

    name: str
    type: str
    pointers: int


@dataclass(frozen=True)
class KernelSource:
    """A CUDA C++ file: where it came from, its text, and the parameters of each kernel."""

    path: str
    text: str
    kernels: dict[str, tuple[Parameter, ...]]
    folder: Path | None

    def resolve(self, type_name: str, defines: dict[str, object]) -> str | None:
        """The NumPy dtype name of a C type, through macros, typedefs and `using`, or None."""
        aliases = {k: str(v) for k, v in defines.items()}
        for old, new in re.findall(r"\btypedef\s+([\w ]+?)\s+(\w+)\s*;", self.text):
            aliases.setdefault(new, old)
        for new, old in re.findall(r"\busing\s+(\w+)\s*=\s*([\w ]+?)\s*;", self.text):
            aliases.setdefault(new, old)
        for _ in range(8):
            if type_name in SCALARS:
                return SCALARS[type_name]
            if type_name not in aliases:
                return None
            type_name = aliases[type_name]
        return None


def _blank_comments(text: str) -> str:
    """The text with its comments replaced by spaces, so that every line keeps its number."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))  # noqa: E731
    return re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)


def _balanced(text: str, start: int) -> int:
    """The index just after the parenthesis that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i + 1
    raise ValueError("unbalanced parentheses")


def _parameters(text: str) -> tuple[Parameter, ...]:
    found = []
    for part in text.split(","):
        part = re.sub(r"\b(const|__restrict__|__grid_constant__|volatile)\b", " ", part).strip()
        if not part:
            continue
        name = re.search(r"(\w+)\s*$", part)
        if name is None:
            raise ValueError(f"a kernel parameter has no name: {part!r}")
        kind = part[: name.start()].strip()
        found.append(
            Parameter(name.group(1), " ".join(kind.replace("*", " ").split()), kind.count("*"))
        )
    return tuple(found)


def parse(text: str, path: str, folder: Path | None) -> KernelSource:
    """Finds every `__global__ void name(...)` of a CUDA C++ text."""
    clean = _blank_comments(text)
    kernels: dict[str, tuple[Parameter, ...]] = {}
    for match in re.finditer(r"__global__\s+void\s+", clean):
        at = match.end()
        bounds = re.match(r"__launch_bounds__\s*(?=\()", clean[at:])
        if bounds:
            at = _balanced(clean, at + bounds.end())
        head = re.match(r"\s*(\w+)\s*(?=\()", clean[at:])
        if head:
            start = at + head.end()
            kernels[head.group(1)] = _parameters(clean[start + 1 : _balanced(clean, start) - 1])
    return KernelSource(path, text, kernels, folder)


def read(path_or_text: str | Path) -> KernelSource:
    """Reads a `.cu` file, or takes CUDA C++ text as it is (any string with a line break in it)."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return parse(path_or_text, "kernel.cu", None)
    path = Path(path_or_text)
    return parse(path.read_text(encoding="utf-8"), path.name, path.resolve().parent)


def to_cpp(source: KernelSource) -> str:
    """The same program in C++: `cuda_emu.h` before it, a table of kernels after it, lines kept."""
    text = _blank_comments(source.text)
    text = re.sub(r'#include\s*[<"](cuda|mma|cooperative|stdint|math)[^\n]*', "", text)
    text = re.sub(r'extern\s+"C"\s+__global__', "__global__", text)
    text = re.sub(
        r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;",
        r"\1* const \2 = (\1*)emu::dynamic_shared;",
        text,
    )
    table = "".join(
        f'{{"{n}", [](void **a) EMU_UNWATCHED {{ emu::apply({n}, a); }}}},\n'
        for n in source.kernels
    )
    return (
        f'#include "cuda_emu.h"\n#line 1 "{source.path}"\n{text}\n#line 1 "table"\n'
        f'extern "C" {{ emu::Kernel emu_kernels[] = {{\n{table}{{nullptr, nullptr}}}}; }}\n'
    )
