"""Runs: they train, stop, resume, ship and are written down; what is missing is found, after what it needs."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from musiclib import ledger, paths, training
from musiclib.musicslots import evaluation, experiments, runs
from musiclib.musicslots.experiments import EXPERIMENTS, STUDIES, Adjustment, find
from musiclib.musicslots.model import MusicSlots
from musiclib.reproduction import checkpoint

TINY = replace(experiments.SMALL, channels=8, width=8, slots=4)
TINY_STEPS = {"steps": 6, "batch": 4, "evaluate_every": 3}


def shrink(monkeypatch, folder, **steps):
    """The small size shrunk until it trains in seconds, in folders of its own."""
    for kind, sizes in experiments.MODELS.items():
        monkeypatch.setitem(sizes, "small", replace(sizes["small"], channels=8, width=8))
        if kind == "slots":
            monkeypatch.setitem(sizes, "small", TINY)
    for sizes in experiments.TRAINING.values():
        monkeypatch.setitem(sizes, "small", replace(sizes["small"], **(TINY_STEPS | steps)))
    monkeypatch.setattr(runs, "VALIDATION_CHORDS", 8)
    for name in ("RUNS", "CHECKPOINTS", "RESULTS"):
        monkeypatch.setattr(paths, name, folder / name.lower())


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    shrink(monkeypatch, tmp_path)


def briefly(name):
    """An experiment without its own schedule, on one instrument, scored on few chords."""
    experiment = find(name)
    adjustment = replace(experiment.small, training={}, test_chords=40)
    return replace(experiment, dataset=experiment.dataset.replace("multi", "single"), small=adjustment)


def test_a_run_stops_resumes_ships_and_is_written_down(tiny):
    experiment = EXPERIMENTS["jazznet-single-none"]
    assert not runs.train(experiment, "small", budget_s=0)
    assert not ledger.entries()
    assert runs.train(experiment, "small")

    entry = ledger.entry("musicslots-jazznet-single-none-small")
    assert entry["metrics"]["test"]["chords"] == 884
    assert 0 <= entry["metrics"]["valid"]["miou"] <= 1
    assert [scores["step"] for scores in entry["metrics"]["validation_curve"]] == [3, 6]
    assert entry["config"]["model"]["width"] == 8

    model = runs.load("musicslots-jazznet-single-none-small")
    valid = runs.datasets("JazzNet-single", 16).valid
    again = evaluation.note_discovery(model, valid)["miou"]
    assert again == pytest.approx(entry["metrics"]["valid"]["miou"], abs=0.02)  # the shipped weights are fp16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("jsb-multi-autoencoder", "reconstruction_mse"),
        ("jsb-multi-vae-beta4", "reconstruction_mse"),
        ("jsb-multi-cnn", "accuracy"),
        ("jazznet-single-cqt", "miou"),
        ("jazznet-single-shared-train-init", "miou"),
    ],
)
def test_every_kind_of_model_takes_the_same_path(tiny, name, score):
    experiment = briefly(name)
    assert runs.train(experiment, "small")
    entry = ledger.entry(experiment.run_name("small"))
    for split in ("valid", "test"):
        assert entry["metrics"][split][score] >= 0
    assert len(entry["metrics"]["loss_curve"]) == 6
    assert ("chorales" in entry["config"]) == name.startswith("jsb")
    assert type(runs.load(experiment.run_name("small"))) is runs.MODEL_TYPES[experiment.kind][1]


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["jsb-single-none", "jsb-multi-vae"])
def test_a_probe_is_trained_on_a_frozen_model(tiny, frozen, monkeypatch):
    runs.train(briefly(frozen), "small")
    before = runs.load(f"musicslots-{frozen}-small").state_dict()
    probe = replace(find("jsb-multi-probe"), name="jsb-multi-probe", on=frozen, dataset="JSB-single")
    monkeypatch.setitem(EXPERIMENTS, "jsb-multi-probe", probe)
    assert runs.train(probe, "small")
    scores = ledger.entry("musicslots-jsb-multi-probe-small")["metrics"]["test"]
    assert 0 <= scores["accuracy"] <= 1
    after = runs.load(f"musicslots-{frozen}-small").state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert runs.load("musicslots-jsb-multi-probe-small").config.width == 8


def test_more_slots_need_no_training(tiny, monkeypatch):
    base = replace(briefly("jazznet-single-none"), name="jazznet-multi-none")
    monkeypatch.setitem(EXPERIMENTS, "jazznet-multi-none", base)
    runs.train(base, "small")
    experiment = briefly("jazznet-multi-2-more-slots")
    assert runs.train(experiment, "small")
    entry = ledger.entry("musicslots-jazznet-multi-2-more-slots-small")
    assert (entry["config"]["model"]["slots"], entry["wall_s"]) == (7, 0)


def test_the_floor_is_the_whole_chord_in_every_slot(tiny):
    """Each note scores the share that its mask has of the chord's."""
    experiment = find("jazznet-single-not-separated")
    assert runs.train(experiment, "small")
    scores = ledger.entry("musicslots-jazznet-single-not-separated-small")["metrics"]
    data = runs.datasets("JazzNet-single", 16).valid
    index = torch.arange(len(data))
    notes, present = data.padded_targets(index)
    heard, chord = notes >= -30, data.batch(index) >= -30
    iou = (heard & chord).sum((2, 3)) / (heard | chord).sum((2, 3))
    expected = torch.stack([own[there].mean() for own, there in zip(iou, present, strict=True)]).mean()
    assert scores["valid"]["miou"] == pytest.approx(expected.item(), abs=3e-3)  # chords are scored in mixed precision


