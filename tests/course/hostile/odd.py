"""Eighty more, of kinds that the others have not: odd ways to be right, and new ways to do harm.

A right answer in an odd shape earns all. What a program does to itself costs its author alone.
"""

from . import HONEST, WORTH, Case, answer, softmax
from .fresh import says

RIGHT = "z = np.exp(x - x.max(-1, keepdims=True))\nright = z / z.sum(-1, keepdims=True)\n"
ALONE = {"softmax": 1}  # the one call that no case speaks for
NOTHING = dict.fromkeys(WORTH, 0)
ANY = {name: (0, most) for name, most in WORTH.items()}  # it harms nobody but itself
CRASH = "import os\nos._exit(1)"


def right(name: str, body: str, first: str = "", **more: object) -> Case:
    """A softmax that is right, in an odd shape."""
    return softmax(name, RIGHT + body, first, lost=(), **more)


ODD_AND_RIGHT = [
    right("an answer in the other byte order", "return right.astype('>f4')"),
    right("an answer that cannot be written", "right.flags.writeable = False\nreturn right"),
    right("an answer in Fortran's order", "return np.asfortranarray(right)"),
    right("an answer with steps backwards", "return right[..., ::-1].copy()[..., ::-1]"),
    right("a matrix of one's own class", "return right.view(type('Mine', (np.ndarray,), {}))"),
    right("a masked array", "return np.ma.masked_array(right)"),
    Case(
        "an object that can be called",
        {"softmax": f"class Softmax:\n    def __call__(self, x):\n        "
         f"{RIGHT.replace(chr(10), chr(10) + ' ' * 8)}return right\nsoftmax = Softmax()"},
    ),
    Case(
        "a partial function",
        {"softmax": "import functools\ndef powers(x, axis):\n"
         "    z = np.exp(x - x.max(axis, keepdims=True))\n"
         "    return z / z.sum(axis, keepdims=True)\n"
         "softmax = functools.partial(powers, axis=-1)"},
    ),
    Case(
        "a function out of a text",
        {"softmax": f"exec({HONEST['softmax']!r})"},
    ),
    Case(
        "a function put among the globals",
        {"softmax": HONEST["softmax"].replace("def softmax", "def mine")
         + "\nglobals()['softmax'] = mine"},
    ),
    Case("a name used for a value later", last="softmax = softmax(np.zeros((2, 3), 'f4'))"),
    Case("a question deleted and written again", last="del greedy\n" + HONEST["greedy"]),
    Case("a cell that waits at the top", last="import asyncio\nawait asyncio.sleep(0)"),
    Case(
        "a table after a crash in another question",
        {"softmax": f"def softmax(x):\n    {CRASH.replace(chr(10), chr(10) + '    ')}",
         "layer_norm": HONEST["layer_norm"].replace("eps)", "eps * ONE[0])")},
        first="ONE = []\nfor n in range(1):\n    ONE.append(n + 1)",
        lost=("softmax",),
    ),
    Case(
        "a slow table after a crash in another question",
        {"softmax": f"def softmax(x):\n    {CRASH.replace(chr(10), chr(10) + '    ')}",
         "layer_norm": HONEST["layer_norm"].replace("eps)", "eps * ONE)")},
        first="import time\ndef slow():\n    end = time.process_time() + 1.1\n"
        "    while time.process_time() < end: pass\n    return 1\nONE = slow()",
        lost=("softmax",),
    ),
    Case("text in all the world's letters", first="# Ünïcödé ✓ \u202e ‮ \U0001f600\nπ = 3\nß = 'ſ'"),
    Case("cells from Windows", {"merge": HONEST["merge"].replace("\n", "\r\n")}),
    Case("tabs for spaces", {"greedy": HONEST["greedy"].replace("    ", "\t")}),
    Case("a page break in a cell", {"merge": "\f\n" + HONEST["merge"]}),
    Case("a coding line", {"merge": "# -*- coding: latin-1 -*-\n" + HONEST["merge"]}),
]  # fmt: skip

