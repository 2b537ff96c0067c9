"""A world whose 1296 answers can all be listed: do DPO and PPO reach the optimum?

    minilm study run 04/listed

The best policy is known in closed form, so every distance is a sum and has no noise of sampling.
Rules, set before the runs: DPO on the whole population within a total variation of 0.03 after 1500
steps; PPO within 0.05, and within 0.01 of beta log Z, after 200 rounds; the best of n never more
than 0.1 below the optimum of equal divergence. DPO on pairs that cover the whole list was added
after two seeds had been seen.

"dpo fresh" came later, too. With pairs from the reference seed 1 ends 0.07 away, with pairs that cover
the list 0.036. The reason was found on seed 26, a world as hard, where these end 0.044 away, at twice
the rate as well: an answer that is far better than all others wins nearly every comparison, so its pairs
have almost no slope, and how much better it is shows only beside other good ones. These the policy
itself gives. Half of the answers from it took seed 26 to 0.006, and seeds 0, 1 and 2 were run after that.
"""

import copy
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minilm import align
from minilm.align.answers import Answers, Pairs, answer_logp, known_logp, make_pairs
from minilm.align.ppo import Policing, train_ppo
from minilm.align.preferences import Referred, preference_objective, train_preferences
from minilm.align.reward_model import RewardModel, train_reward
from minilm.backend import rng
from minilm.data.worlds.listed import ListedWorld
from minilm.models import Config, Transformer
from minilm.optim import linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import tune
from minilm.train import train

WORLD = ListedWorld()
BETA = 0.5
DRAWS = (2, 4, 8, 16, 32, 64, 128, 256)  # n of best of n
TEXTS = Answers(
    np.pad(WORLD.texts, ((0, 0), (1, 0)), constant_values=WORLD.begin),
    np.pad(np.ones(WORLD.texts.shape, bool), ((0, 0), (1, 0))),
)
CONFIG = Config(vocab_size=WORLD.symbols, context=WORLD.length + 1, layers=1, heads=2, channels=32,
                tie=False)  # fmt: skip
DETAILS = {  # of PPO: one thing changed at a time, 60 rounds of 128 answers
    "as it is": {},
    "not whitened": {"whitened": False},
    "12 epochs": {"epochs": 12},
    "12 epochs, not clipped": {"epochs": 12, "clip": None},
    "lambda 0": {"smoothing": 0.0},
    "leave one out": {"values": False, "samples": 128},
    "divergence in the loss": {"in_reward": False},
}
WHERE = {"dpo": "given", "dpo covered": "covered", "dpo fresh": "fresh"}  # pairs come from
FRESH = 50  # steps after which the policy is asked anew
TASKS = (*WHERE, "ppo", "best of n", *(f"detail: {name}" for name in DETAILS), "pairs 500",
         "pairs 5000")  # fmt: skip


def falling(steps: int) -> Callable[[int], float]:
    """The share of the rate: up in 10 steps, then down to 0 in a line."""
    return partial(linear, steps=steps, warmup=10)


def table(model: Transformer) -> np.ndarray:
    """(1296,) log-probabilities of all answers."""
    return known_logp(model, TEXTS).astype(np.float64).sum(1)


def fit(model: Transformer, target: np.ndarray, seed: int, steps: int = 300) -> None:
    """Let a model learn a distribution over the answers from samples of it."""

    def batch(number: int) -> Answers:
        return TEXTS.rows(rng(seed, "spoken", number).choice(len(target), 256, p=target))

    train(
        model, batch, steps, loss=lambda m, b: -answer_logp(m, b).mean(), lr=1e-2,
        weight_decay=0.0, schedule=falling(steps), progress=False,
    )  # fmt: skip


