"""Distances by hand, KL and overlap against closed forms, intervals against simulations whose truth is known."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolls import roll_of
from scipy.stats import entropy, gaussian_kde, norm

from musiclib.musicvae import distances
from musiclib.musicvae.distances import (
    compare,
    densities,
    inter_distances,
    intra_distances,
    kl_divergence,
    kl_on_own_grids,
    overlap,
    resampled,
)
from musiclib.musicvae.features import feature_values


def normal(mean, std, size, seed=0):
    return np.random.default_rng(seed).normal(mean, std, size)


def kl_and_overlap(a, b):
    _, p, q = densities(a, b)
    return kl_divergence(p, q), overlap(p, q)


def test_distances_by_hand():
    """0, 3, 4: each to the others is 3 and 4, 3 and 1, 4 and 1. To 1: 1, 2, 3. (0, 0) to (3, 4): 5."""
    values = np.array([[0.0], [3.0], [4.0]])
    assert sorted(intra_distances(values)) == [1, 1, 3, 3, 4, 4]
    assert inter_distances(values, np.array([[1.0]])).tolist() == [1, 2, 3]
    assert inter_distances(np.zeros((1, 2)), np.array([[3.0, 4.0]])).tolist() == [5]


@pytest.mark.parametrize(("mean", "std"), [(1.0, 1.0), (2.0, 1.0), (0.0, 2.0)])
def test_kl_and_overlap_of_two_gaussians(mean, std):
    """N(0, 1) against N(mean, std): closed form for KL, fine numerical integral for the overlap.

    Tolerance 0.02, or 3 % of the KL: with 200 000 samples the kernel (0.087 deviations) widens both by 0.4 %, and a
    large KL weighs tails of the second in which it has hardly a sample.
    """
    kl, area = kl_and_overlap(normal(0, 1, 200_000), normal(mean, std, 200_000, seed=1))
    assert kl == pytest.approx(math.log(std) + (1 + mean**2) / (2 * std**2) - 1 / 2, abs=0.02, rel=0.03)
    x = np.linspace(-12, 12, 20_001)
    assert area == pytest.approx(np.minimum(norm.pdf(x), norm.pdf(x, mean, std)).sum() * (x[1] - x[0]), abs=0.02)


def test_densities_are_scipy_s():
    """The same bandwidth, cell width smaller than the kernel: 1 % of the peak at most."""
    a, b = normal(0, 1, 3000), normal(1, 2, 2000, seed=1)
    grid, p, q = densities(a, b)
    for own, density in ((a, p), (b, q)):
        expected = gaussian_kde(own)(grid.centres)
        np.testing.assert_allclose(density / grid.step, expected, atol=0.01 * expected.max())


def test_a_set_overlaps_with_itself():
    a = normal(0, 1, (300, 1))
    assert kl_and_overlap(a.ravel(), a.ravel()) == pytest.approx((0, 1))
    halves = {"x": a[:150]}, {"x": a[150:]}
    assert compare(*halves, draws=10)[0].overlap > 0.95


SAMPLES = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=2, max_size=30).map(np.array)


@settings(max_examples=60, deadline=None)
@given(a=SAMPLES, b=SAMPLES)
def test_bounds(a, b):
    kl, area = kl_and_overlap(a, b)
    assert 0 <= kl < 28
    assert 0 <= area <= 1 + 1e-9
    assert area == pytest.approx(kl_and_overlap(b, a)[1])
    assert 0 <= kl_on_own_grids(a, b) < 28


def test_equal_distances_are_a_spike():
    """gaussian_kde raises here. Equal spikes are the same density; different ones share nothing."""
    same, other = np.full(6, 2.0), np.full(9, 5.0)
    assert kl_and_overlap(same, np.full(9, 2.0)) == pytest.approx((0, 1))
    kl, area = kl_and_overlap(same, other)
    assert area < 1e-9
    assert 20 < kl < 28


def test_different_grids_hide_a_difference_of_scale():
    """|N(0, 1)| against three times itself: KL(σ ‖ 3σ) = ln 3 + 1/18 - 1/2 = 0.654, on the toolkit's grids 0."""
    a = np.abs(normal(0, 1, 100_000))
    kl, _ = kl_and_overlap(a, 3 * a)
    assert kl == pytest.approx(math.log(3) + 1 / 18 - 1 / 2, abs=0.05)
    assert kl_on_own_grids(a, 3 * a) == pytest.approx(0, abs=0.01)


def test_different_grids_as_the_toolkit_has_them():
    a, b = np.abs(normal(0, 1, 2000)), np.abs(normal(1, 2, 2000, seed=1))
    theirs = entropy(*(gaussian_kde(x)(np.linspace(x.min(), x.max(), 1000)) for x in (a, b)))
    assert kl_on_own_grids(a, b) == pytest.approx(theirs, abs=0.01)


