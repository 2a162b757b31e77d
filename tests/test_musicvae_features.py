"""Yang & Lerch's features on rolls small enough to compute by hand, and the laws they obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolls import roll_of, rolls

from musiclib.musicvae import features
from musiclib.musicvae.features import FEATURES, NOTE_LENGTHS, absolute, feature_values
from musiclib.pianoroll import PianoRoll

C, D, E, F, G, A = 0, 2, 4, 5, 7, 9
# C4 a quarter, E4 an 8th, an 8th's rest, G4 a half: one bar.
MELODY = roll_of(16, (0, 4, 60), (4, 6, 64), (8, 16, 67))
# C major for a quarter, then F major for a quarter, no rest.
CHORDS = roll_of(8, (0, 4, 60), (0, 4, 64), (0, 4, 67), (4, 8, 65), (4, 8, 69), (4, 8, 72))
# Soprano C5 D5 in quarters over a held C3; an alto note E4 enters below with the second.
VOICES = roll_of(8, (0, 4, 72), (4, 8, 74), (0, 8, 48), (4, 8, 64))


def matrix(size: int, *cells: tuple[int, int]) -> np.ndarray:
    counts = np.zeros((size, size))
    for cell in cells:
        counts[cell] += 1
    return counts


def test_melody_pitch_features():
    assert features.pitch_count(MELODY) == 3
    assert features.pitch_range(MELODY) == 67 - 60
    assert features.average_interval(MELODY) == ((64 - 60) + (67 - 64)) / 2
    expected = np.zeros(12)
    expected[[C, E, G]] = 4 / 14, 2 / 14, 8 / 14  # 14 of 16 steps sound
    np.testing.assert_allclose(features.pitch_class_histogram(MELODY), expected)
    np.testing.assert_array_equal(features.pitch_class_transitions(MELODY), matrix(12, (C, E), (E, G)))


def test_melody_rhythm_features():
    assert features.note_count(MELODY) == 3
    assert features.average_inter_onset_interval(MELODY) == (4 + 4) / 2  # onsets 0, 4, 8
    quarter, eighth, half = map(NOTE_LENGTHS.index, (4, 2, 8))
    expected = np.zeros(8)
    expected[[quarter, eighth, half]] = 1 / 3
    np.testing.assert_allclose(features.note_length_histogram(MELODY), expected)
    np.testing.assert_array_equal(
        features.note_length_transitions(MELODY), matrix(8, (quarter, eighth), (eighth, half))
    )


def test_a_chord_is_one_onset_and_each_of_its_notes_goes_to_each_of_the_next():
    assert features.note_count(CHORDS) == 6
    assert features.average_inter_onset_interval(CHORDS) == 4
    assert features.average_interval(CHORDS) == 72 - 67
    every_pair = [(first, second) for first in (C, E, G) for second in (F, A, C)]
    np.testing.assert_array_equal(features.pitch_class_transitions(CHORDS), matrix(12, *every_pair))
    assert features.note_length_transitions(CHORDS)[NOTE_LENGTHS.index(4), NOTE_LENGTHS.index(4)] == 9


def test_intervals_are_the_upper_voice_s_and_held_notes_have_no_follower_yet():
    assert features.average_interval(VOICES) == 74 - 72
    np.testing.assert_array_equal(features.pitch_class_transitions(VOICES), matrix(12, (C, D), (C, E)))  # from C5 only


def test_a_repeated_note_is_two_notes():
    repeated = roll_of(4, (0, 2, 60), (2, 4, 60))
    assert features.note_count(repeated) == 2
    assert features.pitch_class_transitions(repeated)[C, C] == 1
    assert features.note_length_histogram(repeated)[NOTE_LENGTHS.index(2)] == 1


def test_what_is_tied_over_the_edge_sounds_but_is_no_note():
    sounding, onset = np.zeros((2, 4, 128), bool)
    sounding[:3, 62] = True
    tied = PianoRoll(sounding, onset)
    assert features.pitch_count(tied) == 1
    assert features.pitch_class_histogram(tied)[D] == 1
    assert features.note_count(tied) == 0
    assert features.note_length_histogram(tied).sum() == 0


@pytest.mark.parametrize(
    ("length", "nearest"), [(1, 1), (5, 4), (7, 6), (10, 8), (11, 12), (14, 12), (15, 16), (40, 16)]
)
def test_lengths_fall_into_the_nearest_class_ties_into_the_shorter(length, nearest):
    histogram = features.note_length_histogram(roll_of(40, (0, length, 60)))
    assert histogram.argmax() == NOTE_LENGTHS.index(nearest)


def test_a_roll_without_notes_is_zero_in_every_feature():
    for empty in (roll_of(16), roll_of(0)):
        for name, values in feature_values([empty]).items():
            assert not values.any(), name


def test_a_single_note():
    values = feature_values([roll_of(16, (3, 6, 61))])
    scalars = {name: own.item() for name, own in values.items() if own.size == 1}
    assert scalars == {
        "pitch count": 1, "pitch range": 0, "average interval": 0, "note count": 1, "inter-onset interval": 0,
    }  # fmt: skip
    assert values["pitch-class histogram"].tolist() == [[0, 1, *[0] * 10]]
    assert values["note-length histogram"][0].nonzero()[0].tolist() == [NOTE_LENGTHS.index(3)]
    assert not values["pitch-class transitions"].any()
    assert not values["note-length transitions"].any()


def test_values_of_a_set_and_their_means():
    values = feature_values([MELODY, CHORDS, VOICES])
    dimensions = {name: own.shape[1] for name, own in values.items()}
    assert dimensions == dict(zip(FEATURES, (1, 12, 144, 1, 1, 1, 1, 8, 64), strict=True))
    mean, std = absolute(values)["note count"]
    assert mean == pytest.approx((3 + 6 + 4) / 3)
    assert std == pytest.approx(np.std([3, 6, 4]))


@settings(max_examples=60, deadline=None)
@given(roll=rolls(), semitones=st.integers(-12, 12))
def test_transposition_turns_pitch_classes_and_leaves_the_rest(roll, semitones):
    transposed = PianoRoll(np.roll(roll.sounding, semitones, 1), np.roll(roll.onset, semitones, 1))
    expected = {name: f(roll) for name, f in FEATURES.items()}
    expected["pitch-class histogram"] = np.roll(expected["pitch-class histogram"], semitones)
    expected["pitch-class transitions"] = np.roll(expected["pitch-class transitions"], (semitones, semitones), (0, 1))
    for name, f in FEATURES.items():
        np.testing.assert_allclose(f(transposed), expected[name], err_msg=name)


@settings(max_examples=60, deadline=None)
@given(roll=rolls(), rest=st.integers(1, 9))
def test_a_rest_in_front_changes_nothing(roll, rest):
    later = PianoRoll(*(np.pad(plane, ((rest, 0), (0, 0))) for plane in (roll.sounding, roll.onset)))
    for name, f in FEATURES.items():
        np.testing.assert_allclose(f(later), f(roll), err_msg=name)


@settings(max_examples=60, deadline=None)
@given(roll=rolls())
def test_histograms_are_shares(roll):
    notes = features.note_count(roll)
    assert features.pitch_class_histogram(roll).sum() == pytest.approx(1 if notes else 0)
    assert features.note_length_histogram(roll).sum() == pytest.approx(1 if notes else 0)
