"""Compile the model's kernels in a second process while the first one reads text.

Numba compiles one function at a time and holds the interpreter while it does; only a process of
its own runs beside. What it compiles lands in Numba's cache on disk, where the first process finds
it. A stamp in the cache folder says that this was done before, so that it happens once.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from minilm.backend.machine import cores
from minilm.data.corpora import cache_folder
from minilm.files import write_atomically
from minilm.models import Config

_SWITCHES = ("kind", "norm", "activation", "positions", "window", "dropout")
_SWITCHES += ("qk_norm", "attention_cap", "logit_cap")


@contextlib.contextmanager
def compiling(config: Config, dtype: str = "float32", device: str = "cpu") -> Iterator[None]:
    """Have the kernels of a model compiled while the block runs, if that was never done here.

    Leaving the block waits for the other process. Without a second core, without a folder to
    remember in, or if the other process fails, nothing is lost: kernels compile when first used.

    Args:
        config: of the model that will train; its sizes do not matter.
        dtype: of its parameters.
        device: where it will train; a GPU's kernels are not compiled here.
    """
    folder = cache_folder()
    stamp = None if folder is None else folder / f"compiled-{_key(config, dtype)}"
    useful = device == "cpu" and config.kind == "decoder" and cores() > 1
    if stamp is None or stamp.exists() or not useful:
        yield
        return
    small = config.replace(layers=1, vocab_size=64, context=min(config.context, 32)).to_dict()
    command = [sys.executable, "-m", "minilm.train.warm", json.dumps(small), dtype]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield
        return
    try:
        yield
        if process.poll() is None:
            print("minilm: waiting for the model's kernels, compiled once", file=sys.stderr)
        done = process.wait() == 0
    except BaseException:
        process.kill()
        process.wait()
        raise
    if done:
        with contextlib.suppress(OSError, ValueError):
            stamp.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(stamp, b"")


def _key(config: Config, dtype: str) -> str:
    """Names the kernels that a model needs: their source, the compiler, and where it caches."""
    source = hashlib.sha256()
    for path in sorted((Path(__file__).parents[1] / "kernels").rglob("*.py")):
        source.update(path.read_bytes())
    about = [
        *(getattr(config, name) for name in _SWITCHES),
        config.rope and config.rope.layout,
        *(dtype, sys.version, version("numba"), version("numpy"), str(Path(__file__).parents[1])),
        os.environ.get("NUMBA_CACHE_DIR", ""),
    ]
    source.update(repr(about).encode())
    return source.hexdigest()[:16]


def compile_kernels(config: Config, dtype: str = "float32") -> None:
    """Take one training step of a model of this config, which compiles all that steps need."""
    import numpy as np

    from minilm import backend
    from minilm.models import Transformer
    from minilm.train.loop import train

    rows = backend.rng(0, "warm").integers(0, config.vocab_size, 4 * config.context + 1)
    model = Transformer(config, dtype=dtype)
    train(model, rows.astype(np.int32), 1, batch=1, progress=False)


if __name__ == "__main__":
    compile_kernels(Config.from_dict(json.loads(sys.argv[1])), sys.argv[2])
