"""The report: tables of made-up ledgers whose figures are known."""

import pytest
from ledgers import write

from musiclib import paths
from musiclib.musicslots import report
from musiclib.musicslots.experiments import EXPERIMENTS


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)


def test_a_row_of_one_seed_has_an_interval_over_chords(empty):
    write("jazznet-multi-none", miou=0.9)
    row = next(
        line for line in report.results_table("note discovery", "paper").splitlines() if "jazznet-multi-none" in line
    )
    assert "| 19.95 / 0.90 | 20.00 ± 1.96 / 0.900 ± 0.020 | 1 (seed 0) | 10 × 32, 2 min" in row


def test_a_row_of_several_seeds_has_an_interval_over_seeds(empty):
    """0.8, 0.9: mean 0.85, standard error 0.05, t of one degree of freedom 12.706."""
    for seed, miou in ((0, 0.8), (12, 0.9)):
        write("jazznet-multi-none", seed, miou=miou)
    found = report.figure(report.runs_of(EXPERIMENTS["jazznet-multi-none"], "paper"), "test", "miou")
    assert (found.value, found.seeds) == (pytest.approx(0.85), 2)
    assert found.interval == pytest.approx(12.706 * 0.05, rel=1e-3)


def test_accuracies_are_in_percent_with_binomial_intervals(empty):
    write("jazznet-multi-cnn", accuracy=0.5)
    row = next(
        line for line in report.results_table("note properties", "paper").splitlines() if "jazznet-multi-cnn" in line
    )
    assert "| 96.47 / 71.22 | 50.00 ± 4.90 / 50.00 ± 4.90 |" in row  # 1.96 · √(0.25 / 400)


def test_sizes_are_told_apart_and_missing_rows_say_so(empty):
    write("jazznet-multi-none", size="small", miou=0.5)
    assert "0.500" in report.results_table("note discovery", "small")
    paper = report.results_table("note discovery", "paper")
    assert (
        "0.500" not in paper and paper.count("not run") == 16
    )  # the paper's twelve rows, and a floor for each dataset
