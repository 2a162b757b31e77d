"""Experiments as data: every row of the paper is there, and a run trains, stops, resumes, ships and is written down."""

from dataclasses import replace

import pytest
import torch

from musiclib import ledger, paths
from musiclib.musicslots import experiments
from musiclib.musicslots.model import MusicSlots
from musiclib.presets import PRESETS

TINY_MODEL = replace(experiments.SMALL, channels=8, width=8, slots=4)
EXPERIMENT = experiments.EXPERIMENTS["jazznet-single-none"]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The small size shrunk until it trains in seconds, in folders of its own."""
    monkeypatch.setitem(experiments.MODELS, "small", TINY_MODEL)
    training = replace(experiments.TRAINING["small"], steps=6, batch=4, evaluate_every=3)
    monkeypatch.setitem(experiments.TRAINING, "small", training)
    monkeypatch.setattr(experiments, "VALIDATION_CHORDS", 8)
    for name in ("RUNS", "CHECKPOINTS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())


def test_every_row_of_the_papers_tables_is_an_experiment():
    of_the_paper = [e for e in experiments.EXPERIMENTS.values() if e.paper and not e.starts_from]
    assert len([e for e in of_the_paper if "ablation" not in e.name]) == 12
    assert len([e for e in of_the_paper if "ablation" in e.name]) == 8
    for preset in PRESETS.values():
        for experiment in experiments.EXPERIMENTS.values():
            experiment.model_config(preset.size)  # raises if a change names no field or an impossible choice


def test_paper_training_is_the_specification():
    model, training = experiments.MODELS["paper"], experiments.TRAINING["paper"]
    assert (model.slots, model.iterations, model.width, model.channels) == (7, 3, 128, 128)
    assert (model.bands, model.frames, model.stride, model.dilation) == (128, 32, (1, 2), (1, 1, 1, 1))
    assert (model.implicit, model.decoder, model.mask, model.db_scale) == (True, "broadcast", "none", 1.0)
    assert (training.steps, training.batch, training.warmup, training.decay_steps) == (100_000, 32, 10_000, 500_000)
    assert (training.learning_rate, training.clip_norm) == (1e-4, 1.0)


def test_a_run_stops_resumes_ships_and_is_written_down(tiny):
    assert not experiments.train(EXPERIMENT, "small", budget_s=0)
    assert not ledger.entries()
    assert experiments.train(EXPERIMENT, "small")

    entry = ledger.entry("musicslots-jazznet-single-none-small")
    assert entry["metrics"]["test"]["chords"] == 884
    assert 0 <= entry["metrics"]["valid"]["miou"] <= 1
    assert [scores["step"] for scores in entry["metrics"]["validation_curve"]] == [3, 6]
    assert entry["config"]["model"]["width"] == 8
    assert "jazznet-single-none, small" in experiments.results_table("small")
    assert "44.49 / 0.76" in experiments.results_table()

    model = experiments.load("musicslots-jazznet-single-none-small")
    valid = experiments.datasets("JazzNet-single", 16).valid
    assert experiments.evaluate(model, valid)["miou"] == pytest.approx(entry["metrics"]["valid"]["miou"], abs=0.02)


def test_evaluation_repeats_and_leaves_the_random_state_alone(tiny):
    valid = experiments.datasets("JazzNet-single", 16).valid
    model = MusicSlots(TINY_MODEL)
    state = torch.random.get_rng_state()
    first, second = (experiments.evaluate(model, valid, limit=10) for _ in range(2))
    assert first == second and first["chords"] == 10
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], list(range(1000))])
def test_thinned_curves_keep_their_mean(values):
    thin = experiments.thinned(values, points=10)
    assert len(thin) <= 10 or len(values) % 10
    assert sum(thin) / len(thin) == pytest.approx(sum(values) / len(values), abs=1e-3)
