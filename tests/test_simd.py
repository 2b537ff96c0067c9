"""The exponential and the error function that loops are vectorised with, against float64."""

import math

import numpy as np
import pytest

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import erf, exp


@jit(cache=False)
def _exp(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


@jit(cache=False)
def _erf(x, y):
    for i in range(x.size):
        y[i] = erf(x[i])


def _of(kernel, x):
    y = np.empty_like(x)
    kernel(x, y)
    return y


def test_exp_is_as_exact_as_its_docstring_says():
    x = np.linspace(-87.3, 88, 2_000_003, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.all(np.abs(_of(_exp, x) / exact - 1) <= 2.5e-7 + 1.4e-8 * np.abs(x))


def test_exp_at_its_ends():
    x = np.array([0, -0.0, -100, -np.inf, 89, np.inf, np.nan], np.float32)
    assert np.array_equal(_of(_exp, x)[:2], [1, 1])  # the largest weight of a softmax, exactly
    np.testing.assert_allclose(_of(_exp, x)[2:4], 1.183e-38, rtol=1e-3)
    np.testing.assert_allclose(_of(_exp, x)[4:6], 1.685e38, rtol=1e-3)
    assert np.isnan(_of(_exp, x)[6])


@pytest.mark.parametrize("kernel, exact", [(_exp, math.exp), (_erf, math.erf)])
def test_in_float64_it_is_the_library(kernel, exact):
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(_of(kernel, x), [exact(v) for v in x], rtol=1e-14)


def test_erf_in_float32():
    x = np.linspace(-6, 6, 200_001, dtype=np.float32)
    assert np.abs(_of(_erf, x) - [math.erf(v) for v in x]).max() < 5.3e-7
    assert np.isnan(_of(_erf, np.full(1, np.nan, np.float32)))[0]
