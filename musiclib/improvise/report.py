"""What the ledger says of the bar VAEs. The paper prints no figures of its model, so there are none beside ours.

Notebooks: 08 query-based improvisation, 14 reproduction.
"""

import numpy as np

from musiclib import ledger
from musiclib.improvise.dynamics import interval
from musiclib.improvise.experiments import EXPERIMENTS, Experiment, find
from musiclib.improvise.studies import RATES

SCORES = {  # of `dynamics.measure`
    "note_f1": "note F1 with the query", "tonnetz": "Tonnetz distance to it", "entropy": "bits of pitch class",
    "clarity": "key clarity", "distortion": "D, bits a bar", "information_rate": "IR, bits a bar",
    "threshold": "best θ",
}  # fmt: skip
HEADER = ["β", "D, nats per bar", "R, nats per bar", "D + R", "note F1", "latents in use", "steps × batch, time"]


def results_table(table: str | None = None) -> str:
    """Held-out bars of the own style in Markdown, with 95 % intervals. Rows that have not been run say so."""
    rows = [_row(e) for e in EXPERIMENTS.values() if table in (None, e.table)]
    return ledger.table(rows, ["bar VAE", *HEADER])


def metrics(name: str) -> dict | None:
    """What an experiment or study measured; None if it has not been run."""
    entry = _entry(name)
    return entry and entry["metrics"]


def _entry(name: str) -> dict | None:
    return next((e for e in ledger.entries("improvise") if e["name"] == find(name).run_name("paper")), None)


def rates_table() -> str:
    """What the channel's rate does to improvisations over held-out tunes, in Markdown; 95 % intervals over tunes."""
    found = metrics("rates-chorales") or {}
    rows = [
        [channel, str(bits), *(_over_tunes(scores[score][number]) for score in SCORES)]
        for channel, scores in found.items()
        for number, bits in enumerate(RATES)
    ]
    return ledger.table(
        rows or [[ledger.NOT_RUN, *["–"] * (1 + len(SCORES))]], ["channel", "bits a bar", *SCORES.values()]
    )


def _over_tunes(values: list[float]) -> str:
    mean, half = interval(np.array(values))
    return f"{mean:.3g} ± {half:.2g}"


def _row(experiment: Experiment) -> list[str]:
    entry = _entry(experiment.name)
    if entry is None:
        return [experiment.name, f"{experiment.beta:g}", "not run", *["–"] * 5]
    test, training = entry["metrics"]["test"], entry["config"]["training"]
    parts = [f"{test[key]:.1f} ± {1.96 * test[f'{key}_standard_error']:.1f}" for key in ("distortion", "rate")]
    return [
        experiment.name,
        f"{experiment.beta:g}",
        *parts,
        f"{test['distortion'] + test['rate']:.1f}",
        f"{test['note_f1']:.3f}",
        f"{test['active']} of {entry['config']['model']['latent']}",
        f"{training['steps']} × {training['batch']}, {entry['wall_s'] / 60:.0f} min, {entry['hardware']}",
    ]