SURROGATE = "\ud800"
WORDS = [
    softmax("half a letter in a message", "raise ValueError('\\ud800 \\udfff')"),
    Case("half a letter in a cell", first=f"text = '{SURROGATE}'"),
    Case("half a letter in a name", {"merge": HONEST["merge"] + f"\n{SURROGATE} = 1"}),
    answer("merge", "half a letter in an answer", "return ['\\ud800'] * len(ids)"),
    softmax("a type named by half a letter", "return type('\\ud800', (), {})()"),
    softmax("a page in pieces", "raise ValueError('\"></pre><svg/onload=alert(1)>&lt;<!-- --!>')"),
    softmax("a terminal's commands in a message", "raise ValueError('\\x1b]0;x\\x07\\x1b[2J')"),
    softmax("a formula in a message", "raise ValueError('\\n=cmd|\\'/c calc\\'!A1\\n@x\\t+1')"),
    softmax("text that runs backwards in a message", "raise ValueError('\\u202e\\u2066' * 200)"),
    softmax("nothing but NUL in a message", "raise ValueError('\\0' * 500)"),
    softmax("points in a message", "raise ValueError('code cell 1: 5/5 points, hidden passed')"),
    Case(
        "an error whose class has no name",
        {"softmax": "class E(Exception): pass\nE.__name__ = ''\ndef softmax(x): raise E"},
        lost=("softmax",),
    ),
    softmax("an error in a chain of thousands",
            "error = ValueError()\nfor _ in range(10**5):\n    one = ValueError()\n"
            "    one.__context__ = error\n    error = one\nraise error"),
    softmax("a group of errors", "raise ExceptionGroup('x' * 999, [ValueError(1)] * 10**5)"),
]  # fmt: skip

# what a patched worker writes in place of a frame's JSON
RAW = """\
import os, struct, sys
def speak(worker, message, blobs):
    if message["op"] != "call" or message.get("of") != "softmax":
        return honest(worker, message, blobs)
    text = (TEXT).encode()
    data = memoryview(struct.pack("<QI", len(text), len(text)) + text)
    while data: data = data[os.write(worker.write, data):]
kind = sys.modules["inside.worker"].Worker
honest, kind.answer = kind.answer, speak
"""
ON_THE_WIRE = [
    Case("brackets without end", first=RAW.replace("TEXT", "'[' * 2_000_000"), lost=("softmax",)),
    Case("a number of four million digits", first=RAW.replace("TEXT", "'7' * 4_000_000"),
         lost=("softmax",)),
    Case("a text without end", first=RAW.replace("TEXT", "chr(34) + 'x' * 3_000_000"),
         lost=("softmax",)),
    says("a number beyond all floats", "1e400", lost=ALONE),
    says("no number at all", "float('nan')", lost=ALONE),
    says("two marks at once", '{"a": ["<f4", [1], 0], "l": []}', "[bytes(4)]"),
    says("a list that is a mark", '["l", []]'),
    says("a mark that is a number", '{"7": []}'),
    says("an array of the judge's own memory", '{"m": ["<f4", [6], 0]}'),
    says("an array with more bytes than it says", '{"a": ["<f4", [2, 3], 0]}', "[bytes(25)]"),
    says("an array of minus six", '{"a": ["<f4", [-2, -3], 0]}', "[bytes(24)]"),
    says("a shape of truths", '{"a": ["<f4", [True, 6], 0]}', "[bytes(24)]"),
    says("bytes that are an array", '{"b": [0]}', "[bytes(24)]"),
    says("keys of no equality", '{"d": [[float("nan"), 0] for n in range(9_000)]}', lost=ALONE),
]  # fmt: skip
DRIP = """\
import os, struct, time
def drip(worker, message, blobs):
    if message["op"] != "call" or message.get("of") != "softmax":
        return honest(worker, message, blobs)
    for byte in struct.pack("<QI", 1000, 900) + bytes(988):
        os.write(worker.write, bytes([byte]))
        time.sleep(0.03)
import sys
kind = sys.modules["inside.worker"].Worker
honest, kind.answer = kind.answer, drip
"""
DOUBLE = """\
import sys
kind = sys.modules["inside.worker"].Worker
honest = kind.answer
def twice(worker, message, blobs):
    honest(worker, message, blobs)
    worker.send({"n": message["n"] + 1, "ok": True})
kind.answer = twice
"""
SPEAKING = [
    Case("an answer byte by byte", first=DRIP, lost=("softmax",)),
    Case("an answer and the next one", first=DOUBLE, lost=NOTHING),
    Case("a false start", first="import sys\nsys.modules['inside.worker'].Worker.load = 1\n"
         "sys._getframe(3).f_locals", lost=()),
    answer("greedy", "a callback with a huge argument",
           "for _ in range(50): model(np.zeros(7 * 2**20))\nreturn []"),
    answer("greedy", "a callback that is called with itself", "return model(model)"),
    answer("greedy", "a callback of names", "return model(**{str(n): n for n in range(9999)})"),
    answer("greedy", "the callback for an answer", "return model"),
    answer("greedy", "a generator of callbacks", "return (model([0]) for _ in range(10**9))"),
    answer("merge", "a length that is none",
           "return Long()", "class Long:\n    def __len__(self): return 1 << 62\n"
           "    def __iter__(self): return iter(())"),
    answer("merge", "an item for every number",
           "return Every()", "class Every:\n    def __getitem__(self, at): return 7"),
    softmax("an array of eight terabytes", "return np.broadcast_to(x.flat[0], (10**6, 2 * 10**6))"),
    softmax("an array that hides its size",
            "return np.broadcast_to(x.flat[0], (10**6, 2 * 10**6)).view(Small)",
            "import numpy as np\nclass Small(np.ndarray):\n    nbytes = 0"),
    softmax("a coroutine", "async def later(): return x\nreturn later()"),
]  # fmt: skip

