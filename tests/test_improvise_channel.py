"""The rate-limited channel: golden allocations, laws of water-filling, and the channel's moments."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiclib.improvise.channel import allocate, distortion, fill, moments, transmit

GOLDEN = json.loads((Path(__file__).parent / "golden" / "bit_allocation.json").read_text())
variances = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=30).map(lambda x: torch.tensor(x, dtype=torch.float64))


@pytest.mark.parametrize("golden", GOLDEN, ids=[f"{g['bits']} bits" for g in GOLDEN])
def test_whole_bits_are_the_references(golden):
    variance = torch.tensor(golden["variance"], dtype=torch.float64)
    assert allocate(variance, golden["bits"]).tolist() == golden["allocation"]


def test_by_hand():
    """16 gets two bits before 1 has one, a tie goes to the first."""
    assert allocate(torch.tensor([1.0, 16.0]), 3).tolist() == [1, 2]
    assert allocate(torch.tensor([1.0, 1.0]), 1).tolist() == [1, 0]
    assert fill(torch.tensor([1.0, 16.0]), 4.0).tolist() == [1, 3]  # level 1/4
    assert fill(torch.tensor([1.0, 16.0]), 1.0).tolist() == [0, 1]  # level 4: the small one is under water


@given(variances, st.integers(0, 300))
def test_bits_are_spent_exactly_and_where_the_variance_is_largest(variance, bits):
    whole, parts = allocate(variance, bits), fill(variance, bits)
    for rate in (whole, parts):
        assert rate.sum().item() == pytest.approx(bits, abs=1e-6) and (rate >= 0).all()
        order = variance.argsort(stable=True)
        smaller, larger = order[:-1], order[1:]
        fewer = rate[larger] < rate[smaller] - 1e-9
        assert not (fewer & (variance[larger] > variance[smaller])).any(), "no larger variance gets fewer bits"
    if bits:
        left = distortion(variance, whole)
        assert left.max() <= 4 * left[whole > 0].min() * (1 + 1e-9), "levels differ by one bit at most"
        water = distortion(variance, parts)[parts > 0]
        torch.testing.assert_close(water, water[:1].expand_as(water), rtol=1e-6, atol=0)
        assert (variance[parts == 0] <= water.max() * (1 + 1e-9)).all(), "what is under water gets none"


@given(variances, st.integers(0, 200))
def test_whole_bits_approach_parts_of_bits(variance, bits):
    assert (allocate(variance, bits) - fill(variance, bits)).abs().max() <= 1 + 1e-6


@given(st.integers(0, 2**16), st.floats(0, 200))
def test_rows_are_filled_one_by_one(seed, bits):
    rows = torch.rand(5, 12, generator=torch.Generator().manual_seed(seed)).double() + 1e-3
    torch.testing.assert_close(fill(rows, bits), torch.stack([fill(row, bits) for row in rows]))


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0, 3.0])
def test_moments_by_monte_carlo(rate):
    """One z sent very often: mean and variance of what arrives are the formula's."""
    z, mean, variance = torch.tensor([2.0]), torch.tensor([-1.0]), torch.tensor([4.0])
    generator = torch.Generator().manual_seed(0)
    arrived = transmit(*(x.expand(400_000) for x in (z, mean, variance, torch.tensor([rate]))), generator)
    assert arrived.mean().item() == pytest.approx(-(2 ** (-2 * rate)) + 2 * (1 - 2 ** (-2 * rate)), abs=0.01)
    assert arrived.var().item() == pytest.approx(4 * 2 ** (-4 * rate) * (2 ** (2 * rate) - 1), abs=0.01)


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_what_is_lost_is_the_distortion_of_the_rate(rate):
    """Over all z that may be sent, the mean squared error is D(R) = σ² 2^(−2R), and the spread that of z less D."""
    generator = torch.Generator().manual_seed(1)
    z = 3.0 + 2.0 * torch.randn(400_000, generator=generator)
    mean, variance, rates = (torch.full_like(z, value) for value in (3.0, 4.0, rate))
    arrived = transmit(z, mean, variance, rates, generator)
    distortion = 4 * 2 ** (-2 * rate)
    assert (arrived - z).square().mean().item() == pytest.approx(distortion, rel=0.02)
    assert arrived.var().item() == pytest.approx(4 - distortion, rel=0.02)


def test_limits():
    z, mean, variance = torch.randn(50), torch.randn(50), torch.rand(50)
    assert torch.equal(transmit(z, mean, variance, torch.zeros(50)), mean)
    assert torch.equal(transmit(z, mean, variance, torch.full((50,), math.inf)), z)
    expected, spread = moments(z, mean, variance, torch.full((50,), 40.0))
    torch.testing.assert_close(expected, z)
    assert spread.max() < 1e-20


@pytest.mark.parametrize("spend", [allocate, fill])
def test_bad_input(spend):
    for variance in (torch.tensor([1.0, -1.0]), torch.tensor([float("nan")])):
        with pytest.raises(ValueError, match="variance"):
            spend(variance, 3)
    with pytest.raises(ValueError, match="bits from 0"):
        spend(torch.ones(2), -1)
    with pytest.raises(ValueError, match="nothing to spend"):
        spend(torch.zeros(2), 1)
    assert spend(torch.zeros(2), 0).tolist() == [0, 0]
