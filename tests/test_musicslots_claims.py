"""Verdicts on the paper's claims, on made-up ledgers whose answers are known; and the README against the real one."""

import pytest
from ledgers import write

from musiclib import paths
from musiclib.ledger import UNDECIDED
from musiclib.musicslots.claims import (
    CONFIRMED,
    NOT_CONFIRMED,
    NOT_RUN,
    TOO_EARLY,
    claims,
    difference,
    outcome,
    readme,
)
from musiclib.musicslots.experiments import EXPERIMENTS
from musiclib.musicslots.report import Figures


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)


def verdict(claim, dataset, size="paper"):
    (found,) = [v for v in claims(size) if v.claim.startswith(claim) and v.dataset == dataset]
    return found


def test_the_interval_of_a_difference():
    """0.9 ± 0.03 less 0.7 ± 0.04 is 0.2 ± 0.05."""
    found = difference(Figures(0.9, 0.03, 1), Figures(0.7, 0.04, 5))
    assert (found.value, found.interval) == (pytest.approx(0.2), pytest.approx(0.05))


@pytest.mark.parametrize(("values", "expected"), [
    ([0.2, 0.3], CONFIRMED), ([0.2, 0.05], UNDECIDED), ([0.2, -0.05], UNDECIDED), ([0.2, -0.2], NOT_CONFIRMED),
    ([-0.2, -0.3], NOT_CONFIRMED), ([0.05], UNDECIDED),
])  # fmt: skip
def test_outcomes_by_hand(values, expected):
    assert outcome([Figures(value, 0.1, 1) for value in values]) == expected


@pytest.mark.parametrize(("none", "sigmoid", "softmax", "expected"), [
    (0.90, 0.91, 0.84, CONFIRMED), (0.90, 0.80, 0.84, NOT_CONFIRMED), (0.95, 0.88, 0.84, NOT_CONFIRMED),
    (0.7, 0.71, 0.76, NOT_CONFIRMED), (0.90, 0.90, 0.89, UNDECIDED),
])  # fmt: skip
def test_the_claim_about_masks(empty, none, sigmoid, softmax, expected):
    """The intervals are 0.0196 each, so differences count from 0.028."""
    for mask, miou in {"none": none, "sigmoid": sigmoid, "softmax": softmax}.items():
        write(f"jsb-multi-{mask}", miou=miou)
    assert verdict("none ≈ sigmoid", "JSB-multi").outcome == expected
    assert verdict("none ≈ sigmoid", "JazzNet-multi").outcome == NOT_RUN


@pytest.mark.parametrize(("floor", "expected"), [(0.5, CONFIRMED), (0.8, TOO_EARLY)])
def test_rows_that_separate_nothing_decide_nothing(empty, floor, expected):
    write("jsb-multi-not-separated", miou=floor)
    write("jsb-multi-ablation-default", miou=0.6)
    write("jsb-multi-ablation-stride", miou=0.76)
    assert verdict("time stride", "JSB-multi").outcome == expected


@pytest.mark.parametrize(("slots", "baseline", "expected"), [
    ((0.98, 0.87), (0.92, 0.60), CONFIRMED), ((0.98, 0.80), (0.80, 0.78), NOT_CONFIRMED),
    ((0.90, 0.87), (0.97, 0.60), NOT_CONFIRMED), ((0.98, 0.87), (0.97, 0.80), UNDECIDED),
])  # fmt: skip
def test_the_claim_about_unseen_tetrads(empty, slots, baseline, expected):
    write("jazznet-multi-probe", accuracy=slots[1], valid={"accuracy": slots[0]})
    for name in ("autoencoder-probe", "vae-probe", "vae-beta0.5-probe", "vae-beta2-probe", "vae-beta4-probe", "cnn"):
        write(f"jazznet-multi-{name}", accuracy=baseline[1], valid={"accuracy": baseline[0]})
    found = verdict("slots lead", "JazzNet-multi")
    assert found.outcome == expected
    assert found.paper == {"lead on valid": pytest.approx(98.96 - 97.0), "lead on test": pytest.approx(87.65 - 81.53)}


def test_the_paper_confirms_its_own_claims(empty):
    """The paper's figures, written into the ledger as if they were ours, from very many chords."""
    for experiment in EXPERIMENTS.values():
        if not experiment.paper:
            continue
        first, second = experiment.paper
        if experiment.table == "note properties":
            write(experiment.name, size="small", chords=10**6, accuracy=second / 100, valid={"accuracy": first / 100})
        else:
            write(experiment.name, size="small", note_mse=first, miou=second, miou_standard_error=1e-4)
    found = claims("small")
    assert len(found) == 19
    for v in found:
        assert v.outcome == CONFIRMED, v
        assert {label: f.value for label, f in v.ours.items()} == pytest.approx(v.paper)


def test_the_readme_shows_what_the_ledger_says():
    text = (paths.ROOT / "README.md").read_text()
    _, _, rest = text.partition("<!-- results -->")
    assert rest.partition("<!-- /results -->")[0].strip() == readme().strip()
