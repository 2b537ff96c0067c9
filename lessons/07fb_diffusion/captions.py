"""What the recorded models of captions can do, and the verdicts on them; thresholds set before."""

from collections.abc import Sequence

from minilm.course.show.claims import SEEDS_NEEDED, Verdict, claim
from minilm.studies.recorded import Recorded

from .verdicts import TALK, span

EXPERTS, CROSS = "experts", "cross, equal operations"


def table(record: Recorded) -> None:
    """What the recorded models of captions can do."""
    print(f"{'':28}{'parameters':>11}{'legible':>9}{'things':>8}{'whole':>7}{'new pairs':>11}")
    for name in record.cases:
        for seed in record.seeds_of(name):
            run = record.run(name, seed)
            last = run["points"][-1]
            shares = [last[key] for key in ("legible", "things", "whole", "new_whole")]
            print(
                f"{name:28}{run['parameters']:>11,}"
                + "".join(f"{share:>{w}.0%}" for share, w in zip(shares, (9, 8, 7, 11)))
            )


def _wholes(record: Recorded, name: str, seeds: Sequence[int]) -> list[float]:
    return [record.run(name, seed)["points"][-1]["whole"] for seed in seeds]


def judge(record: Recorded) -> None:
    """Both verdicts, as soon as the record has three seeds of what they compare."""
    verdicts = {(EXPERTS,): whole_captions, (EXPERTS, CROSS): experts_against_cross}
    for names, verdict in verdicts.items():
        seeds = record.seeds_of(*names)
        if len(seeds) >= SEEDS_NEEDED:
            verdict(record, seeds)
        else:
            print(f"{' and '.join(names)}: {len(seeds)} seeds; a verdict needs {SEEDS_NEEDED}")


def whole_captions(record: Recorded, seeds: Sequence[int]) -> Verdict:
    wholes = _wholes(record, EXPERTS, seeds)
    return claim(
        "words and patches as two experts draw what a caption says",
        source="minilm; Esser et al., arXiv 2403.03206",
        measure="share of 200 captions that the oracle finds true of the picture, no guidance",
        expected="0.8 or more; partly: 0.5 or more",
        measured={"whole captions": wholes},
        holds=lambda m: m["whole captions"] >= 0.8,
        partly=lambda m: m["whole captions"] >= 0.5,
        seeds=seeds,
        recorded=True,
        kind="package",
        says=f"of their pictures {span([100 * w for w in wholes], '.0f')} % show the whole caption",
    )


def experts_against_cross(record: Recorded, seeds: Sequence[int]) -> Verdict:
    found = {name: _wholes(record, name, seeds) for name in (EXPERTS, CROSS)}
    return claim(
        "experts of their own for words and patches do better than patches that read the words",
        source=f"{TALK} 57:13-57:44",
        measure="share of whole captions, no guidance, at equal operations of training",
        expected="higher with every seed",
        measured=found,
        holds=lambda m: m[EXPERTS] > m[CROSS],
        seeds=seeds,
        recorded=True,
        says=f"two experts come to {span([100 * w for w in found[EXPERTS]], '.0f')} %, "
        f"cross-attention to {span([100 * w for w in found[CROSS]], '.0f')} %",
    )
