"""What the ledger says beside what the paper says: tables, verdicts on the paper's claims, the README's picture.

Notebooks: 03 note discovery, 04 note properties, 14 reproduction.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from scipy import stats

from musiclib import ledger, plots
from musiclib.musicslots import evaluation, metrics, runs
from musiclib.musicslots.experiments import EXPERIMENTS, MULTI, NOTE_DISCOVERY, Experiment, find, shown
from musiclib.synth import PROGRAM_NAMES

# Of each table, the two figures of a row: (split, score, factor, format).
Column = tuple[str, str, float, str]
DISCOVERY: tuple[Column, Column] = (("test", "note_mse", 1, ".2f"), ("test", "miou", 1, ".3f"))
TABLES: dict[str, tuple[str, tuple[Column, Column]]] = {
    "note discovery": ("test: note MSE ↓ / mIoU ↑", DISCOVERY),
    "ablation": ("test: note MSE ↓ / mIoU ↑", DISCOVERY),
    "note properties": (
        "accuracy in %, validation / test ↑",
        (("valid", "accuracy", 100, ".2f"), ("test", "accuracy", 100, ".2f")),
    ),
    "auto-encoders": (
        "reconstruction MSE, validation / test ↓",
        (("valid", "reconstruction_mse", 1, ".2f"), ("test", "reconstruction_mse", 1, ".2f")),
    ),
    "variants": ("test: note MSE ↓ / mIoU ↑", DISCOVERY),
    "more slots": ("test: note MSE ↓ / mIoU ↑", DISCOVERY),
}


@dataclass(frozen=True)
class Figures:
    """A row's figure, with the half-width of its 95 % confidence interval: over seeds, or of one seed over chords."""

    value: float
    interval: float | None
    seeds: int


def runs_of(experiment: Experiment, size: str) -> list[dict]:
    """The ledger's entries of one experiment, one for each seed."""
    found = (entry for entry in ledger.entries("musicslots") if entry["preset"] == size)
    return [entry for entry in found if entry["config"]["experiment"]["name"] == experiment.name]


def figure(entries: list[dict], split: str, score: str) -> Figures:
    """One score of an experiment over its seeds."""
    values = [entry["metrics"][split][score] for entry in entries]
    mean, n = statistics.fmean(values), len(values)
    if n > 1:
        return Figures(mean, stats.t.ppf(0.975, n - 1) * statistics.stdev(values) / math.sqrt(n), n)
    scores = entries[0]["metrics"][split]
    error = scores.get(f"{score}_standard_error")
    if score.endswith("accuracy"):
        error = math.sqrt(mean * (1 - mean) / scores["chords"])
    return Figures(mean, None if error is None else 1.96 * error, n)


def results_table(table: str, size: str) -> str:
    """One of the paper's tables, or of ours, in Markdown: paper | ours. Rows that have not been run say so."""
    header, columns = TABLES[table]
    rows = []
    for experiment in EXPERIMENTS.values():
        if experiment.table != table or size not in experiment.sizes:
            continue
        entries = runs_of(experiment, size)
        paper = " / ".join(f"{value:g}" for value in experiment.paper) if experiment.paper else "–"
        rows.append([experiment.name, paper, _ours(entries, columns), _seeds(entries), _cost(entries)])
    return ledger.table(rows, [f"{table}, {size}", f"paper ({header})", "ours ± 95 %", "seeds", "steps × batch, time"])


def _ours(entries: list[dict], columns: tuple[Column, Column]) -> str:
    if not entries:
        return "not run"
    cells = []
    for split, score, factor, form in columns:
        found = figure(entries, split, score)
        interval = "" if found.interval is None else f" ± {found.interval * factor:{form}}"
        cells.append(f"{found.value * factor:{form}}{interval}")
    return " / ".join(cells)


def _seeds(entries: list[dict]) -> str:
    return ", ".join(str(entry["seed"]) for entry in entries)


