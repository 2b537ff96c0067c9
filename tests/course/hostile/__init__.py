"""Submissions that try to hang, crash, cheat or spy, and what each of them has honestly earned.

Each module holds a table `CASES`. A case is a full notebook: the honest cells below, some of them
replaced, some cells added. `lost` are the points that the attack costs its author.
"""

from dataclasses import dataclass, field

WORTH = {"softmax": 5, "layer_norm": 2, "merge": 2, "momentum": 3, "greedy": 2}

HONEST = {
    "imports": "import numpy as np\nimport minilm\nfrom minilm.course import check, payoff",
    "softmax": """\
def softmax(x):
    z = np.exp(x - x.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)
""",
    "layer_norm": """\
def layer_norm(x, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + x.dtype.type(eps))
""",
    "merge": """\
def merge(ids, pair, new):
    out = []
    for i in ids:
        if out and (out[-1], i) == tuple(pair):
            out[-1] = new
        else:
            out.append(i)
    return out
""",
    "momentum": """\
class Momentum:
    def __init__(self, lr, m):
        if lr < 0:
            raise ValueError("lr must not be negative")
        self.lr, self.m, self.v = lr, m, 0.0

    def step(self, w, g):
        self.v = self.m * self.v + g
        return w - self.lr * self.v
""",
    "greedy": """\
def greedy(model, ids, tokens):
    ids = list(ids)
    for _ in range(tokens):
        ids.append(int(model(ids)[-1].argmax()))
    return ids
""",
}


@dataclass(frozen=True)
class Case:
    """One hostile notebook.

    `first` and `last` are cells added before and after; `change` replaces honest cells. `lost`
    names the questions that then score 0, or gives the points that are left: a number, or the pair
    (fewest, most) where the machine's speed decides.
    """

    name: str
    change: dict[str, str] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    lost: tuple[str, ...] | dict[str, float | tuple[float, float]] = ()
    many: tuple[str, int] = ("", 0)  # a cell, and how often it stands before the others

    @property
    def cells(self) -> list[str]:
        honest = [self.change.get(name, text) for name, text in HONEST.items()]
        first = [self.many[0]] * self.many[1]
        return [cell for cell in [*first, self.first, *honest, self.last] if cell]

    def expected(self) -> dict[str, tuple[float, float]]:
        """Fewest and most points of each question."""
        left = dict.fromkeys(self.lost, 0) if isinstance(self.lost, tuple) else self.lost
        points = {name: left.get(name, worth) for name, worth in WORTH.items()}
        return {n: p if isinstance(p, tuple) else (p, p) for n, p in points.items()}


def softmax(name: str, body: str, first: str = "", **more: object) -> Case:
    """A case whose softmax is the attack: `body` is the indented text of the function."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    lost = more.pop("lost", ("softmax",))
    return Case(name, {"softmax": f"def softmax(x):\n{lines}\n"}, first, lost=lost, **more)


def answer(question: str, name: str, body: str, first: str = "") -> Case:
    """A case that attacks with the answer to another question."""
    head = HONEST[question].split("\n")[0]
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    return Case(name, {question: f"{head}\n{lines}\n"}, first, lost=(question,))
