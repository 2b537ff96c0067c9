"""The cache of compiled kernels: an edited helper is noticed wherever it was compiled in."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import minilm
from minilm.kernels.numba_tools.jit import folders_used

ROOT = Path(minilm.__file__).parent
HELPER = (
    "from minilm.kernels.numba_tools.jit import jit\n\n"
    "@jit\ndef helper(x):\n    return x + {number}\n"
)
KERNEL = (
    "from helper import helper\nfrom minilm.kernels.numba_tools.jit import jit\n\n"
    "@jit\ndef kernel(x):\n    return 10 * helper(x)\n\nprint(kernel(1.0))\n"
)


def test_an_edited_helper_is_compiled_again(tmp_path):
    (tmp_path / "kernel.py").write_text(KERNEL)
    paths = os.pathsep.join([str(ROOT.parent), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for number, says in ((1, "20.0\n"), (1, "20.0\n"), (5, "60.0\n")):
        (tmp_path / "helper.py").write_text(HELPER.format(number=number))
        command = [sys.executable, "-c", "import kernel"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=100
        )
        assert done.stdout == says
        compiled = "compiling" in done.stderr
    assert compiled


def test_the_cache_watches_every_folder_whose_functions_a_kernel_calls():
    """That is where the cache looks for edits."""

    def uses_numba(path):
        text = path.read_bytes()
        return b"numba" in text or b"kernels.jit" in text

    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())) if uses_numba(path) else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minilm."):
                source = ROOT.parent.joinpath(*node.module.split(".")).with_suffix(".py")
                if source.is_file() and b"@jit" in source.read_bytes():
                    watched = (*folders_used(path.parent), ROOT / "kernels" / "numba_tools")
                    assert source.parent in watched, (path, source)
