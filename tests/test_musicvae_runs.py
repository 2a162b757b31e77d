"""Runs of MusicVAE: they train, stop, resume, ship and are written down; what is missing is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from musiclib import checkpoints, corpora, ledger, paths
from musiclib.musicvae import runs
from musiclib.musicvae.evaluation import reconstruction
from musiclib.musicvae.experiments import EXPERIMENTS, STUDIES, find
from musiclib.pieces import GRID_NOTE, Piece, save_corpus
from musiclib.reproduction import checkpoint

SMALL = {"latent": 4, "encoder_width": 4, "decoder_width": 6, "decoder_layers": 1}
STEPS = {"steps": 6, "batch": 4, "evaluate_every": 3}


def random_piece(number, bars=18):
    """Eighths in a small range, now and then a rest."""
    rng = np.random.default_rng(number)
    notes = [(2 * i, 2, pitch, 90) for i, pitch in enumerate(rng.integers(55, 67, 8 * bars)) if rng.random() < 0.9]
    return Piece(f"piece {number}", np.array([*notes, (16 * bars - 1, 1, 60, 90)], GRID_NOTE))


def move(monkeypatch, folder):
    """To folders of their own."""
    for name in ("RUNS", "CHECKPOINTS", "RESULTS", "DATA"):
        monkeypatch.setattr(paths, name, folder / name.lower())


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Every experiment so small that it trains in a second, on 30 pieces, in folders of its own."""
    for name, experiment in EXPERIMENTS.items():
        small = experiment.small | SMALL | ({"conductor_width": 4} if "conductor_width" in experiment.small else {})
        monkeypatch.setitem(EXPERIMENTS, name, replace(experiment, small=small, training=STEPS))
    corpus = tmp_path / "corpus.safetensors"
    save_corpus(corpus, map(random_piece, range(30)), "made up")
    monkeypatch.setattr(corpora, "CORPORA", dict.fromkeys(corpora.CORPORA, corpus))
    monkeypatch.setattr(runs, "VALIDATION_WINDOWS", 8)
    move(monkeypatch, tmp_path)
    runs.windows.cache_clear()
    yield
    runs.windows.cache_clear()


def train_with_needs(name):
    """An experiment, after all that it starts from."""
    if before := find(name).needs("small"):
        train_with_needs(before)
    assert runs.train(find(name), "small")


@pytest.mark.parametrize("name", ["melody-2", "melody-16-flat", "melody-16-hierarchical", "chorale-2"])
def test_every_kind_of_model_is_trained_and_written_down(tiny, name):
    experiment = find(name)
    train_with_needs(name)
    entry = ledger.entry(f"musicvae-{name}-small")
    assert (entry["system"], entry["preset"], entry["seed"]) == ("musicvae", "small", 0)
    assert entry["config"]["model"]["latent"] == 4
    assert entry["config"]["experiment"]["name"] == name
    bars = entry["config"]["model"]["bars"]
    data = {s: runs.windows(experiment.corpus, s, experiment.kind, bars) for s in ("train", "valid", "test")}
    assert entry["config"]["train_windows"] == len(data["train"])
    assert entry["metrics"]["test"]["windows"] == len(data["test"])
    assert 0 <= entry["metrics"]["valid"]["active_dimensions"] <= 4
    assert [scores["step"] for scores in entry["metrics"]["validation_curve"]] == [3, 6]
    assert len(entry["metrics"]["loss_curve"]) == 6

    again = reconstruction(runs.load(f"musicvae-{name}-small"), data["test"])
    for score in ("teacher_forced", "negative_log_likelihood", "kl"):  # the shipped weights are fp16
        assert again[score] == pytest.approx(entry["metrics"]["test"][score], rel=0.02, abs=0.01)