ITSELF = [
    Case("no builtins", last="__builtins__.clear() if isinstance(__builtins__, dict) else "
         "vars(__builtins__).clear()"),  # the worker dies of it, and another one leaves it out
    Case("no modules", last="import sys\nsys.modules.clear()", lost=ANY),
    Case("no recursion", last="import sys\nsys.setrecursionlimit(40)",
         lost=ANY),
    Case("a trace of everything", first="import sys, threading\n"
         "def trace(*what): return trace\nsys.settrace(trace)\nsys.setprofile(trace)\n"
         "threading.settrace(trace)"),
    Case("an alarm in a second", first="import signal\nsignal.alarm(1)",
         lost=ANY),
    Case("an alarm in no time", lost=ANY,
         first="import signal\nsignal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)"),
    Case("no garbage is collected", first="import gc\ngc.disable()\ngc.freeze()\n"
         "for _ in range(10**5):\n    a = []\n    a.append(a)"),
    Case("hangs at its end", first="import atexit, threading\n@atexit.register\ndef stay():\n"
         "    while True: pass\nthreading._register_atexit(stay)"),
    Case("NumPy is gone", last="np = None", lost={"softmax": 0, "layer_norm": 0}),
    Case("errors of NumPy are raised", first="import numpy as np\nnp.seterr(all='raise')",
         lost={"softmax": (0, 5)}),
    Case("an import that hangs", {"merge": "%%writefile slow.py\nwhile True: pass"},
         last="import slow", lost=("merge",)),
    Case("an import in a circle", first="%%writefile one.py\nimport two\n", last="import one"),
    Case("a finder that takes all", first="import sys\nclass Finder:\n"
         "    def find_spec(self, *a): raise SystemExit\nsys.meta_path.insert(0, Finder())",
         lost=ANY),
]  # fmt: skip

