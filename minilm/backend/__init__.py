"""Where arrays live, and what runs them: NumPy or CuPy, threads, seeded random streams.

Everything above this floor is written once, against the module that ``xp_of`` returns.

- ``arrays``: NumPy or CuPy, device choice
- ``random``, ``threads``: seeded streams; threads of the CPU
- ``precision``: which type a model computes in, loss scaling
- ``products``: matrix products that use tensor cores
- ``memory``: a GPU's memory pool, pinned host memory, batches copied ahead of their use
- ``targets``: the target that no loss counts
"""

from minilm.backend.arrays import Array, array_module, cupy, on_gpu, to_numpy, xp_of
from minilm.backend.memory import Prefetch, memory_in_use, memory_limit, pinned
from minilm.backend.precision import LossScale, Precision, is_half, precision
from minilm.backend.products import matmul
from minilm.backend.random import rng
from minilm.backend.targets import IGNORE
from minilm.backend.threads import (
    blas_threads,
    keep_freed_memory,
    parallel,
    set_threads,
    threads,
)

__all__ = [
    "IGNORE",
    "Array",
    "LossScale",
    "Precision",
    "Prefetch",
    "array_module",
    "blas_threads",
    "cupy",
    "is_half",
    "keep_freed_memory",
    "matmul",
    "memory_in_use",
    "memory_limit",
    "on_gpu",
    "parallel",
    "pinned",
    "precision",
    "rng",
    "set_threads",
    "threads",
    "to_numpy",
    "xp_of",
]
