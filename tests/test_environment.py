"""environment.yml, the lock file and pyproject.toml ask for the same thing.

Conda is not needed: py-rattler parses the specifications as conda would, and solves them against
a stub channel that holds the versions the tests ran with. That shows that the file is valid and
that nothing in it excludes what was tested; it does not show that conda-forge has the builds.
"""

import ast
import asyncio
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import Channel, MatchSpec, Subdir, solve

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
# conda-forge splits the part without a GUI, or without pandoc, off under its own name.
CONDA_NAMES = {"dask": "dask-core", "matplotlib": "matplotlib-base", "nbconvert": "nbconvert-core"}
PYTHONS = ("3.11.7", "3.12.1", "3.13.0")


def locked() -> dict[str, Requirement]:
    """Name -> its pin in the lock file."""
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    return {canonicalize_name(pin.name): pin for pin in pins}


def pinned(name: str) -> str:
    """The version that the lock file gives to a package."""
    (specifier,) = locked()[canonicalize_name(name)].specifier
    assert specifier.operator == "=="
    return specifier.version


def wanted() -> list[Requirement]:
    """What run time, course and tests ask for in pyproject.toml."""
    extras = PROJECT["optional-dependencies"]
    texts = PROJECT["dependencies"] + extras["course"] + extras["dev"] + extras["cluster"]
    return [Requirement(text) for text in texts if not text.startswith("minilm")]


def wanted_everywhere() -> list[Requirement]:
    """The same, without what some system has no build of: an MPI, on Windows."""
    return [requirement for requirement in wanted() if not requirement.marker]


def conda_specs() -> list[str]:
    return [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]


def solved(specs: list[str], versions: dict[str, str], folder: Path) -> dict[str, str]:
    """Solve conda specifications against a channel that holds exactly these versions."""
    records = {
        f"{name}-{version}-0.conda": {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "depends": [],
            "subdir": "noarch",
            "noarch": "generic",
            "size": 1,
            "md5": "0" * 32,
            "sha256": "0" * 64,
        }
        for name, version in versions.items()
    }
    for subdir in ("noarch", "linux-64"):
        (folder / subdir).mkdir(parents=True)
        data = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": records if subdir == "noarch" else {},
            "repodata_version": 1,
        }
        (folder / subdir / "repodata.json").write_text(json.dumps(data))

    async def ask() -> dict[str, str]:
        found = await solve(
            sources=[Channel(folder.resolve().as_uri())],
            specs=[MatchSpec(spec, strict=True) for spec in specs],
            platforms=[Subdir("linux-64"), Subdir("noarch")],
        )
        return {record.name.normalized: str(record.version) for record in found}

    return asyncio.run(ask())


@pytest.mark.parametrize("python", PYTHONS)
def test_conda_solves_to_the_tested_versions(python: str, tmp_path: Path) -> None:
    versions = {"python": python, "pip": "23.2.1"}
    for requirement in wanted_everywhere():
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        versions[name] = pinned(requirement.name)
    assert solved(conda_specs(), versions, tmp_path / "channel") == versions


@pytest.mark.parametrize("spec", ["numpy >=3", "numpy >=2.1,<2.2"])
def test_the_solver_notices_a_range_that_excludes_them(spec: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="numpy"):
        solved([spec], {"numpy": pinned("numpy")}, tmp_path / "channel")


@pytest.mark.parametrize("spec", ["numpy>>2.1", "numpy >=2.1,,<3", "numpy >="])
def test_the_parser_refuses_a_bad_range(spec: str) -> None:
    with pytest.raises(Exception, match="."):
        MatchSpec(spec, strict=True)


def test_conda_and_pyproject_give_the_same_ranges() -> None:
    ours = {
        CONDA_NAMES.get(r.name, r.name): set(map(str, r.specifier)) for r in wanted_everywhere()
    }
    theirs = {}
    for spec in conda_specs():
        name, _, ranges = spec.partition(" ")
        theirs[name] = set(ranges.split(",")) if ranges else set()
    assert theirs.pop("python") == set(PROJECT["requires-python"].split(","))
    theirs.pop("pip")
    assert theirs == ours


def test_the_lock_file_fits_pyproject() -> None:
    for requirement in wanted():
        assert requirement.specifier.contains(pinned(requirement.name)), requirement


def test_the_lock_file_names_no_host_and_no_gpu_build() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^(torch|nvidia|cupy)", LOCK, re.MULTILINE)


def test_what_is_installed_for_conda_is_this_package() -> None:
    assert ENVIRONMENT["dependencies"][-1] == {"pip": ["-e ."]}
    assert ENVIRONMENT["channels"][0] == "conda-forge"


def test_oracles_are_pinned_and_no_run_time_dependency() -> None:
    oracles = [Requirement(text) for text in PROJECT["optional-dependencies"]["oracles"]]
    for oracle in oracles:
        (specifier,) = oracle.specifier
        assert specifier.operator == "==" and Version(specifier.version)
    assert not {o.name for o in oracles} & {r.name for r in wanted()}


def test_no_cupy_is_asked_for_on_macos() -> None:
    for extra in ("cuda12", "cuda13"):
        for text in PROJECT["optional-dependencies"][extra]:
            marker = Requirement(text).marker
            assert marker and not marker.evaluate({"sys_platform": "darwin"}), text
            assert marker.evaluate({"sys_platform": "win32"}), text


# What a package is called when it is imported, where that differs from its name.
IMPORTED_AS = {
    "cupy-cuda12x": ("cupy", "cupyx", "cupy_backends"),
    "numba": ("numba", "llvmlite"),
    "numba-cuda": (),  # gives numba.cuda
    "pillow": ("PIL",),
    "scikit-learn": ("sklearn",),
    "pyyaml": ("yaml",),
    "py-rattler": ("rattler",),
    "jupyterlab": (
        "jupyterlab",
        "jupyter_client",
        "jupyter_server",
        "nbformat",
        "IPython",
        "ipykernel",
    ),
    "ipywidgets": ("ipywidgets", "IPython"),
}
# Lessons, slides, grading, images and plots need what the course installs; benchmarks also their
# opponents.
NEEDS = {part: ("course",) for part in ("course", "commands", "data", "train")}
NEEDS["bench"] = ("course", "bench")
OWN = {"minilm", "inside"}  # the second is what the sandbox calls its copy of course/inside
# Loaded when asked for, with a sentence where missing.
ANYWHERE = ("cuda12", "emulator", "mpi", "cluster", "serve")


def imports_of(path: Path) -> set[str]:
    """The packages that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_every_import_is_installed_by_what_asks_for_it() -> None:
    """Not by chance, because another package happens to need the same."""
    extras = PROJECT["optional-dependencies"]
    wrong = []
    for path in sorted((ROOT / "minilm").rglob("*.py")):
        part = path.relative_to(ROOT / "minilm").parts[0]
        texts = [*PROJECT["dependencies"]]
        for extra in (*ANYWHERE, *NEEDS.get(part, ())):
            texts += extras[extra]
        names = [Requirement(text).name for text in texts]
        known = {m for n in names for m in IMPORTED_AS.get(n, (n.replace("-", "_"),))}
        strange = imports_of(path) - known - sys.stdlib_module_names - OWN
        wrong += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(strange)]
    assert not wrong
