"""The verdicts of lesson 07g: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from minilm.course.show.claims import Verdict, claim

TALK = "Ming Ding"
LESS, LESS_AT_PSNR = 0.9, 0.95  # of the frames' flicker, at equal numbers and at equal PSNR
GAIN = 0.10  # of what is shown, or solved, that a cause must add


def _mean(rows: Sequence[float], digits: int = 2) -> str:
    return f"{fmean(rows):.{digits}f}"


def _percent(rows: Sequence[float]) -> str:
    return f"{100 * fmean(rows):.0f} %"


def at_equal_psnr(linear: Mapping[str, Any]) -> list[float]:
    """Flicker of "four together" over that of "frame by frame" where both have the same PSNR.

    Joined by straight lines between sizes; the mean over the sizes of "frame by frame" whose PSNR
    the other kind covers.
    """
    found = []
    for one, four in zip(linear["frame by frame"], linear["four together"]):
        psnr = [p["psnr"] for p in four]
        inside = [p for p in one if psnr[0] <= p["psnr"] <= psnr[-1]]
        flicker = np.interp([p["psnr"] for p in inside], psnr, [p["flicker"] for p in four])
        found.append(float(np.mean(flicker / [p["flicker"] for p in inside])))
    return found


def flicker(linear: Mapping[str, Any], seeds: Sequence[int]) -> Verdict:
    numbers = [
        float(np.mean([b["flicker"] / a["flicker"] for a, b in zip(one, four)]))
        for one, four in zip(linear["frame by frame"], linear["four together"])
    ]
    psnr = at_equal_psnr(linear)
    return claim(
        "a latent that spans time takes flicker away that coding frame by frame leaves",
        source=f"{TALK} 58:28",
        measure="flicker of the best linear coder of four frames over that of one frame, mean over "
        "9 to 72 numbers a frame; and where both have the same PSNR",
        expected=f"at most {LESS} at equal numbers and {LESS_AT_PSNR} at equal PSNR; partly: at "
        "equal numbers",
        measured={"equal numbers": numbers, "equal PSNR": psnr},
        holds=lambda m: m["equal numbers"] <= LESS and m["equal PSNR"] <= LESS_AT_PSNR,
        partly=lambda m: m["equal numbers"] <= LESS,
        seeds=seeds,
        note="linear coders; the networks that were trained stayed below the PSNR of a still "
        "picture, so they test nothing",
        says=f"at equal numbers four frames together flicker {_mean(numbers)} times as much, at "
        f"equal PSNR {_mean(psnr)} times",
    )


def decoder(linear: Mapping[str, Any], seeds: Sequence[int]) -> Verdict:
    apart = {
        key: [d[key] / m[key] for d, m in zip(linear["draw"], linear["mean"])]
        for key in ("flicker", "spectrum")
    }
    psnr = [d["psnr"] - m["psnr"] for d, m in zip(linear["draw"], linear["mean"])]
    return claim(
        "a decoder that draws, as diffusion does, is better still than one that answers once",
        source=f"{TALK} 58:28-59:33",
        measure="a draw from what the latent leaves open over its mean, linear coder, 288 numbers "
        "for four frames: flicker, and error of the frames' log spectrum",
        expected="both below 1 with every seed; partly: the spectrum's below 1",
        measured=apart,
        holds=lambda m: m["flicker"] < 1 and m["spectrum"] < 1,
        partly=lambda m: m["spectrum"] < 1,
        seeds=seeds,
        note="the best draw that a Gaussian allows; the trained diffusion decoder tests nothing, "
        "since its coder lost the video",
        says=f"a draw has {_mean(apart['spectrum'])} times the error of the spectrum, "
        f"{_mean(apart['flicker'])} times the flicker, and {_mean(psnr, 1)} dB of PSNR",
    )


def miscounts(
    read: Mapping[str, Sequence[Mapping[str, Any]]], rule: Sequence[float], seeds: Sequence[int]
) -> Verdict:
    right = {
        "reader": [exam["right"] for exam in read["wide"]],
        "one frame": [exam["right"] for exam in read["one frame"]],
        "rule": list(rule),
    }
    return claim(
        "a model that reads video miscounts what a simple rule counts",
        source=f"{TALK} 61:24-62:35",
        measure="share of held-out videos with the right number of bounces, 0 to 5; one sixth by "
        "guessing",
        expected="the reader at most 0.95 right, the rule at least 0.97",
        measured=right,
        holds=lambda m: m["reader"] <= 0.95 and m["rule"] >= 0.97,
        partly=lambda m: m["reader"] < m["rule"] - 0.02,
        seeds=seeds,
        note="the reader had seconds of training; more would make it better, and the rule is exact",
        says=f"the reader counts {_percent(right['reader'])} right, the rule "
        f"{_percent(right['rule'])}, a reader of one frame {_percent(right['one frame'])}",
    )


def coverage(read: Mapping[str, Sequence[Mapping[str, Any]]], seeds: Sequence[int]) -> Verdict:
    wide, narrow = ([exam["new_looks"] for exam in read[name]] for name in ("wide", "narrow"))
    known = [exam["known_looks"] for exam in read["narrow"]]
    lost = [a - b for a, b in zip(wide, narrow)]
    fell = [a - b for a, b in zip(known, narrow)]
    return claim(
        "what a model can do with videos depends on what its data cover",
        source=f"{TALK} 59:33-60:05",
        measure="right counts of things whose looks the narrow data never showed: by how much the "
        "narrow reader is behind the wide one, and behind itself on looks that it knows",
        expected=f"both at least {GAIN}; partly: the first",
        measured={"behind wide": lost, "behind itself": fell},
        holds=lambda m: min(m.values()) >= GAIN,
        partly=lambda m: m["behind wide"] >= GAIN,
        seeds=seeds,
        says=f"with 4 looks in training {_percent(narrow)} of new looks are counted right, with 64 "
        f"looks {_percent(wide)}; on its own 4 looks the narrow reader has {_percent(known)}",
    )


def data_from_compute(solved: Mapping[str, Sequence[float]], seeds: Sequence[int]) -> Verdict:
    found = {way: list(solved[way]) for way in ("before", "longer", "search", "verified")}
    return claim(
        "compute can be turned into data: write programs, run them, learn from what is right",
        source=f"{TALK} 66:41-67:38",
        measure="held-out tasks solved at the first try after one round",
        expected=f"verified at least {GAIN} above longer training of equal operations; partly: "
        f"{GAIN / 2} above",
        measured=found,
        holds=lambda m: m["verified"] - m["longer"] >= GAIN,
        partly=lambda m: m["verified"] - m["longer"] >= GAIN / 2,
        seeds=seeds,
        says=f"from {_percent(found['before'])} to {_percent(found['verified'])} by what it wrote "
        f"itself; longer training {_percent(found['longer'])}, random search and no model "
        f"{_percent(found['search'])}",
    )
