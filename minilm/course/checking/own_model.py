"""A GPT made of a learner's own functions, taken out of their exercise notebooks."""

import functools
from collections.abc import Callable
from typing import Any

import minilm
from minilm.course.build import notebook as nb
from minilm.course.checking.check import run_tests
from minilm.course.checking.fitting import FITTED
from minilm.course.checking.progress import course_sets, is_passed
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.inside.cells import LEAN, Notebook

# a part that the plain GPT has no place for, and what the model becomes to use it
SHAPES: dict[str, dict[str, Any]] = {
    "rope": {"positions": "rope"},
    "rms_norm": {"norm": "rms"},
    "RMSNorm": {"norm": "rms"},
    "swiglu": {"activation": "swiglu"},
    "geglu": {"activation": "geglu"},
    "silu": {"activation": "swiglu"},
    "relu": {"activation": "relu"},
}


def own_parts(course: Course, done: dict[str, Any]) -> tuple[dict[str, Callable], list[str]]:
    """The passed functions as they stand in the notebooks today, by public name of minilm.

    Only imports, definitions and constants of a notebook are run, and every function is checked
    once more, for it may have changed since it passed.

    Returns:
        The parts, and a sentence for each passed question whose function could not be used.
    """
    parts: dict[str, Callable] = {}
    troubles = []
    for one in course_sets(course):
        asked = [q for q in one.questions if q.plugs and is_passed(one, q, done)]
        path = course.sets[one.name].exercise
        if not asked:
            continue
        if not path.exists():
            troubles.append(f"{path.name} is gone, and with it {', '.join(q.name for q in asked)}")
            continue
        space = Notebook()
        for number, cell in enumerate(nb.read(path)["cells"]):
            if cell["cell_type"] == "code":
                space.run(number, nb.source_of(cell), LEAN)
        space.finish()
        names = {**space.names, **space.written}
        for question in asked:
            if all(found.passed for _, found in run_tests(one, question, names)):
                parts[question.plugs] = names[question.asks[0]]
            else:
                troubles.append(f"{question.name} in {path.name} does not pass any more (saved?)")
    return parts, troubles


def counted(function: Callable, calls: dict[str, int], name: str) -> Callable:
    """The same function, counting its calls; classes count their instances."""
    calls[name] = 0
    if isinstance(function, type):

        class Counted(function):
            def __init__(self, *args: Any, **named: Any) -> None:
                calls[name] += 1
                super().__init__(*args, **named)

        return functools.update_wrapper(Counted, function, updated=())

    @functools.wraps(function)
    def count(*args: Any, **named: Any) -> Any:
        calls[name] += 1
        return function(*args, **named)

    return count


def in_place(name: str, part: Callable) -> Callable:
    """A part with the arguments that the model calls it with."""
    return FITTED[name](part) if name in FITTED else part


def train_own(parts: dict[str, Callable], steps: int = 100) -> tuple[list[float], dict[str, int]]:
    """Train a small byte-level GPT with these parts in place of minilm's.

    Args:
        parts: by public name of minilm.
        steps: of 8 windows of 64 bytes of the Python documentation.

    Returns:
        The loss of every step in nats per byte, and how often each part was called.

    Raises:
        InputError: there are no parts, or steps is less than 1.
    """
    if not parts:
        raise InputError("no part of minilm runs on your code yet; pass an exercise first")
    if steps < 1:
        raise InputError(f"--steps is {steps}; it must be 1 or more")
    from minilm.data import corpus
    from minilm.models import Config, Transformer
    from minilm.tokenizers import ByteTokenizer
    from minilm.train import train

    shape: dict[str, Any] = {}
    for name in parts:
        if name != "rope" or "self_attention" not in parts:  # which knows of no positions
            shape |= SHAPES.get(name, {})
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode_array(corpus("python-docs")[:200_000])
    config = Config(
        vocab_size=tokenizer.vocab_size, context=64, layers=2, heads=4, channels=64, **shape
    )
    calls: dict[str, int] = {}
    fitted = {name: in_place(name, counted(part, calls, name)) for name, part in parts.items()}
    with minilm.use(**fitted):
        run = train(Transformer(config, seed=0), tokens, steps, batch=8)
    return run.losses, calls
