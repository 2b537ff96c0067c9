"""What lesson 03 builds, trains and counts; `pictures` draws it and `verdicts` judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.analysis import accounting
from minilm.analysis.ngram import KneserNey
from minilm.course import budget, progress
from minilm.inference import ContiguousCache
from minilm.models import EncoderDecoder, EncoderDecoderConfig, Transformer, single_stack, walk_step
from minilm.models.embed import embed
from minilm.tensor import no_grad

from .studies import crossover, mastery

Array = np.ndarray
Weights = dict[str, list[dict[str, Array]]]
VOCABULARY = 20
# One head, RMS norms, ReLU, no biases: all that the forty lines of the lesson leave out.
SMALL = EncoderDecoderConfig(
    VOCABULARY, 32, layers=3, heads=1, channels=16, norm="rms", norm_affine=False, bias=False,
    activation="relu", init_std=0.3, joint_positions=True,
)  # fmt: skip
LARGE = SMALL.replace(layers=6, channels=512, heads=8)  # the sizes of 2017


# ---------------------------------------------------------------------------------- the walk


def package(step: int, one_softmax: bool = False, seed: int = 0) -> EncoderDecoder:
    """The package's model after `step` of the four steps, float64, random weights."""
    return EncoderDecoder(walk_step(SMALL, step, one_softmax), seed, np.float64)


def weights(model: EncoderDecoder) -> Weights:
    """A model's matrices as the lesson's `walk` takes them: three lists, one entry a layer."""
    return {
        "encoder": [_matrices(block) for block in model.encoder.blocks],
        "decoder": [_matrices(block) for block in model.decoder.blocks],
        "cross": [_cross(block) for block in model.decoder.blocks],
    }


def _matrices(block: Any) -> dict[str, Array]:
    q, k, v = np.split(block.attention.qkv.weight.data, 3)  # (3 C, C) -> three (C, C)
    made = {"q": q, "k": k, "v": v, "o": block.attention.out.weight.data}
    return made | {part: getattr(block.feed_forward, part).weight.data for part in ("up", "down")}


def _cross(block: Any) -> dict[str, Array]:
    if not hasattr(block, "cross"):
        return {}
    k, v = np.split(block.cross.key_value.weight.data, 2)  # (2 C, C) -> two (C, C)
    return {"q": block.cross.query.weight.data, "k": k, "v": v, "o": block.cross.out.weight.data}


def vectors(model: EncoderDecoder, source: Array, target: Array) -> tuple[Array, Array]:
    """Tokens as the layers meet them: embedded, with their places, (S, C) and (T, C)."""
    read, _ = embed(model, source[None], 0)
    written, _ = embed(model, target[None], len(source))
    return read.data[0], written.data[0]


def given(seed: int, source: int = 5, target: int = 4) -> tuple[Array, Array]:
    """Random ids for a source and a target."""
    r = backend.rng(seed, "walk", "ids")
    return r.integers(0, VOCABULARY, source), r.integers(0, VOCABULARY, target)


def layer_weights(config: Any) -> int:
    """Numbers to train inside the layers of a built model, shared ones once."""
    kind = EncoderDecoder if isinstance(config, EncoderDecoderConfig) else Transformer
    named = kind(config, allocate=False).named_parameters()
    return sum(w.data.size for name, w in named if ".blocks." in name)


def walk_weights() -> dict[str, int]:
    """Weights inside the layers at the sizes of 2017, step by step, and of a decoder-only model."""
    steps = {f"step {step}": layer_weights(walk_step(LARGE, step)) for step in range(5)}
    plain = LARGE.replace(kind="decoder", joint_positions=False)
    return steps | {"decoder-only": layer_weights(plain)}


def work(source: int, target: int) -> tuple[float, float]:
    """Operations of two stacks over those of one: of the matrices alone, and with attention's."""
    plain = LARGE.replace(kind="decoder", joint_positions=False)
    two, one = (accounting.forward_flops(config, source, target) for config in (LARGE, plain))
    of_two, of_one = (flops.projections + flops.feed_forward for flops in (two, one))
    return of_two / of_one, (of_two + two.scores) / (of_one + one.scores)


def one_layer(tokens: int) -> tuple[Array, dict[str, Array]]:
    """Rows of a text, (tokens, C), and the attention matrices of a layer, all random."""
    names = "qkvo"
    x, *w = backend.rng(0, "one layer").normal(size=(5, 8, 8))  # C = 8
    return x[:tokens], dict(zip(names, w, strict=True))


def distances(seed: int) -> dict[str, list[float]]:
    """Stage -> largest difference of logits from a prefix-LM's and a decoder-only model's.

    From step 2 on the weights are the same ones, used in another way; so all models here get the
    weights of one.
    """
    (source, target), found = given(seed, 8, 6), {}
    prefix = package(3, True, seed)
    causal = package(4, True)
    causal.load_state_dict(prefix.state_dict())
    row = np.concatenate([source, target])[None]  # (1, S + T)
    with no_grad():
        wanted = [
            single_stack(prefix)(row, prefix=8).data[:, 8:],
            single_stack(causal)(row).data[:, 8:],
        ]
        for step in (2, 3, 4):
            for merged in (False, True):
                model = package(step, merged)
                model.load_state_dict(prefix.state_dict())
                got = model(source[None], target[None]).data
                name = f"step {step}, {'one softmax' if merged else 'two'}"
                found[name] = [float(np.abs(got - logits).max()) for logits in wanted]
    return found