def test_a_curriculum_starts_from_trained_weights(tiny, monkeypatch):
    first = briefly("jazznet-single-none")
    runs.train(first, "small")
    weights = runs.load(first.run_name("small")).state_dict()
    begun = []
    monkeypatch.setattr(training, "fit", lambda model, *_, **__: begun.append(model.state_dict()) or training.History())
    assert not runs.train(briefly("jazznet-multi-none"), "small")
    assert all(torch.equal(begun[0][name], tensor) for name, tensor in weights.items())


def test_what_is_missing_comes_after_what_it_needs(tiny):
    names = [experiment.name for experiment in runs.missing("small")]
    assert sorted(names) == sorted(name for name, e in (EXPERIMENTS | STUDIES).items() if "small" in e.sizes)
    for experiment in (EXPERIMENTS | STUDIES).values():
        before = experiment.needs("small")
        assert before is None or names.index(before) < names.index(experiment.name)


def test_a_run_in_the_ledger_is_repeated_only_if_its_weights_are_needed(tiny):
    experiment = briefly("jazznet-single-none")
    runs.train(experiment, "small")
    assert [e.name for e in runs.missing("small", only=["jazznet-multi-none"])] == ["jazznet-multi-none"]
    checkpoint(experiment.run_name("small")).unlink()
    wanted = [e.name for e in runs.missing("small", only=["jazznet-multi-none", "jazznet-single-none"])]
    assert wanted == ["jazznet-single-none", "jazznet-multi-none"]
    assert "jazznet-single-none" not in [e.name for e in runs.missing("small", only=["jazznet-single-none"])]


def test_only_takes_names_and_tables(tiny):
    assert {e.table for e in runs.missing("paper", only=["ablation"])} == {"ablation"}
    with pytest.raises(ValueError, match="No experiment or table ablations: choose of"):
        runs.missing("small", only=["ablations"])


def test_seeds_have_runs_of_their_own(tiny):
    experiment = briefly("jsb-single-none")
    for seed in (0, 12):
        runs.train(experiment, "small", seed=seed)
    first, second = (ledger.entry(experiment.run_name("small", seed)) for seed in (0, 12))
    assert first["metrics"]["loss_curve"] != second["metrics"]["loss_curve"]
    assert (first["seed"], second["seed"]) == (0, 12)


REPRODUCE = """
import sys
from pathlib import Path
import pytest, torch
sys.path.insert(0, {tests!r})
from test_musicslots_runs import shrink
from musiclib.__main__ import main
from musiclib import training
torch.set_num_threads(1)
training.fit.__kwdefaults__["save_every_s"] = 0.0
shrink(pytest.MonkeyPatch(), Path({folder!r}), steps=30, evaluate_every=15)
sys.exit(main(["reproduce", "musicslots", "--preset", "quick", "--only", "jsb-single-none"]))
"""


@pytest.mark.slow
def test_reproduce_killed_in_the_middle_goes_on_and_gives_the_same_figures(tmp_path):
    """SIGKILL while it trains; the same command then ends with the figures of a run that nothing disturbed."""

    def start(folder):
        script = REPRODUCE.format(tests=str(paths.ROOT / "tests"), folder=str(folder))
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    killed = start(tmp_path / "killed")
    last = tmp_path / "killed" / "runs" / "musicslots-jsb-single-none-small" / "last.pt"
    for _ in range(12_000):
        if last.exists() or killed.poll() is not None:
            break
        time.sleep(0.005)
    assert killed.poll() is None, "it should still be training"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not list((tmp_path / "killed").glob("results/*.json"))
    assert 0 < len(torch.load(last, weights_only=True)["history"]["loss"]) < 30

    outputs = {}
    for name in ("killed", "whole"):
        process = start(tmp_path / name)
        outputs[name] = process.communicate()[0].decode()
        assert process.returncode == 0, outputs[name]
    entries = [
        ledger.entry("musicslots-jsb-single-none-small", tmp_path / name / "results") for name in ("killed", "whole")
    ]
    for figure in ("valid", "test", "loss_curve", "validation_curve"):
        assert entries[0]["metrics"][figure] == entries[1]["metrics"][figure]
    assert "| jsb-single-none | 22.44 / 0.81 |" in outputs["killed"]


def test_evaluation_repeats_and_leaves_model_and_random_state_alone(tiny):
    valid = runs.datasets("JazzNet-single", 16).valid
    model = MusicSlots(TINY)
    state = torch.random.get_rng_state()
    first, second = (evaluation.note_discovery(model, valid, limit=10) for _ in range(2))
    assert first == second and first["chords"] == 10
    assert torch.equal(state, torch.random.get_rng_state()) and model.training


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], list(range(1000))])
def test_thinned_curves_keep_their_mean(values):
    thin = training.thinned(values, points=10)
    assert len(thin) <= 10 or len(values) % 10
    assert sum(thin) / len(thin) == pytest.approx(sum(values) / len(values), abs=1e-3)


def test_an_experiment_with_no_adjustment_is_the_same_at_all_sizes():
    assert Adjustment() == EXPERIMENTS["jazznet-single-none"].adjustment("small")
