"""What the paper claims, held against the ledger by rule, and what the published code does otherwise than its paper.

A claim is an ordering. It is confirmed where every difference it names is larger than its 95 % interval, not confirmed
where one of them is larger the other way round, and undecided in between. The intervals of runs with one seed cover
test chords only. Where not even the best of the compared rows finds notes better than slots that each hold the whole
chord, nothing has been separated yet, and it is too early to say.

Notebooks: 03 note discovery, 14 reproduction.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from musiclib import ledger
from musiclib.ledger import CONFIRMED, NOT_CONFIRMED, NOT_RUN
from musiclib.musicslots.experiments import CURRICULUM, EXPERIMENTS, MULTI, NOTE_DISCOVERY, find
from musiclib.musicslots.report import Figures, figure, folded, runs_of

TOO_EARLY = "too early to say"
Rows = dict[str, str]  # label → experiment


@dataclass(frozen=True)
class Verdict:
    """One claim on one dataset.

    Attributes:
        score: of the test split, "miou" or "accuracy" (in %). paper, ours: the figures that are compared, by label.
        outcome: one of CONFIRMED, UNDECIDED, NOT_CONFIRMED, TOO_EARLY and NOT_RUN.
    """

    claim: str
    dataset: str
    score: str
    paper: dict[str, float]
    ours: dict[str, Figures] | None
    outcome: str


def claims(size: str) -> list[Verdict]:
    """The orderings that the paper claims, and the outcome of each at one size."""
    found = []
    for dataset in dict.fromkeys(dataset for dataset, _ in NOTE_DISCOVERY):
        rows = {mask: f"{dataset.lower()}-{mask}" for mask in ("none", "sigmoid", "softmax")}
        found.append(_ordering("none ≈ sigmoid ≫ softmax", dataset, rows, "miou", _masks, size))
    for dataset in ("JazzNet", "JSB"):
        rows = {count: f"{dataset.lower()}-{count}-none" for count in ("single", "multi")}
        found.append(_ordering("several instruments beat one", dataset, rows, "miou", _rising, size))
    for claim, row in {
        "implicit differentiation beats unrolling (ablation)": "implicit",
        "time stride 2 beats 1 (ablation)": "stride",
        "no mask beats softmax (ablation)": "nomask",
        "all three beat the default (ablation)": "all",
    }.items():
        for dataset in MULTI:
            rows = {name: f"{dataset.lower()}-ablation-{name}" for name in ("default", row)}
            found.append(_ordering(claim, dataset, rows, "miou", _rising, size))
    for dataset in MULTI:
        names = {"β=4": "vae-beta4", "β=2": "vae-beta2", "β=1": "vae", "β=0.5": "vae-beta0.5"}
        rows = {label: f"{dataset.lower()}-{name}-probe" for label, name in names.items()}
        found.append(_ordering("a larger β hurts", dataset, rows, "accuracy", _rising, size))
    found.append(_generalisation("jazznet-multi-probe", "JazzNet-multi", size))
    if size in CURRICULUM.sizes:
        rows = {"single": "jazznet-single-none", "multi": CURRICULUM.name}
        found.append(_ordering("several instruments beat one", "JazzNet, longer", rows, "miou", _rising, size))
        found.append(_generalisation(f"{CURRICULUM.name}-probe", "JazzNet-multi, longer", size))
    return found


def _ordering(
    claim: str, dataset: str, rows: Rows, score: str, rule: Callable[[list[Figures]], str], size: str
) -> Verdict:
    paper = {label: find(name).paper[1] for label, name in rows.items()}
    entries = {label: runs_of(find(name), size) for label, name in rows.items()}
    if not all(entries.values()):
        return Verdict(claim, dataset, score, paper, None, NOT_RUN)
    ours = {label: _test(found, score) for label, found in entries.items()}
    early = score == "miou" and max(f.value for f in ours.values()) <= _floor(dataset, size)
    return Verdict(claim, dataset, score, paper, ours, TOO_EARLY if early else rule(list(ours.values())))


def _floor(dataset: str, size: str) -> float:
    """The mIoU of slots that each hold the whole chord."""
    floor = EXPERIMENTS.get(f"{dataset.lower()}-not-separated")
    entries = runs_of(floor, size) if floor else []
    return _test(entries, "miou").value if entries else 0.0


def _test(entries: list[dict], score: str, split: str = "test") -> Figures:
    found = figure(entries, split, score)
    factor = 100 if score == "accuracy" else 1
    return Figures(factor * found.value, factor * (found.interval or 0.0), found.seeds)


def difference(a: Figures, b: Figures) -> Figures:
    """a - b, with the interval of a difference of independent figures."""
    return Figures(a.value - b.value, math.hypot(a.interval, b.interval), min(a.seeds, b.seeds))


def outcome(differences: list[Figures]) -> str:
    """Of a claim by which all these differences are positive."""
    return ledger.outcome((d.value, d.interval) for d in differences)


def _rising(figures: list[Figures]) -> str:
    return outcome([difference(b, a) for a, b in pairwise(figures)])


def _masks(figures: list[Figures]) -> str:
    """None and sigmoid are both above softmax, and nearer to each other than to it."""
    none, sigmoid, softmax = figures
    found = outcome([difference(none, softmax), difference(sigmoid, softmax)])
    near = abs(none.value - sigmoid.value) < min(none.value, sigmoid.value) - softmax.value
    return NOT_CONFIRMED if found == CONFIRMED and not near else found


def _generalisation(slots: str, label: str, size: str) -> Verdict:
    """By how much slots lead the best baseline, where the number of notes is known and where it is new."""
    claim, score, splits = "slots lead every baseline, most on unseen tetrads", "accuracy", ("valid", "test")
    baselines = [
        e for e in EXPERIMENTS.values()
        if e.table == "note properties" and e.dataset == "JazzNet-multi" and e.paper
        and (e.kind == "classifier" or find(e.on).kind == "autoencoder")
    ]  # fmt: skip
    theirs = find(slots).paper
    paper = {f"lead on {s}": theirs[i] - max(e.paper[i] for e in baselines) for i, s in enumerate(splits)}
    entries = [runs_of(e, size) for e in (find(slots), *baselines)]
    if not all(entries):
        return Verdict(claim, label, score, paper, None, NOT_RUN)
    leads = []
    for split in splits:
        own, *others = (_test(found, score, split) for found in entries)
        leads.append(difference(own, max(others, key=lambda f: f.value)))
    ours = dict(zip(paper, leads, strict=True))
    return Verdict(claim, label, score, paper, ours, outcome([leads[0], difference(leads[1], leads[0])]))


def claims_table(size: str, score: str | None = None) -> str:
    """The verdicts in Markdown, all or those on one score."""
    rows = []
    for v in claims(size):
        if score in (None, v.score):
            decimals = ".3f" if v.score == "miou" else ".1f"
            paper = ", ".join(f"{label} {value:.2f}" for label, value in v.paper.items())
            ours = (v.ours or {}).items()
            cells = ", ".join(f"{label} {f.value:{decimals}} ± {f.interval:{decimals}}" for label, f in ours)
            rows.append([v.claim, v.dataset, v.score, paper, cells or "–", v.outcome])
    return ledger.table(rows, ["the paper's claim", "dataset", "test score", "paper", f"ours, {size}", "verdict"])


def readme() -> str:
    """What the README shows of every size that has been run: the verdicts, then every table, folded."""
    ran = {entry["preset"] for entry in ledger.entries("musicslots")}
    sizes = [size for size in ("paper", "short", "small") if size in ran]
    return "\n\n".join(f"{claims_table(size)}\n\n{folded(size)}" for size in sizes)
