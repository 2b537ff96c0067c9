"""A stand-in for CuPy on NumPy: it refuses what CuPy refuses, and counts what costs time.

What it catches: host arrays mixed with device arrays, implicit transfers in either direction, names
that CuPy lacks, N-dimensional matmul of 16-bit types (which real CuPy sends to slow kernels). Raw
kernels run in the emulator, cuBLAS calls in ``fake_cuda``, which also has streams and events. It
says nothing about speed.
"""

import json
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from . import fake_cuda

NAMES = json.loads((Path(__file__).parent / "cupy_names.json").read_text(encoding="utf-8"))
MODULE, METHODS, LINALG = (set(NAMES[part]) for part in ("module", "ndarray", "linalg"))
# Host functions that only look at shapes and types, and so may be given device arrays.
LOOKING = {"shape", "ndim", "size", "result_type", "broadcast_shapes", "iscomplexobj"}


class Counts:
    """Launches and transfers since the last reset."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.launches = self.to_host = self.to_device = 0


counts = Counts()


def _inner(value):
    """The NumPy array behind a device array; host arrays of any size are refused."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type numpy.ndarray: an implicit transfer to the device")
    if isinstance(value, list | tuple):
        return type(value)(_inner(v) for v in value)
    if isinstance(value, dict):
        return {k: _inner(v) for k, v in value.items()}
    return value


def _wrap(value):
    """Results live on the device, 0-dimensional ones too."""
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(_wrap(v) for v in value)
    if isinstance(value, list):
        return [_wrap(v) for v in value]
    return value


def _is_half(array):
    return str(array.dtype) in ("float16", "bfloat16")


def _matmul(a, b, out=None):
    if out is not None:
        out[...] = _matmul(a, b)
        return out
    counts.launches += 1
    a, b = _inner(a), _inner(b)
    if max(a.ndim, b.ndim) > 2 and (_is_half(a) or _is_half(b)):
        raise TypeError("matmul of 16-bit arrays with more than two axes is not a GEMM in CuPy")
    if _is_half(a):
        return ndarray((a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype))
    return ndarray(np.asarray(a @ b))


