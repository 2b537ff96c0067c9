"""Submissions that never come back."""

from . import HONEST, Case, answer, softmax

RIGHT = "z = np.exp(x - x.max(-1, keepdims=True))\nright = z / z.sum(-1, keepdims=True)\n"

CASES = [
    Case("loop in a cell", first="while True: pass"),
    Case("loop in the last cell", last="while True: pass"),
    Case("sleep in a cell", first="import time\ntime.sleep(3600)"),
    Case(
        "loop in front of a definition",
        {"softmax": "while True: pass\n" + HONEST["softmax"]},
    ),
    Case("loop in a class body", first="class Stuck:\n    while True: pass"),
    Case("loop in two cells", first="while True: pass", last="import time\ntime.sleep(9999)"),
    Case("waits for input", first="name = input('your name? ')"),
    softmax("loop in a function", "while True: pass"),
    softmax("sleep in a function", "import time\ntime.sleep(3600)"),
    softmax("loop in C", "return sum(range(10**15))"),
    softmax("a power that takes years", "return 7 ** (10 ** 10)"),
    softmax("catastrophic regex", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')\nreturn x"),
    softmax(
        "deadlock", "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"
    ),
    softmax(
        "loop that ignores signals",
        "import signal\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
    ),
    softmax(
        "loop that swallows exceptions",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ),
    softmax(
        "loop in __del__",
        RIGHT + "return right.view(Clingy)",
        first="import numpy as np\nclass Clingy(np.ndarray):\n    def __del__(self):\n"
        "        while True: pass",
    ),
    softmax(
        "loop in __del__ of something kept",
        RIGHT + "global kept\nkept = Clingy()\nkept.me = kept\nkept = None\nreturn right",
        first="class Clingy:\n    def __del__(self):\n        while True: pass",
        # the collector may come by during the question or at its end; nothing later pays for it
        lost={"softmax": (0, 5)},
    ),
    softmax(
        "hangs only on other shapes",
        RIGHT + "while x.shape not in ((2, 3), (3,), (3, 4)): pass\nreturn right",
        # the two tests that follow in the question are never reached
        lost=("softmax",),
    ),
    answer("merge", "endless generator", "while True:\n    yield 1"),
    answer("greedy", "endless callbacks", "while True: model([0])"),
    answer("greedy", "never listens to its callback", "model([0])\nwhile True: pass"),
    Case(
        "loop in a constructor",
        {"momentum": "class Momentum:\n    def __init__(self, lr, m):\n        while True: pass"},
        lost=("momentum",),
    ),
    Case(
        "loop in __getattr__ of an answer",
        {
            "momentum": "class Momentum:\n    def __init__(self, lr, m): pass\n"
            "    def __getattr__(self, name):\n        while True: pass"
        },
        lost=("momentum",),
    ),
]
