"""What the ledger says of DiffRoll beside what the paper says: tables, and a verdict on every claim.

A claim is confirmed where the difference it names is larger than its 95 % interval. Differences are taken clip by clip,
since one clip is hard for all models; intervals cover the choice of clips, not of seeds.

Notebooks: 12 DiffRoll evaluation, 14 reproduction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from musiclib import ledger
from musiclib.diffroll.diffusion import SAMPLERS
from musiclib.diffroll.experiments import (
    CALLS,
    CURVES,
    EXPERIMENTS,
    PAPER_CURVES,
    PAPER_DILATION,
    PAPER_DROPOUT,
    WEIGHTS,
    Experiment,
    find,
)
from musiclib.ledger import NOT_RUN

SETS = {"A": "A, clean", "B": "B, hard"}
Row = tuple[str, ...]  # where in the ledger F1 is: the run's experiment, and keys of its metrics


@dataclass(frozen=True)
class Gain:
    """How much higher the mean note F1 of one row is than another's on the same clips, in points, with the half-width
    of its 95 % interval."""

    value: float
    interval: float

    def __str__(self) -> str:
        return f"{self.value:+.1f} ± {self.interval:.1f}"


def metrics(experiment: str, size: str) -> dict | None:
    """What an experiment or study measured; None if it has not been run."""
    name = find(experiment).run_name(size)
    return next((entry["metrics"] for entry in ledger.entries("diffroll") if entry["name"] == name), None)


def at(row: Row, size: str) -> dict | None:
    """The scores of a row; None if it has not been run."""
    found = metrics(row[0], size)
    for key in row[1:]:
        found = found.get(key) if found else None
    return found


def gain(one: Row, other: Row, size: str) -> Gain | None:
    """Of one row over another; None if one of them has not been run."""
    a, b = at(one, size), at(other, size)
    return None if a is None or b is None else paired(a["f1_of_clips"], b["f1_of_clips"])


def paired(one: ArrayLike, other: ArrayLike) -> Gain:
    """Of the note F1 of each clip, 0 to 1, over another on the same clips."""
    difference = 100 * (np.asarray(one) - np.asarray(other))
    reach = stats.t.ppf(0.975, len(difference) - 1)  # Student's, since clips are few
    return Gain(float(difference.mean()), float(reach * difference.std(ddof=1) / len(difference) ** 0.5))


def f1(scores: dict | None, score: str = "f1") -> str:
    """A score in percent with its 95 % interval."""
    if scores is None:
        return "–"
    return f"{100 * scores[score]:.1f} ± {196 * scores[f'{score}_standard_error']:.1f}"


# ------------------------------------------------------------------------------------------------------ claims


def _claims() -> list[tuple[str, str, str, Row, Row]]:
    """Claim, where, the paper's figures, and the two rows of which the first is said to be higher."""
    found: list[tuple[str, str, str, Row, Row]] = []
    for name, title in SETS.items():
        found += [
            ("diffusion beats its discriminative twin", title, "78.1 > 59.1",
             ("guidance-diffroll", name, "0.5"), ("twin", name)),
            ("guidance helps: w = 0.5 above w = 0", title, "78.1 > 74.9",
             ("guidance-diffroll", name, "0.5"), ("guidance-diffroll", name, "0")),
            ("without condition dropout guidance ruins: p = 0, w = 0 above w = 1", title, "67.1 > 17.7 (k = 3)",
             ("guidance-p-0", name, "0"), ("guidance-p-0", name, "1")),
            ("more dropout hurts at w = 0: p = 0 above p = 0.5", title, "67.1 > 62.8 (k = 3)",
             ("guidance-p-0", name, "0"), ("guidance-p-0.5", name, "0")),
            ("a wider kernel helps: k = 9 above k = 3", title, "78.1 > 70.0",
             ("guidance-p-0.1", name, "0.5"), ("guidance-k-3", name, "0.5")),
            ("DDPM is slightly better than DDIM (masked, w = 0.5)", title, "no figures",
             ("published-diffroll", name, "ddpm"), ("published-diffroll", name, "ddim")),
        ]  # fmt: skip
    for share, words in (("fiftieth", "2 % of the pairs"), ("tenth", "10 % of the pairs"), ("all", "all pairs")):
        diffroll, pretrained, both = (
            (f"guidance-{share}-{kind}", "B", "0.5") for kind in ("diffroll", "pretrained", "pretrained-0+1")
        )
        found += [
            ("few pairs: diffusion beats its twin", f"B, {words}", "57.7 > 50.6", diffroll,
             (f"guidance-{share}-twin", "B", "0")),
            ("pretraining on rolls helps", f"B, {words}", "62.6 > 57.7", pretrained, diffroll),
            ("p = 0+1 beats p = 0.1 after pretraining", f"B, {words}", "63.7 > 62.6", both, pretrained),
        ]  # fmt: skip
    return found


def claims_table(size: str) -> str:
    """Every claim beside what was measured, in Markdown."""
    rows = []
    for claim, where, paper, one, other in _claims():
        found = gain(one, other, size)
        if found is None:
            rows.append([claim, where, paper, "–", "–", NOT_RUN])
            continue
        ours = f"{f1(at(one, size))}, {f1(at(other, size))}"
        rows.append([claim, where, paper, ours, str(found), ledger.outcome([(found.value, found.interval)])])
    header = ["the paper's claim (note F1)", "test set", "paper", "ours", "difference ± 95 %", "verdict"]
    return ledger.table(rows, header)


