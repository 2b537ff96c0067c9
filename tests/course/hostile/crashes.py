"""Submissions that take something down: themselves, the machine, their neighbours."""

from . import Case, softmax

RIGHT = "z = np.exp(x - x.max(-1, keepdims=True))\nright = z / z.sum(-1, keepdims=True)\n"

CASES = [
    Case("os._exit in a cell", first="import os\nos._exit(0)"),
    Case("sys.exit in a cell", first="import sys\nsys.exit('passed')"),
    Case("segmentation fault in a cell", first="import ctypes\nctypes.string_at(0)"),
    Case("abort in the last cell", last="import os\nos.abort()"),
    softmax("os._exit in a function", "import os\nos._exit(0)"),
    softmax("sys.exit in a function", "raise SystemExit(0)"),
    softmax("KeyboardInterrupt", "raise KeyboardInterrupt"),
    softmax("segmentation fault", "import ctypes\nreturn ctypes.string_at(0)"),
    softmax("kills itself", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    softmax("endless recursion", "return softmax(x)"),
    softmax(
        "stack overflow in C",
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class Deep:\n    def __repr__(self): return repr(self)\n"
        "return repr(Deep())",
    ),
    Case(
        "fork bomb",
        first="import os\nfor _ in range(10**6):\n    try: os.fork()\n    except OSError: break",
    ),
    Case("fork bomb of a shell", first="import os\nos.system(':(){ :|:& };:')"),
    Case("starts programs", first="import subprocess\nsubprocess.Popen(['sleep', '1000'])"),
    Case(
        "multiprocessing",
        first="import multiprocessing\nmultiprocessing.Process(target=print).start()",
    ),
    softmax("10 GB allocation", "return np.ones(10 * 2**30, np.uint8)"),
    softmax("allocates bit by bit", "kept = []\nwhile True: kept.append(bytearray(1 << 24))"),
    Case("10 GB in a cell", first="import numpy as np\nbig = np.ones(10 * 2**30, np.uint8)"),
    Case(
        "10 GB file",
        first="with open('/tmp/big', 'wb') as file:\n"
        "    for _ in range(10 * 1024): file.write(bytes(1 << 20))",
    ),
    Case(
        "files without end",
        first="for n in range(10**9):\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 16))",
    ),
    Case(
        "fills shared memory",
        first="for n in range(10**4):\n    open(f'/dev/shm/{n}', 'wb').write(bytes(1 << 22))",
    ),
    Case(
        "memory outside the limit",
        first="import os\nfiles = []\nfor n in range(60):\n"
        "    files.append(os.memfd_create(str(n)))\n    os.ftruncate(files[-1], 1 << 30)",
    ),
    Case(
        "signals to the parent",
        first="import os, signal\nfor pid in (os.getppid(), 1, -1, 0):\n"
        "    for what in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):\n"
        "        try:\n"
        "            if pid: os.kill(pid, what)\n"
        "        except OSError: pass",
    ),
    Case("stops itself", first="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    Case(
        "raises its limits",
        first="import resource\nfor what in (resource.RLIMIT_AS, resource.RLIMIT_CPU):\n"
        "    resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n",
    ),
    Case("closes every file", first="import os\nos.closerange(0, 256)"),
    softmax("closes every file in a function", RIGHT + "import os\nos.closerange(0, 256)"),
    Case("prints without end", first="for _ in range(200): print('x' * 10**6)"),
    softmax(
        "threads left running",
        RIGHT + "import threading\n"
        "def burn():\n    while True: pass\n"
        "for _ in range(4): threading.Thread(target=burn, daemon=True).start()\n"
        "return right",
        lost={"softmax": (0, 5)},  # it slows down nobody but itself
    ),
    Case(
        "threads in a cell",
        first="import threading, time\n"
        "for _ in range(30): threading.Thread(target=time.sleep, args=(999,)).start()",
    ),
    Case("source nested too deep", first="x = " + "(" * 5000 + ")" * 5000),
    Case("source with a long chain", first="x = " + "-" * 100_000 + "1"),
    Case("source with NUL bytes", first="x = 1\0"),
    Case("a large source", first="x = [" + "1," * 300_000 + "]"),
]
