"""What the ledger says of MusicVAE beside what the original says.

Notebooks: 06 MusicVAE, 07 MusicVAE evaluation, 14 reproduction.
"""

from musiclib import ledger
from musiclib.musicvae import distances
from musiclib.musicvae.distances import Comparison, Spread
from musiclib.musicvae.experiments import EXPERIMENTS, Experiment, find

HEADER = [
    "paper (steps right, teacher-forced / sampled)", "ours, test ± 95 %", "note F1, teacher-forced / sampled",
    "“nothing changes”", "KL in nats", "steps × batch, time",
]  # fmt: skip


def results_table(size: str, table: str = "reconstruction") -> str:
    """Reconstruction on held-out pieces in Markdown, paper | ours. Rows that have not been run say so."""
    rows = [_row(e, size) for e in EXPERIMENTS.values() if e.table == table and size in e.sizes]
    return ledger.table(rows, [f"{table}, {size}", *HEADER])


def _row(experiment: Experiment, size: str) -> list[str]:
    paper = " / ".join(f"{value:.3f}" for value in experiment.paper) if experiment.paper else "–"
    entry = next((e for e in ledger.entries("musicvae") if e["name"] == experiment.run_name(size)), None)
    if entry is None:
        return [experiment.name, paper, "not run", *["–"] * 4]
    test, training = entry["metrics"]["test"], entry["config"]["training"]
    ours = " / ".join(
        f"{test[name]:.3f} ± {1.96 * test[f'{name}_standard_error']:.3f}" for name in ("teacher_forced", "sampled")
    )
    return [
        experiment.name,
        paper,
        ours,
        f"{test['teacher_forced_note_f1']:.3f} / {test['sampled_note_f1']:.3f}",
        f"{test['unchanged']:.3f}",
        f"{test['kl']:.0f}",
        f"{training['steps']} × {training['batch']}, {entry['wall_s'] / 60:.0f} min, {entry['hardware']}",
    ]


def features_table(size: str) -> str:
    """Yang and Lerch's features of machine tunes and of other human ones, against human tunes, in Markdown."""
    name = find("features-melody-2").run_name(size)
    found = next((e["metrics"] for e in ledger.entries("musicvae") if e["name"] == name), None)
    if found is None:
        return ledger.table([[ledger.NOT_RUN, *["–"] * len(distances.HEADER)]], ["set", *distances.HEADER])
    rows = [[label, *row] for label, own in found.items() for row in distances.table_rows(map(_comparison, own))]
    return ledger.table(rows, ["set", *distances.HEADER])


def _comparison(stored: dict) -> Comparison:
    spreads = {name: Spread(*stored[name]) for name in ("intra", "intra_generated", "inter")}
    return Comparison(**stored | spreads)


def gap(one: str, other: str, size: str, score: str = "sampled") -> tuple[float, float]:
    """How many more steps experiment `one` gets right than `other` on the same test windows, as a share, and the
    half-width of the 95 % interval of that difference over pieces.

    Raises:
        FileNotFoundError: one of them has not been run.
    """
    ledger.entry(EXPERIMENTS[other].run_name(size))
    gain = ledger.entry(EXPERIMENTS[one].run_name(size))["metrics"]["test"]["over"][other]
    return gain[score], 1.96 * gain[f"{score}_standard_error"]


def readme() -> str:
    """What the README shows of every size that has been run."""
    ran = {entry["preset"] for entry in ledger.entries("musicvae")}
    kept = [
        (size, table) for size in ("paper", "short", "small") if size in ran for table in ("reconstruction", "length")
    ]
    shown = {(size, e.table) for e in EXPERIMENTS.values() for size in e.sizes}
    return "\n\n".join(results_table(*key) for key in kept if key in shown)