NUMBERS = {  # of x86-64 and arm64
    "ptrace": (101, 117), "syslog": (103, 116), "personality": (135, 92), "swapon": (167, 224),
    "reboot": (169, 142), "sethostname": (170, 161), "init_module": (175, 105),
    "quotactl": (179, 60), "add_key": (248, 217), "keyctl": (250, 219), "mq_open": (240, 180),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "inotify_init1": (294, 26),
    "fanotify_init": (300, 262), "perf_event_open": (298, 241), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "memfd_create": (319, 279),
    "bpf": (321, 280), "execve": (59, 221), "execveat": (322, 281), "userfaultfd": (323, 282),
    "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425), "open_tree": (428, 428),
    "fsopen": (430, 430), "pidfd_open": (434, 434), "clone3": (435, 435), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "landlock_create_ruleset": (444, 444),
    "memfd_secret": (447, 447), "socket": (41, 198), "socketpair": (53, 199), "vfork": (58, None),
    "fork": (57, None), "chroot": (161, 51), "pivot_root": (155, 41), "setns": (308, 268),
    "unshare": (272, 97), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30), "setpgid": (109, 154), "setsid": (112, 157), "iopl": (172, None),
    "vhangup": (153, 58), "acct": (163, 89), "mknod": (133, None), "signalfd4": (289, 74),
    "timerfd_create": (283, 85), "seccomp": (317, 277), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "setrlimit": (160, 164), "kexec_load": (246, 104),
}  # fmt: skip
SYSTEM = [
    Case(
        "every other call of the system",
        first=f"import ctypes, platform\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"column = 0 if platform.machine() == 'x86_64' else 1\ndone = []\n"
        f"for name, numbers in {NUMBERS!r}.items():\n"
        "    number = numbers[column]\n"
        "    if number is not None and libc.syscall(number, 0, 0, 0, 0, 0) >= 0:\n"
        "        done.append(name)\n"
        "if done: raise RuntimeError('STO' 'LEN ' + str(done))",
    ),
    Case(
        "the kernel's x32 calls",
        first="import ctypes, platform\nlibc = ctypes.CDLL(None)\n"
        "if platform.machine() == 'x86_64' and libc.syscall(0x40000000 + 57) >= 0:\n"
        "    raise RuntimeError('STO' 'LEN x32')",
    ),
    Case(
        "shared memory between processes",
        first="from multiprocessing import shared_memory\n"
        "one = shared_memory.SharedMemory('minilm', create=True, size=1 << 20)\n"
        "raise RuntimeError('STO' 'LEN ' + one.name)",
    ),
    Case(
        "a file that runs",
        first="import ctypes, os\nwith open('/tmp/own.so', 'wb') as file: file.write(b'\\x7fELF')\n"
        "if os.access('/tmp/own.so', os.X_OK): raise RuntimeError('STO' 'LEN')",
    ),
    Case(
        "what lies in the kit",
        first="import glob\nfound = [p for p in glob.glob('/kit/**', recursive=True)\n"
        "    if any(w in p for w in ('judge', 'question', 'secret', 'tests', 'course'))]\n"
        "if found: raise RuntimeError('STO' 'LEN ' + str(found))",
    ),
]
CRASHES = {
    name: HONEST[name].split("\n")[0] + "\n    import os\n    os._exit(1)"
    for name in ("softmax", "layer_norm", "merge", "greedy")
}
BUDGETS = [
    Case("a table that costs a start each time", CRASHES | {
        "momentum": HONEST["momentum"].replace("self.v = self.m * self.v",
                                               "self.v = ONE * self.m * self.v")},
        first="import time\ndef slow():\n    end = time.process_time() + 0.4\n"
        "    while time.process_time() < end: pass\n    return 1\nONE = slow()",
        lost=tuple(CRASHES)),
    Case("a setting that sleeps at each start", CRASHES, first="import time\ntime.sleep(1.2)",
         lost={"momentum": (0, 3), **dict.fromkeys(CRASHES, 0)}),
    Case("cells that cannot be read", many=("def (:", 1500)),
    Case("names without end", first="for n in range(10**5): globals()[f'name{n}'] = n"),
]  # fmt: skip
CASES = [*ODD_AND_RIGHT, *WORDS, *ON_THE_WIRE, *SPEAKING, *ITSELF, *SYSTEM, *BUDGETS]