class Setting:
    """A reference, a reward, and the closed-form optimum; all of it is made by a seed."""

    def __init__(self, seed: int) -> None:
        self.seed, self.model = seed, Transformer(CONFIG, seed=seed)
        fit(self.model, WORLD.spoken(seed), seed)
        self.log_ref = table(self.model)
        self.ref = np.exp(self.log_ref) / np.exp(self.log_ref).sum()
        self.gold = WORLD.gold(seed, self.ref)
        self.best = align.optimal_policy(self.ref, self.gold, BETA)
        self.value = align.value_of(self.ref, self.gold, BETA)

    def measure(self, policy: np.ndarray, beta: float = BETA) -> dict[str, float]:
        """Gold reward, divergence, and how far from the optimum: total variation and objective."""
        kl = align.divergence_of(policy, self.ref)
        gold = float(policy @ self.gold)
        apart = float(0.5 * np.abs(policy - self.best).sum())
        return {"gold": gold, "kl": kl, "tv": apart, "short": self.value - gold + beta * kl}

    def after(self, model: Transformer) -> dict[str, float]:
        """`measure` of a model."""
        p = np.exp(table(model))
        return self.measure(p / p.sum())

    def reward(self, answers: Answers) -> np.ndarray:
        """Gold rewards."""
        return self.gold[WORLD.place(answers.ids[:, 1:])]


@lru_cache(maxsize=4)
def setting(seed: int) -> Setting:
    """Made once in a process."""
    return Setting(seed)


def population(world: Setting, number: int, shares: np.ndarray) -> Referred:
    """128 pairs, each with the true probability of its label; answers are drawn by `shares`, (1296,).

    DPO's optimum is the same for all distributions of pairs, as long as every answer occurs.
    """
    first, second = rng(world.seed, "pairs", number).choice(len(shares), (2, 128), p=shares)
    first, second = first[first != second], second[first != second]
    doubt = 1 / (1 + np.exp(world.gold[first] - world.gold[second]))
    pairs = Pairs(TEXTS.rows(first), TEXTS.rows(second), doubt.astype(np.float32))
    return Referred(pairs, *(world.log_ref[i].astype(np.float32) for i in (first, second)))


def by_dpo(
    world: Setting, steps: int, lr: float, where: str = "fresh", progress: bool = False
) -> Transformer:
    """DPO on the whole population.

    `where` answers are drawn: "given", all from the reference, as in a set of pairs that somebody
    else collected; "covered", half of them evenly from the whole list, so that what the reference
    rarely says is compared too; "fresh", half of them from the policy as it is every 50 steps.
    """
    policy, shares = copy.deepcopy(world.model), world.ref
    if where == "covered":
        shares = 0.5 * world.ref + 0.5 / len(world.ref)

    def batch(number: int) -> Referred:
        nonlocal shares
        if where == "fresh" and number % FRESH == 0:
            own = np.exp(table(policy))
            shares = 0.5 * world.ref + 0.5 * own / own.sum()
        return population(world, number, shares)

    objective = preference_objective(partial(align.dpo_loss, beta=BETA))
    train(
        policy, batch, steps, loss=objective, lr=lr, weight_decay=0.0, schedule=falling(steps),
        progress=progress,
    )  # fmt: skip
    return policy


