"""Pipeline parallelism: who computes what when the layers lie on different ranks.

Stage s holds a part of the layers. A batch is cut into m micro-batches; a stage does the forward F
of one, hands it to the next stage, and later its backward B. Where it has nothing to do it idles:
the bubble.

    gpipe         all forwards, then all backwards (Huang et al. 2018, arXiv 1811.06965)
    1f1b          forward and backward by turns as soon as possible; at most p - s micro-batches are
                  held on stage s (Narayanan et al. 2019, arXiv 1806.03377; Megatron, 2104.04473)
    interleaved   v pieces of the model on each stage; the bubble shrinks by v (2104.04473)
    zb-h1         B cut into the gradient of the input (B) and of the weights (W), and W fills the
                  bubble (Qi et al. 2023, arXiv 2401.10241)
"""

from collections.abc import Sequence
from typing import NamedTuple

from minilm.errors import InputError

SCHEDULES = ("gpipe", "1f1b", "interleaved", "zb-h1")


class Task(NamedTuple):
    """One piece of work: "F", "B" or "W" of a micro-batch, on a stage, of one of its pieces."""

    kind: str
    stage: int
    batch: int
    piece: int = 0


class Timeline(NamedTuple):
    """When each task ran.

    Attributes:
        tasks: (task, start, end), by start and stage.
        stages: p.
        makespan: when the last task ended.
        bubble: share of the makespan in which a stage idled, mean over stages.
        held: per stage, the most micro-batches (times pieces) whose forward was kept at once.
    """

    tasks: list[tuple[Task, float, float]]
    stages: int
    makespan: float
    bubble: float
    held: list[int]


def _order_gpipe(stages: int, batches: int, pieces: int) -> list[list[Task]]:
    return [
        [Task("F", s, i) for i in range(batches)] + [Task("B", s, i) for i in range(batches)]
        for s in range(stages)
    ]


def _order_1f1b(stages: int, batches: int, pieces: int) -> list[list[Task]]:
    orders = []
    for s in range(stages):
        ahead = min(stages - s, batches)  # forwards before the first backward
        order = [Task("F", s, i) for i in range(ahead)]
        for i in range(batches):
            order.append(Task("B", s, i))
            if i + ahead < batches:
                order.append(Task("F", s, i + ahead))
        orders.append(order)
    return orders


def _order_interleaved(stages: int, batches: int, pieces: int) -> list[list[Task]]:
    """Megatron's order: groups of p micro-batches go through piece after piece."""

    def nth(n: int, backwards: bool) -> tuple[int, int]:
        group, inside = divmod(n, stages * pieces)
        piece = inside // stages
        return (pieces - 1 - piece if backwards else piece), group * stages + inside % stages

    orders, total = [], batches * pieces
    for s in range(stages):
        ahead = min(2 * (stages - s - 1) + (pieces - 1) * stages + 1, total)
        forward = [Task("F", s, *nth(n, False)[::-1]) for n in range(total)]
        backward = [Task("B", s, *nth(n, True)[::-1]) for n in range(total)]
        order = forward[:ahead]
        for n in range(total):
            order.append(backward[n])
            if n + ahead < total:
                order.append(forward[n + ahead])
        orders.append(order)
    return orders


def _order_zb_h1(stages: int, batches: int, pieces: int) -> list[list[Task]]:
    """1F1B whose weight gradients wait: stage s does a W after each B but its first p - s - 1."""
    orders = []
    for s, plain in enumerate(_order_1f1b(stages, batches, pieces)):
        order, owed, backwards = [], [], 0
        for task in plain:
            order.append(task)
            if task.kind == "B":
                owed.append(Task("W", s, task.batch))
                backwards += 1
                if backwards > s:  # later stages finish their backwards first and owe more
                    order.append(owed.pop(0))
        orders.append(order + owed)
    return orders


