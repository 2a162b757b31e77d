"""Tokens, bits and windows: against hand-written rolls, and back again."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rolls import roll_of, rolls

from musiclib import corpora
from musiclib.musicvae.data import (
    HOLD,
    KEYS,
    LOWEST_KEY,
    NOTE_OFF,
    Windows,
    bits,
    melody_tokens,
    roll_of_bits,
    roll_of_tokens,
    to_roll,
    transpose,
)
from musiclib.pianoroll import PianoRoll
from musiclib.pieces import GRID_NOTE, SPLITS, Piece

OFF, ___ = NOTE_OFF, HOLD


def piece(steps, *notes, name="piece", first_bar=0, bar_steps=16):
    """A piece of some steps with notes (start, end, pitch)."""
    arrays = np.array([(start, end - start, pitch, 90) for start, end, pitch in notes], GRID_NOTE)
    made = Piece(name, arrays, bar_steps=bar_steps, first_bar=first_bar)
    assert len(made) == steps
    return made


def quarters(steps, pitch=60, **options):
    """Quarter after quarter of one pitch, from the first step to the last."""
    return piece(steps, *((i, min(i + 4, steps), pitch) for i in range(0, steps, 4)), **options)


# ------------------------------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], [OFF, ___, ___, ___, ___, ___]),
        ([(0, 2, 60), (4, 6, 62)], [60, ___, OFF, ___, 62, ___]),
        ([(0, 2, 60), (2, 4, 60)], [60, ___, 60, ___, OFF, ___]),
        ([(0, 4, 60)], [60, ___, ___, ___, OFF, ___]),
        ([(2, 3, 0), (3, 6, 127)], [OFF, ___, 0, 127, ___, ___]),
        ([(0, 6, 60), (0, 6, 64), (0, 6, 55)], [64, ___, ___, ___, ___, ___]),  # struck together: the highest
        ([(0, 6, 64), (2, 6, 60)], [64, ___, 60, ___, ___, ___]),  # the last struck, even if it is lower
        ([(0, 6, 60), (1, 3, 64)], [60, 64, ___, OFF, ___, ___]),  # what lies below does not come back
    ],
    ids=["nothing", "rests", "repeated", "ends", "extremes", "chord", "lower second", "above a long one"],
)
def test_tokens_by_hand(notes, expected):
    assert melody_tokens(roll_of(6, *notes)).tolist() == expected


def test_what_sounds_at_the_beginning_begins_there():
    sounding = np.zeros((4, 128), bool)
    sounding[:3, 60] = True
    assert melody_tokens(PianoRoll(sounding, np.zeros_like(sounding))).tolist() == [60, ___, ___, OFF]


def test_a_roll_without_steps_has_no_tokens():
    assert melody_tokens(roll_of(0)).shape == (0,)
    assert len(roll_of_tokens(np.array([], np.uint8))) == 0


@st.composite
def melodies(draw, low=0, high=127, most=40):
    """Tokens as `melody_tokens` writes them: they begin with a note or a rest, and no rest follows a rest."""
    tokens, resting = [], False
    for t in range(draw(st.integers(1, most))):
        choice = draw(st.integers(0, 2))
        if choice == 0 or (t == 0 and choice == 2):
            tokens.append(draw(st.integers(low, high)))
            resting = False
        elif choice == 1 and not resting:
            tokens.append(NOTE_OFF)
            resting = True
        else:
            tokens.append(HOLD)
    return np.array(tokens, np.uint8)


@given(melodies())
def test_tokens_roll_tokens(tokens):
    assert np.array_equal(melody_tokens(roll_of_tokens(tokens)), tokens)


@given(rolls())
def test_roll_tokens_roll_keeps_one_voice(roll):
    """One pitch at a time, only what was in the roll, with an onset wherever it had any; a melody stays as it is."""
    melody = roll_of_tokens(melody_tokens(roll), roll.step_s)
    assert (melody.sounding.sum(1) <= 1).all()
    assert not (melody.sounding & ~roll.sounding).any()
    assert np.array_equal(melody.onset.any(1), roll.onset.any(1))
    assert roll_of_tokens(melody_tokens(melody), melody.step_s) == melody


@given(st.lists(st.integers(0, 129), max_size=30))
def test_whatever_a_model_draws_is_a_roll(tokens):
    roll = roll_of_tokens(torch.tensor(tokens, dtype=torch.uint8))
    assert len(roll) == len(tokens)
    assert int(roll.onset.sum()) == sum(token < 128 for token in tokens)


# --------------------------------------------------------------------------------------------------------------- bits


def test_bits_by_hand():
    roll = roll_of(3, (0, 2, LOWEST_KEY), (1, 3, 108), (0, 3, 20), (0, 3, 109))  # two beyond the keyboard
    found = bits(roll)
    assert found.shape == (3, 176)
    sounding, struck = found[:, :KEYS], found[:, KEYS:]
    assert np.argwhere(sounding).tolist() == [[0, 0], [1, 0], [1, 87], [2, 87]]
    assert np.argwhere(struck).tolist() == [[0, 0], [1, 87]]


@given(rolls(low=LOWEST_KEY, high=LOWEST_KEY + KEYS - 1))
def test_bits_roll_bits(roll):
    assert roll_of_bits(bits(roll), roll.step_s) == roll
    assert np.array_equal(bits(roll_of_bits(bits(roll))), bits(roll))


def test_whatever_bits_a_model_draws_are_a_roll():
    """Struck, it sounds; it sounds out of silence, it is struck; it goes on, it is not."""
    drawn = torch.zeros(4, 176)
    drawn[0, KEYS + 3] = 1  # struck, and not said to sound
    drawn[1, 3] = 1  # goes on
    drawn[3, 3] = 1  # out of silence
    roll = roll_of_bits(drawn)
    assert np.argwhere(roll.sounding).tolist() == [[0, 24], [1, 24], [3, 24]]
    assert np.argwhere(roll.onset).tolist() == [[0, 24], [3, 24]]


def test_to_roll_knows_tokens_from_bits():
    roll = roll_of(5, (1, 4, 60))
    assert to_roll(torch.from_numpy(melody_tokens(roll))) == to_roll(torch.from_numpy(bits(roll))) == roll
    assert to_roll(torch.tensor([60, HOLD]), step_s=0.5).step_s == 0.5


# -------------------------------------------------------------------------------------------------------- transposing


@given(melodies(low=5, high=122), st.integers(-5, 5))
def test_tokens_transposed_are_the_roll_transposed_and_come_back(tokens, semitones):
    x, by = torch.from_numpy(tokens)[None], torch.tensor([semitones])
    moved = transpose(x, by)
    assert moved.dtype == x.dtype
    assert to_roll(moved[0]) == to_roll(x[0]).transposed(semitones)
    assert torch.equal(transpose(moved, -by), x)


def test_a_note_beyond_the_pitches_moves_an_octave_back():
    x = torch.tensor([[126, 2, HOLD, OFF], [126, 2, HOLD, OFF]], dtype=torch.uint8)
    assert transpose(x, torch.tensor([5, -5])).tolist() == [[119, 7, HOLD, OFF], [121, 9, HOLD, OFF]]


@given(rolls(low=LOWEST_KEY + 5, high=103), st.integers(-5, 5))
def test_bits_transposed_are_the_roll_transposed_and_come_back(roll, semitones):
    x, by = torch.from_numpy(bits(roll))[None], torch.tensor([semitones])
    moved = transpose(x, by)
    assert to_roll(moved[0]) == roll.transposed(semitones)
    assert torch.equal(transpose(moved, -by), x)


def test_bits_beyond_the_keyboard_are_lost():
    x = torch.from_numpy(bits(roll_of(2, (0, 2, 108), (0, 2, 60))))[None]
    assert np.argwhere(to_roll(transpose(x, torch.tensor([1]))[0]).sounding).tolist() == [[0, 61], [1, 61]]


def test_each_example_moves_by_its_own():
    x = torch.full((3, 2), 60)
    assert transpose(x, torch.tensor([0, 1, -5])).tolist() == [[60, 60], [61, 61], [55, 55]]


# ------------------------------------------------------------------------------------------------------------ windows


def test_windows_begin_at_every_bar():
    notes = [(16 * bar, 16 * bar + 16, 60 + bar) for bar in range(4)]
    windows = Windows([piece(64, *notes)], "melody", 2)
    assert windows[:].tolist() == [[60 + i, *[HOLD] * 15, 61 + i, *[HOLD] * 15] for i in range(3)]


def test_windows_begin_at_the_bar_line_after_a_pick_up():
    notes = [(0, 4, 50), *((4 + 16 * bar, 20 + 16 * bar, 60 + bar) for bar in range(3))]
    windows = Windows([piece(52, *notes, first_bar=4)], "melody", 1)
    assert [int(window[0]) for window in windows] == [60, 61, 62]


def test_of_two_four_two_bars_count_one():
    """Ten bars of 2/4 have five places for a bar of 4/4, and four for two."""
    short = quarters(80, bar_steps=8)
    assert len(Windows([short], "melody", 1)) == 5
    assert len(Windows([short], "melody", 2)) == 4


def test_a_window_that_cuts_a_note_begins_with_it():
    """Struck a step before the bar line, it is struck anew on it; a rest that goes on begins anew as well."""
    made = piece(48, (0, 15, 55), (15, 30, 60), (33, 48, 62))
    windows = Windows([made], "melody", 1)
    assert windows[1].tolist() == [60, *[HOLD] * 13, OFF, HOLD]
    assert windows[2].tolist() == [OFF, 62, *[HOLD] * 14]
    chords = Windows([made], "roll", 1)
    for i in range(3):
        assert to_roll(chords[i]) == to_roll(windows[i]) == made.roll()[16 * i : 16 * i + 16]
    assert Windows([made], "melody", 2)[0].tolist()[16:] == [*[HOLD] * 14, OFF, HOLD]  # inside, nothing is struck anew


@pytest.mark.parametrize("kind", ["melody", "roll"])
def test_what_is_mostly_rest_is_left_out(kind):
    """Of bars that sound for 16, 7, 8, 0 and 16 of their steps two are left out: half is not mostly."""
    made = piece(80, (0, 16, 60), (16, 23, 60), (32, 40, 60), (64, 80, 60))
    windows = Windows([made], kind, 1)
    assert len(windows) == 3
    sounding = [int(to_roll(window).sounding.any(1).sum()) for window in windows]
    assert sounding == [16, 8, 16]


def test_each_window_knows_its_piece():
    pieces = [quarters(48, 60), piece(40, (0, 4, 61), (39, 40, 61)), quarters(32, 62)]
    windows = Windows(pieces, "melody", 1)
    assert windows.piece.tolist() == [0, 0, 0, 2, 2]
    for number, window in zip(windows.piece.tolist(), windows, strict=True):
        assert int(window[0]) == 60 + number


@pytest.mark.parametrize("kind", ["melody", "roll"])
def test_one_window_or_many(kind):
    made = [piece(64, *((i, i + 5, 50 + i) for i in range(0, 60, 3)), (63, 64, 40)), quarters(48)]
    windows = Windows(made, kind, 2)
    every = windows[:]
    assert every.dtype == torch.uint8 and len(every) == len(windows) == 5
    for i in range(len(windows)):
        assert torch.equal(windows[i], every[i])
        assert torch.equal(windows[torch.tensor(i)], every[i])
    assert torch.equal(windows[torch.tensor([4, 0, 4])], every[[4, 0, 4]])
    assert torch.equal(windows[1:3], every[1:3])
    assert torch.equal(windows[-1], every[-1])
    assert torch.equal(windows[:], every)  # looking changes nothing


@pytest.mark.parametrize("kind", ["melody", "roll"])
def test_training_transposes_by_at_most_five_semitones(kind):
    windows = Windows([quarters(32)], kind, 2)
    batch = windows.transposed(torch.zeros(400, dtype=torch.long))
    pitches = {int(to_roll(x).sounding.any(0).nonzero()[0][0]) for x in batch}
    assert pitches == set(range(55, 66))


@pytest.mark.parametrize("pieces", [[], [quarters(31)], [piece(64, (0, 1, 60), (63, 64, 60))]])
def test_no_windows_at_all(pieces):
    with pytest.raises(ValueError, match=f"No piece of these {len(pieces)} has 2 bars that are not mostly rest"):
        Windows(pieces, "melody", 2)


@pytest.mark.parametrize("corpus", ["fiddle-tunes", "chorales"])
def test_no_piece_and_no_version_of_it_is_in_two_splits(corpus):
    every = corpora.shipped(corpus)
    splits = {split: every.split(split) for split in SPLITS}
    for key in (lambda piece: piece.name, lambda piece: piece.group or piece.name):
        names = [{key(piece) for piece in splits[split]} for split in SPLITS]
        assert all(names)
        assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    assert sum(map(len, splits.values())) == len(every)
