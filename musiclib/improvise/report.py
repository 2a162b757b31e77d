"""What the ledger says of the bar VAEs. The paper prints no figures of its model, so there are none beside ours.

Notebooks: 08 query-based improvisation, 14 reproduction.
"""

from musiclib import ledger
from musiclib.improvise.experiments import EXPERIMENTS, Experiment

HEADER = ["β", "D, nats per bar", "R, nats per bar", "D + R", "note F1", "latents in use", "steps × batch, time"]


def results_table(table: str | None = None) -> str:
    """Held-out bars of the own style in Markdown, with 95 % intervals. Rows that have not been run say so."""
    rows = [_row(e) for e in EXPERIMENTS.values() if isinstance(e, Experiment) and table in (None, e.table)]
    return ledger.table(rows, ["bar VAE", *HEADER])


def _row(experiment: Experiment) -> list[str]:
    entry = next((e for e in ledger.entries("improvise") if e["name"] == experiment.run_name("paper")), None)
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
