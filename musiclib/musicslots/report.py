"""What the ledger says beside what the paper says, row by row, and the README's picture.

Notebooks: 03 note discovery, 04 note properties, 14 reproduction.
"""

import math
import statistics
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from scipy import stats

from musiclib import ledger, plots
from musiclib.musicslots import evaluation, metrics, runs
from musiclib.musicslots.experiments import EXPERIMENTS, Experiment, find, shown
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
        paper = " / ".join(f"{value:.2f}" for value in experiment.paper) if experiment.paper else "–"
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
    seeds = ", ".join(str(entry["seed"]) for entry in entries)
    return f"{len(entries)} (seed {seeds})" if len(entries) == 1 else f"{len(entries)} ({seeds})" if entries else ""


def _cost(entries: list[dict]) -> str:
    if not entries:
        return ""
    minutes = statistics.fmean(entry["wall_s"] for entry in entries) / 60
    schedule = entries[0]["config"]["training"]
    return (
        f"{schedule['steps']} × {schedule['batch']}, {minutes:.0f} min, {entries[0]['hardware']}" if minutes else "none"
    )


def slots_and_iterations_table(size: str) -> str:
    """mIoU of the shown model with other numbers of slots and iterations than it was trained with, in Markdown."""
    name = find("slots-and-iterations").run_name(size)
    found = next((e["metrics"] for e in ledger.entries("musicslots") if e["name"] == name), {})
    iterations = list(next(iter(found.values()), {}))
    rows = [[slots, *(f"{of[i]['miou']:.3f}" for i in iterations)] for slots, of in found.items()]
    return ledger.table(rows or [[ledger.NOT_RUN]], ["slots", *(f"iterations: {i}" for i in iterations)])


def tables(size: str) -> str:
    """All tables, one below the other."""
    return "\n\n".join(results_table(table, size) for table in TABLES)


def folded(size: str) -> str:
    """Every table, each under a line that opens it."""
    opening = "<details><summary>{}, {}: every row, paper | ours</summary>\n\n{}\n\n</details>"
    return "\n\n".join(opening.format(table, size, results_table(table, size)) for table in TABLES)


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
