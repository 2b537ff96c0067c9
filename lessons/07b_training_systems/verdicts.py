"""The verdicts of lesson 07b: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from minilm.course.show.claims import Verdict, claim
from minilm.parallel import Simulated, Timeline
from minilm.studies.recorded import Recorded

PAPER = "Rajbhandari et al., arXiv 1910.02054"
# Parameters, ranks, GB at stages 0 to 3 (figure 1 and table 1 of the paper, by its formulas).
TABLE = [
    (7.5e9, 64, (120, 31.40625, 16.640625, 1.875)),
    (7.5e9, 4, (120, 52.5, 41.25, 30)),
    (7.5e9, 1024, (120, 30.088, 15.103, 0.117)),
    (128e9, 64, (2048, 536, 284, 32)),
    (1e12, 64, (16000, 4187.5, 2218.75, 250)),
]
Found = dict[tuple[int, int, int], tuple[float, Simulated]]  # seed, stage, ranks -> gap, run


def memory_table(zero_memory: Callable[..., float]) -> Verdict:
    gaps = [
        max(
            abs(zero_memory(psi, N, stage) / 1e9 - gb) / gb
            for stage, gb in enumerate(row)
            if gb >= 1  # the others are printed with three digits
        )
        for psi, N, row in TABLE
    ]
    falls = all(
        zero_memory(7.5e9, 2 * N, stage) < zero_memory(7.5e9, N, stage)
        for N in (1, 8, 64, 512)
        for stage in (1, 2, 3)
    )
    return claim(
        "the more ranks share the optimizer, the less memory each of them needs",
        source=f"Ding 17:43; {PAPER}, figure 1 and table 1",
        measure="largest relative distance from the paper's numbers of 1 GB and more; whether twice the ranks always hold "
        "less (1 for yes)",
        expected="at most 0.001; yes",
        measured={"distance": [max(gaps)], "falls": [float(falls)]},
        holds=lambda m: m["distance"] <= 1e-3 and m["falls"] == 1,
        exact=True,
        says="7.5 billion parameters need 120 GB as plain copies; on 64 ranks "
        + ", ".join(f"{zero_memory(7.5e9, 64, stage) / 1e9:.4g}" for stage in (1, 2, 3))
        + " GB at stages 1, 2 and 3",
    )


def mostly_adam(sizes: Sequence[float], shares: Sequence[float]) -> Verdict:
    return claim(
        "most of the memory of training is Adam's state with the float32 weights",
        source="Ding 16:11 to 17:24",
        measure="Adam's share of weights, gradients, Adam, activations and logits; one text of 4,096 "
        "tokens, attention's scores not kept, nothing shared out; 1, 7, 70 and 175 billion parameters",
        expected="above 0.5 for each size",
        measured=list(shares),
        holds=lambda share: share > 0.5,
        over="sizes",
        exact=True,
        says=f"with attention's scores not kept Adam holds {min(shares):.0%} at {sizes[0] / 1e9:g} billion "
        f"and {max(shares):.0%} at {sizes[-1] / 1e9:g} billion; activations weigh most in the smallest",
    )


def same_weights(found: Found, seeds: Sequence[int]) -> Verdict:
    gaps = {
        f"stage {stage}": [max(gap for (s, at, _), (gap, _) in found.items() if (s, at) == (seed, stage))
                           for seed in seeds]
        for stage in range(4)
    }  # fmt: skip
    return claim(
        "ZeRO changes where numbers lie and not what is learnt",
        source=f"implied by Ding 17:43 to 18:59; {PAPER}, section 5",
        measure="largest distance of a weight from one process with Adam, and from the package's Zero; "
        "20 steps, float64, 2, 4 and 8 ranks, the package on 4",
        expected="at most 1e-12",
        measured=gaps,
        holds=lambda m: max(m.values()) <= 1e-12,
        seeds=seeds,
        says=f"after 20 steps the weights are {max(map(max, gaps.values())):.0e} apart at most, at any "
        "stage, on any number of ranks",
    )


def sent_in_psi(run: Simulated, stage: int, ranks: int, steps: int = 20) -> float:
    """Numbers sent a step, in multiples of the parameters and of (N - 1) / N."""
    numbers = max(run.sent()) / 8
    psi = sum(w.size for w in run.values[0])
    share = (ranks - 1) / ranks
    if stage:
        numbers -= psi * share  # the last gathering, which only hands out the result
    return numbers / steps / psi / share


def traffic(found: Found, seeds: Sequence[int]) -> Verdict:
    counts = {
        f"stage {stage}": [
            fmean(sent_in_psi(found[seed, stage, N][1], stage, N) for N in (2, 4, 8))
            for seed in seeds
        ]
        for stage in range(4)
    }
    return claim(
        "stages 1 and 2 send what plain copies send, stage 3 half as much again",
        source=f"{PAPER}, section 7",
        measure="numbers that a rank sends in a step, over parameters times (N - 1) / N; 2, 4, 8 ranks",
        expected="2, 2, 2 and 3",
        measured=counts,
        holds=lambda m: all(
            abs(m[f"stage {stage}"] - times) < 1e-9 for stage, times in enumerate((2, 2, 2, 3))
        ),
        seeds=seeds,
        kind="paper",
        says="counted: " + ", ".join(f"{fmean(rows):g}" for rows in counts.values())
        + " times the parameters at stages 0 to 3",
    )  # fmt: skip


def two_and_two(split: dict[int, list[dict[str, float]]], seeds: Sequence[int]) -> Verdict:
    found = {
        name: [max(split[N][i][name] for N in split) for i in range(len(seeds))]
        for name in ("forward", "backward", "loss apart")
    }
    return claim(
        "splitting hidden size and heads costs extra all-reduces, two a layer each way",
        source="Ding 19:48 to 20:16; Shoeybi et al., arXiv 1909.08053, section 3",
        measure="all_reduces a layer in forward and in backward, and the distance of the loss; a decoder "
        "of 3 layers on 2 and 4 ranks",
        expected="2, 2, and at most 1e-12",
        measured=found,
        holds=lambda m: m["forward"] == m["backward"] == 2 and m["loss apart"] <= 1e-12,
        seeds=seeds,
        says=f"{found['forward'][0]:g} all-reduces a layer in forward and {found['backward'][0]:g} in "
        f"backward; the loss is {max(found['loss apart']):.0e} from the whole model's",
    )


def bubbles(simulate_pipeline: Callable[..., Timeline]) -> Verdict:
    found: dict[str, list[float]] = {"1F1B": [], "formula": [], "2 pieces": [], "ZB-H1": []}
    shares = []
    for p, m in ((4, 8), (8, 32)):
        plain = simulate_pipeline(p, m, "1f1b")
        pieces, zero = (
            simulate_pipeline(p, m, *how) for how in (("interleaved", 1, 2, 2), ("zb-h1",))
        )
        found["formula"].append(3.0 * (p - 1))
        for name, line in (("1F1B", plain), ("2 pieces", pieces), ("ZB-H1", zero)):
            found[name].append(line.makespan - 3 * m)
            shares.append(line.bubble)
    return claim(
        "pipelines have bubbles, and interleaved and zero-bubble schedules reduce them",
        source="Ding 20:16 to 20:41; Narayanan et al., arXiv 2104.04473; Qi et al., 2401.10241",
        measure="time that a stage idles, a forward takes 1 and a backward 2: 4 stages with 8 "
        "micro-batches, 8 with 32",
        expected="1F1B 3 (p - 1), as by formula; two pieces at most half of it, ZB-H1 a third",
        measured=found,
        holds=lambda m: (
            abs(m["1F1B"] - m["formula"]) < 1e-9
            and m["2 pieces"] <= m["1F1B"] / 2 + 1e-9
            and m["ZB-H1"] <= m["1F1B"] / 3 + 1e-9
        ),
        over="pipelines",
        exact=True,
        note="first written for the idle share of a step, at most 0.6 and 0.4 of 1F1B's; ZB-H1 gave "
        "0.41 of it, because its whole step is shorter, too, and the papers speak of idle time",
        says=f"of a step with 4 stages and 8 micro-batches {shares[0]:.0%} idles under 1F1B, "
        f"{shares[1]:.0%} with two pieces, {shares[2]:.0%} under ZB-H1",
    )


def segments(measured: Sequence[Any], counted: dict[int, tuple[Any, int, int]]) -> Verdict:
    whole, last = measured[0], measured[-1]
    off = max(abs(peak - (k + 16 / k)) for k, (_, peak, _) in counted.items())
    return claim(
        "keep one hidden state a layer, compute the rest again in backward",
        source="Ding 18:24; Chen et al., arXiv 1604.06174",
        measure="peak memory with 16 segments over that without, in a decoder of 16 blocks; runs of a "
        "block; largest distance of a gradient; plain layers: arrays, less k + L / k",
        expected="at most 0.5; 2; 0; 0",
        measured={
            "peak": [last.peak / whole.peak],
            "runs": [last.runs / whole.runs],
            "gradient": [last.gradient],
            "plain": [float(off)],
        },
        holds=lambda m: (
            m["peak"] <= 0.5 and m["runs"] == 2 and m["gradient"] == 0 and m["plain"] == 0
        ),
        exact=True,
        says=f"with one segment a layer the peak is {last.peak / whole.peak:.0%} of what it was, and "
        f"every block runs {last.runs / whole.runs:g} times; gradients are equal to the last bit",
    )


def _losses(record: Recorded, name: str) -> list[float]:
    return [float(record.run(name, s)["points"][-1]["loss"]) for s in record.seeds_of(name)]


def copy_is_worth_it(record: Recorded) -> Verdict:
    names = ("bfloat16, copy", "bfloat16 alone", "bfloat16, copy, 4x", "bfloat16 alone, 4x")
    found = {name: _losses(record, name) for name in names}

    def ratio(m: dict[str, float], tail: str) -> float:
        return m["bfloat16 alone" + tail] / m["bfloat16, copy" + tail]

    means = {name: fmean(rows) for name, rows in found.items()}
    return claim(
        "a float32 copy of the weights is worth its bytes",
        source="after Ding 17:24",
        measure="nats a picture on 1,297 training digits in bfloat16, after 1,000 and 4,000 steps, each "
        "way at its own rate",
        expected="without the copy 1.2 times as high or more, both times",
        measured=found,
        holds=lambda m: ratio(m, "") >= 1.2 and ratio(m, ", 4x") >= 1.2,
        partly=lambda m: max(ratio(m, ""), ratio(m, ", 4x")) >= 1.2,
        seeds=record.seeds_of(*names),
        recorded=True,
        kind="ours",
        says=f"without the copy the loss ends {ratio(means, ''):.2f} times as high, after four times "
        f"the steps {ratio(means, ', 4x'):.1f} times",
    )


def plan_against_published(
    runs: Sequence[tuple[str, float, float]], yardstick: tuple[float, float]
) -> Verdict:
    taken, fitted = yardstick
    ratios = [predicted / published for _, published, predicted in runs]
    worst = max(runs, key=lambda run: abs(run[2] / run[1] - 1))
    return claim(
        "three numbers, set in sight of such runs, tell a step's seconds to a fifth",
        source="this lesson; runs of MosaicML's llm-foundry, benchmark tables",
        measure=f"predicted over published tokens per second; {len(runs)} runs of 1 to 70 billion "
        "parameters on 8 to 64 GPUs, 2,048 tokens",
        expected="0.8 to 1.2 for each run",
        measured=ratios,
        holds=lambda ratio: 0.8 <= ratio <= 1.2,
        over="runs",
        exact=True,
        kind="ours",
        note="a share of full speed for each machine and one for attention were set with these tables "
        "in sight, on runs of 7 billion parameters and on how far the others spread: three numbers "
        "for all runs, and no blind prediction",
        says=f"predictions are {min(ratios):.2f} to {max(ratios):.2f} of what was measured; the worst "
        f"is {worst[0]}. One share of full speed for a machine is {taken:.0%} off at worst if taken "
        f"from runs of 7 billion, {fitted:.0%} if fitted to these",
    )
