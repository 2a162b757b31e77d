"""The Markov chain: counts by hand, a law of probability for any corpus, and what smoothing and order do."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.musicvae.data import BAR_STEPS, HOLD, NOTE_OFF, TOKENS
from musiclib.musicvae.markov import MOST_ORDER, fit

C, D, E = 60, 62, 64


def tokens(*rows):
    return torch.tensor(rows, dtype=torch.uint8)


def probability(chain, *melody):
    return math.exp(chain.log_likelihood(tokens(melody)).item())


@st.composite
def corpora(draw, alphabet=(C, D, NOTE_OFF, HOLD)):
    """Up to six melodies of one length, up to a bar: after a longer one the chain may stand where no melody went on."""
    steps = draw(st.integers(1, BAR_STEPS))
    row = st.lists(st.sampled_from(alphabet), min_size=steps, max_size=steps)
    return tokens(*draw(st.lists(row, min_size=1, max_size=6)))


# ------------------------------------------------------------------------------------------------------ by hand


def test_relative_frequencies_by_hand():
    """Of four melodies three begin with C; of these two go on to D, one holds."""
    chain = fit(tokens([C, D], [C, D], [C, HOLD], [E, E]), order=1, smoothing=0)
    assert probability(chain, C) == pytest.approx(3 / 4)
    assert probability(chain, C, D) == pytest.approx(3 / 4 * 2 / 3)
    assert probability(chain, C, HOLD) == pytest.approx(3 / 4 * 1 / 3)
    assert probability(chain, E, E) == pytest.approx(1 / 4)
    assert probability(chain, C, E) == 0


def test_order_0_forgets_the_note():
    """At the second step, whatever the first: D twice, a hold once, E once."""
    chain = fit(tokens([C, D], [C, D], [C, HOLD], [E, E]), order=0, smoothing=0)
    assert probability(chain, C, E) == pytest.approx(3 / 4 * 1 / 4)
    assert probability(chain, E, D) == pytest.approx(1 / 4 * 1 / 2)


def test_smoothing_by_hand():
    """After C, of order 1: D twice, hold once, two kinds. Of order 0: D 2, hold 1, E 1, three kinds. s = 1.
    Of all eight tokens C is three, D two, E two."""
    chain = fit(tokens([C, D], [C, D], [C, HOLD], [E, E]), order=1, smoothing=1)
    p_c = (3 + 2 * (3 + 2 * 3 / 8) / (4 + 2)) / (4 + 2)  # the first step has one context, at either order
    p_d = (2 + 2 * (2 + 3 * 2 / 8) / (4 + 3)) / (3 + 2)
    p_e = (0 + 2 * (1 + 3 * 2 / 8) / (4 + 3)) / (3 + 2)
    assert probability(chain, C, D) == pytest.approx(p_c * p_d, rel=1e-5)
    assert probability(chain, C, E) == pytest.approx(p_c * p_e, rel=1e-5)


def test_a_hold_does_not_hide_the_note():
    """Order 1 still knows after three holds which note sounds."""
    chain = fit(tokens([C, HOLD, HOLD, HOLD, D], [E, HOLD, HOLD, HOLD, C]), order=1, smoothing=0)
    assert probability(chain, C, HOLD, HOLD, HOLD, D) == pytest.approx(1 / 2)
    assert probability(chain, C, HOLD, HOLD, HOLD, C) == 0


def test_the_age_of_a_note_counts():
    """C on the second step is held for two more, C on the first for three; at the fourth step only age differs."""
    chain = fit(tokens([C, HOLD, HOLD, HOLD, D], [D, C, HOLD, HOLD, HOLD]), order=1, smoothing=0)
    assert probability(chain, C, HOLD, HOLD, HOLD, D) == pytest.approx(1 / 2)
    assert probability(chain, D, C, HOLD, HOLD, HOLD) == pytest.approx(1 / 2)


def test_the_step_within_the_bar_counts():
    """In every bar: C, 14 holds, D. A chain that did not count steps could not know that D comes last."""
    bar = [C, *[HOLD] * (BAR_STEPS - 2), D]
    chain = fit(tokens(bar * 4), order=1, smoothing=0)
    assert chain.sample(3, 6 * BAR_STEPS).tolist() == [bar * 6] * 3


def test_what_was_never_seen_falls_back():
    """D, E was seen, C, E was not: after D, E, and after C, E, what comes after any E at that step."""
    chain = fit(tokens([D, E, C], [C, D, E]), order=2, smoothing=0)
    assert chain.log_likelihood(tokens([D, E, C])).item() == pytest.approx(math.log(1 / 2))
    longer = fit(tokens([D, E, C], [C, D, E], [C, E, E]), order=2, smoothing=0)
    assert probability(longer, D, E, C) == pytest.approx(1 / 3)
    assert probability(longer, C, E, E) == pytest.approx(1 / 3)


# --------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=12, deadline=None)
@given(corpora(), st.integers(0, MOST_ORDER), st.sampled_from([0.0, 1.0, 16.0]))
def test_all_melodies_together_have_probability_1(corpus, order, smoothing):
    """All 130 × 130 of two steps."""
    chain = fit(corpus, order, smoothing)
    everything = torch.cartesian_prod(torch.arange(TOKENS), torch.arange(TOKENS)).to(torch.uint8)
    assert chain.log_likelihood(everything).exp().sum().item() == pytest.approx(1, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(st.data(), st.integers(0, MOST_ORDER))
def test_a_small_alphabet_is_closed_without_smoothing(data, order):
    """All melodies of C, D and holds have probability 1, for a chain that has seen these alone, at every step."""
    row = st.lists(st.sampled_from((C, D, HOLD)), min_size=4, max_size=4)
    every_age = [[C] * 4, [HOLD] * 4, [C, HOLD, HOLD, HOLD], [C, C, HOLD, HOLD], [C, C, C, HOLD]]
    seen = data.draw(st.lists(row, max_size=5)) + every_age
    chain = fit(tokens(*seen), order, 0)
    everything = tokens(*itertools.product((C, D, HOLD), repeat=4))
    assert chain.log_likelihood(everything).exp().sum().item() == pytest.approx(1, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(corpora())
def test_a_longer_memory_fits_the_training_data_better(corpus):
    fits = [fit(corpus, order, 0).log_likelihood(corpus).sum().item() for order in range(MOST_ORDER + 1)]
    assert all(longer >= shorter - 1e-9 for shorter, longer in itertools.pairwise(fits))


@settings(max_examples=12, deadline=None)
@given(corpora(), st.integers(0, 3))
def test_samples_do_only_what_was_seen(corpus, order):
    """Without smoothing: every event of a sample has followed the event before it in the corpus, at that step, after
    that time."""

    def transitions(rows):
        found = set()
        for row in rows.tolist():
            newest, age = [None] * order, 1
            for t, token in enumerate(row):
                found.add((t, age, *newest, token))
                newest, age = (newest, age + 1) if token == HOLD else ([token, *newest][:order], 1)
        return found

    drawn = fit(corpus, order, 0).sample(20, corpus.shape[1], torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (20, corpus.shape[1])
    assert transitions(drawn) <= transitions(corpus)


def test_samples_come_as_often_as_they_are_likely():
    chain = fit(tokens([C, D], [C, D], [C, HOLD], [E, E]), order=1, smoothing=0)
    drawn = chain.sample(4000, 2, torch.Generator().manual_seed(0))
    assert (drawn == torch.tensor([C, D])).all(1).double().mean().item() == pytest.approx(1 / 2, abs=0.03)


def test_smoothing_invents_no_note():
    """Any melody is possible, one that was never heard hardly; samples keep to the pitches that were."""
    chain = fit(torch.randint(60, 72, (20, 32), dtype=torch.uint8), order=2, smoothing=128)
    drawn = chain.sample(50, 32, torch.Generator().manual_seed(0))
    assert drawn.min() >= 60
    assert drawn.max() < 72
    assert 0 < probability(chain, 100) < 1e-6


def test_a_generator_repeats():
    chain = fit(torch.randint(60, 72, (20, 32), dtype=torch.uint8), order=2, smoothing=1)
    one, two, three = (chain.sample(4, 32, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize(
    ("corpus", "order", "smoothing"),
    [
        (torch.zeros(0, 4, dtype=torch.uint8), 1, 1),
        (torch.zeros(4, dtype=torch.uint8), 1, 1),
        (torch.full((1, 4), TOKENS, dtype=torch.uint8), 1, 1),
        (torch.zeros(1, 4, dtype=torch.uint8), MOST_ORDER + 1, 1),
        (torch.zeros(1, 4, dtype=torch.uint8), -1, 1),
        (torch.zeros(1, 4, dtype=torch.uint8), 1, -1),
    ],
)
def test_what_cannot_be_counted_is_refused(corpus, order, smoothing):
    with pytest.raises(ValueError, match="A Markov chain"):
        fit(corpus, order, smoothing)
