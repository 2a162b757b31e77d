"""Runs of the bar VAE: trained, resumed, written down; and what it learns."""

import json
from dataclasses import replace

import pytest
import torch

from musiclib import checkpoints, corpora, ledger, paths
from musiclib.improvise import data as sources
from musiclib.improvise import experiments, report, runs
from musiclib.improvise.bars import INPUTS
from musiclib.improvise.evaluation import reconstruction
from musiclib.improvise.vae import BarVAE, BarVAEConfig
from musiclib.pieces import save_corpus

EXPERIMENT = experiments.EXPERIMENTS["chorales"]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A tiny model, sixty bars, six steps; all that is written goes to a folder of its own."""
    for name in ("RUNS", "CHECKPOINTS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.RESULTS.mkdir()
    config = BarVAEConfig(hidden=8, latent=4)
    monkeypatch.setattr(experiments.Experiment, "model_config", lambda self: replace(config, beta=self.beta))
    short = replace(experiments.TRAINING, steps=6, batch=20, evaluate_every=3)
    monkeypatch.setattr(experiments.Experiment, "training_config", lambda self, seed=0: replace(short, seed=seed))
    bars = (torch.rand(60, INPUTS, generator=torch.Generator().manual_seed(0)) < 0.03).to(torch.uint8)
    for module in (runs, sources):
        monkeypatch.setattr(module, "data", lambda corpus, split: bars)
    return tmp_path


def test_a_run_leaves_weights_and_a_ledger_entry(folder):
    assert runs.train(EXPERIMENT, "small")
    entry = ledger.entry("improvise-chorales", paths.RESULTS)
    assert entry["system"] == "improvise" and entry["config"]["training"]["steps"] == 6
    assert [scores["step"] for scores in entry["metrics"]["validation_curve"]] == [3, 6]
    test = entry["metrics"]["test"]
    assert test["loss"] == pytest.approx(test["distortion"] + test["rate"], rel=1e-4) and test["bars"] == 60
    config, about = checkpoints.read_metadata(paths.CHECKPOINTS / "improvise-chorales.safetensors")
    assert config["latent"] == 4 and about["experiment"] == "chorales"
    assert runs.load("improvise-chorales").config == BarVAEConfig(hidden=8, latent=4)
    assert runs.trained(EXPERIMENT, "small").config.latent == 4


def test_a_run_that_is_stopped_goes_on_to_the_same_end(folder):
    assert runs.train(EXPERIMENT, "small")
    whole = json.loads((paths.RESULTS / "improvise-chorales.json").read_text())["metrics"]
    for path in (paths.RUNS / "improvise-chorales").iterdir():
        path.unlink()
    steps = 0
    while not runs.train(EXPERIMENT, "small", budget_s=0):
        steps += 1
    assert steps > 1
    assert json.loads((paths.RESULTS / "improvise-chorales.json").read_text())["metrics"]["test"] == whole["test"]


def test_what_does_not_ship_stays_with_its_run(folder):
    assert runs.train(experiments.find("beta-4"), "small")
    assert (paths.RUNS / "improvise-beta-4" / "improvise-beta-4.safetensors").exists()
    assert not paths.CHECKPOINTS.exists()
    assert runs.load("improvise-beta-4").config.beta == 4


def test_missing_and_the_table(folder):
    assert [e.name for e in runs.missing("small")] == [*experiments.EXPERIMENTS, *experiments.STUDIES]
    assert "| chorales | 1 | not run |" in report.results_table()
    runs.train(EXPERIMENT, "small")
    assert "chorales" not in [e.name for e in runs.missing("paper")]
    assert [e.name for e in runs.missing("small", only=["rate and distortion"])] == [
        f"beta-{beta:g}" for beta in experiments.BETAS
    ]
    assert "| chorales | 1 | not run |" not in report.results_table("bars")
    with pytest.raises(ValueError, match="No experiment or table jazz"):
        runs.missing("small", only=["jazz"])
    with pytest.raises(ValueError, match="No experiment 'jazz': choose of chorales"):
        experiments.find("jazz")


def test_the_source_of_a_corpus(folder):
    model = BarVAE(BarVAEConfig(hidden=8, latent=4))
    source = runs.corpus_source(model, "chorales")
    mu = model.encode(runs.data("chorales", "train")).mu
    torch.testing.assert_close(source.mean[0], mu.mean(0))
    torch.testing.assert_close(source.variance[0], mu.var(0, correction=0))


def test_it_learns_a_few_bars_by_heart_and_every_weight_takes_part():
    torch.manual_seed(0)
    bars = (torch.rand(8, INPUTS) < 0.03).to(torch.uint8)
    model = BarVAE(BarVAEConfig(hidden=32, latent=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    before = reconstruction(model, bars)["distortion"]
    for _ in range(300):
        distortion, rate = model(bars)
        optimizer.zero_grad()
        (distortion + rate).mean().backward()
        assert all(parameter.grad.any() for parameter in model.parameters())
        optimizer.step()
    after = reconstruction(model, bars)
    assert after["distortion"] < before / 20 and after["rate"] > 1 and after["active"] > 0


def test_a_corpus_of_your_own(monkeypatch, tmp_path):
    """From a corpus file to a trained model, and one sentence where there is too little of it."""
    for name in ("RUNS", "CHECKPOINTS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(experiments.Experiment, "model_config", lambda self: BarVAEConfig(hidden=8, latent=4))
    short = replace(experiments.TRAINING, steps=2, batch=20, evaluate_every=1)
    monkeypatch.setattr(experiments.Experiment, "training_config", lambda self, seed=0: short)
    tunes = corpora.shipped("fiddle-tunes")
    path = tmp_path / "mine.corpus"
    save_corpus(path, [*tunes.split("train")[:4], *tunes.split("valid")[:1], *tunes.split("test")[:1]], "mine")
    own = experiments.find(str(path))
    assert runs.train(own, "paper")
    model = runs.load("improvise-mine")
    assert runs.corpus_source(model, own.corpus).mean.shape == (1, 4)
    assert (paths.RUNS / "improvise-mine" / "improvise-mine.safetensors").exists()
    few = tmp_path / "few.corpus"
    save_corpus(few, tunes.split("train")[:2], "few")
    with pytest.raises(ValueError, match=r"few.corpus has no music in its valid split"):
        runs.train(experiments.find(str(few)), "paper")