def pipeline_orders(
    stages: int, batches: int, schedule: str = "1f1b", pieces: int = 1
) -> list[list[Task]]:
    """What each stage does, one after the other.

    Args:
        stages, batches, schedule, pieces: as for `simulate_pipeline`.

    Raises:
        InputError: as for `simulate_pipeline`.
    """
    orders = {
        "gpipe": _order_gpipe,
        "1f1b": _order_1f1b,
        "interleaved": _order_interleaved,
        "zb-h1": _order_zb_h1,
    }
    if schedule not in orders:
        raise InputError(f"schedule is {schedule!r}; it must be one of {', '.join(SCHEDULES)}")
    for name, value in (("stages", stages), ("batches", batches), ("pieces", pieces)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if schedule != "interleaved" and pieces > 1:
        raise InputError(f"pieces is {pieces}; only the schedule interleaved has more than 1")
    if schedule == "interleaved" and batches % stages:
        raise InputError(f"batches is {batches}; interleaved needs a multiple of {stages} stages")
    return orders[schedule](stages, batches, pieces)


def simulate_pipeline(
    stages: int,
    batches: int,
    schedule: str = "1f1b",
    forward: float = 1.0,
    backward: float = 2.0,
    pieces: int = 1,
) -> Timeline:
    """When every task of a schedule runs; messages take no time.

    Args:
        stages: p.
        batches: m, micro-batches of a step.
        schedule: one of `SCHEDULES`.
        forward: seconds of a forward of one micro-batch through a stage's whole share.
        backward: of a backward; "zb-h1" cuts it in two halves.
        pieces: v, for "interleaved".

    Raises:
        InputError: a number is below 1, the schedule is unknown, or "interleaved" gets
            micro-batches that are not a multiple of the stages.
    """
    orders = pipeline_orders(stages, batches, schedule, pieces)
    seconds = {"F": forward / pieces, "B": backward / pieces}
    if schedule == "zb-h1":
        seconds |= {"B": backward / 2, "W": backward / 2}
    return _run(orders, stages, pieces, seconds)


def _needs(task: Task, stages: int, pieces: int) -> list[Task]:
    """What must have ended before a task can start, besides the stage's own order."""
    kind, stage, batch, piece = task
    if kind == "W":
        return [Task("B", stage, batch, piece)]
    place = piece * stages + stage  # along the model
    needed = []
    if kind == "F" and place > 0:
        needed.append(Task("F", (place - 1) % stages, batch, (place - 1) // stages))
    if kind == "B":
        needed.append(Task("F", stage, batch, piece))
        if place < stages * pieces - 1:
            needed.append(Task("B", (place + 1) % stages, batch, (place + 1) // stages))
    return needed


def _run(
    orders: Sequence[list[Task]], stages: int, pieces: int, seconds: dict[str, float]
) -> Timeline:
    ended: dict[Task, float] = {}
    ran: list[tuple[Task, float, float]] = []
    free, at = [0.0] * stages, [0] * stages
    while any(at[s] < len(orders[s]) for s in range(stages)):
        moved = False
        for s in range(stages):
            while at[s] < len(orders[s]):
                task = orders[s][at[s]]
                needed = _needs(task, stages, pieces)
                if not all(one in ended for one in needed):
                    break
                start = max([free[s], *(ended[one] for one in needed)])
                ended[task] = free[s] = start + seconds[task.kind]
                ran.append((task, start, free[s]))
                at[s], moved = at[s] + 1, True
        if not moved:
            raise InputError("the schedule waits for itself: no stage can go on")
    makespan = max(end for _, _, end in ran)
    busy = sum(end - start for _, start, end in ran)
    ran.sort(key=lambda row: (row[1], row[0].stage))
    return Timeline(ran, stages, makespan, 1 - busy / (stages * makespan), _held(ran, stages))


def _held(ran: list[tuple[Task, float, float]], stages: int) -> list[int]:
    """The most forwards that a stage kept at once: from their start to the end of their B or W."""
    last = "W" if any(task.kind == "W" for task, _, _ in ran) else "B"
    most = []
    for s in range(stages):
        steps = [(start, 1) for task, start, _ in ran if task.stage == s and task.kind == "F"]
        steps += [(end, -1) for task, _, end in ran if task.stage == s and task.kind == last]
        now = peak = 0
        for _, change in sorted(steps):  # an end before a start at the same time
            now += change
            peak = max(peak, now)
        most.append(peak)
    return most
