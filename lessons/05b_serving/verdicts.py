"""The verdicts of lesson 05b: thresholds set before the runs, sentences made of what came out.

Changed after a first run, and no threshold among it: 8 bits that keep the perplexity but take more
bytes than was said count as partly; a control with 2 bits stands beside them.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from minilm.analysis.accounting import kv_bytes_per_token
from minilm.course.show.claims import Verdict, claim
from minilm.inference.speculate import expected_tokens

PAGED = "Kwon et al., arXiv 2309.06180"
ORCA = "Yu et al., OSDI 2022"
SPECULATIVE = "Leviathan et al., arXiv 2211.17192"
KIVI = "Liu et al., arXiv 2402.02750"

BYTES = {  # of one token in 16 bits, from the models' papers and configurations
    "GPT-2": 36_864,
    "Llama 2 7B": 524_288,
    "Mistral 7B": 131_072,
    "Llama 2 70B": 327_680,
    "StarCoder": 20_480,
    "GPT-3": 4_718_592,
}


def together_is_cheaper(
    batches: Sequence[int], written: Sequence[Sequence[float]], read: Sequence[float],
    seeds: Sequence[int],
) -> Verdict:  # fmt: skip
    gain = [row[-1] / row[0] for row in written]
    prompt = [speed / row[0] for speed, row in zip(read, written, strict=True)]
    return claim(
        "writing one text leaves most of the machine idle",
        source="ours; the ground of Jiang's answer on large batches",
        measure=f"tokens a second with {batches[-1]} texts over those with one; tokens a second of a "
        "prompt read in one step over one text written",
        expected="both at least 2",
        measured={"together": gain, "reading": prompt},
        holds=lambda m: m["together"] >= 2 and m["reading"] >= 2,
        seeds=seeds,
        kind="ours",
        says=f"{batches[-1]} texts together are written {fmean(gain):.1f} times as fast as one, and "
        f"a prompt is read {fmean(prompt):.1f} times as fast",
    )


def caches_by_formula(configs: Mapping[str, Any], ours: Mapping[str, tuple[int, int]]) -> Verdict:
    wrong = [name for name, wanted in BYTES.items() if kv_bytes_per_token(configs[name]) != wanted]
    apart = [abs(held - formula) for held, formula in ours.values()]
    return claim(
        "what a token leaves behind is 2 × layers × key heads × head size numbers",
        source="Jiang 02:18 (grouped queries); the models' own configurations",
        measure="bytes a token in 16 bits of six models, beside 36,864, 524,288, "
        "131,072, 327,680, 20,480, 4,718,592, worked out from their papers; bytes of three caches of "
        "ours less their formulas",
        expected="all equal",
        measured={"wrong models": [len(wrong)], "bytes apart": [max(apart)]},
        holds=lambda m: m["wrong models"] == 0 and m["bytes apart"] == 0,
        exact=True,
        kind="package",
        says="six of six models agree to the byte, and so do our arrays"
        if not wrong and not max(apart)
        else f"not equal: {', '.join(wrong) or 'our arrays'}",
    )


def pages_waste(held: Sequence[float], reserved: Sequence[float], seeds: Sequence[int]) -> Verdict:
    return claim(
        "pages hold nearly nothing but tokens; a block for each text's longest case is mostly empty",
        source=f"{PAGED}, section 1: reserved blocks 20.4 to 38.2 % used, pages 96.3 %",
        measure="tokens stored over places held, in pages of 16 and in blocks of the context, over "
        "all steps of 48 chats",
        expected="pages at least 0.9, blocks at most 0.4",
        measured={"pages": held, "blocks": reserved},
        holds=lambda m: m["pages"] >= 0.9 and m["blocks"] <= 0.4,
        seeds=seeds,
        kind="paper",
        says=f"{fmean(held):.1%} of the places in pages hold a token, of those in blocks "
        f"{fmean(reserved):.1%}",
    )


def chats_share(turns: int, whole: Sequence[int], tree: Sequence[int]) -> Verdict:
    ratio, wanted = whole[-1] / tree[-1], (turns + 1) / 2
    return claim(
        "keeping a chat's beginning divides what is read in ten turns by (10 + 1) / 2",
        source="Chung 64:14, here earned by a server; SGLang, arXiv 2312.07104",
        measure=f"tokens read in {turns} turns of 48 tokens without sharing, over those with a "
        "prefix tree in pages of 16",
        expected=f"{wanted} within 2 %",
        measured=[ratio],
        holds=lambda r: abs(r / wanted - 1) <= 0.02,
        exact=True,
        kind="ours",
        says=f"{whole[-1]:,} tokens are read without the tree and {tree[-1]:,} with it: "
        f"{ratio:.2f} times as many",
    )


def nobody_waits(
    steps: Sequence[float], seconds: Sequence[float], same: bool, seeds: Sequence[int]
) -> Verdict:
    return claim(
        "batches that let the next text in at every step write at least twice as fast",
        source=f"{ORCA}, section 3; the factor of two is ours",
        measure="48 chats with answers of very different lengths in 16 slots: steps, and seconds, "
        "of batches that wait for their longest over those of batches that do not",
        expected="seconds at least 2, and every text the same",
        measured={"steps": steps, "seconds": seconds, "same texts": [float(same)] * len(seeds)},
        holds=lambda m: m["seconds"] >= 2 and m["same texts"] == 1,
        seeds=seeds,
        kind="paper",
        says=f"waiting costs {fmean(steps):.1f} times the steps and {fmean(seconds):.1f} times the "
        f"seconds; the texts are {'the same' if same else 'not the same'}",
    )


def neighbours(found: Sequence[tuple[int, int]], count: int, seeds: Sequence[int]) -> Verdict:
    greedy, drawn = zip(*found, strict=True)
    return claim(
        "what is written for you does not depend on who else is there",
        source="the package's promise",
        measure=f"of {count} texts, those that say the same alone and among the others",
        expected=f"all {count}, greedy and sampled",
        measured={"greedy": list(map(float, greedy)), "sampled": list(map(float, drawn))},
        holds=lambda m: min(m.values()) == count,
        seeds=seeds,
        kind="package",
        says=f"{sum(greedy)} of {count * len(seeds)} greedy texts and {sum(drawn)} of "
        f"{count * len(seeds)} sampled ones are the same",
    )


def eight_bits(
    found: Sequence[Mapping[str, Mapping[str, float]]], share: float, seeds: Sequence[int]
) -> Verdict:
    apart = [max(row[name]["apart"] for name in ("one block", "pages")) for row in found]
    worse = [row["8 bits"]["worse"] for row in found]
    coarse = [row["2 bits"]["worse"] for row in found]
    return claim(
        "keys and values in 8 bits change nearly nothing; pages change nothing",
        source=f"ours, after {KIVI}, of 2 bits in large models; {PAGED}",
        measure="largest difference of a logit between a cache and reading everything anew; growth "
        "of perplexity with 8 bits, and as a control with 2; bytes of the 8-bit cache over those of 32 "
        "bits, for 128 places",
        expected="at most 1e-3; less than 1 %; less than 0.4",
        measured={
            "logits": apart,
            "perplexity": worse,
            "bytes": [share] * len(seeds),
            "perplexity, 2 bits": coarse,
        },  # fmt: skip
        holds=lambda m: m["logits"] <= 1e-3 and abs(m["perplexity"]) < 0.01 and m["bytes"] < 0.4,
        partly=lambda m: m["logits"] <= 1e-3 and abs(m["perplexity"]) < 0.01,
        seeds=seeds,
        kind="paper",
        says=f"pages change a logit by {max(apart):.0e} at most; 8 bits change the perplexity by "
        f"{max(map(abs, worse)):.2%} at most and take {share:.0%} of the bytes; 2 bits change it by "
        f"{fmean(coarse):.1%}",
    )


def same_distribution(p: np.ndarray, chi: Sequence[float], limit: float, kept: Sequence[float],
                      wanted: float, seeds: Sequence[int]) -> Verdict:  # fmt: skip
    return claim(
        "guesses that are checked change nothing: every text is as likely as without",
        source=f"{SPECULATIVE}, appendix A.1",
        measure=f"{len(p)} possible texts, 20,000 drawn with guesses: chi-square against what the "
        f"model alone would draw; share of guesses kept, less the sum of min(p, q)",
        expected=f"at most {limit:.1f} (one in a thousand is above); within 0.01",
        measured={"chi-square": chi, "kept": [k - wanted for k in kept]},
        holds=lambda m: m["chi-square"] <= limit and abs(m["kept"]) <= 0.01,
        seeds=seeds,
        kind="paper",
        says=f"chi-square is {max(chi):.1f} at most with {len(p) - 1} degrees of freedom; "
        f"{fmean(kept):.3f} of the guesses are kept, {wanted:.3f} by the formula",
    )


def guesses_by_formula(
    found: Mapping[str, Mapping[int, Sequence[Any]]], seeds: Sequence[int]
) -> Verdict:
    off, gains, same = {}, {}, True
    for name, runs in found.items():
        per_seed = list(zip(*runs.values(), strict=True))  # a row a seed
        off[f"off, {name}"] = [
            max(
                abs(one.per_round / expected_tokens(one.acceptance, k) - 1)
                for k, one in zip(runs, row, strict=True)
            )
            for row in per_seed
        ]
        gains[f"gain, {name}"] = [max(one.gain for one in row) for row in per_seed]
        same &= all(one.same for row in per_seed for one in row)
    best = {name: fmean(values) for name, values in gains.items()}
    words = ", ".join(f"{name.removeprefix('gain, ')} {best[name]:.2f}" for name in best)
    return claim(
        "guessing makes one text faster, as the formula of its acceptance says",
        source=f"{SPECULATIVE}, equation 1 and theorem 3.8",
        measure="tokens a round, away from (1 - a^(k+1)) / (1 - a), k = 1, 2, 4, 6; and how many "
        "times as fast as without guesses, at the best k",
        expected="within 20 % everywhere; a small model or the look-up at least 1.2 times as fast",
        measured={**off, **gains},
        holds=lambda m: (
            max(v for n, v in m.items() if n.startswith("off")) <= 0.2
            and max(v for n, v in m.items() if n.startswith("gain")) >= 1.2
            and same
        ),
        seeds=seeds,
        kind="paper",
        says=f"at the best number of guesses, times as fast as alone: {words}; the texts are "
        f"{'the same' if same else 'not the same'}",
    )


def the_knee(loads: Sequence[float], waited: Mapping[float, Sequence[np.ndarray]],
             seeds: Sequence[int]) -> Verdict:  # fmt: skip
    low, high = loads[0], loads[-1]

    def slowest(load: float) -> list[float]:
        return [float(np.percentile(w, 99)) for w in waited[load]]

    return claim(
        "a server that is nearly full is slow long before it is full",
        source="queues, ours",
        measure=f"99th of 100 waits for a first token, in steps, at {low:g}, 0.9 and {high:g} of "
        "what the slots can write; requests come for 400 steps, about 50 to 200 of them",
        expected=f"at most 2 at {low:g}; at least 5 at 0.9; at {high:g} more than twice that of 0.9",
        measured={f"at {load:g}": slowest(load) for load in (low, 0.9, high)},
        holds=lambda m: (
            m[f"at {low:g}"] <= 2 and m["at 0.9"] >= 5 and m[f"at {high:g}"] > 2 * m["at 0.9"]
        ),
        seeds=seeds,
        kind="ours",
        says=f"the slowest of a hundred wait {fmean(slowest(low)):.0f} steps at {low:g}, "
        f"{fmean(slowest(0.9)):.0f} at 0.9 and {fmean(slowest(high)):.0f} at {high:g}",
    )


def experts_read(tokens: Sequence[int], counted: np.ndarray, formula: np.ndarray,
                 seeds: Sequence[int]) -> Verdict:  # fmt: skip
    apart = np.abs(counted - formula).max(1)
    return claim(
        "if routers chose at random, a step of B tokens would read 8 (1 - 0.75^B) of 8 experts",
        source="ours; the ground of Jiang's answer: dense at the edge, mixtures for large batches",
        measure="experts of 8 that a step reads, 2 for each token, 4,000 random steps with "
        f"{', '.join(map(str, tokens))} tokens, less 8 (1 - 0.75^B)",
        expected="within 0.1 everywhere",
        measured=[float(a) for a in apart],
        holds=lambda a: a <= 0.1,
        seeds=seeds,
        kind="ours",
        says=f"one token reads {counted[:, 0].mean():.2f} experts, sixteen read "
        f"{counted[:, -1].mean():.2f} of 8, and all 8 must lie in memory for either",
    )