def test_comparison_of_rolls():
    """Sets that differ in pitch range only: {7, 8, 9, 10} and {17, 18, 19, 20} semitones, always two quarters."""
    low, high = ([roll_of(8, (0, 4, 50), (4, 8, 50 + r)) for r in own] for own in (range(7, 11), range(17, 21)))
    found = {c.feature: c for c in compare(feature_values(low), feature_values(high), draws=20)}
    ranges = found["pitch range"]
    assert ranges.intra.mean == pytest.approx((6 * 1 + 4 * 2 + 2 * 3) / 12)  # of 12 ordered pairs
    assert ranges.intra_generated == ranges.intra
    assert ranges.inter.mean == pytest.approx(10)
    assert ranges.overlap < 0.01
    assert found["note count"].overlap == pytest.approx(1)
    assert found["note count"].kl == 0
    rows = distances.table_rows(list(found.values()))
    assert [len(row) for row in rows] == [len(distances.HEADER)] * 9
    assert rows[3][:4] == ["pitch range", "1.67 ± 0.75", "1.67 ± 0.75", "10 ± 1.6"]


def test_comparison_is_defined_where_nothing_sounds():
    silent = feature_values([roll_of(16)] * 3)
    for c in compare(silent, silent, draws=5):
        assert (c.kl, c.overlap, *c.kl_interval, *c.overlap_interval) == pytest.approx((0, 1, 0, 0, 1, 1))


def test_intervals_hold_their_estimate_and_the_seed_decides():
    a, b = {"x": normal(0, 1, (60, 3))}, {"x": normal(0.5, 1, (50, 3), seed=1)}
    (first,), (again,) = compare(a, b, draws=30), compare(a, b, draws=30)
    assert first == again
    assert 0 <= first.kl_interval[0] <= first.kl <= first.kl_interval[1]
    assert 0 <= first.overlap_interval[0] <= first.overlap <= first.overlap_interval[1] <= 1
    assert first.overlap_interval[0] < first.overlap_interval[1]


def test_windows_of_one_piece_are_no_independent_evidence():
    """Ten windows of each of 12 pieces, almost alike: drawing pieces gives a wider interval than drawing windows."""
    pieces = np.repeat(np.arange(12), 10)
    a = {"x": normal(0, 1, (12, 1))[pieces] + normal(0, 0.1, (120, 1), seed=1)}
    b = {"x": normal(0, 1, (120, 1), seed=2)}
    widths = [np.ptp(compare(a, b, pieces=own)[0].overlap_interval) for own in (None, pieces)]
    assert widths[1] > 1.5 * widths[0]


def test_draws_take_whole_pieces():
    pieces = np.array(["b", "a", "b", "c", "c"])
    for seed in range(20):
        drawn = resampled(pieces, np.random.default_rng(seed))
        times = {name: [int((drawn == k).sum()) for k in np.flatnonzero(pieces == name)] for name in "abc"}
        assert all(len(set(own)) == 1 for own in times.values())  # windows of a piece come together
        assert sum(own[0] for own in times.values()) == 3  # as many pieces as there are


def test_memory_is_bounded():
    """4000 samples in full would need two matrices of 128 MB."""
    a, b = {"x": normal(0, 1, (4000, 1))}, {"x": normal(0, 1, (4000, 1), seed=1)}
    tracemalloc.start()
    compare(a, b, at_most=200, draws=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_bad_input_is_named():
    x = {"x": np.zeros((3, 1))}
    with pytest.raises(ValueError, match="at least two"):
        compare(x, {"x": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="2 pieces are named for 3"):
        compare(x, x, pieces=[0, 1])


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """N(0, 1) against N(1.5, 1): differences are N(0, √2) and N(±1.5, √2), so both truths are known.

    100 simulations at a true rate of 95 % give at least 87 hits in all but one of a thousand runs.
    """
    x, sd = np.linspace(0, 15, 50_001), math.sqrt(2)
    p, q = 2 * norm.pdf(x, 0, sd), norm.pdf(x, 1.5, sd) + norm.pdf(x, -1.5, sd)
    kl, area = (p * np.log(p / q)).sum() * (x[1] - x[0]), np.minimum(p, q).sum() * (x[1] - x[0])
    hits = np.zeros(2)
    for seed in range(100):
        a, b = {"x": normal(0, 1, (100, 1), 2 * seed)}, {"x": normal(1.5, 1, (100, 1), 2 * seed + 1)}
        c = compare(a, b, draws=60)[0]
        hits += [low <= truth <= high for truth, (low, high) in ((kl, c.kl_interval), (area, c.overlap_interval))]
    assert hits.min() >= 87
