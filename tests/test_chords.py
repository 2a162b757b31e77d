"""Every number of the paper's data section, and the laws of the chord tables."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiclib.musicslots import chords
from musiclib.musicslots.chords import (
    DYADS,
    INSTRUMENTS,
    TETRADS,
    TRIADS,
    inversions,
    jazznet_all,
    jazznet_chords,
    jsb_chords,
    multi_instrument,
    single_instrument,
    split_jazznet,
    split_jsb,
)

ROOT = Path(__file__).resolve().parent.parent
JSB_FILES = [
    ROOT / "data/cache/jsb-chorales-quarter.json",
    ROOT.parent / "shared/data/jsb-chorales-quarter.json",
]


@pytest.fixture(scope="module")
def chorales():
    """The official JSB file."""
    for path in JSB_FILES:
        if path.exists():
            return json.loads(path.read_text())
    pytest.skip("the official jsb-chorales-quarter.json is not here: musiclib.fetch.download(JSB) gets it")


def sizes(splits):
    return len(splits.train), len(splits.valid), len(splits.test)


def by_notes(table):
    return dict(Counter(map(len, table)))


def pitches_of(example):
    return tuple(pitch for _, pitch in example)


def assert_no_chord_shared(splits):
    train, valid, test = ({pitches_of(example) for example in split} for split in vars(splits).values())
    assert train.isdisjoint(valid)
    assert train.isdisjoint(test)
    assert valid.isdisjoint(test)


# --------------------------------------------------------------------------------------------------------- JSB


def test_jsb_file(chorales):
    assert {split: len(pieces) for split, pieces in chorales.items()} == {"train": 229, "valid": 76, "test": 77}


def test_jsb_chords(chorales):
    table = jsb_chords(chorales)
    assert len(table) == len(set(table)) == 3131
    assert by_notes(table) == {4: 2721, 3: 398, 2: 12}
    assert {pitch for chord in table for pitch in chord} == {43, 45, 46, *range(48, 97)}  # 52


def test_jsb_splits(chorales):
    splits = split_jsb(jsb_chords(chorales))
    assert sizes(splits) == (2191, 626, 314)
    assert sorted(splits.train + splits.valid + splits.test) == jsb_chords(chorales)


def test_jsb_examples(chorales):
    """Single: one example a chord. Multi: 9 assignments a chord, none twice."""
    single, multi = chords.examples("JSB-single", chorales), chords.examples("JSB-multi", chorales)
    assert sizes(single) == (2191, 626, 314)
    assert sizes(multi) == (19719, 5634, 2826)
    for splits in (single, multi):
        assert_no_chord_shared(splits)
    for split in vars(multi).values():
        assert len(set(split)) == len(split)
    assert {program for example in multi.train for program, _ in example} == set(INSTRUMENTS)


def test_jsb_test_split_combines_known_notes(chorales):
    """The test split is unseen combinations of notes nearly all of which were trained on."""
    splits = split_jsb(jsb_chords(chorales))
    known = {pitch for chord in splits.train for pitch in chord}
    test = {pitch for chord in splits.test for pitch in chord}
    assert len(test - known) <= 1
    assert set(splits.test).isdisjoint(splits.train)


def test_jsb_chords_by_hand():
    """Rests and single notes are no chords; order and doubling within a quarter do not matter."""
    pieces = {"train": [[[60, 64, 67], [67, 60, 64], [60], []]], "test": [[[60, 60, 64], [64, 60]]]}
    assert jsb_chords(pieces) == [(60, 64), (60, 64, 67)]


# ----------------------------------------------------------------------------------------------------- JazzNet


def test_jazznet_counts():
    assert len(DYADS | TRIADS | TETRADS) == 24
    assert len(jazznet_all()) == 5525
    table = jazznet_chords()
    assert len(table) == len(set(table)) == 2227
    assert by_notes(table) == {2: 654, 3: 689, 4: 884}
    assert {pitch for chord in table for pitch in chord} == set(range(36, 97))  # 61


def test_jazznet_splits():
    """Table 4 of the paper."""
    splits = split_jazznet(jazznet_chords())
    assert sizes(splits) == (1074, 269, 884)
    assert by_notes(splits.train) == {2: 530, 3: 544}
    assert by_notes(splits.valid) == {2: 124, 3: 145}
    assert by_notes(splits.test) == {4: 884}
    assert sorted(splits.train + splits.valid + splits.test) == jazznet_chords()


def test_jazznet_examples():
    """Multi: all 3ⁿ assignments, so 530·9 + 544·27 for training, and so on."""
    single, multi = chords.examples("JazzNet-single"), chords.examples("JazzNet-multi")
    assert sizes(single) == (1074, 269, 884)
    assert sizes(multi) == (19458, 5031, 71604) == (530 * 9 + 544 * 27, 124 * 9 + 145 * 27, 884 * 81)
    for splits in (single, multi):
        assert_no_chord_shared(splits)


def test_splits_are_the_same_every_time():
    assert chords.examples("JazzNet-multi") == chords.examples("JazzNet-multi")


@pytest.mark.parametrize(
    ("root", "intervals", "expected"),
    [
        (60, DYADS["min3"], [(60, 63), (63, 72)]),
        (60, DYADS["octave"], [(60, 72)]),
        (60, TRIADS["maj"], [(60, 64, 67), (64, 67, 72), (67, 72, 76)]),
        (48, TRIADS["sus4"], [(48, 53, 55), (53, 55, 60), (55, 60, 65)]),
        (60, TETRADS["seventh"], [(60, 64, 67, 70), (64, 67, 70, 72), (67, 70, 72, 76), (70, 72, 76, 79)]),
        (60, TETRADS["dim7"], [(60, 63, 66, 69), (63, 66, 69, 72), (66, 69, 72, 75), (69, 72, 75, 78)]),
    ],
    ids=["minor third", "octave", "major triad", "sus4", "dominant seventh", "diminished seventh"],
)
def test_inversions_by_hand(root, intervals, expected):
    assert inversions(root, intervals) == expected


@given(st.integers(24, 96), st.sampled_from(sorted((DYADS | TRIADS | TETRADS).values())))
def test_inversions_keep_their_pitch_classes_and_rise(root, intervals):
    first = inversions(root, intervals)[0]
    for chord in inversions(root, intervals):
        assert {pitch % 12 for pitch in chord} == {pitch % 12 for pitch in first}
        assert list(chord) == sorted(set(chord))


# ------------------------------------------------------------------------------------------------- instruments


def test_single_instrument():
    assert single_instrument([(60, 64)]) == [((0, 60), (0, 64))]
    assert single_instrument([(60, 64)], program=40) == [((40, 60), (40, 64))]


def test_every_assignment_of_a_dyad():
    programs = [tuple(program for program, _ in example) for example in multi_instrument([(60, 64)])]
    assert sorted(programs) == [
        (0, 0), (0, 40), (0, 73), (40, 0), (40, 40), (40, 73), (73, 0), (73, 40), (73, 73),
    ]  # fmt: skip


@given(st.sets(st.integers(36, 96), min_size=2, max_size=5).map(sorted), st.integers(1, 9))
def test_drawn_assignments_do_not_repeat(chord, per_chord):
    drawn = multi_instrument([tuple(chord)], per_chord)
    assert len(drawn) == len(set(drawn)) == per_chord
    assert {pitches_of(example) for example in drawn} == {tuple(chord)}


def test_unknown_dataset():
    with pytest.raises(ValueError, match="No dataset 'JSB-multy': choose JSB-single, JSB-multi, JazzNet-single"):
        chords.examples("JSB-multy")
