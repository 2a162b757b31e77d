"""Made-up ledger entries, for the tests of what is reported about them."""

from musiclib import ledger
from musiclib.musicslots.experiments import EXPERIMENTS


def write(name, seed=0, size="paper", **scores):
    """A ledger entry with the same scores on validation and test, unless `valid` says otherwise."""
    valid = scores.pop("valid", {})
    test = {"chords": 400, "note_mse": 20.0, "note_mse_standard_error": 1.0, "miou_standard_error": 0.01} | scores
    config = {"experiment": {"name": name}, "training": {"steps": 10, "batch": 32}}
    ledger.record(
        EXPERIMENTS[name].run_name(size, seed), system="musicslots", preset=size, seed=seed, wall_s=120.0,
        commit="made up", config=config, metrics={"valid": test | valid, "test": test},
    )  # fmt: skip
