"""The tape of an expression as a picture that can be stepped through, and what a tape costs.

    view = TapeView(loss, w=w, x=x)      # before loss.backward(), which frees the graph
    interact(view.draw, step=(0, view.steps))

Values appear from left to right as the expression ran, gradients from right to left as `backward`
walks the tape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.course.show.style import BLUE, FAINT, INK, MUTED, VERMILION, Picture, page
from minilm.errors import InputError
from minilm.tape import saved_arrays, steps_behind
from minilm.tensor import Tensor

MOST = 16  # nodes that a slide can hold
WIDE, HIGH = 0.68, 0.84  # of a box, where a column and a row are 1
_SIGNS = {"mul": "×", "add": "+", "sub": "−", "div": "÷"}


def tape_steps(root: Tensor) -> int:
    """How many primitives the tape behind a tensor holds."""
    return len(steps_behind(root))


def tape_bytes(root: Tensor) -> int:
    """Bytes of the arrays that the pullbacks behind a tensor keep, each array counted once."""
    kept: dict[int, int] = {}
    for node in steps_behind(root):
        for array in saved_arrays(node.pullback):
            while isinstance(array.base, np.ndarray):
                array = array.base
            kept[id(array)] = array.nbytes
    return sum(kept.values())


class TapeView:
    """An expression of scalars, run forward and then backward one step at a time.

    Args:
        root: a scalar that the tape leads to; its graph is walked, and so freed.
        names: how to call the tensors it is made of, `w=w`.

    Attributes:
        steps: the last step; 0 shows the inputs alone.

    Raises:
        InputError: not a scalar, nothing on the tape, or more than 16 nodes.
    """

    def __init__(self, root: Tensor, **names: Tensor) -> None:
        self.nodes: list[Tensor] = []
        self._row: dict[Tensor, float] = {}
        self._column: dict[Tensor, int] = {}
        if root.is_leaf or root.numel() != 1:
            raise InputError(
                "root is no scalar with a tape; it must be one that an expression of Tensors made"
            )
        self._place(root, [0.0])
        if len(self.nodes) > MOST:
            raise InputError(
                f"the tape has {len(self.nodes)} nodes; a picture holds at most {MOST}"
            )
        self._inputs = {node: _tensors(node) for node in self.nodes}
        self._leaves = {node for node in self.nodes if node.is_leaf}  # backward frees the rest
        called = {tensor: name for name, tensor in names.items()}
        self._made_by = {n: n.made_by for n in self.nodes}
        self._names = {n: called.get(n) or _SIGNS.get(m, m) for n, m in self._made_by.items()}
        order = {step: i for i, step in enumerate(reversed(steps_behind(root)))}
        self.forward = [node for node in self.nodes if node not in self._leaves]
        self.forward.sort(key=lambda node: order.get(node._node, -1))
        for node in self._leaves:  # beside the step that reads it
            readers = [n for n in self.forward if any(node is t for t in self._inputs[n])]
            self._column[node] = min(self._column[n] for n in readers) - 1
        self._values = {node: node.item() for node in self.nodes}
        self.gradients: dict[Tensor, float] = {}
        self.backward: list[Tensor] = []
        for node in self.nodes:
            if node.requires_grad:
                node.register_hook(lambda g, node=node: self._note(node, g))
        root.backward()
        self.steps = len(self.forward) + len(self.backward)

    def _place(self, node: Tensor, free: list[float]) -> None:
        """Rows from top to bottom as the inputs come; columns by the longest way to an input."""
        if node in self._row:
            return
        inputs = _tensors(node)
        for source in inputs:
            self._place(source, free)
        if inputs:
            self._row[node] = float(np.mean([self._row[source] for source in inputs]))
            self._column[node] = 1 + max(self._column[source] for source in inputs)
        else:
            self._row[node], self._column[node] = free[0], 0
            free[0] += 1
        self.nodes.append(node)

    def _note(self, node: Tensor, g: Any) -> None:
        self.gradients[node] = float(np.sum(g))
        self.backward.append(node)

    def words(self, step: int) -> str:
        """What happens at a step, in a sentence."""
        if step == 0:
            return "The inputs. Nothing is on the tape yet."
        if step <= len(self.forward):
            node = self.forward[step - 1]
            values = ", ".join(f"{self._values[source]:.3g}" for source in self._inputs[node])
            result = f"{self._made_by[node]}({values}) = {self._values[node]:.3g}"
            return f"Forward: {result}, and its pullback is kept."
        node = self.backward[step - len(self.forward) - 1]
        g = self.gradients[node]
        if step == len(self.forward) + 1:
            return "Backward starts with d(loss)/d(loss) = 1."
        if node in self._leaves:
            return f"A leaf: {self._names[node]}.grad = {g:.3g} stays there."
        return f"Backward: the gradient {g:.3g} has arrived at {self._names[node]}."

    def draw(self, step: int) -> Picture | None:
        """The picture of one step, from 0 to `steps`."""
        forward = set(self.forward[:step])
        done = set(self.backward[: max(0, step - len(self.forward))])
        now = ([None, *self.forward, *self.backward])[step]
        alt = f"A graph of {len(self.nodes)} boxes, step {step} of {self.steps}. {self.words(step)}"
        with page(None, alt) as drawing:
            ax = drawing.ax
            ax.axis("off")
            for node in self.nodes:
                for source in self._inputs[node]:
                    self._arrow(ax, source, node, node in forward, node in done)
            for node in self.nodes:
                seen = node in self._leaves or node in forward
                self._box(ax, node, seen, node in done, node is now)
            columns, rows = self._column.values(), self._row.values()
            ax.set_xlim(min(columns) - 0.4, max(columns) + 0.4)
            ax.set_ylim(max(rows) + 0.5, min(rows) - 0.5)
            ax.set_title(f"step {step} of {self.steps}.  {self.words(step)}", fontsize=17)
        return drawing.picture

    def _arrow(self, ax: Any, source: Tensor, node: Tensor, ran: bool, back: bool) -> None:
        """From the edge of one box to the edge of the other, the way the numbers go."""
        back = back and source.requires_grad
        left = (self._column[source] + WIDE / 2, self._row[source])
        right = (self._column[node] - WIDE / 2, self._row[node])
        start, end = (right, left) if back else (left, right)
        colour = VERMILION if back else BLUE if ran else FAINT
        look = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.5, "mutation_scale": 22}
        ax.annotate("", xy=end, xytext=start, arrowprops={**look, "shrinkA": 2, "shrinkB": 2})

    def _box(self, ax: Any, node: Tensor, seen: bool, done: bool, now: bool) -> None:
        """A node: its name, its value once it is known, its gradient once it has arrived."""
        from matplotlib.patches import FancyBboxPatch

        x, y = self._column[node], self._row[node]
        edge = (VERMILION if done else BLUE) if now else MUTED if seen else FAINT
        rounding = "round,pad=0,rounding_size=0.06"
        corner = (x - WIDE / 2, y - HIGH / 2)
        look = {"facecolor": "white", "edgecolor": edge, "linewidth": 4 if now else 1.6}
        ax.add_patch(FancyBboxPatch(corner, WIDE, HIGH, boxstyle=rounding, zorder=2, **look))
        common = {"ha": "center", "va": "center", "fontsize": 15, "zorder": 3}
        name = {"color": INK if seen else MUTED, "weight": "bold"}
        ax.text(x, y - 0.24, self._names[node], **common, **name)
        if seen:
            ax.text(x, y, f"{self._values[node]:.3g}", color=BLUE, **common)
        if done:
            ax.text(x, y + 0.24, f"grad {self.gradients[node]:.3g}", color=VERMILION, **common)


def _tensors(node: Tensor) -> list[Tensor]:
    """The Tensors a step read; one that it read twice is there twice."""
    return [t for t in node.inputs if isinstance(t, Tensor)]