# --------------------------------------------------------------------------- who looks at whom


def looks(states: Callable[[Array], Sequence[Array]], ids: Array) -> Array:
    """(outputs, inputs) bool: does another token here change the state there?

    Args:
        states: (n, N) ids -> arrays (n, M, C), whose rows one below the other are the outputs.
        ids: (N,) source and target.
    """
    n = len(ids)
    rows = np.repeat(ids[None], n + 1, axis=0)  # (N + 1, N)
    rows[np.arange(1, n + 1), np.arange(n)] = (ids + 1) % VOCABULARY  # row j + 1: j replaced
    with no_grad():
        outs = states(rows)
    return np.concatenate([np.abs(out[1:] - out[0]).max(-1).T > 1e-9 for out in outs])


def of_two_stacks(model: EncoderDecoder, source: int) -> Callable[[Array], Sequence[Array]]:
    """What the target reads of the source in the last layer, and the target's logits."""

    def states(rows: Array) -> Sequence[Array]:
        cache = ContiguousCache(model.config, len(rows), rows.shape[1], dtype=np.float64)
        logits = model(rows[:, :source], rows[:, source:], cache=cache)
        keys = cache.memory[-1][0]  # (B, G, S, D)
        return keys.swapaxes(1, 2).reshape(len(rows), source, -1), logits.data  # -> (B, S, G D)

    return states


def three_kinds(source: int = 5, target: int = 4) -> dict[str, Array]:
    """Who looks at whom in an encoder-decoder, an encoder and a decoder."""
    ids = np.concatenate(given(0, source, target))
    plain = SMALL.replace(joint_positions=False)
    made = {"encoder-decoder": looks(of_two_stacks(package(0), source), ids)}
    for kind in ("encoder", "decoder"):
        model = Transformer(plain.replace(kind=kind), dtype=np.float64)
        made[f"{kind} only"] = looks(lambda rows, model=model: [model(rows).data], ids)
    return made


# ------------------------------------------------------------------------- structure, and noise

RACE, RACE_BATCH = budget(240), 32  # steps, sequences a step: none is read twice


def _side_by_side(run: Callable[[Any], Any], cases: Sequence[Any]) -> list[Any]:
    """What each run gave, in the order of the cases; a bar counts those that are done."""

    def one(case: Any) -> Any:
        made = run(case)
        bar.update()
        return made

    with progress(total=len(cases)) as bar:
        return backend.parallel(one, cases)


def race(seeds: Sequence[int], rates: dict[str, float]) -> dict[str, Array]:
    """Mask -> (seeds, tests, 4): step, loss, loss on far tokens, share of first guesses right."""
    exam = crossover.Exam(crossover.LocalGrammar(), 64)
    cases = [(mask, seed) for mask in crossover.MASKS for seed in seeds]

    def run(case: tuple[str, int]) -> list[list[float]]:
        mask, seed = case
        made = crossover.run_one(mask, RACE * RACE_BATCH, seed, rates[mask], RACE, RACE_BATCH, exam)
        return [[p["step"], p["loss"], p["far"], p["right"]] for p in made["points"]]

    points = np.array(_side_by_side(run, cases)).reshape(2, len(seeds), -1, 4)
    return dict(zip(crossover.MASKS, points, strict=True))


def counted(sequences: int) -> float:
    """Nats per token of a counter (Kneser-Ney, two tokens of context) given so many sequences."""
    world = crossover.LocalGrammar()
    told = world.sample(sequences, crossover.LENGTH, 1000)[0]
    asked = world.sample(512, crossover.LENGTH, crossover.TEST_SEED)[0]
    model = KneserNey(told.ravel(), 3, world.vocab_size)
    bits = model.bits(asked.ravel()).reshape(asked.shape)[:, 1:]  # (n, 49) -> (n, 48)
    return float(bits.mean() * np.log(2))


def translate(
    models: Sequence[str], seeds: Sequence[int], rates: dict[str, float]
) -> dict[str, list[dict[str, Any]]]:
    """Model -> one run a seed on translation, each until 95 % of the words are right."""
    cases = [(model, seed) for model in models for seed in seeds]
    made = _side_by_side(
        lambda case: mastery.run_one("translation", *case, rates[case[0]], stop=True), cases
    )
    return {model: made[k * len(seeds) : (k + 1) * len(seeds)] for k, model in enumerate(models)}


def facts_spelled() -> str:
    """One fact in both forms, entities as numbers, relations as letters."""
    world = mastery.FACTS
    names = [*map(str, range(world.entities)), *"abcd", "ask", "tell", "·"]
    row = world.facts("told")[:1]
    told, asked = world.tell(row, world.facts("told")[1:2]), world.ask(row)
    lines = []
    for form, pairs in (("told", told), ("asked", asked)):
        source = " ".join(names[i] for i in pairs.source[0])
        target = " ".join(names[i] for i in pairs.fed[0][1:]) if form == "told" else ""
        answers = [names[i] for i in pairs.target[0] if i >= 0]
        lines.append(f"{form:6} source: {source:12} target: · {target}   to predict: {answers}")
    return "\n".join(lines)


def shortcuts() -> tuple[float, float]:
    """% right by chance, and by elimination, on facts told and then asked.

    In every relation each entity is the answer once. Who knows the answers of all facts that
    were asked while training can rule them out, and guess among the rest.
    """
    told = mastery.FACTS.facts("told")
    relations = len(np.unique(told[:, 1]))
    return 100 / mastery.FACTS.entities, 100 * relations / len(told)
