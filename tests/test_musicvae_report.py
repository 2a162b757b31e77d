"""The tables of MusicVAE say what the ledger says."""

import pytest

from musiclib import ledger, paths
from musiclib.musicvae import report
from musiclib.musicvae.experiments import EXPERIMENTS
from musiclib.paths import ROOT

SCORES = {
    "teacher_forced": 0.9, "teacher_forced_standard_error": 0.01, "teacher_forced_note_f1": 0.8,
    "sampled": 0.7, "sampled_standard_error": 0.03, "sampled_note_f1": 0.6, "unchanged": 0.5, "kl": 40.0,
}  # fmt: skip


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)


def write(name, **scores):
    ledger.record(
        EXPERIMENTS[name].run_name("small"), system="musicvae", preset="small", seed=0, wall_s=120.0, commit="made up",
        config={"training": {"steps": 10, "batch": 32}}, metrics={"test": SCORES | scores},
    )  # fmt: skip


def test_a_row(empty):
    write("melody-2")
    row = next(line for line in report.results_table("small").splitlines() if "melody-2 " in line)
    assert "0.986 / 0.951" in row
    assert "0.900 ± 0.020 / 0.700 ± 0.059" in row
    assert "10 × 32, 2 min" in row


def test_what_has_not_been_run_says_so(empty):
    assert report.results_table("small").count("not run") == 4


def test_gap(empty):
    over = {"melody-16-flat": {"sampled": 0.01, "sampled_standard_error": 0.002}}
    write("melody-16-hierarchical", over=over)
    with pytest.raises(FileNotFoundError, match="melody-16-flat"):
        report.gap("melody-16-hierarchical", "melody-16-flat", "small")
    write("melody-16-flat")
    difference, interval = report.gap("melody-16-hierarchical", "melody-16-flat", "small")
    assert difference == 0.01
    assert interval == pytest.approx(1.96 * 0.002)


def test_the_readme_shows_what_the_ledger_says():
    text = (ROOT / "README.md").read_text()
    shown = text.partition("<!-- musicvae -->")[2].partition("<!-- /musicvae -->")[0]
    assert shown.strip() == report.readme().strip()
