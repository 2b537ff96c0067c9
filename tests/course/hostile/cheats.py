"""Submissions that want points for nothing."""

from . import HONEST, Case, answer, softmax

SCAN = """\
import gc, sys
frame = sys._getframe()
while frame:
    for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
        if isinstance(value, np.ndarray) and value.shape == x.shape and value is not x:
            return value.astype(x.dtype)
    frame = frame.f_back
for thing in gc.get_objects():
    for value in gc.get_referents(thing):
        if isinstance(value, np.ndarray) and value.shape == x.shape and value is not x:
            return value.astype(x.dtype)
return np.zeros_like(x)
"""

CASES = [
    softmax(
        "patched numpy",
        "return np.zeros_like(x)",
        first="import numpy as np\nimport numpy.testing\n"
        "for name in ('allclose', 'isclose', 'array_equal', 'all'):\n"
        "    setattr(np, name, lambda *a, **k: True)\n"
        "np.testing.assert_allclose = lambda *a, **k: None",
    ),
    softmax(
        "patched builtins",
        "return np.zeros_like(x)",
        first="import builtins\nbuiltins.abs = lambda v: 0\nbuiltins.all = lambda v: True\n"
        "builtins.AssertionError = type('Nothing', (BaseException,), {})",
    ),
    softmax(
        "patched time",
        "while True: pass",
        first="import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0.0",
    ),
    softmax(
        "overwritten check",
        "return np.zeros_like(x)",
        first="import minilm.course\nminilm.course.check = lambda *a, **k: 'pass'\n"
        "check = minilm.course.check",
    ),
    softmax(
        "patched wire",
        "return np.zeros_like(x)",
        first="import sys\nwire = sys.modules['inside.wire']\n"
        "wire.Pack.array = lambda self, value, mark, original=None: "
        "{mark: ['<f4', [1], self.blob(b'\\0\\0\\x80?')]}",
        # its other arrays become nonsense as well
        lost={"softmax": 0, "layer_norm": 0, "momentum": 1},
    ),
    softmax("the package's own", "return minilm.functional.softmax(x).data"),
    softmax(
        "the package's kernel",
        "from minilm.kernels import softmax as own\nreturn own(x, -1)",
    ),
    softmax(
        "the package's reference",
        "from minilm.kernels.softmax import reference\nreturn reference.softmax(x, -1)",
    ),
    softmax("a method of Tensor", "return minilm.tensor(x).softmax(-1).data"),
    softmax(
        "the package's source",
        "import inspect\nspace = dict(vars(minilm.functional.probability))\n"
        "exec(inspect.getsource(minilm.functional.softmax.arrays), space)\n"
        "return space['softmax'](x)[0]",
    ),
    Case(
        "the package's own under its name",
        {"softmax": "from minilm.functional import softmax"},
        lost=("softmax",),
    ),
    softmax("another library", "import torch\nreturn torch.softmax(torch.tensor(x), -1).numpy()"),
    softmax("looks for the expected value", SCAN),
    softmax(
        "lying array",
        "return np.zeros_like(x).view(Liar)",
        first="import numpy as np\nclass Liar(np.ndarray):\n"
        "    shape = property(lambda self: (1,))\n"
        "    def __eq__(self, other): return True\n"
        "    def __array_ufunc__(self, *a, **k): return np.True_\n"
        "    def __array_function__(self, *a, **k): return True",
    ),
    softmax(
        "lying __array__",
        "return Liar()",
        first="import numpy as np\nclass Liar:\n    shape, dtype = (2, 3), np.dtype('f4')\n"
        "    def __array__(self, *a, **k): return np.full((2, 3), 1 / 3, 'f4')\n"
        "    def __eq__(self, other): return True\n    def __float__(self): return 0.0",
    ),
    answer(
        "merge",
        "lying __eq__",
        "return Liar()",
        first="class Liar(list):\n    def __eq__(self, other): return True\n"
        "    def __ne__(self, other): return False\n    def __len__(self): return 20",
    ),
    answer(
        "merge",
        "numbers that equal everything",
        "return [One(7) for _ in ids]",
        first="class One(int):\n    def __eq__(self, other): return True\n"
        "    def __hash__(self): return 0",
    ),
    answer(
        "greedy",
        "lazy object",
        "return Lazy()",
        first="class Lazy:\n    def __getattr__(self, name): return Lazy()\n"
        "    def __call__(self, *a, **k): return True\n"
        "    def __getitem__(self, key): return True\n"
        "    def __bool__(self): return True",
    ),
    softmax("NaN everywhere", "return np.full_like(x, np.nan)"),
    softmax("infinity everywhere", "return np.full_like(x, np.inf)"),
    softmax(
        "NaN where it hurts",
        "z = np.exp(x - x.max(-1, keepdims=True))\nz /= z.sum(-1, keepdims=True)\n"
        "z.flat[0] = np.nan\nreturn z",
    ),
    answer("greedy", "NaN for a token", "return [float('nan')] * (tokens + 1)"),
    softmax("an array of objects", "return np.full(x.shape, None)"),
    softmax("an array of text", "return np.full(x.shape, '0.5')"),
    softmax("a structured array", "return np.zeros(x.shape, [('a', 'f4'), ('b', 'f4')])"),
    softmax("float64", "x = x.astype(np.float64)\nz = np.exp(x - x.max())\nreturn z / z.sum(-1)"),
    softmax("100 MB answer", "return np.zeros(25 * 10**6, np.float32)"),
    answer("merge", "10 million numbers", "return [0] * 10**7"),
    answer("merge", "a list in itself", "out = []\nout.append(out)\nreturn out"),
    answer("merge", "nested too deep", "out = []\nfor _ in range(10**6): out = [out]\nreturn out"),
    answer("merge", "a number of a million digits", "return [1 << 4_000_000] * len(ids)"),
    answer("merge", "a text of 100 MB", "return 'x' * 10**8"),
    answer("merge", "a type with a long name", "return type('A' * 10**7, (), {})()"),
    answer("merge", "nothing at all", "return None"),
    softmax("a huge message", "raise ValueError('x' * 10**8)"),
    softmax(
        "an exception that lies",
        "raise Liar",
        first="class Liar(Exception):\n    def __str__(self): raise SystemExit\n"
        "    __repr__ = __str__",
    ),
    softmax("a page in a message", "raise ValueError('<script>alert(1)</script>')"),
    softmax(
        "garbage on the pipe",
        "import os\nfor number in range(3, 64):\n"
        "    try: os.write(number, b'\\xff' * 64)\n    except OSError: pass\n"
        "return np.zeros_like(x)",
    ),
    softmax(
        "an endless answer",
        "import os, struct\nfor number in range(3, 64):\n"
        "    try: os.write(number, struct.pack('<QI', 1 << 62, 1 << 30))\n"
        "    except OSError: pass\n"
        "return np.zeros_like(x)",
    ),
    softmax(
        "answers in advance",
        "import gc, sys\nworker = next(o for o in gc.get_objects() "
        "if type(o).__name__ == 'Worker')\n"
        "for number in range(1000): worker.send({'n': number, 'ok': True})\n"
        "return np.zeros_like(x)",
    ),
    softmax(
        "counts the calls",
        "global calls\ncalls = globals().get('calls', 0) + 1\n"
        "z = np.exp(x - x.max(-1, keepdims=True))\n"
        "return z / z.sum(-1, keepdims=True) if calls <= 3 else np.zeros_like(x)",
    ),
    Case(
        "changes what it was given",
        {
            "softmax": "def softmax(x):\n    x -= x.max(-1, keepdims=True)\n    np.exp(x, out=x)\n"
            "    x /= x.sum(-1, keepdims=True)\n    return x\n"
        },
        lost={"softmax": 4},
    ),
    Case(
        "claims another student's function",
        {"softmax": "softmax = minilm.course.grade.grading.softmax\n" + HONEST["layer_norm"]},
        lost=("softmax",),
    ),
]
