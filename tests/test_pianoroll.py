"""Piano rolls: what a note becomes on a grid, and that nothing is lost where the grid allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiclib.pianoroll import Note, PianoRoll, planes


@st.composite
def grid_notes(draw, most_steps=40, lowest=0, highest=127, most_pitches=6):
    """Notes in steps (onset, length, pitch) that overlap on no pitch, and as many steps as they need or more."""
    notes = []
    for pitch in draw(st.sets(st.integers(lowest, highest), max_size=most_pitches)):
        edges = sorted(draw(st.sets(st.integers(0, most_steps), max_size=8)))
        kept = draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))
        notes += [(a, b - a, pitch) for a, b, keep in zip(edges, edges[1:], kept, strict=False) if keep]
    steps = max((onset + length for onset, length, _ in notes), default=0) + draw(st.integers(0, 5))
    return sorted(notes, key=lambda note: (note[0], note[2])), steps


@st.composite
def rolls(draw, **options):
    notes, steps = draw(grid_notes(**options))
    return PianoRoll(*planes(*np.array(notes, int).reshape(-1, 3).T, steps), step_s=0.125)


def made(notes, steps=None):
    return PianoRoll.from_notes([Note(*note) for note in notes], 0.5, steps)


def cells(plane):
    return [tuple(cell) for cell in np.argwhere(plane).tolist()]


def test_a_repeated_note_differs_from_a_long_one():
    long, repeated = made([(0.0, 1.0, 60)]), made([(0.0, 0.5, 60), (0.5, 0.5, 60)])
    assert cells(long.sounding) == cells(repeated.sounding) == [(0, 60), (1, 60)]
    assert cells(long.onset) == [(0, 60)]
    assert cells(repeated.onset) == [(0, 60), (1, 60)]


@pytest.mark.parametrize(
    ("onset_s", "duration_s", "first", "last"),
    [
        (0.24, 1.0, 0, 1),  # ends at 1.24 s: step 2.48
        (0.25, 0.5, 1, 1),  # half-way goes up, at both ends
        (0.6, 0.01, 1, 1),  # shorter than half a step: one step
        (0.0, 0.0, 0, 0),
        (1.1, 0.7, 2, 3),
    ],
)
def test_notes_go_to_the_nearest_step(onset_s, duration_s, first, last):
    roll = made([(onset_s, duration_s, 7)])
    assert cells(roll.sounding) == [(step, 7) for step in range(first, last + 1)]
    assert cells(roll.onset) == [(first, 7)]


def test_a_repeated_note_cuts_the_one_before():
    """Struck at 0 for 3 s, and again at 1 s for half a second; after that the string is still."""
    roll = made([(0.0, 3.0, 60), (1.0, 0.5, 60), (0.0, 3.0, 64)])
    assert [(note.onset_s, note.duration_s, note.pitch) for note in roll.notes()] == [
        (0.0, 1.0, 60), (0.0, 3.0, 64), (1.0, 0.5, 60),
    ]  # fmt: skip


def test_two_notes_on_one_cell_are_the_longer():
    assert made([(0.0, 0.5, 60), (0.0, 1.5, 60), (0.0, 1.0, 60)]).notes() == [Note(0.0, 1.5, 60)]


def test_steps_cut_or_fill_up():
    notes = [(0.0, 2.0, 60), (2.0, 1.0, 62)]
    assert len(made(notes)) == 6
    assert cells(made(notes, steps=3).sounding) == [(0, 60), (1, 60), (2, 60)]
    assert len(made(notes, steps=9)) == 9
    assert len(made([])) == 0


def test_notes_carry_program_and_velocity():
    assert made([(0.0, 1.0, 60)]).notes(program=40, velocity=33) == [Note(0.0, 1.0, 60, 33, 40)]


def test_what_sounds_out_of_silence_is_a_note():
    sounding = np.zeros((4, 128), bool)
    sounding[[0, 2, 3], 60] = True
    roll = PianoRoll(sounding, np.zeros_like(sounding), 1.0)
    assert roll.notes() == [Note(0.0, 1.0, 60), Note(2.0, 2.0, 60)]


@given(grid_notes(), st.sampled_from([0.125, 0.1, 1 / 3, 0.02]))
def test_notes_roll_notes(notes_and_steps, step_s):
    notes = [Note(a * step_s, n * step_s, pitch) for a, n, pitch in notes_and_steps[0]]
    assert PianoRoll.from_notes(notes, step_s).notes() == notes


@given(rolls())
def test_roll_notes_roll(roll):
    assert PianoRoll.from_notes(roll.notes(), roll.step_s, len(roll)) == roll


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 3)), max_size=30))
def test_planes_of_any_notes(notes):
    """Every note is struck, and each sounds until it ends or is struck again: against the rule step by step."""
    sounding, onset = planes(*np.array(notes, int).reshape(-1, 3).T)
    for pitch in range(4):
        held_until = 0
        for step in range(len(sounding)):
            lengths = [length for start, length, p in notes if (start, p) == (step, pitch)]
            held_until = step + max(lengths) if lengths else held_until
            assert onset[step, pitch] == bool(lengths)
            assert sounding[step, pitch] == (step < held_until)


@given(rolls(lowest=30, highest=90), st.integers(-30, 37), st.integers(-30, 37))
def test_transposing(roll, a, b):
    moved = roll.transposed(a)
    assert [note.pitch - a for note in moved.notes()] == [note.pitch for note in roll.notes()]
    assert moved.transposed(-a) == roll
    if -30 <= a + b <= 37:
        assert moved.transposed(b) == roll.transposed(a + b)


def test_transposing_does_not_wrap_around():
    roll = made([(0.0, 1.0, 0), (0.0, 1.0, 120)])
    with pytest.raises(ValueError, match="0 to 120, moved by 8 semitones"):
        roll.transposed(8)
    with pytest.raises(ValueError, match="moved by -1"):
        roll.transposed(-1)
    assert len(made([], steps=4).transposed(200)) == 4


@given(rolls(), st.integers(0, 45), st.integers(0, 45))
def test_slicing(roll, a, b):
    part = roll[a:b]
    assert len(part) == len(range(len(roll))[a:b])
    assert (part.sounding == roll.sounding[a:b]).all()
    assert (part.onset[1:] == roll.onset[a:b][1:]).all()
    assert (part.onset[:1] == part.sounding[:1]).all()
    assert roll[a:][: max(0, b - a)] == part
    assert roll[:] == roll


@given(rolls(), st.integers(0, 45))
def test_joining_what_was_cut(roll, at):
    """Joined again, a roll is the same but for the notes that the cut made two of."""
    joined = PianoRoll.joined([roll[:at], roll[at:]])
    assert (joined.sounding == roll.sounding).all()
    elsewhere = np.arange(len(roll)) != at
    assert (joined.onset == roll.onset)[elsewhere].all()


def test_a_slice_leaves_the_roll_alone():
    roll = made([(0.0, 2.0, 60)])
    assert roll[2:].notes() == [Note(0.0, 1.0, 60)]
    assert cells(roll.onset) == [(0, 60)]


@pytest.mark.parametrize("index", [3, slice(None, None, 2), slice(None, None, -1)])
def test_a_roll_is_cut_without_a_stride(index):
    with pytest.raises(TypeError, match="without a stride"):
        made([(0.0, 4.0, 60)])[index]


def test_rolls_to_join_have_one_step():
    with pytest.raises(ValueError, match=r"\[0.5, 1.0\]"):
        PianoRoll.joined([made([]), PianoRoll.from_notes([], 1.0)])
    with pytest.raises(ValueError, match="one step"):
        PianoRoll.joined([])


def test_equality_sees_planes_and_step():
    roll = made([(0.0, 1.0, 60)])
    assert roll == made([(0.0, 1.0, 60)])
    assert roll != made([(0.0, 0.5, 60), (0.5, 0.5, 60)])
    assert roll != PianoRoll(roll.sounding, roll.onset, 0.25)
    assert roll != "roll"


SILENT = np.zeros((3, 128), bool)


@pytest.mark.parametrize(
    ("sounding", "onset", "step_s", "message"),
    [
        (SILENT, SILENT | True, 1.0, "Pitch 0 has an onset at step 0 but does not sound"),
        (SILENT.astype(int), SILENT, 1.0, "'sounding' of a piano roll is an array of bool, not int64"),
        (SILENT, SILENT.tolist(), 1.0, "'onset' of a piano roll is an array of bool, not list"),
        (SILENT[:, :88], SILENT, 1.0, r"\(steps, 128\), not \(3, 88\)"),
        (SILENT, SILENT[:2], 1.0, "3 steps sounding, 2 onset"),
        (SILENT, SILENT, 0.0, "more than 0 s, not 0.0"),
        (SILENT, SILENT, float("nan"), "not nan"),
    ],
)
def test_planes_that_are_no_roll(sounding, onset, step_s, message):
    with pytest.raises(ValueError, match=message):
        PianoRoll(sounding, onset, step_s)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (Note(-1.0, 2.0, 60), "onset from 0"),
        (Note(0.0, 2.0, 128), "pitch from 0 to 127"),
        (Note(0.0, 2.0, -1), "pitch from 0 to 127"),
        (Note(float("nan"), 2.0, 60), "no number"),
        (Note(0.0, float("inf"), 60), "no number"),
        (Note(1e9, 1.0, 60), "8000000008 steps is out of range"),
    ],
)
def test_notes_that_fit_no_grid(note, message):
    with pytest.raises(ValueError, match=message):
        PianoRoll.from_notes([note])


def test_a_step_takes_time():
    with pytest.raises(ValueError, match="more than 0 s"):
        PianoRoll.from_notes([], step_s=0)
