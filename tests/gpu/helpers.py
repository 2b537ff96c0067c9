"""What the GPU tests share: random arrays of a type, and closeness to a float64 formula."""

import ml_dtypes
import numpy as np

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
# Relative error of a result as a whole. A 16-bit result is wrong by up to half of its last place
# (2**-11 and 2**-8 relative); the sums behind it are float32.
TOLERANCE = {"float32": 3e-6, "float16": 8e-4, "bfloat16": 6e-3}


def arrays(seed, dtype, *shapes):
    """Normal numbers of the given type, one array per shape."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(DTYPES[dtype]) for s in shapes]


def wide(*values):
    """The same values in float64; None and integers stay."""
    out = [
        v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype.kind not in "iub" else v
        for v in values
    ]
    return out if len(out) > 1 else out[0]


def error(actual, expected):
    """Norm of the difference over the norm of the expected array; NaN if anything is NaN."""
    actual, expected = wide(actual), wide(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    scale = np.linalg.norm(expected)
    return np.linalg.norm(actual - expected) / (scale if scale else 1.0)


def assert_close(actual, expected, dtype, what="", factor=1.0):
    """The error stays within what the element type can hold."""
    found = error(actual, expected)
    assert found <= factor * TOLERANCE[dtype], f"{what}: relative error {found:.2e} for {dtype}"