@pytest.mark.parametrize("kind", ["flat", "hierarchical"])
def test_a_rung_begins_with_the_weights_of_the_one_below(tiny, monkeypatch, kind):
    """The first from two bars, of whose decoder and encoder it takes every weight; a conductor is its own."""
    assert runs.train(find("melody-2"), "small")
    for below, name in (("melody-2", f"melody-4-{kind}"), (f"melody-4-{kind}", f"melody-8-{kind}")):
        before, begun = runs.load(f"musicvae-{below}-small").state_dict(), {}
        with monkeypatch.context() as patch, pytest.raises(AttributeError):  # nothing is trained: there is no history
            patch.setattr(runs.training, "fit", lambda model, *_, begun=begun, **__: begun.update(model.state_dict()))
            runs.train(find(name), "small")
        own = {key.split(".")[0] for key in begun.keys() - before.keys()}
        assert own == ({"conductor"} if kind == "hierarchical" and below == "melody-2" else set())
        assert all(torch.equal(begun[key], before[key]) for key in before)
        assert runs.train(find(name), "small")


def test_the_gain_over_another_is_written_down(tiny):
    for name in ("melody-2", "melody-4-flat", "melody-4-hierarchical"):
        assert runs.train(find(name), "small")
    tests = [ledger.entry(f"musicvae-melody-4-{kind}-small")["metrics"]["test"] for kind in ("flat", "hierarchical")]
    assert "over" not in tests[0]
    assert tests[1]["over"]["melody-4-flat"].keys() >= {"sampled", "sampled_standard_error"}


def test_what_is_needed_comes_first(tiny):
    def names():
        return [experiment.name for experiment in runs.missing("small", only=["melody-16-flat"])]

    assert names() == ["melody-2", "melody-4-flat", "melody-8-flat", "melody-16-flat"]
    assert runs.train(find("melody-2"), "small")
    assert runs.train(find("melody-4-flat"), "small")
    assert names() == ["melody-8-flat", "melody-16-flat"]


def test_a_run_stops_resumes_and_gives_what_an_undisturbed_one_gives(tiny, monkeypatch, tmp_path):
    experiment = EXPERIMENTS["melody-2"]
    figures = {}
    for name in ("stopped", "whole"):
        move(monkeypatch, tmp_path / name)
        if name == "stopped":
            assert not runs.train(experiment, "small", budget_s=0)
            assert not runs.train(experiment, "small", budget_s=0)
            assert not ledger.entries()
            assert not checkpoint("musicvae-melody-2-small").exists()
        assert runs.train(experiment, "small")
        entry = ledger.entry("musicvae-melody-2-small")
        figures[name] = entry["metrics"], runs.load("musicvae-melody-2-small").state_dict()
    assert figures["stopped"][0] == figures["whole"][0]
    for tensor, other in zip(figures["stopped"][1].values(), figures["whole"][1].values(), strict=True):
        assert torch.equal(tensor, other)


def test_the_best_weights_are_kept_not_the_last(tiny, monkeypatch):
    """Of two evaluations the first scores higher: its weights are those of the run."""
    experiment = EXPERIMENTS["melody-2"]
    scored = iter([0.9, 0.1])
    seen = []

    def made_up(model, windows, limit=None):
        if limit is None:
            return {"sampled": 0.0}
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"sampled": next(scored)}

    monkeypatch.setattr(runs, "reconstruction", made_up)
    assert runs.train(experiment, "small")
    kept = runs.load(experiment.run_name("small")).state_dict()
    assert all(torch.equal(kept[name], tensor.half().float()) for name, tensor in seen[0].items())
    assert not all(torch.equal(kept[name], tensor.half().float()) for name, tensor in seen[1].items())


