"""Bars as frames: the way there and back, metres, pitches out of reach, transposition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiclib import corpora
from musiclib.improvise.bars import INPUTS, KEYS, LOWEST, STEPS, frames, of_pieces, steps_of, to_roll, transposed
from musiclib.pianoroll import Note, PianoRoll
from musiclib.pieces import GRID_NOTE, Piece

notes = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(LOWEST, LOWEST + KEYS - 1)), min_size=1, max_size=30
)


def roll_of(steps: list[tuple[int, int, int]]) -> PianoRoll:
    return PianoRoll.from_notes([Note(onset / 8, length / 8, pitch) for onset, length, pitch in steps])


@given(notes, st.sampled_from([8, 12, 16]))
def test_there_and_back(steps, bar):
    roll = roll_of(steps)
    bars = frames(roll, steps=bar)
    assert bars.shape == (-(-len(roll) // bar), STEPS, 2, KEYS)
    back = to_roll(bars, steps=bar)
    assert back[: len(roll)] == roll and not back.sounding[len(roll) :].any()


@pytest.mark.parametrize("name", ["fiddle-tunes", "chorales"])
def test_shipped_pieces_come_back(name):
    for piece in corpora.shipped(name)[:40]:
        steps = steps_of(piece.bar_steps)
        before = -piece.first_bar % steps
        back = to_roll(frames(piece.roll(), piece.first_bar, steps), steps=steps)
        assert back[before : before + len(piece)] == piece.roll()


def test_a_pick_up_has_a_frame_of_its_own():
    """Four steps before the first bar line stand at the end of a frame."""
    bars = frames(roll_of([(0, 4, 60), (4, 16, 62)]), first_bar=4)
    assert len(bars) == 2 and bars[0, :12].sum() == 0
    assert bars[0, 12, 1, 60 - LOWEST] and bars[1, 0, 1, 62 - LOWEST] and bars[1, 15, 0, 62 - LOWEST]


@pytest.mark.parametrize(
    ("bar", "steps"), [(16, 16), (12, 12), (8, 16), (6, 12), (4, 16), (24, 12), (20, 10), (32, 16), (17, 16), (5, 15)]
)
def test_metres(bar, steps):
    assert steps_of(bar) == steps


def test_a_short_bar_is_held_to_the_end_of_its_frame():
    bars = frames(roll_of([(0, 12, 60), (12, 12, 62)]), steps=12)
    assert bars[0, :, 0, 60 - LOWEST].all() and bars[0, 1:, 1].sum() == 0
    assert to_roll(bars, steps=12) == roll_of([(0, 12, 60), (12, 12, 62)])


@pytest.mark.parametrize(("pitch", "moved"), [(0, 24), (23, 35), (24, 24), (101, 101), (102, 90), (127, 91)])
def test_pitches_out_of_reach_move_by_octaves(pitch, moved):
    bars = frames(roll_of([(0, 3, pitch)]))
    assert np.flatnonzero(bars.any((0, 1, 2))).tolist() == [moved - LOWEST]


def test_silent_bars_are_left_out():
    piece = Piece("a", np.array([(0, 4, 60, 90), (40, 4, 62, 90)], GRID_NOTE))
    assert of_pieces([piece]).shape == (2, INPUTS)
    with pytest.raises(ValueError, match="no bar"):
        of_pieces([])


@given(st.integers(0, 2**16), st.integers(-5, 6))
def test_transposition(seed, semitones):
    bars = torch.zeros(3, STEPS, 2, KEYS, dtype=torch.uint8)
    bars[..., 10:60] = torch.randint(0, 2, (3, STEPS, 2, 50), generator=torch.Generator().manual_seed(seed)).byte()
    moved = transposed(bars.flatten(1), torch.tensor([semitones, 0, -semitones])).unflatten(1, (STEPS, 2, KEYS))
    for bar, by in enumerate((semitones, 0, -semitones)):
        assert torch.equal(moved[bar], bars[bar].roll(by, -1))
    high = torch.zeros(1, STEPS, 2, KEYS, dtype=torch.uint8)
    high[..., -1] = 1
    assert not transposed(high.flatten(1), torch.tensor([1])).any()
