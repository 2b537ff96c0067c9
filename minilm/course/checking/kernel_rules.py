"""Which texts are kernels: the part of Python that Numba CUDA compiles, and nothing beyond it.

A kernel that passes these rules can only read and write its arguments, its own variables and shared
memory. So the emulator may run it for a stranger and its counts can be believed: the text has no
way to reach the emulator itself.
"""

import ast
from collections import Counter
from typing import Any, NamedTuple

MODULES = {
    "numba.cuda": "cuda", "numba_cuda.numba.cuda": "cuda", "math": "math", "numpy": "np",
    "numba": "numba",
}  # fmt: skip
TYPES = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
TYPES |= {"float16", "float32", "float64"}
CUDA = {"threadIdx", "blockIdx", "blockDim", "gridDim"}
CUDA |= {f"{name}.{axis}" for name in CUDA for axis in "xyz"}
CUDA |= {"grid", "gridsize", "laneid", "warpsize", "shared.array", "local.array"}
CUDA |= {"syncthreads", "syncthreads_count", "syncthreads_and", "syncthreads_or", "syncwarp"}
CUDA |= {"shfl_sync", "shfl_xor_sync", "shfl_down_sync", "shfl_up_sync", "ballot_sync"}
CUDA |= {"any_sync", "all_sync", "threadfence", "fma", "popc", "selp"}
CUDA |= {f"atomic.{name}" for name in ("add", "sub", "max", "min", "exch")}
MATH = set(
    "sqrt exp expm1 log log1p log2 log10 pow sin cos tan tanh sinh cosh erf erfc fabs floor ceil "
    "trunc fmod copysign isnan isinf isfinite inf nan pi e".split()
)
NUMPY = TYPES | {"inf", "nan", "pi"}
ALLOWED = {"cuda": CUDA, "math": MATH, "np": NUMPY, "numba": TYPES}
READ = {"threadIdx", "blockIdx", "blockDim", "gridDim", "laneid", "warpsize"}
READ |= {f"{name}.{axis}" for name in READ for axis in "xyz"} | {"inf", "nan", "pi", "e"}
MEMORY = {"shared.array", "local.array"}
BUILTINS = {"range", "min", "max", "abs", "len", "int", "float", "bool", "round", "divmod"}
ATTRIBUTES = {"shape", "size", "ndim", "x", "y", "z"}  # of arrays and indices
WORDS = {
    ast.Import: "an import", ast.ImportFrom: "an import", ast.Lambda: "a lambda",
    ast.FunctionDef: "a function inside a function", ast.ClassDef: "a class",
    ast.ListComp: "a list comprehension", ast.GeneratorExp: "a generator",
    ast.DictComp: "a comprehension", ast.SetComp: "a comprehension", ast.List: "a list",
    ast.Dict: "a dictionary", ast.Set: "a set", ast.JoinedStr: "a text", ast.Try: "try",
    ast.With: "with", ast.Raise: "raise", ast.Assert: "assert", ast.Global: "global",
    ast.Starred: "a star", ast.NamedExpr: ":=", ast.Delete: "del",
    ast.Yield: "yield", ast.Await: "await",
}  # fmt: skip
PLAIN = (
    ast.arguments, ast.arg, ast.Expr, ast.Assign, ast.AugAssign, ast.For, ast.While, ast.If,
    ast.Break, ast.Continue, ast.Pass, ast.Return, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
    ast.IfExp, ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple,
    ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
PLAIN_VALUES = (bool, int, float, type(None))
LONGEST = 20_000  # characters of one function
MOST_FUNCTIONS, MOST_NAMES = 20, 200


class RuleError(ValueError):
    """A text that is no kernel, in one sentence."""


class Program(NamedTuple):
    """A kernel that passed: plain parts for `inside.kernels.launch`."""

    kernel: str
    functions: dict[str, tuple[str, int]]
    names: dict[str, tuple[str, Any]]

    def quote(self, line: int | None) -> str:
        """The text of a line of the cell, as an appendix to a message."""
        for text, first in self.functions.values():
            lines = text.splitlines()
            if line is not None and first <= line < first + len(lines):
                return _quoted(lines[line - first])
        return ""


def read(parts: Any) -> Program:
    """The program in what `inside.kernels.gather` returned, which a stranger may have made up.

    Raises:
        RuleError: it is no kernel; one sentence.
    """
    try:
        many = len(_dict(parts, "functions")), len(_dict(parts, "names"))
        if many[0] > MOST_FUNCTIONS or many[1] > MOST_NAMES:
            raise RuleError(f"a kernel has at most {MOST_FUNCTIONS} functions")
        functions = {str(k): (str(v[0]), int(v[1])) for k, v in _dict(parts, "functions").items()}
        names = {str(k): (str(v[0]), v[1]) for k, v in _dict(parts, "names").items()}
        kernel = str(parts["kernel"])
    except RuleError:
        raise
    except (TypeError, KeyError, ValueError, IndexError):
        raise RuleError("there is no source of a kernel") from None
    if kernel not in functions:
        raise RuleError("there is no source of a kernel")
    known = {name: _known(kind, content, functions) for name, (kind, content) in names.items()}
    known = {name: what for name, what in known.items() if what is not None}
    steps = {name for name, (kind, content) in names.items() if isinstance(content, tuple)}
    known |= dict.fromkeys(functions, "function")
    used: set[str] = set()
    for name, (text, line) in functions.items():
        if not 1 <= line < 1_000_000 or len(text) > LONGEST:
            raise RuleError(f"{name} is too long for a kernel")
        used |= _Rules(name, text, known, steps).used
    return Program(kernel, functions, {name: names[name] for name in used if name in names})


def _dict(parts: Any, name: str) -> dict:
    if type(parts) is not dict or type(parts[name]) is not dict:
        raise TypeError
    return parts[name]


def _known(kind: str, content: Any, functions: dict) -> str | None:
    """What a name stands for: a module of ALLOWED, "function", "value"; None: nothing allowed."""
    if kind == "number":
        content = content if isinstance(content, tuple) else (content,)
        return "value" if all(type(v) in (bool, int, float) for v in content) else None
    if not isinstance(content, str):
        return None
    if kind == "module":
        return MODULES.get(content)
    allowed = {"function": functions, "math": MATH, "type": TYPES}.get(kind, ())
    return "value" if content in allowed else None


class _Rules:
    """Walks one function; `used` are the outer names it needs."""

    def __init__(self, name: str, text: str, known: dict[str, str], steps: set[str]) -> None:
        self.name, self.lines, self.known = name, text.splitlines(), known
        self.steps = steps  # outer names of tuples of numbers
        self.used: set[str] = set()
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise RuleError(f"{name} is no valid Python") from None
        if len(body) != 1 or not isinstance(body[0], ast.FunctionDef) or body[0].name != name:
            raise RuleError(f"{name} is no function of its own; it must be written with def")
        function = body[0]
        given = function.args
        generic = getattr(function, "type_params", None)
        other = given.kwonlyargs or given.posonlyargs or given.vararg or given.kwarg
        if generic or other or given.defaults:
            raise RuleError(f"{name} has defaults or stars; its arguments must be plain")
        self.local = {argument.arg for argument in given.args}
        self.local |= {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        self.plain = _plain_tuples(function) - {argument.arg for argument in given.args}
        for own in (name, *self.local):
            if own.startswith("__"):
                raise RuleError(f"{name} uses the name {own}; leave such names to Python")
        for statement in function.body:
            if not _is_text(statement):
                self.walk(statement)

    def fail(self, node: ast.AST, what: str) -> RuleError:
        return RuleError(what + _quoted(self.lines[node.lineno - 1]))

    def walk(self, node: ast.AST) -> None:
        if not isinstance(node, PLAIN):
            word = WORDS.get(type(node), f"`{type(node).__name__}`")
            raise self.fail(node, f"a CUDA kernel cannot use {word}")
        if isinstance(getattr(node, "op", None), ast.MatMult):
            raise self.fail(node, "a CUDA kernel cannot use @")
        if isinstance(node, ast.Attribute):
            self.attribute(node)
            return
        if isinstance(node, ast.Name):
            self.outer(node, "")
        if isinstance(node, ast.Constant) and type(node.value) not in PLAIN_VALUES:
            raise self.fail(node, "a CUDA kernel works with numbers only")
        if isinstance(node, ast.For) and not self.counts(node.iter):
            raise self.fail(node, "a loop of a CUDA kernel runs over range(...) or plain numbers")
        if isinstance(node, ast.Call):
            self.call(node)
            return
        for child in ast.iter_child_nodes(node):
            self.walk(child)

    def call(self, node: ast.Call) -> None:
        """What is called has a name from outside, so that its cost is known."""
        named = node.func
        if isinstance(named, ast.Attribute):
            self.attribute(named, called=True)
        elif isinstance(named, ast.Name) and named.id not in self.local:
            self.outer(named, "")
        else:
            raise self.fail(node, "a CUDA kernel calls functions by their names only")
        if isinstance(named, ast.Attribute) and ast.unparse(named).partition(".")[2] in MEMORY:
            given = [k.value for k in node.keywords if k.arg == "shape"] or node.args
            if not given or not self.constant(given[0]):
                raise self.fail(node, "an array of a CUDA kernel has a constant size")
        for child in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.walk(child)

    def constant(self, node: ast.expr) -> bool:
        """Whether a size is known before the launch."""
        if isinstance(node, ast.Tuple):
            return all(map(self.constant, node.elts))
        if isinstance(node, ast.BinOp):
            return self.constant(node.left) and self.constant(node.right)
        if isinstance(node, ast.Name):
            return node.id not in self.local and self.known.get(node.id) == "value"
        return isinstance(node, ast.Constant) and type(node.value) is int

    def counts(self, node: ast.expr) -> bool:
        """Whether a loop over this reads no memory: range(...), numbers, a shape."""
        if isinstance(node, ast.Call):
            return isinstance(node.func, ast.Name) and node.func.id == "range"
        if isinstance(node, ast.Name):
            return node.id in (self.plain if node.id in self.local else self.steps)
        if isinstance(node, ast.Attribute):
            return node.attr == "shape"
        return isinstance(node, ast.Tuple)

    def attribute(self, node: ast.Attribute, called: bool = False) -> None:
        """`cuda.threadIdx.x`, `math.exp`, `x.shape`."""
        path, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            path.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name) and base.id not in self.local:
            full = ".".join(path)
            self.outer(base, full)
            if not isinstance(node.ctx, ast.Load):
                raise self.fail(node, f"a CUDA kernel cannot set `{base.id}.{full}`")
            known = self.known.get(base.id)
            if not called and known in ("cuda", "math") and full not in READ:
                raise self.fail(node, f"`{base.id}.{full}` is a function: call it")
            return
        if not isinstance(node.ctx, ast.Load) or any(part not in ATTRIBUTES for part in path):
            raise self.fail(node, f"a CUDA kernel cannot use `.{path[-1]}` here")
        self.walk(base)

    def outer(self, node: ast.Name, path: str) -> None:
        """A name from outside the function, with what follows its dots."""
        name = node.id
        if name in self.local:
            return
        what = None if name.startswith("__") else self.known.get(name)
        if what is None and name in BUILTINS and not path:
            return
        if what is None:
            raise self.fail(node, f"`{name}` is nothing that a CUDA kernel can use")
        self.used.add(name)
        if what not in ALLOWED:
            if path:
                raise self.fail(node, f"a CUDA kernel cannot use `{name}.{path}`")
            return
        if path not in ALLOWED[what]:
            full = f"{name}.{path}" if path else name
            hint = f": write math.{path}" if what == "np" and path in MATH else ""
            raise self.fail(node, f"a CUDA kernel cannot use `{full}`{hint}")


def _quoted(line: str) -> str:
    return f"  (in the line `{line.strip()[:100]}`)"


def _is_text(node: ast.stmt) -> bool:
    """A docstring."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)


def _plain_tuples(function: ast.FunctionDef) -> set[str]:
    """Names that are only ever set to tuples written out in the function."""
    nodes = list(ast.walk(function))
    stored = Counter(n.id for n in nodes if isinstance(n, ast.Name) and type(n.ctx) is ast.Store)
    tuples = [n for n in nodes if isinstance(n, ast.Assign) and isinstance(n.value, ast.Tuple)]
    plain = Counter(t.id for n in tuples for t in n.targets if isinstance(t, ast.Name))
    return {name for name in plain if plain[name] == stored[name]}
