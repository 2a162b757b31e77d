"""Piano rolls written out as notes, for tests that compute by hand."""

import numpy as np
from hypothesis import strategies as st

from musiclib.pianoroll import PianoRoll


def roll_of(steps: int, *notes: tuple[int, int, int]) -> PianoRoll:
    """A roll of some steps with notes (start, end, pitch)."""
    sounding, onset = np.zeros((2, steps, 128), bool)
    for start, end, pitch in notes:
        sounding[start:end, pitch] = True
        onset[start, pitch] = True
    return PianoRoll(sounding, onset)


@st.composite
def rolls(draw, steps: int = 24, low: int = 40, high: int = 80) -> PianoRoll:
    """Rolls of 0 to 12 notes of any length at any place, overlapping as they come."""
    one = st.tuples(st.integers(0, steps - 1), st.integers(1, steps), st.integers(low, high))
    notes = draw(st.lists(one, max_size=12))
    return roll_of(steps, *((start, start + length, pitch) for start, length, pitch in notes))