class ndarray:  # noqa: N801
    """A device array."""

    __array_priority__ = 100

    def __init__(self, array):
        self._array = array

    @property
    def emulated_array(self):
        """What a raw kernel works on: the emulator takes this."""
        counts.launches += 1
        return self._array

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self._array.ctypes.data)

    def __array__(self, *args, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use .get()")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if ufunc is np.matmul:
            return _matmul(*inputs, *options.get("out", ()))
        counts.launches += 1
        done = getattr(ufunc, method)(*_inner(inputs), **_inner(options))
        return self._same(done, options.get("out"))

    @staticmethod
    def _same(done, out):
        return out[0] if isinstance(out, tuple) else _wrap(done)

    def __array_function__(self, function, kinds, args, options):
        if function.__name__ in LOOKING:
            return function(*_inner(args), **_inner(options))
        linear = function.__module__ == "numpy.linalg"
        if function.__name__ not in (LINALG if linear else MODULE):
            raise AttributeError(f"module 'cupy' has no attribute '{function.__name__}'")
        counts.launches += 1
        return _wrap(function(*_inner(args), **_inner(options)))

    def get(self):
        counts.to_host += 1
        return self._array.copy()

    def item(self, *args):
        counts.to_host += 1
        return self._array.item(*args)

    def tolist(self):
        counts.to_host += 1
        return self._array.tolist()

    def set(self, array, stream=None):
        counts.to_device += 1
        assert self._array.shape == array.shape and self._array.dtype == array.dtype
        if stream is None:
            self._array[...] = array
        else:
            stream.do(lambda: self._array.__setitem__(..., array))

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return self._array.__index__()

    def __bool__(self):
        return bool(self.item())

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        return _wrap(self._array[_inner(index)])

    def __setitem__(self, index, value):
        counts.launches += 1
        self._array[_inner(index)] = _inner(value)

    def __matmul__(self, other):
        return _matmul(self, other)

    def __getattr__(self, name):
        if name.startswith("__") or name not in METHODS:
            raise AttributeError(f"'cupy.ndarray' object has no attribute '{name}'")
        value = getattr(self._array, name)
        if not callable(value):
            return _wrap(value) if isinstance(value, np.ndarray) else value

        def method(*args, **options):
            counts.launches += 1
            return _wrap(value(*_inner(args), **_inner(options)))

        return method

    def __repr__(self):
        return f"device {self._array!r}"


def _operator(name):
    def apply(self, other):
        counts.launches += 1
        done = getattr(self._array, name)(_inner(other))
        if done is self._array:
            return self
        return done if done is NotImplemented else _wrap(done)

    return apply


for (
    _name
) in "add sub mul truediv floordiv mod pow lt le gt ge eq ne and or xor lshift rshift".split():
    for _prefix in ("", "r", "i"):
        if hasattr(np.ndarray, f"__{_prefix}{_name}__"):
            setattr(ndarray, f"__{_prefix}{_name}__", _operator(f"__{_prefix}{_name}__"))
for _name in ("neg", "invert", "abs", "pos"):
    setattr(
        ndarray, f"__{_name}__", lambda self, _n=f"__{_name}__": _wrap(getattr(self._array, _n)())
    )
ndarray.__hash__ = None
ndarray.__module__ = "cupy"


class _Module(types.ModuleType):
    """`cupy`: names that the real one has, each working on device arrays alone."""

    def __getattr__(self, name):
        if name not in MODULE:
            raise AttributeError(f"module 'cupy' has no attribute '{name}'")
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value
        if name == "matmul":
            return _matmul

        def function(*args, **options):
            counts.launches += 1
            out = options.get("out")
            done = value(*_inner(args), **_inner(options))
            return out if isinstance(out, ndarray) else _wrap(done)

        return function


def _asarray(value, dtype=None, order=None, copy=None, blocking=False):
    if isinstance(value, ndarray):
        kept = value._array.dtype == (dtype or value._array.dtype) and not copy
        return value if kept else ndarray(value._array.astype(dtype or value._array.dtype))
    if isinstance(value, list | tuple) and any(isinstance(v, ndarray) for v in value):
        return _wrap(np.array(_inner(value), dtype=dtype))
    counts.to_device += 1
    return ndarray(np.array(value, dtype=dtype))


def _array(value, dtype=None, copy=True, **options):
    return _asarray(value, dtype, copy=copy)


class _Random:
    """A generator whose numbers are on the device."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def standard_normal(self, shape, dtype=np.float64):
        return ndarray(np.asarray(self._rng.standard_normal(shape, dtype=dtype)))


def make():
    """A module that stands in for cupy."""
    module = _Module("cupy")
    module.__path__ = []
    module.ndarray = ndarray
    module.asarray = _asarray
    module.array = _array
    module.ascontiguousarray = lambda a, dtype=None: (
        ndarray(np.ascontiguousarray(_inner(_asarray(a)), dtype=dtype))
        if not (isinstance(a, ndarray) and a._array.flags.c_contiguous)
        else a
    )
    module.asnumpy = lambda a, **options: a.get() if isinstance(a, ndarray) else np.asarray(a)
    module.cuda = fake_cuda.make()
    pool = fake_cuda.Pool()
    module.get_default_memory_pool = lambda: pool
    module.random = types.SimpleNamespace(default_rng=_Random)
    return module


def _special():
    """`cupyx.scipy.special`: erf."""
    from scipy.special import erf

    special = types.ModuleType("cupyx.scipy.special")
    special.erf = lambda x: _wrap(erf(_inner(x)))
    return special


@contextmanager
def installed():
    """Inside the block, `import cupy` finds the stand-in."""
    module = make()
    modules = {
        "cupy": module,
        "cupy.cuda": module.cuda,
        "cupyx": types.ModuleType("cupyx"),
        "cupyx.scipy": types.ModuleType("cupyx.scipy"),
        "cupyx.scipy.special": _special(),
        "cupy_backends": types.ModuleType("cupy_backends"),
        "cupy_backends.cuda": types.ModuleType("cupy_backends.cuda"),
        "cupy_backends.cuda.libs": types.ModuleType("cupy_backends.cuda.libs"),
        "cupy_backends.cuda.libs.cublas": fake_cuda.cublas(),
    }
    modules["cupyx"].empty_pinned = np.empty
    modules["cupy_backends.cuda.libs"].cublas = modules["cupy_backends.cuda.libs.cublas"]
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    counts.reset()
    try:
        yield modules["cupy"]
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
