"""Submissions that look around: for hidden tests, other students, the lecturer's machine.

A spy that succeeds says STOLEN in an error message, which would end up in the feedback; the test
looks for that word. The sources spell it in two halves, for feedback may quote a line of them.
`PLACES` and `ADDRESSES` are replaced by paths and sockets of the machine that runs the test.
"""

from . import HONEST, Case, softmax

RIGHT = "z = np.exp(x - x.max(-1, keepdims=True))\nright = z / z.sum(-1, keepdims=True)\n"

READ = """\
import glob, os
found = []
for path in PLACES + ['/etc/passwd', '/etc/shadow', '/proc/self/environ', '/proc/1/cmdline',
                      '/proc/self/mem', '/proc/self/maps', '/root/.bashrc', '../../etc/passwd']:
    try:
        found.append(path + ':' + open(path, errors='replace').read(200))
    except OSError:
        pass
if found:
    raise RuntimeError('STO' 'LEN ' + ' '.join(found))
"""

LIST = """\
import os
found = []
for path in PLACES + ['/home', '/proc', '/tmp', '/var', '/mnt', '/sys/class', '/run', '/etc']:
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    try:
        found += [f'{folder}/{name}' for name in os.listdir(folder)
                  if not (folder == '/etc' and name in ('ld.so.cache', 'localtime'))]
    except OSError:
        pass
import sys
# the way to Python itself is bound to be seen, and says nothing
shown = sys.path + [sys.prefix, sys.base_prefix, '/tmp', '/dev', '/lib32', '/lib64', '/usr', '/etc']
found = [f for f in found if not any(p.startswith('/' + f.lstrip('/')) for p in shown)]
if found:
    raise RuntimeError('STO' 'LEN ' + ' '.join(found)[:150])
"""

REACH = """\
import socket
reached = []
for kind, address in ADDRESSES:
    try:
        one = socket.socket(*kind)
        one.settimeout(0.2)
        one.connect(address)
        one.send(b'hello')
        reached.append(address)
    except OSError:
        pass
if reached:
    raise RuntimeError('STO' 'LEN ' + str(reached))
"""

ESCAPE = """\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
def tried(name, result):
    if result == 0 or (name == 'fd' and result > 0):
        done.append(name)
for name in ('setuid', 'setgid', 'setresuid'):
    try:
        getattr(os, name)(*(0,) * (3 if 'res' in name else 1))
        if os.getuid() == 0: done.append(name)
    except OSError: pass
tried('unshare', libc.unshare(0x10000000))
tried('mount', libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))
tried('chroot', libc.chroot(b'/tmp'))
tried('ptrace', libc.ptrace(16, os.getppid(), 0, 0))
tried('setns', libc.setns(3, 0))
for path in ('/kit/start.py', '/kit/minilm/__init__.py', np.__file__, '/usr/evil'):
    try:
        open(path, 'a').close()
        done.append(path)
    except OSError: pass
if done:
    raise RuntimeError('STO' 'LEN ' + str(done))
"""

INHERITED = """\
import os, stat
found = []
for number in range(3, 256):
    try:
        facts = os.fstat(number)
        if stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
            found.append(number)
    except OSError:
        pass
if found:
    raise RuntimeError('STO' 'LEN ' + str(found))
"""

SECRETS = """\
import os
if any('CANARY' in v for v in os.environ.values()):
    raise RuntimeError('STO' 'LEN environment')
import sys
from types import ModuleType
named = [n for n in sys.modules if 'exercise' in n or 'questions' in n or 'expect' in n]
if named:
    raise RuntimeError('STO' 'LEN ' + str(named))
for name in ('minilm.course.checking.questions', 'minilm.course.grade', 'tests', 'conftest'):
    try:
        __import__(name)
        raise RuntimeError('STO' 'LEN ' + name)
    except ImportError:
        pass
"""

CASES = [
    Case("reads files", first=READ),
    Case("lists folders", first=LIST),
    Case("reaches the network", first=REACH),
    Case("leaves the sandbox", last=ESCAPE),
    Case("inherited files", first=INHERITED),
    Case("secrets in the environment", first=SECRETS),
    Case(
        "a shell escape", first="text = !cat /etc/passwd\nif text: raise RuntimeError('STO' 'LEN')"
    ),
    Case("a shell cell", first="%%bash\necho STO''LEN; cat /etc/passwd"),
    Case(
        "reads with a child",
        first="import subprocess\nout = subprocess.run(['cat', '/etc/passwd'], "
        "capture_output=True, text=True).stdout\nraise RuntimeError('STO' 'LEN ' + out)",
    ),
    softmax(
        "hidden inputs in a message",
        "seen.append(x.tolist())\nraise ValueError(str(seen)[:400])",
        first="seen = []",
    ),
    Case(
        "hidden inputs in a later question",
        {
            "softmax": "seen = []\ndef softmax(x):\n    seen.append(x.tolist())\n    "
            + RIGHT.replace("\n", "\n    ")
            + "return right",
            "layer_norm": "def layer_norm(x, eps=1e-5):\n    raise ValueError(str(seen)[-400:])",
        },
        lost=("layer_norm",),
    ),
    softmax(
        "hidden inputs in a type's name",
        RIGHT + "if x.shape in ((2, 3), (3,), (3, 4)): return right\n"
        "raise type('E' + str(x.tolist()), (Exception,), {})",
        lost={"softmax": 2},
    ),
    softmax(
        "hidden inputs on disk",
        RIGHT + "import os\n"
        "with open('/tmp/seen', 'a') as file: file.write(str(x.tolist()))\n"
        "if x.shape not in ((2, 3), (3,), (3, 4)): os._exit(1)\n"
        "return right",
        first="import os\nif os.path.exists('/tmp/seen'): "
        "raise RuntimeError('STO' 'LEN ' + open('/tmp/seen').read())",
    ),
    Case(
        "hidden inputs printed",
        {
            "layer_norm": HONEST["layer_norm"].replace(
                "    centred", "    print(x, flush=True)\n    centred", 1
            )
        },
    ),
]
