"""The report: tables and verdicts on made-up ledgers whose answers are known, and on the real one."""

import pytest

from musiclib import ledger, paths
from musiclib.musicslots import report
from musiclib.musicslots.experiments import EXPERIMENTS


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)


def write(name, seed=0, size="paper", **scores):
    """A ledger entry with the same scores on validation and test, unless `valid` says otherwise."""
    valid = scores.pop("valid", {})
    test = {"chords": 400, "note_mse": 20.0, "note_mse_standard_error": 1.0, "miou_standard_error": 0.01} | scores
    config = {"experiment": {"name": name}, "training": {"steps": 10, "batch": 32}}
    ledger.record(
        EXPERIMENTS[name].run_name(size, seed), system="musicslots", preset=size, seed=seed, wall_s=120.0,
        commit="made up", config=config, metrics={"valid": test | valid, "test": test},
    )  # fmt: skip


def verdict(claim, dataset, size="paper"):
    (found,) = [v for v in report.claims(size) if v.claim.startswith(claim) and v.dataset == dataset]
    return found


def test_a_row_of_one_seed_has_an_interval_over_chords(empty):
    write("jazznet-multi-none", miou=0.9)
    row = next(
        line for line in report.results_table("note discovery", "paper").splitlines() if "jazznet-multi-none" in line
    )
    assert "| 19.95 / 0.9 | 20.00 ± 1.96 / 0.900 ± 0.020 | 0 | 10 × 32, 2 min" in row


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
    assert "0.500" not in paper and paper.count("not run") == 12


@pytest.mark.parametrize(
    ("none", "sigmoid", "softmax", "expected"),
    [(0.90, 0.91, 0.84, True), (0.90, 0.80, 0.84, False), (0.90, 0.86, 0.84, False), (0.7, 0.71, 0.72, False)],
)
def test_the_claim_about_masks(empty, none, sigmoid, softmax, expected):
    for mask, miou in {"none": none, "sigmoid": sigmoid, "softmax": softmax}.items():
        write(f"jsb-multi-{mask}", miou=miou)
    assert verdict("none ≈ sigmoid", "JSB-multi").confirmed is expected
    assert verdict("none ≈ sigmoid", "JazzNet-multi").confirmed is None


@pytest.mark.parametrize(("slots", "baseline", "expected"), [
    ((0.98, 0.87), (0.97, 0.80), True), ((0.98, 0.87), (0.97, 0.865), False), ((0.90, 0.87), (0.97, 0.60), False),
])  # fmt: skip
def test_the_claim_about_unseen_tetrads(empty, slots, baseline, expected):
    write("jazznet-multi-probe", accuracy=slots[1], valid={"accuracy": slots[0]})
    for name in ("autoencoder-probe", "vae-probe", "vae-beta0.5-probe", "vae-beta2-probe", "vae-beta4-probe", "cnn"):
        write(f"jazznet-multi-{name}", accuracy=baseline[1], valid={"accuracy": baseline[0]})
    found = verdict("slots lead", "JazzNet-multi")
    assert found.confirmed is expected
    assert found.paper == {"lead on valid": pytest.approx(98.96 - 97.0), "lead on test": pytest.approx(87.65 - 81.53)}


def test_the_paper_confirms_its_own_claims(empty):
    """The paper's figures, written into the ledger as if they were ours."""
    for experiment in EXPERIMENTS.values():
        if not experiment.paper or experiment.name.endswith("curriculum-probe"):
            continue
        first, second = experiment.paper
        if experiment.table == "note properties":
            write(experiment.name, size="small", accuracy=second / 100, valid={"accuracy": first / 100})
        else:
            write(experiment.name, size="small", note_mse=first, miou=second)
    found = report.claims("small")
    assert len(found) == 17
    assert all(v.confirmed for v in found)
    for v in found:
        assert v.ours == pytest.approx(v.paper)


def test_the_readme_shows_what_the_ledger_says():
    readme = (paths.ROOT / "README.md").read_text()
    _, _, rest = readme.partition("<!-- results -->")
    assert rest.partition("<!-- /results -->")[0].strip() == report.readme().strip()