def by_ppo(world: Setting, rounds: int, lr: float, batch: int = 256, **details: Any) -> Transformer:
    """PPO on the gold reward: `batch` answers a round, 4 epochs."""
    policy = copy.deepcopy(world.model)
    how = Policing(beta=BETA, **{"epochs": 4, "minibatches": 1, **details})
    asked = np.full((batch // how.samples, 1), WORLD.begin)
    train_ppo(
        policy, world.model, world.reward, lambda r: asked, WORLD.length, rounds, how=how,
        seed=world.seed, lr=lr, schedule=falling(rounds * how.epochs), progress=False,
    )  # fmt: skip
    return policy


def best_of_n(world: Setting) -> list[dict[str, float]]:
    """Exactly, with the optimum of equal divergence beside it."""
    points = []
    for n in DRAWS:
        point = {"n": n, **world.measure(align.best_of_n(world.ref, world.gold, n))}
        point["optimum"] = float(align.optimal_at(world.ref, world.gold, point["kl"]) @ world.gold)
        points.append(point)
    return points


def optimum(world: Setting, reward: np.ndarray) -> np.ndarray:
    """(60, 2) divergence and gold of the reference tilted by a reward, weakest tilt first."""
    tilted = (align.optimal_policy(world.ref, reward, b) for b in np.geomspace(20, 0.02, 60))
    return np.array([[made["kl"], made["gold"]] for made in map(world.measure, tilted)])


def from_pairs(world: Setting, count: int) -> list[dict[str, float]]:
    """DPO and a reward model on the same labelled pairs, at equal divergence.

    The reward model's side is the closed-form optimum of its reward, so it has no noise of RL.
    """
    r = rng(world.seed, "labels", count)
    first, second = r.choice(len(world.ref), (2, 2 * count), p=world.ref)
    kept = np.flatnonzero(first != second)[:count]
    first, second = first[kept], second[kept]
    wins = r.random(len(first)) < 1 / (1 + np.exp(world.gold[second] - world.gold[first]))
    better, worse = np.where(wins, first, second), np.where(wins, second, first)
    pairs = make_pairs(TEXTS.rows(better), TEXTS.rows(worse))
    judge = RewardModel(Transformer(CONFIG, seed=world.seed))
    steps = 300 if count < 1000 else 600
    train_reward(judge, pairs, steps, batch=128, seed=world.seed, schedule=falling(steps),
                 progress=False)  # fmt: skip
    curve = optimum(world, judge.reward(TEXTS))
    policy, points = copy.deepcopy(world.model), []

    def look(run: Any) -> None:
        if run.step % 50 == 0:
            now = table(policy)
            point = {"step": run.step, **world.after(policy)}
            point["chosen"] = float((now - world.log_ref)[better].mean())
            point["rejected"] = float((now - world.log_ref)[worse].mean())
            point["two steps"] = float(np.interp(point["kl"], curve[:, 0], curve[:, 1]))
            points.append(point)

    train_preferences(
        policy, world.model, pairs, 300, partial(align.dpo_loss, beta=0.1), lr=3e-3,
        seed=world.seed, schedule=falling(300), after_step=look, progress=False,
    )  # fmt: skip
    return points


def _side(task: str) -> str:
    """Under which name a task's rate is tuned."""
    if task.startswith("detail"):
        return "details"
    return "dpo" if task.startswith("dpo") else task


def run_one(task: str, seed: int, lr: float, dpo_steps: int, rounds: int) -> dict[str, Any]:
    """One run of `TASKS`."""
    world, began = setting(seed), time.process_time()
    if task in WHERE:
        points = [world.after(by_dpo(world, dpo_steps, lr, WHERE[task]))]
    elif task == "ppo":
        points = [world.after(by_ppo(world, rounds, lr))]
    elif task == "best of n":
        points = best_of_n(world)
    elif task.startswith("pairs"):
        points = from_pairs(world, int(task.split()[1]))
    else:
        changed = DETAILS[task.partition(": ")[2]]
        points = [world.after(by_ppo(world, 60, lr, batch=128, **changed))]
    facts = {"start": world.measure(world.ref), "value": world.value}
    return {"seed": seed, "lr": lr, "points": points, **facts,
            "cpu_seconds": time.process_time() - began}  # fmt: skip


def study(
    out: str,
    tasks: Sequence[str] = TASKS,
    seeds: Sequence[int] = (0, 1, 2),
    dpo_steps: int = 1500,
    rounds: int = 200,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Every method on the listed world; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        tasks: names from `TASKS`.
        seeds: of reference, reward and training.
        dpo_steps: of DPO, 128 pairs each.
        rounds: of PPO, 256 answers each.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("tasks", tasks, TASKS)

    def tuned(task: str) -> dict[str, Any]:
        if task.startswith("dpo"):
            far = setting(77)
            return tune(5e-3, lambda lr: far.after(by_dpo(far, 200, lr, "given"))["short"])
        if task == "ppo" or task.startswith("detail"):
            tried = 100 if task == "ppo" else 30  # half of the rounds of a run
            return tune(5e-3, lambda lr: setting(77).after(by_ppo(setting(77), tried, lr))["short"])
        return {"lr": 3e-3, "losses": {}, "at_edge": False}  # not tuned

    return carry_out(
        Record(out, "listed", {"beta": BETA, "dpo_steps": dpo_steps, "rounds": rounds}, command),
        [{"task": task} for task in tasks],
        seeds,
        tuned,
        lambda task, seed, lr: run_one(task, seed, lr, dpo_steps, rounds),
        lambda made: "gold {gold:.3f}, KL {kl:.3f}, TV {tv:.4f}, short {short:.4f}".format(
            **made["points"][-1]
        ),
        say,
        tuned_as=lambda case: _side(case["task"]),
    )
