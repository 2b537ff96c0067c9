"""What every test shares. Set before NumPy or Matplotlib is imported anywhere."""

import os
import signal
from pathlib import Path

import pytest

# Where a whole run ignores interrupts (nohup, a shell's background), tests that press Ctrl-C would
# wait for ever: what is ignored stays ignored in training and grading.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("MPLBACKEND", "Agg")  # no test opens a window
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")  # the coming default; silences a warning

# Test files that run side by side share the cores: threads of their matrix products that wait for
# one another at the same cores cost more than they bring.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1:
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

from hypothesis import HealthCheck, settings  # noqa: E402

# A first call compiles a kernel and may take seconds, so examples have no deadline: pytest-timeout
# guards against a hang instead.
settings.register_profile(
    "minilm", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("minilm")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m oracle`: a file that does not name the mark is not read, which takes a while."""
    mark = config.option.markexpr
    if not mark.isidentifier() or not collection_path.name.startswith("test_"):
        return None
    named = f"mark.{mark}" in collection_path.read_text(encoding="utf-8")
    return None if named else True
