"""Attributes on rolls small enough to compute by hand; vectors and leakage where a linear decoder gives the answer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rolls import roll_of, rolls
from torch import Tensor

from musiclib.musicvae import attributes
from musiclib.musicvae.attributes import (
    ATTRIBUTES,
    attribute_values,
    attribute_vectors,
    decorrelated_vectors,
    leakage,
    leaked_share,
)
from musiclib.pianoroll import PianoRoll


def rhythm(*onsets: int) -> PianoRoll:
    """One bar with 16ths at the given steps."""
    return roll_of(16, *((t, t + 1, 60) for t in onsets))


# -------------------------------------------------------------------------------------------------------- attributes


def test_density_counts_every_note_of_a_chord():
    assert attributes.note_density(roll_of(16, (0, 4, 60), (0, 4, 64), (8, 16, 67))) == 3 / 16


@pytest.mark.parametrize(
    ("onsets", "share"),
    [
        ((0, 4, 8, 12), 0),  # on the beat
        ((0, 3, 4, 7, 8), 2 / 5),  # 3 and 7 come early, with nothing at 2 and 6
        ((0, 1, 2, 3), 0),  # a run of 16ths: each odd one follows an onset
        ((2, 6, 10), 0),  # off-beat 8ths are no 16ths
        ((15,), 1),
    ],
)
def test_16th_note_syncopation(onsets, share):
    assert attributes.syncopation_16th(rhythm(*onsets)) == share


@pytest.mark.parametrize(
    ("onsets", "share"),
    [
        ((0, 4, 8, 12), 0),
        ((2, 6), 1),
        ((0, 2), 0),  # the beat before has an onset
        ((0, 5, 6), 0),  # the 16th before has one
        ((3, 7, 14), 1 / 3),  # only 14: odd 16ths are no 8ths
    ],
)
def test_8th_note_syncopation(onsets, share):
    assert attributes.syncopation_8th(rhythm(*onsets)) == share


def test_a_syncopated_chord_is_one_onset():
    chord = roll_of(16, (0, 2, 60), (3, 4, 60), (3, 4, 64), (3, 4, 67))
    assert attributes.syncopation_16th(chord) == 1 / 2


def test_diatonicity_and_register():
    """C, D, F♯, G: three of four in C major, all in G major. C, C♯, D: no major key has more than two of them."""
    g_major = roll_of(16, (0, 4, 60), (4, 8, 62), (8, 12, 66), (12, 16, 67))
    assert attributes.c_diatonic(g_major) == 3 / 4
    assert attributes.diatonicity(g_major) == 1
    assert attributes.register(g_major) == (0 + 2 + 6 + 7) / 4
    assert attributes.diatonicity(roll_of(16, (0, 4, 60), (4, 8, 61), (8, 12, 62))) == pytest.approx(2 / 3)


def test_average_interval_is_the_feature_s():
    assert ATTRIBUTES["average interval"](roll_of(8, (0, 4, 60), (4, 6, 64), (6, 8, 57))) == (4 + 7) / 2


def test_a_roll_without_notes_has_zeros_and_a_single_note_its_shares():
    for empty in (roll_of(16), roll_of(0)):
        assert all(float(v) == 0 for v in attribute_values([empty]).values())
    single = {name: float(v) for name, v in attribute_values([roll_of(16, (3, 4, 61))]).items()}
    assert single == {
        "note density": 1 / 16, "average interval": 0, "16th-note syncopation": 1, "8th-note syncopation": 0,
        "C diatonic": 0, "diatonicity": 1, "register": 1,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(roll=rolls(), semitones=st.integers(-12, 12))
def test_transposition_changes_register_and_c_diatonic_only(roll, semitones):
    transposed = PianoRoll(np.roll(roll.sounding, semitones, 1), np.roll(roll.onset, semitones, 1))
    for name in ATTRIBUTES.keys() - {"register", "C diatonic"}:
        assert ATTRIBUTES[name](transposed) == pytest.approx(ATTRIBUTES[name](roll)), name
    if roll.onset.any():
        assert attributes.register(transposed) == pytest.approx(attributes.register(roll) + semitones)


@settings(max_examples=60, deadline=None)
@given(roll=rolls())
def test_shares_lie_between_0_and_1(roll):
    for name in ("16th-note syncopation", "8th-note syncopation", "C diatonic", "diatonicity"):
        assert 0 <= ATTRIBUTES[name](roll) <= 1
    assert attributes.c_diatonic(roll) <= attributes.diatonicity(roll)


# ----------------------------------------------------------------------------------------------------------- vectors


def test_vector_by_hand():
    """Eight pieces, so quarters of two: most are 7 and 8 with z 70, 90; least are 1 and 2 with z 0, 10."""
    z = torch.tensor([[0.0], [10], [1], [2], [3], [4], [70], [90]])
    vector = attribute_vectors(z, {"a": torch.arange(1.0, 9)})["a"]
    assert vector.tolist() == [(70 + 90) / 2 - (0 + 10) / 2]


def test_ties_share_the_last_places():
    """Most: 2 (z 90), then one place for three 1s (z 10, 20, 30, mean 20). Least: both places for four 0s (mean 4)."""
    z = torch.tensor([[90.0], [10], [20], [30], [1], [3], [5], [7]])
    values = torch.tensor([2.0, 1, 1, 1, 0, 0, 0, 0])
    for order in (torch.arange(8), torch.arange(7, -1, -1)):
        vector = attribute_vectors(z[order], {"a": values[order]})["a"]
        torch.testing.assert_close(vector, torch.tensor([(90 + 20) / 2 - 4]))


def test_an_attribute_that_does_not_vary_has_no_direction_and_harms_no_other():
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    values = {"constant": torch.full((50,), 0.1), "a": z[:, 0]}
    for vectors in (attribute_vectors, decorrelated_vectors):
        assert not vectors(z, values)["constant"].any()
        torch.testing.assert_close(vectors(z, values)["a"], vectors(z, {"a": z[:, 0]})["a"])


def test_too_few_pieces_are_named():
    with pytest.raises(ValueError, match="at least four"):
        attribute_vectors(torch.zeros(3, 2), {"a": torch.zeros(3)})


# ----------------------------------------------------------------------------------------------------------- leakage

# A decoder whose "rolls" are attributes themselves: a = z·weights, with correlation 0.8 between the two. z has more
# dimensions than attributes, and one of them is on a larger scale.
WEIGHTS = torch.tensor([[1.0, 0.8], [0.0, 0.6], [0.0, 0.0]])
READ = {"a": lambda row: float(row[0]), "b": lambda row: float(row[1])}


def linear(z: Tensor) -> Tensor:
    return z @ WEIGHTS


@pytest.fixture(scope="module")
def z() -> Tensor:
    return torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 5.0])


def measured(z: Tensor, vectors: dict[str, Tensor], **options):
    std = {name: own.std(correction=0) for name, own in values_of(z).items()}
    return leakage(linear, z[:50], vectors, std, attributes=READ, draws=100, **options)


def values_of(z: Tensor) -> dict[str, Tensor]:
    return dict(zip(READ, linear(z).T, strict=True))


def test_plain_vectors_leak_as_their_attributes_correlate(z):
    """Moving along E[z | a large] moves b by the correlation. Quarters of a Gaussian lie 2·1.271 deviations apart."""
    found = measured(z, attribute_vectors(z, values_of(z)))
    apart = 2 * 1.271
    expected = torch.tensor([[apart, 0.8 * apart], [0.8 * apart, apart]], dtype=torch.float64)
    torch.testing.assert_close(found.change, expected, atol=0.1, rtol=0)
    assert float(leaked_share(found.change)) == pytest.approx(0.8 / 1.8, abs=0.02)


def test_decorrelated_vectors_move_their_own_attribute_as_far_and_leak_nothing(z):
    plain, found = (measured(z, make(z, values_of(z))) for make in (attribute_vectors, decorrelated_vectors))
    torch.testing.assert_close(found.change, plain.change.diagonal().diag(), atol=1e-3, rtol=0)
    assert float(leaked_share(found.change)) < 1e-3


def test_attributes_that_say_the_same_share_a_direction(z):
    a = z[:, 0]
    vectors = decorrelated_vectors(z, {"a": a, "again": a})
    torch.testing.assert_close(vectors["a"], vectors["again"])
    torch.testing.assert_close(vectors["a"] + vectors["again"], decorrelated_vectors(z, {"a": a})["a"])


def test_alpha_scales_a_linear_decoder_s_change(z):
    vectors = attribute_vectors(z, values_of(z))
    torch.testing.assert_close(measured(z, vectors, alpha=-0.5).change, -0.5 * measured(z, vectors).change)


def test_leakage_of_real_rolls():
    """z counts notes (by 2) and semitones (by 3); one deviation is 1/8 note per step and 6 semitones."""

    def decode(z: Tensor) -> list[PianoRoll]:
        return [roll_of(16, *((t, t + 1, 60 + 3 * int(p)) for t in range(2 * int(n)))) for n, p in z]

    z = torch.tensor([[1.0, 0.0], [2.0, 4.0], [3.0, -2.0]])
    chosen = {name: ATTRIBUTES[name] for name in ("note density", "register")}
    vectors = {"more": torch.tensor([2.0, 0.0]), "higher": torch.tensor([1.0, 4.0])}
    found = leakage(decode, z, vectors, {"note density": 1 / 8, "register": 6.0}, attributes=chosen, draws=20)
    assert found.vectors == ["more", "higher"]
    assert found.change.tolist() == [[4 / 16 * 8, 0], [2 / 16 * 8, 12 / 6]]
    assert torch.equal(found.interval[0], found.change)  # each piece changes alike, so the interval has no width


def test_intervals_draw_pieces():
    """The change along z is 2z + 1, from 1 to 7 over four pieces, mean 4; copies of a piece tell nothing new."""
    z = torch.tensor([[0.0], [1], [2], [3]])
    options = {"std": {"a": 1.0}, "attributes": {"a": lambda row: float(row[0])}, "vectors": {"a": torch.ones(1)}}
    once = leakage(torch.square, z, **options)
    assert once.change.item() == 4
    error = math.sqrt(np.var([1, 3, 5, 7]) / 4)
    low, high = once.interval.flatten().tolist()
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    copies = leakage(torch.square, z.repeat(25, 1), pieces=list("abcd") * 25, **options)
    torch.testing.assert_close(copies.interval, once.interval)


def test_leaked_share_by_hand():
    change = torch.tensor([[[3.0, -1.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [-1.0, -1.0]]])
    assert leaked_share(change).tolist() == [1 / 8, 0, 1 / 2]


def test_an_attribute_without_a_unit_is_named(z):
    with pytest.raises(ValueError, match='"a" does not vary'):
        leakage(linear, z[:4], {}, {"a": 0.0, "b": 1.0}, attributes=READ)
