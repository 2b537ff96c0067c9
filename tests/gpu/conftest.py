"""Compiles the kernels for the emulator on the second core while the tests run on the first."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from minilm.emulator import EmulatorError
from minilm.emulator.build import build
from minilm.kernels.cuda_tools.compile import variants
from minilm.kernels.cuda_tools.launch import source


@pytest.fixture(scope="session", autouse=True)
def compiled_ahead():
    """What is in the cache already costs a glance; an error is left to the test that meets it."""

    def used(file, defines):
        """Not by every test: a token with many rows or int8 weights is tried in float alone."""
        special = [defines.get("ROWS") == 8, "WEIGHT" in defines, defines["DTYPE"] != "float"]
        return file != "decode_step/cuda" or sum(special) < 2

    def compile_one(file, defines):
        with contextlib.suppress(EmulatorError):
            build(source(file), defines)

    with ThreadPoolExecutor(1) as pool:
        for file, defines in reversed(variants()):
            if used(file, defines):
                pool.submit(compile_one, file, defines)
        yield
        pool.shutdown(cancel_futures=True)