def _cost(entries: list[dict]) -> str:
    if not entries:
        return ""
    minutes = statistics.fmean(entry["wall_s"] for entry in entries) / 60
    schedule = entries[0]["config"]["training"]
    return (
        f"{schedule['steps']} × {schedule['batch']}, {minutes:.0f} min, {entries[0]['hardware']}" if minutes else "none"
    )


def tables(size: str) -> str:
    """All tables, one below the other."""
    return "\n\n".join(results_table(table, size) for table in TABLES)


def readme() -> str:
    """What the README shows: for every size that has been run the verdicts on the paper's claims, then the tables."""
    sizes = [
        size for size in ("paper", "short", "small") if any(e["preset"] == size for e in ledger.entries("musicslots"))
    ]
    return "\n\n".join(f"{claims_table(size)}\n\n{_folded(size)}" for size in sizes)


def _folded(size: str) -> str:
    """Every table under a line that opens it."""
    return "\n\n".join(
        f"<details><summary>{table}, {size}: every row, paper | ours</summary>\n\n{results_table(table, size)}\n\n</details>"
        for table in TABLES
    )


# ------------------------------------------------------------------------------------------------- the paper's claims


@dataclass(frozen=True)
class Verdict:
    """One claim of the paper on one dataset: the figures it compares, the paper's and ours, and whether ours agree."""

    claim: str
    dataset: str
    paper: dict[str, float]
    ours: dict[str, float] | None
    confirmed: bool | None


def claims(size: str) -> list[Verdict]:
    """The orderings that the paper claims, each held against the ledger. None where a run is missing."""
    found = []
    for dataset in dict.fromkeys(dataset for dataset, _ in NOTE_DISCOVERY):
        base = dataset.lower()
        rows = {mask: f"{base}-{mask}" for mask in ("none", "sigmoid", "softmax")}
        found.append(_verdict("none ≈ sigmoid ≫ softmax (mIoU)", dataset, rows, "miou", _masks, size))
    for dataset in ("JazzNet", "JSB"):
        rows = {count: f"{dataset.lower()}-{count}-none" for count in ("single", "multi")}
        found.append(_verdict("several instruments beat one (mIoU)", dataset, rows, "miou", _rising, size))
    for claim, row in {
        "implicit differentiation beats unrolling (mIoU)": "implicit",
        "time stride 2 beats 1 (mIoU)": "stride",
        "no mask beats softmax (mIoU)": "nomask",
        "all three beat the default (mIoU)": "all",
    }.items():
        for dataset in MULTI:
            rows = {name: f"{dataset.lower()}-ablation-{name}" for name in ("default", row)}
            found.append(_verdict(claim, dataset, rows, "miou", _rising, size))
    for dataset in MULTI:
        rows = {f"β={beta}": f"{dataset.lower()}-vae{name}-probe" for beta, name in
                ((0.5, "-beta0.5"), (1, ""), (2, "-beta2"), (4, "-beta4"))}  # fmt: skip
        found.append(_verdict("β hurts (test accuracy)", dataset, rows, "accuracy", _falling, size))
    return [*found, _generalisation(size)]


def _verdict(
    claim: str, dataset: str, rows: dict[str, str], score: str, holds: Callable[[dict], bool], size: str
) -> Verdict:
    paper = {label: EXPERIMENTS[name].paper[1] for label, name in rows.items()}
    entries = {label: runs_of(EXPERIMENTS[name], size) for label, name in rows.items()}
    if not all(entries.values()):
        return Verdict(claim, dataset, paper, None, None)
    factor = 100 if score == "accuracy" else 1
    ours = {label: factor * figure(found, "test", score).value for label, found in entries.items()}
    return Verdict(claim, dataset, paper, ours, holds(ours))


def _rising(values: dict[str, float]) -> bool:
    return all(a < b for a, b in pairwise(values.values()))


def _falling(values: dict[str, float]) -> bool:
    return all(a > b for a, b in pairwise(values.values()))


def _masks(values: dict[str, float]) -> bool:
    """None and sigmoid are both above softmax, and nearer to each other than to it."""
    none, sigmoid, softmax = values.values()
    return abs(none - sigmoid) < min(none, sigmoid) - softmax


