"""Fifty more submissions, each against one thing that a grader of this kind got wrong before.

Those that speak to the grader themselves do it through the worker's own wire, as a student would
who has read its source.
"""

from . import HONEST, Case, answer, softmax

RIGHT = "z = np.exp(x - x.max(-1, keepdims=True))\nright = z / z.sum(-1, keepdims=True)\n"
# what a patched worker says in place of an answer: SAYS is a JSON node, BLOBS the bytes behind it
SPEAK = """\
import sys
from inside import wire
def speak(worker, message, blobs):
    if message["op"] != OP or message.get("of") not in ("softmax", "", "missing"):
        return honest(worker, message, blobs)
    pack = worker.pack()
    pack.blobs = BLOBS
    worker.send({"n": message["n"], "ok": SAYS}, pack)
kind = sys.modules["inside.worker"].Worker
honest, kind.answer = kind.answer, speak
"""


def says(name: str, node: str, blobs: str = "[]", op: str = "call", **more: object) -> Case:
    """A case whose worker answers with a JSON node of its own making."""
    text = SPEAK.replace("OP", repr(op)).replace("SAYS", node).replace("BLOBS", blobs)
    more.setdefault("lost", ("softmax",))
    return Case(name, first=text, **more)


ALONE = {"softmax": 4}  # softmax without the test that looks at its argument
ON_THE_WIRE = [
    says("a value where a handle belongs", '{"h": [{"a": ["<f4", [1], 0]}, "Tensor", True]}'),
    says("an old mark with an array in a handle", '{"T": [{"h": [0, "x", True]}, False]}'),
    says("one blob for forty arrays", '{"l": [{"a": ["<f4", [4], 0]}] * 40}', "[bytes(16)]"),
    says("five million zeros", '{"l": [0] * 5_000_000}'),
    says("two hundred thousand lists", '{"l": [{"l": []}] * 250_000}'),
    says(
        "keys that clash",
        '{"d": [[{"i": hex(n * (2**61 - 1))}, 0] for n in range(100_000)]}',
    ),
    says("members that clash", '{"s": [{"i": hex(n * (2**61 - 1))} for n in range(100_000)]}'),
    says("an array as a key", '{"d": [[{"a": ["<f4", [1], 0]}, 1]]}', "[bytes(4)]"),
    says("a shape of a googol", '{"a": ["<f4", [0, 10**100], 0]}', '[b""]'),
    says("a shape of 33 axes", '{"a": ["<f4", [1] * 33, 0]}', "[bytes(4)]"),
    says("a dtype of objects", '{"a": ["|O", [1], 0]}', "[bytes(8)]"),
    says("a truth that is 7", '{"a": ["|b1", [2, 3], 0]}', "[b'\\x07' * 6]", lost={"softmax": 1}),
    says("a complex number of lists", '{"c": [{"l": []}, 1]}'),
    says("a number of the grader's functions", '{"f": 99}'),
    says("an array where a list of names belongs", '{"a": ["<f4", [1], 0]}', "[bytes(4)]",
         op="missing", lost={**dict.fromkeys(HONEST, 0), "softmax": 1}),
    says("an array where a count belongs", '{"a": ["<f4", [1], 0]}', "[bytes(4)]",
         op="forget", lost=()),
    says("a handle where a count belongs", '{"h": [0, "int", True]}', op="forget", lost=()),
    Case(
        "a cell of 17 MB",
        {"layer_norm": "text = '" + "x" * 17_000_000 + "'\n" + HONEST["layer_norm"]},
        lost=("layer_norm",),
    ),
    Case(
        "an argument that the worker calls untouched",
        {
            "softmax": "def softmax(x):\n    x -= x.max(-1, keepdims=True)\n    np.exp(x, out=x)\n"
            "    x /= x.sum(-1, keepdims=True)\n    return x\n"
        },
        first="import sys\nimport numpy as np\nkind = sys.modules['inside.worker'].Worker\n"
        "before = kind.perform\n"
        "def perform(self, message, blobs):\n"
        "    if message['op'] != 'inplace': return before(self, message, blobs)\n"
        "    kept = [v.copy() for v in self.unpack(blobs, message['args'])]\n"
        "    value, _ = before(self, message, blobs)\n"
        "    return np.array(value), kept\n"
        "kind.perform = perform",
        lost=ALONE,
    ),
]  # fmt: skip
# a helper of each kind that once gave the answer away; and honest uses of what is not there
TAKEN = {
    "a private helper of sampling": "from minilm.inference.sampling import _softmax as own",
    "arrays of a primitive": "own = minilm.functional.softmax.arrays",
    "a kernel's folder": "from minilm.kernels.softmax.reference import softmax as own",
    "decode_attention": "from minilm.kernels.decode_attention import reference as own",
    "an optimizer's step": "own = minilm.optim.AdamW._update",
    "the emulator": "from minilm.emulator import emulate as own",
    "importlib": "import importlib\nown = importlib.import_module('minilm.functional').softmax",
    "a search of the disk": "import os, sys\nfound = [p for p in sys.path if os.path.isdir(p)\n"
    "    and {'minilm', 'torch', 'scipy'} & set(os.listdir(p))]\nown = __import__(found[0])",
    "SciPy": "from scipy.special import softmax as own",
    "a part of SciPy": "import scipy.stats\nown = scipy.special.softmax",
    "Numba": "import numba\nown = numba.njit(lambda x: x)",
}
BORROWED = [softmax(name, f"{line}\nreturn own(x)") for name, line in TAKEN.items()]
BORROWED += [
    Case(
        "a class of minilm to inherit from",
        {"momentum": HONEST["momentum"].replace("class Momentum:", "class Momentum(minilm.nn.M):")},
        first="import minilm\nmodel = minilm.models.gpt2('tiny')\nloss = model(3).mean()\n"
        "for step in range(3): loss.backward()\nprint(float(loss.data))\n"
        "with minilm.use(softmax=None): 1 / 0",
    ),
    Case(
        "a system's packages",
        first="import os, sys, glob\n"
        "sys.path += glob.glob('/usr/lib/python3*/dist-packages') "
        "+ glob.glob('/usr/lib/python3*/site-packages')\n"
        "sys.path += [f'{sys.base_prefix}/lib/python3.{sys.version_info[1]}/site-packages']\n"
        "found = [n for p in sys.path if 'packages' in p and os.path.isdir(p)\n"
        "         for n in os.listdir(p) if not n.startswith(('numpy', '_'))]\n"
        "if found: raise RuntimeError('STO' 'LEN ' + str(found)[:200])",
    ),
]
SLOW = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
BUDGETS = [
    Case(
        "slow cells without end",
        many=(SLOW.format(0.02), 500),  # only definitions are run in the end
    ),
    Case("a slow cell and a crash in each question", {
        "softmax": "def softmax(x):\n    import os\n    os._exit(1)",
        "layer_norm": "def layer_norm(x, eps=1e-5):\n    import os\n    os._exit(1)",
        "merge": "def merge(ids, pair, new):\n    import os\n    os._exit(1)",
    }, first=SLOW.format(1.2), lost=("softmax", "layer_norm", "merge")),
    Case("a loop in every question", {
        "softmax": "def softmax(x):\n    while True: pass",
        "layer_norm": "def layer_norm(x, eps=1e-5):\n    while True: pass",
        "merge": "def merge(ids, pair, new):\n    while True: pass",
    }, lost=("softmax", "layer_norm", "merge")),
    Case("a cell that counts its loads", {
        "softmax": "def softmax(x):\n    import os\n    os._exit(1)",
    }, first="table = [n for n in range(10)]\nassert len(table) == 10", lost=("softmax",)),
    softmax("sleeps through every call", RIGHT + "import time\ntime.sleep(0.9)\nreturn right",
            lost={"softmax": (0, 5)}),
]  # fmt: skip
CALLS = """\
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
def tried(name, result):
    if result == 0: done.append(name)
path = np.__file__.encode()
tried('chmod', libc.chmod(path, 0o777))
tried('chown', libc.chown(path, 0, 0))
tried('utimes', libc.utimes(path, None))
tried('link', libc.link(path, b'/tmp/link'))
tried('symlink', libc.symlink(path, b'/tmp/symlink'))
tried('truncate', libc.truncate(path, 0))
tried('setpriority', libc.setpriority(0, 0, 5))
tried('sched', libc.sched_setscheduler(0, 3, bytes(8)))
tried('mkfifo', libc.mkfifo(b'/tmp/pipe', 0o600))
tried('personality', libc.personality(0x0040000))
tried('pdeathsig', libc.prctl(1, 0, 0, 0, 0))
tried('dumpable', libc.prctl(4, 1, 0, 0, 0))
tried('no seccomp', libc.prctl(22, 1, 0, 0, 0))
tried('mount', libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None))
with open(np.__file__) as file:
    tried('flock', libc.flock(file.fileno(), 6))
    for name, command in (('lock', 6), ('lease', 1024), ('owner', 8), ('notify', 1026)):
        tried(name, libc.fcntl(file.fileno(), command, bytes(64)))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done.append('flock of Python')
    except OSError: pass
if done: raise RuntimeError('STO' 'LEN ' + str(done))
"""
WALLED = [
    Case("calls that change what is not its own", first="import numpy as np\n" + CALLS),
    Case(
        "a million empty files",
        first="import os\nmade = 0\ntry:\n    for made in range(10**6):\n"
        "        os.close(os.open(f'/tmp/{made}', os.O_CREAT))\nexcept OSError: pass\n"
        "if made > 1000: raise RuntimeError('STO' 'LEN ' + str(made))",
    ),
    Case(
        "folders in folders",
        first="import os\ntry:\n    for n in range(10**6): os.mkdir('d'); os.chdir('d')\n"
        "except OSError: pass\nos.chdir('/')",
    ),
    Case(
        "other processes",
        first="import os\nalive = []\nfor pid in range(1, 70000):\n    try:\n"
        "        if pid != os.getpid(): os.kill(pid, 0); alive.append(pid)\n"
        "    except OSError: pass\nif alive: raise RuntimeError('STO' 'LEN ' + str(alive))",
    ),
    Case(
        "memory that the grader sees",
        first="import gc, numpy as np\nfor one in gc.get_objects():\n"
        "    if type(one).__name__ == 'Worker':\n        one.shared[:] = 255",
    ),
]
ODD = [
    Case("order of a set", {"merge": HONEST["merge"] + "\norder = list({'a', 'b', 'c', 'd'})"}),
    Case(
        "a module of its own",
        {"layer_norm": "from norms import layer_norm", "imports": HONEST["imports"]},
        last="%%writefile norms.py\nimport numpy as np\n" + HONEST["layer_norm"],
    ),
    Case(
        "a package of its own, written in pieces",
        {"merge": "from tools.pairs import merge"},
        first="%%writefile tools/pairs.py\n" + HONEST["merge"],
        last="%%writefile -a tools/pairs.py\nDONE = True",
    ),
    Case(
        "a module that is not there",
        {"merge": "from my_helpers import merge"},
        lost=("merge",),
    ),
    Case("a module outside", first="%%writefile ../../etc/evil.py\nx = 1"),
    Case(
        "patches the list of imports",
        {"softmax": "def softmax(x):\n    from scipy.special import softmax as own\n"
                    "    return own(x, -1)"},
        first="import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'inside' not in\n"
        "    str(getattr(f, '__module__', type(f).__module__))]",
        lost=("softmax",),
    ),
    answer("greedy", "a flood of callbacks", "for _ in range(10**7): model([0])"),
    answer("merge", "a judge's memory", "return [bytes(60 << 20)] * 3"),
    answer("merge", "lists in a list, twice over", "a = [0] * 100\nreturn [[a] * 100] * 100"),
]  # fmt: skip
CASES = [*ON_THE_WIRE, *BORROWED, *BUDGETS, *WALLED, *ODD]
