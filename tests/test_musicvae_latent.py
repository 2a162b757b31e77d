"""The latent space: arcs keep their laws, ends are exact, and the measures know hand-made answers."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiclib.musicvae import latent
from musiclib.musicvae.latent import average, between, crossfade, evenness, hamming, interval, pairs, slerp, ways
from musiclib.musicvae.model import MusicVAE, MusicVAEConfig

CONFIG = MusicVAEConfig(values=7, bars=2, bar_steps=4, latent=5, encoder_width=6, decoder_width=8)
seeds, shares = st.integers(0, 1000), st.floats(0, 1)


def vectors(seed, dimensions=6):
    a, b = torch.randn(2, dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return a, b


def angle(x, y):
    return math.acos(min(1.0, float(x @ y / x.norm() / y.norm())))


def test_a_quarter_of_a_circle_by_hand():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(slerp(a, b, 0.5), torch.full((2,), math.sqrt(2)))
    torch.testing.assert_close(slerp(a, b, 1 / 3), torch.tensor([math.sqrt(3), 1.0]))


@given(seeds)
def test_the_arc_ends_at_its_ends(seed):
    a, b = vectors(seed)
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)


@given(seeds, shares)
def test_there_and_back_are_one_arc(seed, share):
    a, b = vectors(seed)
    torch.testing.assert_close(slerp(a, b, share), slerp(b, a, 1 - share))


@given(seeds, shares)
def test_the_arc_of_equal_lengths_keeps_the_length_and_its_angle_grows_evenly(seed, share):
    a, b = vectors(seed)
    b = b * a.norm() / b.norm()
    z = slerp(a, b, share)
    assert float(z.norm()) == pytest.approx(float(a.norm()))
    assert angle(a, z) == pytest.approx(share * angle(a, b), abs=1e-6)


@given(shares, st.sampled_from([0.0, 1e-6, -2.5, 3.0]))
def test_without_an_arc_it_is_the_straight_line(share, factor):
    a = torch.tensor([1.0, 2.0, -2.0])
    b = factor * a
    torch.testing.assert_close(slerp(a, b, share), (1 - share) * a + share * b)
    torch.testing.assert_close(slerp(b, a, share), (1 - share) * b + share * a)


def test_nearly_the_same_way_is_nearly_the_straight_line():
    """Nothing jumps where the rule changes."""
    a = torch.tensor([1.0, 0.0])
    for turn in (1e-7, 0.99e-4, 1.01e-4, 1e-3):
        b = 2 * torch.tensor([math.cos(turn), math.sin(turn)])
        torch.testing.assert_close(slerp(a, b, 0.3), 0.7 * a + 0.3 * b, atol=1e-5, rtol=0)


def test_many_pairs_and_many_shares_are_each_alone():
    a, b, share = torch.randn(4, 6), torch.randn(4, 6), torch.tensor([0.0, 0.2, 0.9])
    a[1], b[2] = 0, a[2]  # two without an arc among them
    both = slerp(a, b, share)
    assert both.shape == (3, 4, 6)
    assert slerp(a, b, 0.5).shape == (4, 6) and slerp(a[0], b[0], share).shape == (3, 6)
    for i in range(3):
        for j in range(4):
            torch.testing.assert_close(both[i, j], slerp(a[j], b[j], float(share[i])))


def test_the_average_of_two_is_the_middle_of_their_arc():
    a, b = vectors(3)
    b = b * a.norm() / b.norm()
    torch.testing.assert_close(average(torch.stack([a, b])), slerp(a, b, 0.5))
    many = torch.randn(50, 6)
    assert float(average(many).norm()) == pytest.approx(float(many.norm(dim=1).mean()))
    assert not average(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).any()  # no middle: the origin


@pytest.mark.parametrize("kind", ["melody", "roll"])
def test_between_begins_and_ends_with_reconstructions(kind):
    model = MusicVAE(replace(CONFIG, kind=kind))
    shape = (2, 8) if kind == "melody" else (2, 8, 7)
    x = torch.randint(2, shape, dtype=torch.uint8)
    steps = between(model, x[0], x[1], 5)
    assert steps.shape == (5, *shape[1:]) and steps.dtype == torch.uint8
    rebuilt = model.sample(model.encode(x).mu, 0.0)
    assert torch.equal(steps[0], rebuilt[0].to(torch.uint8)) and torch.equal(steps[-1], rebuilt[1].to(torch.uint8))


@given(seeds, st.integers(2, 9), st.booleans())
def test_a_crossfade_goes_from_one_to_the_other_and_each_step_changes_hands_once(seed, steps, roll):
    generator = torch.Generator().manual_seed(seed)
    x_a = torch.zeros(12, 3) if roll else torch.zeros(12)
    faded = crossfade(x_a, x_a + 1, steps, generator)
    assert torch.equal(faded[0], x_a) and torch.equal(faded[-1], x_a + 1)
    assert (faded.diff(dim=0) >= 0).all()
    if roll:
        assert (faded == faded[..., :1]).all()  # a step's bits stay together


def test_a_crossfade_takes_its_share():
    faded = crossfade(torch.zeros(40_000), torch.ones(40_000), 5)
    torch.testing.assert_close(faded.mean(1), torch.linspace(0, 1, 5), atol=0.01, rtol=0)


def test_crossfades_repeat_with_their_generator():
    first, second, other = (
        crossfade(torch.zeros(64), torch.ones(64), 4, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


class Listed:
    """Windows that are their own numbers."""

    def __init__(self, *pieces):
        self.piece = torch.tensor(pieces)

    def __len__(self):
        return len(self.piece)

    def __getitem__(self, index):
        return index[:, None].expand(-1, 4)


def test_each_piece_is_in_one_pair():
    windows = Listed(0, 0, 0, 1, 1, 4, 4, 4, 4, 5, 6)
    seen = set()
    for seed in range(40):
        x_a, x_b = pairs(windows, seed)
        assert x_a.shape == x_b.shape == (2, 4)  # five pieces
        chosen = torch.cat([x_a, x_b])[:, 0]
        assert len(windows.piece[chosen].unique()) == 4
        seen |= set(chosen.tolist())
    assert seen == set(range(11))  # any window of a piece may be drawn
    assert torch.equal(pairs(windows, 3)[0], pairs(windows, 3)[0])
    with pytest.raises(ValueError, match="One piece makes no pair"):
        pairs(Listed(2, 2, 2))


def test_hamming_by_hand():
    x = torch.tensor([[60, 129, 129, 62], [60, 129, 64, 129]])
    assert hamming(x, x.flip(0)).tolist() == [0.5, 0.5]
    assert hamming(torch.stack([x, x[:1].expand(2, 4)]), x).tolist() == [[0.0, 0.0], [0.0, 0.5]]
    bits = torch.zeros(1, 4, 3)
    other = bits.clone()
    other[0, 1] = 1  # three bits of one step
    assert hamming(other, bits).tolist() == [0.25]


def test_evenness_of_a_made_up_way():
    """Halfway it is as far from both, and 8 nats less likely than the mean of the ends over 4 steps."""
    x_a, x_b = torch.zeros(1, 4), torch.ones(1, 4)
    way = torch.stack([x_a, torch.tensor([[0.0, 1.0, 0.0, 1.0]]), x_b])

    def log_likelihood(x):
        return -2 * x.sum(1).double() - 8 * (x.diff().abs().sum(1) > 0)  # A: 0, B: -8, the middle: -4 - 8

    found = evenness(way, x_a, x_b, log_likelihood)
    assert found["to_a"].tolist() == [[0.0], [0.5], [1.0]]
    assert found["to_b"].tolist() == [[1.0], [0.5], [0.0]]
    assert found["relative_log_likelihood"].tolist() == [[0.0], [-2.0], [0.0]]
    assert set(evenness(way, x_a, x_b)) == {"to_a", "to_b"}


def test_ways_repeat_and_leave_the_random_state_alone():
    model, x = MusicVAE(CONFIG), torch.randint(7, (2, 3, 8), dtype=torch.uint8)
    state = torch.random.get_rng_state()
    first, second = (ways(model, x[0], x[1], 4, temperature=1.0) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    for name in ("slerp", "crossfade"):
        assert first[name].shape == (4, 3, 8)
        assert torch.equal(first[name], second[name])
    assert torch.equal(first["crossfade"][0], x[0]) and torch.equal(first["crossfade"][-1], x[1])


def test_many_pairs_are_decoded_in_batches(monkeypatch):
    monkeypatch.setattr(latent, "BATCH", 5)
    model, x = MusicVAE(CONFIG), torch.randint(7, (2, 4, 8), dtype=torch.uint8)
    arc = ways(model, x[0], x[1], 3)["slerp"]
    for pair in range(4):
        assert torch.equal(arc[:, pair], between(model, x[0, pair], x[1, pair], 3))


def test_intervals_hold_what_they_promise():
    """Of 400 experiments with 50 pairs, about 95 % hold the true mean."""
    draws = torch.randn(400, 50)  # 400 steps stand for 400 experiments
    low, high = interval(draws)
    assert 0.92 <= ((low < 0) & (high > 0)).float().mean() <= 0.98


class Shelf:
    """Windows that are there already."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index]


def test_fitted_codes_lie_where_z_does():
    """Mean and covariance of many z that the encoder draws over the same windows."""
    torch.manual_seed(0)
    model, x = MusicVAE(CONFIG), torch.randint(7, (300, 8))
    with torch.no_grad():
        model.encoder.mu.weight.mul_(10)  # codes that differ, and hang together
    fitted = latent.fit_codes(model, Shelf(x))
    with torch.no_grad():
        z = model.encode(x.repeat(300, 1)).sample()
    torch.testing.assert_close(fitted.mean, z.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(fitted.factor @ fitted.factor.T, torch.cov(z.T), atol=0.03, rtol=0.02)
    drawn = fitted.draw(torch.randn(200_000, 5))
    torch.testing.assert_close(drawn.mean(0), fitted.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), fitted.factor @ fitted.factor.T, atol=0.03, rtol=0.02)


def test_one_window_has_codes_too():
    model, x = MusicVAE(CONFIG), torch.randint(7, (1, 8))
    fitted = latent.fit_codes(model, Shelf(x))
    with torch.no_grad():
        torch.testing.assert_close(fitted.factor, model.encode(x).sigma[0].diag())