def _generalisation(size: str) -> Verdict:
    """By how much slots lead the best baseline, where the number of notes is known and where it is new."""
    claim, dataset = "slots lead every baseline, most on unseen tetrads (accuracy)", "JazzNet-multi"
    slots = EXPERIMENTS["jazznet-multi-probe"]
    baselines = [
        e for e in EXPERIMENTS.values()
        if e.table == "note properties" and e.dataset == dataset and e.paper
        and (e.kind == "classifier" or find(e.on).kind == "autoencoder")
    ]  # fmt: skip
    splits = ("valid", "test")
    paper = {f"lead on {split}": slots.paper[i] - max(e.paper[i] for e in baselines) for i, split in enumerate(splits)}
    entries = [runs_of(e, size) for e in (slots, *baselines)]
    if not all(entries):
        return Verdict(claim, dataset, paper, None, None)
    own, *others = ({split: 100 * figure(found, split, "accuracy").value for split in splits} for found in entries)
    ours = {f"lead on {split}": own[split] - max(other[split] for other in others) for split in splits}
    return Verdict(claim, dataset, paper, ours, 0 < ours["lead on valid"] < ours["lead on test"])


def claims_table(size: str) -> str:
    """The verdicts in Markdown."""
    words = {True: "confirmed", False: "**not confirmed**", None: "not run"}

    def cell(values: dict[str, float] | None) -> str:
        return ", ".join(f"{label} {value:.4g}" for label, value in values.items()) if values else "–"

    rows = [[v.claim, v.dataset, cell(v.paper), cell(v.ours), words[v.confirmed]] for v in claims(size)]
    return ledger.table(rows, ["the paper's claim", "dataset", "paper", f"ours, {size}", "verdict"])


# ------------------------------------------------------------------------------------------------------------ errata

# What the published code does, and the other way: the two runs that differ in this one thing, and their score.
ERRATA = {
    "attention: softmax over tokens, weights summed over slots; algorithm 1 has it the other way round": (
        "jazznet-single-reference", "jazznet-single-attention-paper", "miou",
    ),
    "no gradient reaches the slots' first values; let it pass straight through": (
        "jazznet-single-reference", "jazznet-single-train-init", "miou",
    ),
    "the command's default time stride 1; the paper's 2": (
        "jazznet-multi-ablation-default", "jazznet-multi-ablation-stride", "miou",
    ),
    "β times D/(F·T), in which the paper's table is; β itself, as the paper writes": (
        "jazznet-multi-vae-probe", "jazznet-multi-vae-unconverted-probe", "accuracy",
    ),
}  # fmt: skip


def errata_table(size: str) -> str:
    """Each trap of the published code that a run can measure, in Markdown: test score as published, and mended."""
    rows = []
    for trap, (*names, score) in ERRATA.items():
        found = [runs_of(EXPERIMENTS[name], size) for name in names]
        cells = [f"{figure(entries, 'test', score).value:.3f}" if entries else "not run" for entries in found]
        rows.append([trap, score, *cells])
    return ledger.table(rows, ["as published; the other way", "test score", "as published", "the other way"])


# --------------------------------------------------------------------------------------------------------- picture


def picture(chord: int = 4154) -> Figure:
    """The README's picture: one unseen chord taken apart by the small model."""
    model = runs.load(shown("small").run_name("small"))
    data = runs.datasets(shown("small").dataset, model.config.frames).valid
    index = torch.tensor([chord])
    with evaluation.repeatable(model):
        heard = model(data.batch(index))
    notes, slots = data.targets(index)[0], heard.slot_db[0]
    names = [f"{PROGRAM_NAMES[program]} {plots.pitch_name(pitch)}" for program, pitch in data.examples[chord]]
    slot_of_note = metrics.note_iou(notes, slots).slot_of_note
    return plots.decomposition(data.batch(index), heard.reconstruction_db, slots, notes, slot_of_note, names)
