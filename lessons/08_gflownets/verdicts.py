"""The verdicts of lesson 08: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from minilm.align import Flow, partition_from_root
from minilm.align.flows import log_probabilities
from minilm.analysis.enumerate import Texts, total_variation
from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

Rows = Sequence[float]
PAPER = "Hu et al., arXiv 2310.04363"
GAIN = 0.10  # share of right answers that a chain must add


def exact_flow(
    tree: Texts, deserved: np.ndarray, log_z: float, flow: Flow, apart: float
) -> Verdict:
    texts = [tree.text(place) for place in range(len(tree))]
    tv = total_variation(np.exp(log_probabilities(flow, texts)), deserved)
    root = partition_from_root(log_z_of(flow), flow.log_end[()])
    return claim(
        "a writer that follows the flow draws each text as often as its reward says, and knows Z",
        source=f"{PAPER}, section 3; Bengio et al., arXiv 2106.04399",
        measure="TV of the flow's writer; log Z at its root less the log of the sum; page less "
        "package; 121 texts, float64",
        expected="all at most 1e-12",
        measured={"TV": [tv], "log Z": [abs(root - log_z)], "page": [apart]},
        holds=lambda m: max(m.values()) <= 1e-12,
        exact=True,
        kind="package",
        says=f"the writer is off by {tv:.0e}; at its root log Z = {root:.6f}, and the sum of all "
        f"rewards says {log_z:.6f}",
    )


def log_z_of(flow: Flow) -> float:
    """log R of the empty text."""
    return flow.log_flow[()] + flow.log_end[()]


def _tv(deserved: np.ndarray, found: Sequence[np.ndarray]) -> list[float]:
    return [total_variation(deserved, q) for q in found]


def table_matches(
    deserved: np.ndarray, learnt: dict[str, list[np.ndarray]], seeds: Sequence[int]
) -> Verdict:
    tv = {way: _tv(deserved, learnt[way]) for way in ("match", "maximise")}
    top = [float(q.max()) for q in learnt["maximise"]]
    return claim(
        "matching a reward keeps every answer, maximising it keeps one",
        source=f"{PAPER}, abstract and section 3",
        measure="TV from what each text deserves, a table of 121 texts after 700 steps",
        expected="matching at most 0.02, maximising 0.5 or more",
        measured=tv,
        holds=lambda m: m["match"] <= 0.02 and m["maximise"] >= 0.5,
        seeds=seeds,
        kind="paper",
        says=f"the matcher is {fmean(tv['match']):.0e} away, the maximiser "
        f"{fmean(tv['maximise']):.2f}; the maximiser's favourite text has {fmean(top):.0%} of its "
        f"draws and deserves {deserved.max():.0%} at most",
    )


def soft_same_optimum(
    deserved: np.ndarray, found: Sequence[np.ndarray], seeds: Sequence[int]
) -> Verdict:
    tv = _tv(deserved, found)
    return claim(
        "reinforcement learning on log R with an entropy weight of 1 ends where the flow does",
        source="the identity above; Levine, arXiv 1805.00909",
        measure="TV from what each text deserves, the same table, 700 steps",
        expected="at most 0.05",
        measured=tv,
        holds=lambda d: d <= 0.05,
        seeds=seeds,
        kind="ours",
        says=f"the soft maximiser is {fmean(tv):.3f} away from R / Z (least {min(tv):.3f}, most "
        f"{max(tv):.3f})",
    )


def strings_match(last: Sequence[dict[str, float]], seeds: Sequence[int]) -> Verdict:
    found = {
        "TV": [p["tv"] for p in last],
        "log Z off": [abs(p["off"]) for p in last],
        "of the 50 likeliest": [float(p["found"]) for p in last],
        "exact draws show": [p["possible"] for p in last],
    }
    return claim(
        "a Transformer trained by SubTB draws what fills a gap as often as it is likely",
        source=f"{PAPER}, sections 3 and 4",
        measure="TV from the listed posterior; log Z at the root, less the truth; how many of the "
        "50 likeliest are among 1,000 draws, and among as many exact ones on average; 1,555 "
        "strings, 2,400 steps",
        expected="below 0.05, below 0.05, and 9 of 10 that exact draws show",
        measured=found,
        holds=lambda m: (
            m["TV"] < 0.05
            and m["log Z off"] < 0.05
            and m["of the 50 likeliest"] >= 0.9 * m["exact draws show"]
        ),
        seeds=seeds,
        kind="paper",
        note="with 1,200 steps and temperatures up to 2 one world of the first three stayed 0.24 "
        "away, and steps and temperature were chosen on that world; the third rule was 45 of 50 "
        "until it turned out that no sampler can keep it: exact draws do with chances of "
        + ", ".join(f"{p['enough']:.0%}" for p in last),
        says=f"TV is {fmean(found['TV']):.3f}, log Z off by {fmean(found['log Z off']):.3f}, and "
        f"{', '.join(f'{n:.0f}' for n in found['of the 50 likeliest'])} of the 50 likeliest turn "
        f"up, where exact draws show {', '.join(f'{n:.0f}' for n in found['exact draws show'])}",
    )


def _last(record: Recorded, case: Any, name: str) -> list[float]:
    return [float(record.run(case, s)["points"][-1][name]) for s in record.seeds_of(case)]


def maximiser_collapses(record: Recorded) -> Verdict:
    short, long = (_last(record, case, "largest") for case in ("maximise R", "maximise R, 4x"))
    favourite = _last(record, "maximise R, 4x", "favourite")
    return claim(
        "a model that maximises the reward ends on a single answer",
        source=f"{PAPER}, abstract",
        measure="share of the draws that its likeliest filling gets, after 1,200 and 4,800 steps",
        expected="0.9 or more",
        measured={"1x": short, "4x": long},
        holds=lambda m: min(m.values()) >= 0.9,
        partly=lambda m: min(m.values()) >= 0.5,
        seeds=record.seeds_of("maximise R, 4x"),
        recorded=True,
        kind="paper",
        says=f"one filling gets all but {1 - min(short):.0e} of the draws, after four times the steps "
        f"all but {1 - min(long):.0e}; its reward is {min(favourite):.0%} to {max(favourite):.0%} of the best "
        "one's",
    )


def samples_needed(record: Recorded) -> Verdict:
    names = ("SubTB", "MLE, 100 samples", "MLE, 5000 samples")
    tv = {name: _last(record, name, "tv") for name in names}
    return claim(
        "maximum likelihood needs many samples from the posterior, a balance needs none",
        source=f"{PAPER}, section 3",
        measure="TV from the listed posterior after 1,200 steps",
        expected="SubTB below 0.05; likelihood on 100 samples more than three times as far",
        measured=tv,
        holds=lambda m: m["SubTB"] < 0.05 and m["MLE, 100 samples"] > 3 * m["SubTB"],
        seeds=record.seeds_of(*names),
        recorded=True,
        kind="paper",
        says=f"on 100 exact samples likelihood ends {fmean(tv[names[1]]):.2f} away, on 5,000 "
        f"{fmean(tv[names[2]]):.2f}, SubTB without a sample {fmean(tv['SubTB']):.3f}",
    )


def numbers_even(record: Recorded) -> Verdict:
    name = "SubTB, fuller replay"
    found = {
        "from even": _last(record, name, "from_even"),
        "to even": _last(record, name, "to_even"),
    }
    before = fmean(_last(record, "untuned", "from_even"))
    return claim(
        "GFlowNet tuning makes a language model's random numbers even",
        source=f"{PAPER}, section 4.1",
        measure="KL(even, q) and KL(q, even) over 101 numbers, nats, with a buffer of what the "
        "untuned model writes",
        expected="both below 0.02",
        measured=found,
        holds=lambda m: max(m.values()) < 0.02,
        partly=lambda m: m["to even"] < 0.02,
        seeds=record.seeds_of(name),
        recorded=True,
        note="with 10,000 texts the buffer of one seed lacked its rarest number, and that seed missed "
        "the mark; 100,000 were tried after that",
        kind="paper",
        says=f"the divergence falls from {before:.2f} to {max(found['from even']):.4f} at most in "
        f"one direction and {max(found['to even']):.4f} in the other",
    )


def one_direction_is_blind(record: Recorded) -> Verdict:
    found = {
        "from even": _last(record, "SubTB, quick", "from_even"),
        "to even": _last(record, "SubTB, quick", "to_even"),
    }
    least = _last(record, "SubTB, quick", "least")
    where = sorted({int(at) for at in _last(record, "SubTB, quick", "least_at")})
    return claim(
        "at the same rate without the buffer a number is lost, and only one of two divergences sees it",
        source="this lesson; the pilot of its world",
        measure="KL(even, q) and KL(q, even) over 101 numbers, nats, SubTB without a buffer at the rate "
        "that suits the one with it",
        expected="the first above 0.05, the second below 0.02",
        measured=found,
        holds=lambda m: m["from even"] > 0.05 and m["to even"] < 0.02,
        seeds=record.seeds_of("SubTB, quick"),
        recorded=True,
        note="made for SubTB at its own tuned rate; when one seed had shown that it is slow there "
        "and loses nothing, it was moved to the quicker rate",
        kind="ours",
        says=f"KL(even, q) is {fmean(found['from even']):.3f}, KL(q, even) "
        f"{fmean(found['to even']):.4f}; the rarest number, {', '.join(map(str, where))}, is drawn "
        f"less than once in {0.5 / max(least):,.0f} tries",
    )


def others_stay_skewed(record: Recorded) -> Verdict:
    names = ("reward, tied to the model", "reward alone", "SFT on 100 numbers")
    seeds = record.seeds_of("untuned", *names)
    before = _last(record, "untuned", "from_even"), _last(record, "untuned", "to_even")
    found = {}
    for name in names:
        after = _last(record, name, "from_even"), _last(record, name, "to_even")
        found[name] = [
            max(a / b for a, b in zip(pair, base, strict=True))
            for pair, base in zip(zip(*after, strict=True), zip(*before, strict=True), strict=True)
        ]
    return claim(
        "maximising the reward, or supervised tuning on 100 numbers, leaves the numbers skewed",
        source=f"{PAPER}, section 4.1",
        measure="the larger of the two divergences from even, as a share of the untuned model's",
        expected="0.5 or more, all three",
        measured=found,
        holds=lambda m: min(m.values()) >= 0.5,
        partly=lambda m: max(m.values()) >= 0.5,
        seeds=seeds,
        recorded=True,
        kind="paper",
        says="of the untuned model's divergence "
        + ", ".join(f"{name} leaves {fmean(rows):.0%}" for name, rows in found.items()),
    )


def amortised_alone(record: Recorded) -> Verdict:
    names = ("1 context", "16 contexts", "200 contexts", "200 contexts, 4x")
    found = {name: _last(record, name, "seen") for name in names}
    found["200 contexts, 4x, unseen"] = _last(record, names[-1], "others")
    found["no context"] = _last(record, names[-1], "yardstick")
    return claim(
        "one sampler learns many posteriors from rewards alone, with nothing to start from",
        source=f"{PAPER}, section 3 (amortised inference); its sampler starts from a language model",
        measure="TV from the listed posteriors; 400 steps of 64 texts, 4x: 1,600; the last row is "
        "the best answer that reads no context",
        expected="200 contexts at 4x, unseen: below half of the last row",
        measured=found,
        holds=lambda m: m["200 contexts, 4x, unseen"] < 0.5 * m["no context"],
        partly=lambda m: m["200 contexts, 4x, unseen"] < 0.8 * m["no context"],
        seeds=record.seeds_of(*names),
        recorded=True,
        kind="paper",
        says=f"one context ends at {fmean(found['1 context']):.2f}, sixteen at "
        f"{fmean(found['16 contexts']):.2f}, 200 at {fmean(found['200 contexts']):.2f}, after four "
        f"times the steps at {fmean(found['200 contexts, 4x']):.2f}; reading no context at all "
        f"gives {fmean(found['no context']):.2f}",
    )


def amortised_from_triples(record: Recorded) -> Verdict:
    before, after = "own triples", "own triples, then SubTB"
    found = {
        "before": _last(record, before, "others"),
        "after": _last(record, after, "others"),
        "no context": _last(record, after, "yardstick"),
    }
    return claim(
        "started from what the language model itself writes, SubTB serves contexts it never saw",
        source=f"{PAPER}, section 3 (the sampler is the language model, fine-tuned)",
        measure="TV from the listed posteriors of 24 unseen contexts",
        expected="after SubTB lower than before, and below half of the best answer without context",
        measured=found,
        holds=lambda m: m["after"] < m["before"] and m["after"] < 0.5 * m["no context"],
        partly=lambda m: m["after"] < 0.5 * m["no context"],
        seeds=record.seeds_of(before, after),
        recorded=True,
        kind="paper",
        says=f"likelihood on own triples comes to {fmean(found['before']):.2f}, SubTB from there to "
        f"{fmean(found['after']):.2f}; without reading the context {fmean(found['no context']):.2f}",
    )


def chains_gain(record: Recorded) -> Verdict:
    found = {
        f"{amount} labels": [
            a - b
            for a, b in zip(
                _last(record, ("EM, SubTB", amount), "right"),
                _last(record, ("direct", amount), "right"),
                strict=True,
            )
        ]
        for amount in (10, 20, 50)
    }
    shares, exact, direct = (
        [fmean(_last(record, (way, amount), "right")) for amount in (10, 20, 50)]
        for way in ("EM, SubTB", "EM, exact", "direct")
    )

    def listed(rows: Rows) -> str:
        return ", ".join(f"{share:.0%}" for share in rows)

    return claim(
        "with few labels a hidden chain, found by EM, beats learning the answer outright",
        source=f"{PAPER}, section 4.4",
        measure="share of things without a label that are answered rightly, less that of the "
        "direct way",
        expected="a gain of 0.10 or more with 20 and with 50 labels, and no loss with 10",
        measured=found,
        holds=lambda m: min(m["20 labels"], m["50 labels"]) >= GAIN and m["10 labels"] >= 0,
        partly=lambda m: m["50 labels"] >= GAIN,
        seeds=record.seeds_of(("EM, SubTB", 10)),
        recorded=True,
        kind="paper",
        says=f"with 10, 20 and 50 labels the chains answer {listed(shares)} rightly, with exact "
        f"E-steps {listed(exact)}, the direct way {listed(direct)}",
    )
