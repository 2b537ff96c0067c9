"""From next word to assistant, on a model that describes animals: what each step does, and undoes.

    minilm study run 04/animals --seeds 0

A model learns text about animals, then to answer; then its answers are bettered by pairs or by a
reward model. What an answer is worth is known exactly (`AnimalWorld.gold`), so the reward that is
optimised (the proxy) and the one that is meant (gold) are told apart. Each method is recorded along
its whole way. Rules, set before the runs: under PPO with a weak tie the proxy rises by 2 standard
deviations while gold falls by 0.4 or more; DPO at ten times its good rate lowers the log-probability
of the answers that it was told to prefer; the reward model is right within a prompt in 70 %.
"""

import copy
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minilm.align import best_of_n, best_of_n_kl, dpo_loss
from minilm.align.answers import Answers, Pairs, divergence, known_logp, next_tokens
from minilm.align.ppo import Policing, train_ppo
from minilm.align.preferences import label_pairs, train_online, train_preferences
from minilm.align.reward_model import RewardModel, accuracy_within_prompts, train_reward
from minilm.align.rollouts import roll_out, seed_of
from minilm.backend import rng
from minilm.data.worlds.animals import PROMPT, AnimalWorld
from minilm.models import Config, Transformer
from minilm.optim import linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.train import Run, train

WORLD = AnimalWorld()
CONFIG = Config(
    vocab_size=WORLD.vocab_size, context=32, layers=2, heads=4, channels=64, positions="rope"
)
EXAM = 480  # answers that a policy is judged by, 30 for each animal
PAIRS = 4000
RATES = (1e-5, 3e-5, 1e-4, 3e-4)  # of DPO
TASKS = ("answering", "reward model", "best of n", *(f"dpo {lr:g}" for lr in RATES), "ppo tied",
         "ppo loose", "dpo online")  # fmt: skip


def falling(steps: int) -> Callable[[int], float]:
    """The share of the rate: up in 10 steps, then down to 0 in a line."""
    return partial(linear, steps=steps, warmup=10)


def steady(step: int) -> float:
    """The share of the rate: up in 5 steps, then constant."""
    return min(1.0, (step + 1) / 5)


def draw(model: Transformer, n: int, seed: int, animals: np.ndarray | None = None) -> Answers:
    """n answers, about each animal in turn unless they are named."""
    animals = np.arange(n) % 16 if animals is None else animals
    return roll_out(model, WORLD.prompts(animals), WORLD.answer, WORLD.end, seed)


