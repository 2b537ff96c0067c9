"""One question of two hops, answered by an algorithm, by an architecture and by data.

    minilm study run 07d/levels --out levels.json

Ding's talk of CS25 V4 (30:25 to 33:36): data, algorithm and architecture are interchangeable; for
questions of several hops there was a graph network, then tree search, now a plain model that is
shown how one thinks. Sixty people, four relations, 240 facts; questions use words that no fact has.
Every model is tested on 400 questions whose way through the graph it never saw.

- "search": it has the graph; what words mean it counts from answers; then it looks at every way.
- "reader": it has the graph; a pointer moves along edges, trained on answers.
- "chains": a language model without a graph. It reads facts, other text, and questions each with
  its facts written out before the answer.
- "answers": the same model, 3,000 questions with the answer alone, two for each chain: the control.
- "answers, 6x": the control again, six times as long, with 300 questions and with 3,000. After 250
  steps the control has not learnt what it read, so that it says nothing about what is missing.
- "nothing": the same without questions, at the rate of the chains: what they cost the rest.

Rules, written down before any run of it, for every seed. Levels meet: with some number of questions
up to 300 the chains come within 5 points of the better of search and reader (this project's fact
sheet: never within 5 points is the falsifier). Few: the first number of questions at which chains
reach 90 % right is larger than that of search and of reader. Data is what does it: at their best
the answers alone are 50 points below the chains. Added before "answers, 6x" ran: this is tested
only where the control knows at least 90 % of the questions that it read. Nothing else suffers: chains at their best lose
less than 2 % in nats on other text and less than 2 points of facts, against "nothing".
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.models import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TAIL, TUNING_SEED, stable_then_decay, tune
from minilm.train import default_optimizer, train

from .. import experiments as E

AMOUNTS = {  # questions that each learns from
    "search": (1, 3, 10, 30, 100, 300),
    "reader": (3, 10, 30, 100, 300),
    "chains": (10, 30, 100, 300),
    "answers": (3000,),
    "answers, 6x": (300, 3000),
    "nothing": (0,),
}
GRAPHS = ("search", "reader")
LONG = 6  # times the steps, for the one whose name says so
STEPS, START = 250, {"reader": 0.05, "chains": 6e-3, "answers": 6e-3, "answers, 6x": 6e-3}
TUNED = {"reader": 300, "chains": 300, "answers": 3000, "answers, 6x": 3000}


def kind_of(model: str) -> str:
    """What a language model reads."""
    return model.removesuffix(", 6x")


def length(model: str, steps: int) -> int:
    """The steps of a language model's training."""
    return steps * (1 if kind_of(model) == model else LONG)


def exam(model: Transformer, way: str, seed: int, amount: int) -> dict[str, float]:
    """What a language model knows: answers, facts, other text; longer and shorter questions.

    "seen": the share right of the questions that it read, of 400 at most.
    """
    learn, test = E.asked(seed)
    kind = "answers" if way == "nothing" else way
    found = E.lm_exam(model, kind, test)
    found["seen"] = (
        E.lm_exam(model, kind, learn[: min(amount, len(test))])["right"] if amount else 0.0
    )
    for hops, name in ((1, "one hop"), (3, "three hops")):
        found[name] = E.lm_exam(model, kind, E.WORLD.split(200, seed, hops)[1], hops)["right"]
    return {**found, "facts": E.fact_recall(model), "other": E.other_loss(model, seed)}


def language_model(
    way: str, amount: int, seed: int, lr: float, steps: int, at: Sequence[int] = ()
) -> tuple[list[float], list[dict[str, Any]]]:
    """The losses of a language model's training, and tests of it at some steps."""
    model, points = Transformer(E.LM, seed=seed), []

    def after(run: Any) -> None:
        if run.step in at:
            model.eval()
            points.append({"step": run.step, **exam(model, way, seed, amount)})
            model.train()

    run = train(
        model,
        E.Corpus(way, amount, seed),
        steps,
        optimizer=default_optimizer(model, lr, weight_decay=0.05),
        schedule=stable_then_decay(steps),
        after_step=after,
        seed=seed,
        progress=False,
    )
    if run.interrupted:
        raise KeyboardInterrupt
    return run.losses, points


def graph_point(way: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
    """The test of what has the graph."""
    learn, test = E.asked(seed)
    answers = E.WORLD.answers(test)
    point = {"step": 0, "proven": 0.0, "chance": 0.0, "facts": 1.0, "other": 0.0}
    if way == "search":
        some = learn[:amount]
        likely = E.meanings(E.WORLD.graph(), some, E.WORLD.answers(some))
        point["right"] = float((E.searched(likely, test) == answers).mean())
        for hops, name in ((1, "one hop"), (3, "three hops")):
            other = E.WORLD.split(200, seed, hops)[1]
            point[name] = float((E.searched(likely, other) == E.WORLD.answers(other)).mean())
        return point
    found = E.read_graph(seed, amount, lr).answer(test)
    return {**point, "right": float((found == answers).mean()), "one hop": 0.0, "three hops": 0.0}


def study(
    out: str,
    models: Sequence[str] = tuple(AMOUNTS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune and train every level with every number of questions; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `AMOUNTS`.
        seeds: of weights, questions and order; the graph is always the same.
        steps: of a language model; tuning takes half of them, "6x" six times as many.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, AMOUNTS)
    settings = {"steps": steps, "people": E.WORLD.people, "relations": E.WORLD.relations}
    settings |= {"test": E.TEST, "rows": [E.FACT_ROWS, E.TEXT_ROWS, E.ASKED_ROWS]}

    def tuned(model: str, amount: int) -> dict[str, Any]:
        if model == "search":  # it counts
            return {"lr": 0.0, "losses": {}, "at_edge": False}

        def final(lr: float) -> float:
            learn = E.asked(TUNING_SEED).learn[: TUNED[model]]
            if model == "reader":
                reader = E.read_graph(TUNING_SEED, TUNED[model], lr)
                return reader.loss(learn, E.WORLD.answers(learn)).item()
            half = length(model, steps) // 2
            losses, _ = language_model(kind_of(model), TUNED[model], TUNING_SEED, lr, half)
            return float(np.mean(losses[-max(1, int(TAIL * len(losses) / 2)) :]))

        return tune(START[model], final, factor=2.0, widest=4)

    def run(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        if model in GRAPHS:
            points = [graph_point(model, amount, seed, lr)]
        else:
            last = length(model, steps)
            at = [max(1, last // 2), last]
            points = language_model(kind_of(model), amount, seed, lr, last, at)[1]
        taken = time.process_time() - began
        made = {"seed": seed, "lr": lr, "cpu_seconds": taken, "points": points}
        return {**made, "shortcut": E.shortcut(E.asked(seed).test)}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        names = ("right", "proven", "facts", "other", "one hop", "three hops")
        return ", ".join(f"{name} {last[name]:.3f}" for name in names)

    cases = [{"model": name, "amount": n} for name in models for n in AMOUNTS[name]]
    return carry_out(
        Record(out, "levels", settings, command), cases, seeds, tuned, run, show, say,
        tuned_as=lambda case: "chains" if case["model"] == "nothing" else case["model"],
    )  # fmt: skip
