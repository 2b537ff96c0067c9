"""Learning-rate schedules: functions of the step that return a share of the peak, 0 to 1.

`optimizer.step(cosine(step, steps, warmup=100))` is all there is to using one. Each keeps no
state, so a resumed run needs only the step.
"""

import math

from minilm.errors import InputError


def constant(step: int, warmup: int = 0) -> float:
    """Rise in a line over `warmup` steps, then stay at the peak.

    Args:
        step: the step about to be taken, from 0.
        warmup: steps of the rise.

    Returns:
        The share of the peak learning rate.

    Raises:
        InputError: a number out of range.
    """
    if warmup < 0:
        raise InputError(f"warmup is {warmup}; it must be 0 or more")
    _check_steps(step, max(1, warmup), warmup, 0.0)
    return min(1.0, (step + 1) / max(1, warmup))


def linear(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Rise in a line over `warmup` steps, then fall in a line (arXiv 1810.04805, appendix A.2).

    Args:
        step: the step about to be taken, from 0.
        steps: how many there will be; later steps stay at `floor`.
        warmup: steps of the rise.
        floor: the share at the end.

    Returns:
        The share of the peak learning rate.

    Raises:
        InputError: a number out of range.
    """
    _check_steps(step, steps, warmup, floor)
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1 - floor) * (1 - done)


def cosine(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Rise in a line over `warmup` steps, then fall along half a cosine (arXiv 1608.03983).

    Args:
        step: the step about to be taken, from 0.
        steps: how many there will be; later steps stay at `floor`.
        warmup: steps of the rise.
        floor: the share at the end.

    Returns:
        The share of the peak learning rate.

    Raises:
        InputError: a number out of range.
    """
    _check_steps(step, steps, warmup, floor)
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def wsd(step: int, steps: int, warmup: int = 0, decay: float = 0.2, floor: float = 0.0) -> float:
    """Warm up, stay at the peak, fall in a line over the last `decay` share (arXiv 2404.06395).

    Every checkpoint of the plateau can be continued or cooled down: no need to know `steps`
    before the fall begins.

    Args:
        step: the step about to be taken, from 0.
        steps: how many there will be; later steps stay at `floor`.
        warmup: steps of the rise.
        decay: the share of `steps` that falls.
        floor: the share at the end.

    Returns:
        The share of the peak learning rate.

    Raises:
        InputError: a number out of range.
    """
    _check_steps(step, steps, warmup, floor)
    if not 0 <= decay <= 1:
        raise InputError(f"decay is {decay}; it must be in [0, 1]")
    if step < warmup:
        return (step + 1) / warmup
    length = decay * steps
    left = max(0, steps - step)
    return 1.0 if left >= length else floor + (1 - floor) * left / length


def inverse_sqrt(step: int, warmup: int) -> float:
    """Rise over `warmup` steps, then fall as 1 / sqrt(step) (arXiv 1706.03762, equation 3).

    The paper's lrate is this times `channels ** -0.5 * warmup ** -0.5`.

    Args:
        step: the step about to be taken, from 0.
        warmup: steps of the rise, at least 1.

    Returns:
        The share of the peak learning rate.

    Raises:
        InputError: a number out of range.
    """
    if warmup < 1:
        raise InputError(f"warmup is {warmup}; it must be 1 or more")
    _check_steps(step, warmup, 0, 0.0)
    return min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


def _check_steps(step: int, steps: int, warmup: int, floor: float) -> None:
    if step < 0:
        raise InputError(f"step is {step}; it must be 0 or more")
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be 1 or more")
    if not 0 <= warmup <= steps:
        raise InputError(f"warmup is {warmup}; it must be from 0 to steps, {steps}")
    if not 0 <= floor <= 1:
        raise InputError(f"floor is {floor}; it must be in [0, 1]")