def some_prompts(count: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Prompts of a round: random animals."""
    return lambda r: WORLD.prompts(r.integers(16, size=count))


def pretrained(seed: int, steps: int = 500) -> Transformer:
    """A model of text about the animals."""
    model = Transformer(CONFIG, seed=seed)
    train(model, WORLD.stream(20_000, seed), steps, batch=64, lr=4e-3, seed=seed, progress=False)
    return model


def finetune(model: Transformer, seed: int, steps: int = 300, answers_only: bool = True) -> None:
    """Supervised fine-tuning on 4000 demonstrations of mixed quality, in place."""
    shown = Answers(*WORLD.demonstrations(4000, seed))
    if not answers_only:
        said = shown.said | (np.arange(shown.ids.shape[1]) < PROMPT)
        shown = Answers(shown.ids, said)

    def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = shown.rows(rng(seed, "shown", number).integers(4000, size=64))
        return rows.ids[:, :-1], next_tokens(rows)

    train(model, batch, steps, lr=2e-3, weight_decay=0.0, schedule=falling(steps), progress=False)


@lru_cache(maxsize=2)
def assistants(seed: int) -> tuple[Transformer, Transformer]:
    """Before and after fine-tuning; made once in a process."""
    before = pretrained(seed)
    after = copy.deepcopy(before)
    finetune(after, seed)
    return before, after


@lru_cache(maxsize=2)
def preferences(seed: int) -> Pairs:
    """Labelled pairs of the assistant's own answers: the better one by sigmoid(2 x gold gap)."""
    ref = assistants(seed)[1]
    animals = rng(seed, "asked").integers(16, size=PAIRS)
    first, second = (draw(ref, PAIRS, seed_of(seed, "answers", i), animals) for i in (0, 1))
    gap = 2 * (WORLD.gold(second.ids) - WORLD.gold(first.ids))
    return label_pairs(first, second, 1 / (1 + np.exp(gap)), seed_of(seed, "judge"))


@lru_cache(maxsize=2)
def judge(seed: int) -> RewardModel:
    """A reward model of these pairs; mean 0 and deviation 1 over the assistant's answers."""
    ref = assistants(seed)[1]
    made = RewardModel(ref)
    train_reward(made, preferences(seed), 240, seed=seed, schedule=falling(240), progress=False)
    made.calibrate(draw(ref, EXAM, seed_of(seed, "unit")))
    return made


def measure(model: Transformer, seed: int, proxy: bool = True) -> dict[str, Any]:
    """What a policy says: gold and proxy reward, divergence, what its answers hold, three of them."""
    ref = assistants(seed)[1]
    answers = draw(model, EXAM, seed_of(seed, "exam"))
    held = WORLD.counts(answers.ids)
    parts = {name: getattr(held, name).mean() for name in
             ("true", "false", "repeats", "fillers", "broken", "length", "ended")}  # fmt: skip
    made = {"gold": WORLD.gold(answers.ids).mean(), "kl": divergence(model, ref, answers), **parts}
    if proxy:
        made["proxy"] = judge(seed).reward(answers).mean()
    said = [WORLD.text(row[PROMPT:]) for row in answers.ids[:3]]
    return {name: float(value) for name, value in made.items()} | {"said": said}


def answering(seed: int) -> list[dict[str, Any]]:
    """Before and after fine-tuning, and with the loss on the prompt as well."""
    before, after = assistants(seed)
    whole = copy.deepcopy(before)
    finetune(whole, seed, answers_only=False)
    held_out = Answers(*WORLD.demonstrations(1000, 10_000 + seed))
    points = []
    for name, model in (("before", before), ("after", after), ("prompts too", whole)):
        loss = -known_logp(model, held_out).sum() / held_out.said.sum()
        points.append({"model": name, "loss": float(loss), **measure(model, seed, proxy=False)})
    return points


def judging(seed: int) -> list[dict[str, Any]]:
    """How often the reward model is right within a prompt, with and without its fit."""
    ref = assistants(seed)[1]
    bare = RewardModel(ref, fit=False)
    train_reward(bare, preferences(seed), 240, seed=seed, schedule=falling(240), progress=False)
    answers = draw(ref, EXAM, seed_of(seed, "unit", 1))
    gold, about = WORLD.gold(answers.ids), np.arange(EXAM) % 16
    pairs = preferences(seed)
    truly = (WORLD.gold(pairs.better.ids) > WORLD.gold(pairs.worse.ids)).mean()
    points = []
    for name, model in (("bare", bare), ("fit", judge(seed))):
        scores = model.reward(answers)
        points.append({
            "model": name,
            "right": accuracy_within_prompts(scores, gold, about),
            "length": float(np.corrcoef(scores, answers.lengths)[0, 1]),
            "by length": accuracy_within_prompts(answers.lengths, gold, about),
            "truly better": float(truly),
        })  # fmt: skip
    return points


def best_of_many(seed: int, drawn: int = 128) -> list[dict[str, Any]]:
    """The best of n by the reward model and by gold, exactly over 128 answers to each animal."""
    animals = np.repeat(np.arange(16), drawn)
    answers = draw(assistants(seed)[1], len(animals), seed_of(seed, "many"), animals)
    gold = WORLD.gold(answers.ids).reshape(16, drawn)
    proxy = judge(seed).reward(answers).reshape(16, drawn)
    even, points = np.full(drawn, 1 / drawn), []
    for n in (1, 2, 4, 8, 16, 32, 64):
        by_proxy = np.array([best_of_n(even, scores, n) for scores in proxy])  # (16, drawn)
        by_gold = np.array([best_of_n(even, scores, n) for scores in gold])
        points.append({
            "n": n, "kl": best_of_n_kl(n), "gold": float((by_proxy * gold).sum(1).mean()),
            "proxy": float((by_proxy * proxy).sum(1).mean()),
            "by gold": float((by_gold * gold).sum(1).mean()),
        })  # fmt: skip
    return points


def watched(policy: Transformer, seed: int, every: int, points: list) -> Callable[[Run], None]:
    """Measures a policy every so many steps."""

    def look(run: Run) -> None:
        if run.step % every == 0:
            points.append({"step": run.step, **measure(policy, seed)})

    return look


def by_dpo(seed: int, lr: float, steps: int = 120) -> list[dict[str, Any]]:
    """DPO on the given pairs, and what became of the answers in them."""
    ref = assistants(seed)[1]
    policy, points = copy.deepcopy(ref), []
    pairs = preferences(seed)
    some = pairs.rows(slice(0, 400))

    def look(run: Run) -> None:
        if run.step % 30 == 0:
            moved = {
                name: float((known_logp(policy, side) - known_logp(ref, side)).sum(1).mean())
                for name, side in (("chosen", some.better), ("rejected", some.worse))
            }
            points.append({"step": run.step, **moved, **measure(policy, seed)})

    train_preferences(
        policy, ref, pairs, steps, partial(dpo_loss, beta=0.1), lr=lr, seed=seed,
        schedule=falling(steps), after_step=look, progress=False,
    )  # fmt: skip
    return points


def by_ppo(seed: int, how: Policing, lr: float, rounds: int = 60, every: int = 5) -> list[dict]:
    """PPO on the reward model, 96 answers a round."""
    ref, points = assistants(seed)[1], []
    policy = copy.deepcopy(ref)

    def look(done: int) -> None:
        if done % every == 0:
            points.append({"step": done, **measure(policy, seed)})

    train_ppo(
        policy, ref, judge(seed).reward, some_prompts(96), WORLD.answer, rounds,
        WORLD.end, how, seed, lr=lr, schedule=steady, after_round=look, progress=False,
    )  # fmt: skip
    return points


def by_dpo_online(seed: int, rounds: int = 120) -> list[dict[str, Any]]:
    """DPO on the policy's own answers, labelled by the reward model: 64 new pairs a step."""
    ref, points = assistants(seed)[1], []
    policy = copy.deepcopy(ref)
    look = watched(policy, seed, 20, points)
    train_online(
        policy, ref, lambda a: 2 * judge(seed).reward(a), some_prompts(64), WORLD.answer, rounds,
        WORLD.end, partial(dpo_loss, beta=0.1), seed, lr=1e-4, schedule=falling(rounds),
        after_round=lambda done: look(Run(step=done)), progress=False,
    )  # fmt: skip
    return points


def run_one(task: str, seed: int) -> dict[str, Any]:
    """One run of `TASKS`."""
    began = time.process_time()
    tied, loose = Policing(beta=0.5), Policing(beta=0.02)
    ways = {
        "answering": answering,
        "reward model": judging,
        "best of n": best_of_many,
        "ppo tied": partial(by_ppo, how=tied, lr=3e-4),
        "ppo loose": partial(by_ppo, how=loose, lr=5e-4, rounds=100, every=10),
        "dpo online": by_dpo_online,
        **{f"dpo {lr:g}": partial(by_dpo, lr=lr) for lr in RATES},
    }
    points = ways[task](seed)
    facts = {"start": measure(assistants(seed)[1], seed, proxy=task != "answering")}
    return {"seed": seed, "points": points, **facts, "cpu_seconds": time.process_time() - began}


def study(
    out: str,
    tasks: Sequence[str] = TASKS,
    seeds: Sequence[int] = (0, 1, 2),
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Every way from next word to assistant; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        tasks: names from `TASKS`.
        seeds: of text, weights, labels and training.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("tasks", tasks, TASKS)
    given = {"answering": 2e-3, "reward model": 3e-3, "best of n": 0.0, "ppo tied": 3e-4,
             "ppo loose": 5e-4, "dpo online": 1e-4}  # fmt: skip
    given |= {f"dpo {lr:g}": lr for lr in RATES}

    def rate(task: str) -> dict[str, Any]:  # the whole of DPO's grid is recorded; PPO's, along it
        return {"lr": given[task], "losses": {}, "at_edge": False}

    def shown(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        names = ("right", "gold", "kl", "proxy", "chosen", "broken")
        return ", ".join(f"{n} {last[n]:.2f}" for n in names if n in last)

    return carry_out(
        Record(out, "animals", {"exam": EXAM, "pairs": PAIRS}, command),
        [{"task": task} for task in tasks],
        seeds,
        rate,
        lambda task, seed, lr: run_one(task, seed),
        shown,
        say,
    )
