"""Scores of models whose answers are known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from musiclib.musicvae import evaluation
from musiclib.musicvae.data import HOLD, KEYS, NOTE_OFF
from musiclib.musicvae.evaluation import active_dimensions, gain, reconstruction, standard_error
from musiclib.musicvae.model import MusicVAE, MusicVAEConfig
from musiclib.posterior import Posterior

MELODY = torch.tensor(
    [
        [60, HOLD, 62, HOLD, 64, HOLD, NOTE_OFF, HOLD],
        [60, HOLD, 62, HOLD, 64, HOLD, NOTE_OFF, HOLD],
        [60, 60, 60, 60, 60, 60, 60, 60],
        [NOTE_OFF, HOLD, HOLD, HOLD, HOLD, HOLD, HOLD, 72],
    ],
    dtype=torch.uint8,
)


class Shelf:
    """Windows written out."""

    def __init__(self, x, piece=None):
        self.x, self.piece = x, torch.arange(len(x)) if piece is None else torch.tensor(piece)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index]


class Parrot(nn.Module):
    """Remembers all in µ, and gives it back with a mistake of its own for each way of decoding, at 2 nats each."""

    def __init__(self, taught=lambda x: x, alone=lambda x: x, drawn=lambda x: x, sigma=1.0):
        super().__init__()
        self.taught, self.alone, self.drawn, self.sigma = taught, alone, drawn, sigma
        self.place = nn.Parameter(torch.zeros(1))  # says on which device the model is

    def encode(self, x):
        mu = x.flatten(1).float()
        self.shape = x.shape[1:]
        return Posterior(mu, torch.full_like(mu, self.sigma))

    def logits(self, x, mu):
        assert torch.equal(mu, x.flatten(1).float())
        return self.taught(x)

    def draw(self, logits, temperature):
        assert temperature == 0
        return logits

    def sample(self, mu, temperature):
        x = mu.unflatten(1, self.shape).to(torch.uint8)
        return self.drawn(x) if temperature else self.alone(x)

    def negative_log_likelihood(self, x, logits):
        return 2.0 * (x != logits).flatten(1).float().sum(1)


def with_step(step, value):
    def changed(x):
        x = x.clone()
        x[:, step] = value
        return x

    return changed


def test_a_perfect_parrot():
    found = reconstruction(Parrot(), Shelf(MELODY))
    for way in ("teacher_forced", "sampled", "drawn"):
        assert found[way] == found[f"{way}_note_f1"] == 1
    assert found["teacher_forced_standard_error"] == found["sampled_standard_error"] == 0
    assert found["negative_log_likelihood"] == 0
    assert found["windows"] == 4


def test_mistakes_by_hand():
    """Taught, it misses a hold; alone, a note; drawn, it strikes a note too many."""
    found = reconstruction(Parrot(with_step(1, NOTE_OFF), with_step(2, HOLD), with_step(3, 61)), Shelf(MELODY[:2]))
    assert [found[way] for way in ("teacher_forced", "sampled", "drawn")] == [7 / 8] * 3
    assert found["teacher_forced_note_f1"] == 1  # of three notes none is missing
    assert found["sampled_note_f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert found["drawn_note_f1"] == pytest.approx(2 * 3 / (3 + 4))
    assert found["negative_log_likelihood"] == 2


def test_gain_by_hand():
    """The other misses step 2 of both windows, which one of two pieces holds anyway: a gain of 1/4 and of 0."""
    x = torch.tensor([[60, HOLD, 62, HOLD], [64, HOLD, HOLD, HOLD]], dtype=torch.uint8)
    found = gain(Parrot(), Parrot(alone=with_step(2, HOLD)), Shelf(x))
    assert found["sampled"] == pytest.approx(1 / 8)
    assert found["sampled_standard_error"] == pytest.approx(math.sqrt(2 * (1 / 8) ** 2) / 2)
    assert found["teacher_forced"] == found["teacher_forced_standard_error"] == 0
    assert gain(Parrot(alone=with_step(2, HOLD)), Parrot(), Shelf(x))["sampled"] == pytest.approx(-1 / 8)


def test_a_note_counts_at_its_pitch_and_its_step():
    """An octave off, or a step late, it is a note missing and a note too many."""
    octave = reconstruction(Parrot(alone=lambda x: torch.where(x == 62, 74, x)), Shelf(MELODY[:1]))
    late = reconstruction(Parrot(alone=lambda x: x.roll(1, 1)), Shelf(MELODY[:1]))
    assert octave["sampled_note_f1"] == pytest.approx(2 * 2 / 6)
    assert late["sampled_note_f1"] == 0


def test_f1_counts_notes_of_all_windows_together():
    """The fourth has one note, missed; the third eight, found: F1 = 2 · 8 / (9 + 8), no mean of 1 and 0."""
    found = reconstruction(Parrot(alone=lambda x: torch.where(x == 72, HOLD, x)), Shelf(MELODY[2:]))
    assert found["sampled_note_f1"] == pytest.approx(16 / 17)
    assert found["sampled"] == 15 / 16


def test_unchanged_is_what_holding_on_would_score():
    assert reconstruction(Parrot(), Shelf(MELODY))["unchanged"] == pytest.approx((4 + 4 + 0 + 6) / 32)


def test_a_roll_by_hand():
    """Two steps, 176 bits each: 2 sound, 1 is struck. It forgets that it was struck, and hears another key."""
    x = torch.zeros(1, 2, 2 * KEYS, dtype=torch.uint8)
    x[0, :, 40] = x[0, 0, KEYS + 40] = 1

    def other(x):
        x = x.clone()
        x[0, 0, KEYS + 40], x[0, 0, KEYS + 41] = 0, 1
        return x

    found = reconstruction(Parrot(alone=other), Shelf(x))
    assert found["sampled"] == pytest.approx(350 / 352)
    assert (found["teacher_forced_note_f1"], found["sampled_note_f1"]) == (1, 0)
    assert found["unchanged"] == pytest.approx(349 / 352)


def test_kl_by_hand():
    """Σ (µ² + σ² − 1) / 2 − ln σ over the eight tokens."""
    x = torch.tensor([[1, 0, 0, 0, 0, 0, 0, 2]], dtype=torch.uint8)
    assert reconstruction(Parrot(sigma=0.5), Shelf(x))["kl"] == pytest.approx(5 / 2 - 8 * 0.375 + 8 * math.log(2))


def test_silence_found_in_silence_is_no_note():
    x = torch.full((2, 8), HOLD, dtype=torch.uint8)
    assert reconstruction(Parrot(), Shelf(x))["sampled_note_f1"] == 0


def test_standard_error_by_hand():
    """Two pieces of two windows that agree within: mean 0.5, sums ±1, so √(1 + 1) / 4; told apart, half as sure."""
    values = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert standard_error(values, torch.tensor([0, 0, 1, 1])) == pytest.approx(math.sqrt(2) / 4)
    assert standard_error(values, torch.arange(4)) == pytest.approx(math.sqrt(4 * 0.25) / 4)
    assert standard_error(values, torch.tensor([0, 1, 0, 1])) == 0  # each piece is like the whole
    assert standard_error(values, torch.tensor([7, 7, 3, 3])) == pytest.approx(math.sqrt(2) / 4)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.integers(1, 5))
def test_copies_of_each_window_say_nothing_new(values, copies):
    x = torch.tensor(values, dtype=torch.float64)
    alone = standard_error(x, torch.arange(len(x)))
    copied = standard_error(x.repeat_interleave(copies), torch.arange(len(x)).repeat_interleave(copies))
    assert copied == pytest.approx(alone, abs=1e-12)


def test_the_standard_error_is_over_pieces():
    """The first two windows are wrong at one step of eight, in one piece: sums ∓2/16 and ±2/16, over 4 windows."""

    def alone(x):
        x = x.clone()
        x[:2, 0] = 1
        return x

    found = reconstruction(Parrot(alone=alone), Shelf(MELODY, piece=[0, 0, 1, 1]))
    assert found["sampled"] == pytest.approx(15 / 16)
    assert found["sampled_standard_error"] == pytest.approx(math.sqrt(2 * (2 / 16) ** 2) / 4)


def test_a_limit_takes_windows_spread_evenly():
    seen = []

    def remember(x):
        seen.extend(x[:, 0].tolist())
        return x

    x = torch.arange(101, dtype=torch.uint8)[:, None].expand(-1, 4).contiguous()
    found = reconstruction(Parrot(alone=remember), Shelf(x), limit=5)
    assert seen == [0, 25, 50, 75, 100]
    assert found["windows"] == 5
    assert reconstruction(Parrot(), Shelf(x), limit=1000)["windows"] == 101


def test_batches_make_no_difference(monkeypatch):
    parrot = Parrot(alone=with_step(2, HOLD))
    whole = reconstruction(parrot, Shelf(MELODY))
    monkeypatch.setattr(evaluation, "BATCH", 3)
    assert reconstruction(parrot, Shelf(MELODY)) == whole


def test_scoring_repeats_and_leaves_model_and_random_state_alone():
    model = MusicVAE(MusicVAEConfig(bars=1, bar_steps=8, latent=4, encoder_width=4, decoder_width=4))
    state = torch.random.get_rng_state()
    first, second = (reconstruction(model, Shelf(MELODY)) for _ in range(2))
    assert first == second and model.training
    assert torch.equal(state, torch.random.get_rng_state())
    reconstruction(model.eval(), Shelf(MELODY))
    assert not model.training
    assert 0 < first["negative_log_likelihood"] < 8 * 2 * math.log(130)


def test_active_dimensions_by_hand():
    """Three dimensions: one constant, one that trembles, one that says something."""
    x = torch.zeros(40, 3)
    x[:, 1] = torch.arange(40) % 2 * 0.1  # variance 0.0025
    x[:, 2] = torch.arange(40) % 2
    assert active_dimensions(Parrot(), Shelf(x)) == 1
    assert active_dimensions(Parrot(), Shelf(x), threshold=1e-3) == 2
    assert active_dimensions(Parrot(), Shelf(x), limit=40, threshold=-1) == 3