# ------------------------------------------------------------------------------------------------------ tables


def results_table(size: str, *tables: str) -> str:
    """Trained models of some tables, or of all, on both test sets in Markdown."""
    rows = [
        _row(e, size)
        for e in EXPERIMENTS.values()
        if size in e.sizes and e.dropout < 1 and (not tables or e.table in tables)
    ]
    header = [f"transcription, {size}", "paper: note F1 (w = 0 / 0.5)"]
    for title in SETS.values():
        header += [f"{title}: note F1, threshold from validation", "with offsets", "frame F1"]
    return ledger.table(rows, [*header, "steps × batch, time"])


def _row(experiment: Experiment, size: str) -> list[str]:
    paper = " / ".join(f"{value:.1f}" for value in experiment.paper) if experiment.paper else "–"
    name = experiment.run_name(size)
    entry = next((e for e in ledger.entries("diffroll") if e["name"] == name), None)
    if entry is None:
        return [experiment.name, paper, NOT_RUN, *["–"] * 6]
    scores, training = entry["metrics"], entry["config"]["training"]
    cells = [f1(scores[name], score) for name in SETS for score in ("f1", "f1_with_offsets", "frame_f1")]
    spent = f"{training['steps']} × {training['batch']}, {entry['wall_s'] / 60:.0f} min, {entry['hardware']}"
    return [experiment.name, paper, *cells, spent]


def guidance_table(size: str) -> str:
    """Figures 3 and 4, p × k × w, the paper's rows and ours on both sets, in Markdown."""
    rows = [
        [f"paper, p = {p:g}, k = {k}", *(f"{f1:.1f}" for f1 in curve)]
        for (p, k), curve in PAPER_CURVES.items()
    ]  # fmt: skip
    for (p, k), name in CURVES.items():
        for on in SETS:
            cells = [f1(at((f"guidance-{name}", on, f"{w:g}"), size)) for w in WEIGHTS]
            rows.append([f"ours, p = {p:g}, k = {k}, {on}", *cells])
    return ledger.table(rows, ["note F1, %", *(f"w = {w:g}" for w in WEIGHTS)])


def dropout_table(size: str) -> str:
    """Figure 3, p at w = 0, in Markdown: the paper with k = 3, ours with k = 9."""
    ours = {p: f"guidance-{name}" for (p, k), name in CURVES.items() if k == 9}
    rows = [["paper, MAESTRO", *(f"{value:.1f}" for value in PAPER_DROPOUT.values())]]
    for on in SETS:
        rows.append([f"ours, {on}", *(f1(at((ours[p], on, "0"), size)) if p in ours else "–" for p in PAPER_DROPOUT)])
    return ledger.table(rows, ["note F1, %, w = 0", *(f"p = {p:g}" for p in PAPER_DROPOUT)])


def dilation_table() -> str:
    """Table 1 in Markdown. Ours would be the rows `dilation-2` and `dilation-4`, at the paper's size only."""
    rows = [[f"paper, growth: {growth}", *(f"{value:.1f}" for value in row)] for growth, row in PAPER_DILATION.items()]
    return ledger.table(
        [*rows, ["ours", *[ledger.NOT_RUN] * 4]], ["note F1, %", *(f"w = {w:g}" for w in (0, 0.1, 0.5, 1))]
    )


def samplers_table(size: str) -> str:
    """Note F1 of samplers × calls without guidance, in Markdown."""
    rows = [
        [f"{name}, {sampler}, {on}", *(f1(at((f"samplers-{name}", on, sampler, str(calls)), size)) for calls in CALLS)]
        for name in ("diffroll", "p-0.1", "zero-snr", "cosine")
        for on in SETS
        for sampler in SAMPLERS
        if at((f"samplers-{name}", on), size)
    ]  # fmt: skip
    return ledger.table(rows or [[ledger.NOT_RUN]], ["note F1, %", *(f"{calls} calls" for calls in CALLS)])


def few_pairs_table(size: str) -> str:
    """The paper's table 2 with ours beside it, test set B, in Markdown."""
    kinds = {"twin": "discriminative", "diffroll": "DiffRoll, p = 0.1", "pretrained": "pretrained, p = 0.1",
             "pretrained-0+1": "pretrained, p = 0+1"}  # fmt: skip
    rows = []
    for kind, title in kinds.items():
        paper = EXPERIMENTS[f"tenth-{kind}"].paper
        cells = [" / ".join(f"{value:.1f}" for value in paper)]
        for share in ("fiftieth", "tenth", "all"):
            if kind == "twin":
                cells.append(f1(at((f"guidance-{share}-twin", "B", "0"), size)))
            else:
                cells.append(" / ".join(f1(at((f"guidance-{share}-{kind}", "B", w), size)) for w in ("0", "0.5")))
        rows.append([title, *cells])
    return ledger.table(rows, ["note F1, w = 0 / 0.5", "paper (MAPS)", "2 % of the pairs", "10 %", "all"])


def readme() -> str:
    """What the README shows of every size that has been run."""
    ran = {entry["preset"] for entry in ledger.entries("diffroll")}
    parts = []
    for size in ("paper", "short", "small"):
        if size in ran:
            parts += [results_table(size, "comparison", "more"), few_pairs_table(size), claims_table(size)]
    return "\n\n".join(parts)
