"""Compiles the CUDA C++ kernels without a GPU, exactly as CuPy's RawModule would on one.

NVRTC comes with the CUDA wheels; its assembler reports registers, spills and static shared memory.
`python -m minilm.kernels.cuda_tools.compile` writes what it finds to ceilings.json, the limits that
a test holds the kernels to.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilm.errors import InputError, install
from minilm.files import write_text
from minilm.kernels.cuda_tools.launch import options, source

ARCHITECTURES = ("sm_80", "sm_90", "sm_90a")
CEILINGS = Path(__file__).parent / "ceilings.json"
BF16, HALF, FLOAT = "__nv_bfloat16", "__half", "float"


@dataclass(frozen=True)
class Usage:
    """What a kernel takes: registers per thread, bytes spilled, bytes of static shared memory."""

    registers: int
    spills: int
    shared: int


def variants() -> list[tuple[str, dict[str, Any]]]:
    """Every pair of file and preprocessor names that the package launches."""
    found: list[tuple[str, dict[str, Any]]] = []
    for kind in (FLOAT, BF16, HALF):
        plain = ("softmax", "layer_norm", "rms_norm", "cross_entropy", "embedding", "moe", "conv2d")
        plain += ("scan", "linear_attention")
        found += [(f"{folder}/cuda", {"DTYPE": kind}) for folder in plain]
        for form in range(4):
            files = ("gelu", "swiglu", "bias_activation") if form < 3 else ("bias_activation",)
            found += [(f"{f}/cuda", {"DTYPE": kind, "KIND": form}) for f in files]
        found += [("rope/cuda", {"DTYPE": kind, "INTERLEAVED": i}) for i in (0, 1)]
        copies = (
            (BF16, HALF) if kind == FLOAT else (kind,)
        )  # gradients accumulated over batches are float
        found += [("adamw/cuda", {"DTYPE": kind})]
        found += [("adamw/cuda", {"DTYPE": kind, "COPY": copy}) for copy in copies]
        for head in (64, 128):
            for share in (1, 2, 4, 8):
                names = {"DTYPE": kind, "HEAD": head, "SHARE": share}
                found.append(("decode_attention/cuda", names))
    for kind in (BF16, HALF):
        for head in (64, 128):
            names = {"DTYPE": kind, "HEAD": head}
            found += [("attention/cuda", names), ("attention/backward", names)]
        found += [("quantized_matmul/cuda", {"DTYPE": kind, "BITS": bits}) for bits in (4, 8)]
        found.append(("decode_attention/cuda", {"DTYPE": kind, "HEAD": 64, "OUT": FLOAT}))
        found.append(("moe/grouped", {"DTYPE": kind}))
    for kind in (FLOAT, BF16, HALF):
        for rows in (1, 8):
            names = {"DTYPE": kind, "ROWS": rows}
            found += [("decode_step/cuda", n) for n in (names, {**names, "WEIGHT": "int8_t"})]
    return found


def _nvrtc() -> tuple[Any, Any]:
    try:
        from cupy._core import core
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except Exception as problem:
        raise InputError(
            f"compiling CUDA C++ needs CuPy and NVRTC: {install('cuda13')} "
            f"({type(problem).__name__}: {problem})"
        ) from None
    return core, nvrtc


def compile_file(
    file: str, defines: dict[str, Any], architecture: str = "sm_90"
) -> dict[str, Usage]:
    """Compiles one `.cu` file; returns what each of its kernels takes.

    Raises:
        InputError: CuPy or NVRTC is missing, or the file does not compile (with NVRTC's log).
    """
    core, nvrtc = _nvrtc()
    flags = core.assemble_cupy_compiler_options(options(file, defines))
    flags += ("-ftz=true", f"-arch={architecture}", "--device-as-default-execution-space")
    program = nvrtc.createProgram(source(file).text, f"{file}.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*flags, "--ptxas-options=-v"))
        log = nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        log = nvrtc.getProgramLog(program)
        raise InputError(f"{file}.cu does not compile for {architecture}: {log[:2000]}") from None
    finally:
        nvrtc.destroyProgram(program)
    return parse_log(log)


def parse_log(log: str) -> dict[str, Usage]:
    """Reads the assembler's report."""
    found = {}
    parts = re.split(r"Compiling entry function '(\w+)'", log)
    for name, text in zip(parts[1::2], parts[2::2]):
        registers = re.search(r"Used (\d+) registers", text)
        spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", text)
        shared = re.search(r"(\d+) bytes smem", text)
        found[name] = Usage(
            int(registers.group(1)) if registers else 0,
            max(map(int, spills), default=0),
            int(shared.group(1)) if shared else 0,
        )
    return found


def label(file: str, kernel: str, defines: dict[str, Any]) -> str:
    """The name of a kernel in the ceilings file; it tells head sizes apart, but not types."""
    head = f"[HEAD={defines['HEAD']}]" if "HEAD" in defines else ""
    return f"{file}:{kernel}{head}"


def jobs() -> list[tuple[str, dict[str, Any], str]]:
    """What the offline check compiles: every variant for sm_90, and every file for the others."""
    every = [(file, defines, "sm_90") for file, defines in variants()]
    first = {file: defines for file, defines in reversed(variants())}
    others = [a for a in ARCHITECTURES if a != "sm_90"]
    return every + [(f, d, a) for f, d in sorted(first.items()) for a in others]


def measure(threads: int = 2) -> dict[str, Usage]:
    """The most that each kernel takes over all of `jobs`."""
    first, *rest = jobs()
    results = [(first, compile_file(*first))]  # alone: NVRTC loads its own libraries only once
    with ThreadPoolExecutor(threads) as pool:
        results += pool.map(lambda job: (job, compile_file(*job)), rest)
    most: dict[str, Usage] = {}
    for (file, defines, _), usages in results:
        for kernel, usage in usages.items():
            name = label(file, kernel, defines)
            old = most.get(name, usage)
            most[name] = Usage(
                max(usage.registers, old.registers),
                max(usage.spills, old.spills),
                max(usage.shared, old.shared),
            )
    return dict(sorted(most.items()))


def ceilings() -> dict[str, Usage]:
    """Registers, spilled bytes and shared memory that each kernel may take."""
    return {k: Usage(*v) for k, v in json.loads(CEILINGS.read_text(encoding="utf-8")).items()}


def write_ceilings() -> None:
    """Makes today's figures the ceilings, with registers rounded up as the hardware does."""
    rows = [
        f'  "{name}": [{-(-u.registers // 8) * 8}, {u.spills}, {u.shared}]'
        for name, u in measure().items()
    ]
    write_text(CEILINGS, "{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write_ceilings()