@pytest.mark.parametrize(
    ("name", "seed", "ships"), [("melody-2", 0, True), ("melody-2", 7, False), ("melody-2-collapsed", 0, False)]
)
def test_what_ships(tiny, name, seed, ships):
    """The small weights of seed 0 of those that ship; all others stay with their run."""
    experiment = EXPERIMENTS[name]
    assert runs.train(experiment, "small", seed=seed)
    run = experiment.run_name("small", seed)
    path = (paths.CHECKPOINTS if ships else paths.RUNS / run) / f"{run}.safetensors"
    assert path.exists() and checkpoint(run) == path
    assert any(paths.CHECKPOINTS.glob("*")) == ships
    about = checkpoints.read_metadata(path)[1]
    assert about["experiment"] == name and about["training"]["seed"] == seed
    assert runs.load(run).config.latent == 4


def test_seeds_have_runs_of_their_own(tiny):
    experiment = EXPERIMENTS["melody-2"]
    for seed in (0, 12):
        assert runs.train(experiment, "small", seed=seed)
    first, second = (ledger.entry(experiment.run_name("small", seed)) for seed in (0, 12))
    assert first["metrics"]["loss_curve"] != second["metrics"]["loss_curve"]
    assert (first["seed"], second["seed"]) == (0, 12)


@pytest.mark.parametrize("ships", [True, False])
def test_samples_after_so_many_epochs(tiny, monkeypatch, ships):
    """Epoch 1 and 2 are within the schedule, epoch 100 is not; all from the same z by the weights of their time."""
    windows = len(runs.windows("chorales", "train", "roll", 2))
    steps = {"steps": 5, "batch": windows // 2, "evaluate_every": 5}  # two steps an epoch
    experiment = replace(EXPERIMENTS["chorale-2"], epochs=(1, 2, 100), ships=ships, training=steps)
    assert runs.train(experiment, "small")
    name = experiment.run_name("small")
    drawn = runs.samples(name)
    assert list(drawn) == [1, 2]
    assert runs.samples_path(name).is_relative_to(paths.DATA / "samples" if ships else paths.RUNS)
    for epoch, x in drawn.items():
        assert x.shape == (8, 32, 176) and x.dtype == torch.uint8
        model = checkpoints.load_weights(paths.RUNS / name / f"step-{2 * epoch}.safetensors", runs.load(name))
        z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        assert torch.equal(model.sample(z, 1.0).to(torch.uint8), x)
    assert not torch.equal(drawn[1], drawn[2])


def test_what_is_missing(tiny):
    names = [experiment.name for experiment in runs.missing("small")]
    assert names == [name for name, e in (EXPERIMENTS | STUDIES).items() if "small" in e.sizes]
    assert {e.name for e in runs.missing("small", only=["collapse"])} == {"melody-2-collapsed", "melody-2-free-bits"}
    assert not runs.missing("paper", only=["collapse"])  # which is shown at the small size only
    runs.train(EXPERIMENTS["melody-2"], "small")
    assert "melody-2" not in [experiment.name for experiment in runs.missing("small")]
    assert "melody-2" in [experiment.name for experiment in runs.missing("small", seed=1)]
    assert [e.name for e in runs.missing("paper", only=["melody-2"])] == ["melody-2"]


def test_names_that_are_none(tiny):
    with pytest.raises(ValueError, match=r"No experiment or table collapses: choose of .*melody-2"):
        runs.missing("small", only=["collapses"])
    with pytest.raises(ValueError, match="No experiment 'melody-3': choose of melody-2"):
        find("melody-3")
    with pytest.raises(checkpoints.CheckpointError, match=r"There is no checkpoint .*musicvae-melody-3-small"):
        runs.load("musicvae-melody-3-small")


def test_trained_trains_once(tiny, capsys):
    experiment = EXPERIMENTS["melody-2"]
    first = runs.trained(experiment, "small")
    assert "No trained model musicvae-melody-2-small yet: training it." in capsys.readouterr().out
    second = runs.trained(experiment, "small")
    assert "Found the trained model musicvae-melody-2-small, loading it." in capsys.readouterr().out
    x = torch.randint(128, (2, 32))
    assert torch.equal(first.encode(x).mu, second.encode(x).mu)
    assert not first.training
