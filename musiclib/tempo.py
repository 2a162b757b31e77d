"""The tempo of notes that were played, and the grid of 16ths that they are brought to.

Notebook: 13 the studio.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from musiclib.pianoroll import Note, PianoRoll

QUARTER = 4  # steps
STEPS_S = 0.125, 0.25  # a 16th at 120 and at 60 quarters a minute
FINENESS = 8  # rates that are tried while the grid gains a step over the whole recording


class TempoError(ValueError):
    """There is no grid for these notes: the message says why, and what helps."""


@dataclass(frozen=True)
class Grid:
    """A grid of 16ths.

    Attributes:
        step_s: seconds to a 16th. first_bar_s: when in the recording a bar begins. quarters: to the bar.
    """

    step_s: float
    first_bar_s: float = 0.0
    quarters: int = 4

    def __post_init__(self):
        if not 0.01 <= self.step_s <= 2:
            raise TempoError(f"A 16th lasts from 0.01 to 2 s, not {self.step_s:g}: choose a tempo from 8 to 1500.")
        if not (np.isfinite(self.first_bar_s) and 1 <= self.quarters <= 16):
            raise TempoError(
                f"A bar begins at some second and has 1 to 16 quarters, not at {self.first_bar_s:g} s {self.quarters}."
            )

    @property
    def quarters_per_minute(self) -> float:
        return 60 / (QUARTER * self.step_s)

    def begins_s(self, notes: Sequence[Note]) -> float:
        """When the roll of these notes begins: with the last bar line that no note comes before."""
        bar_s = self.quarters * QUARTER * self.step_s
        first_s = min(note.onset_s for note in notes) + self.step_s / 2  # to the nearest step
        return self.first_bar_s + np.floor((first_s - self.first_bar_s) / bar_s) * bar_s


def regularity(onsets_s: np.ndarray, rates_hz: np.ndarray) -> np.ndarray:
    """How near onsets (N,) lie to a grid of so many steps a second, (R,) from 0, anywhere, to 1, all on it: the
    length of their mean when each is a point on a circle that turns once a step."""
    return np.abs(np.exp(2j * np.pi * rates_hz[:, None] * onsets_s).mean(1))


def estimated(notes: Sequence[Note], quarters: int = 4) -> Grid:
    """The grid to which onsets lie nearest, with a bar line at the first of them.

    The sum of two regularities, of 16ths and of 8ths, is largest there: twos within twos, so that a triplet does not
    pass for the beat. Tempi of one octave are tried, 60 to 120 quarters a minute. A line through the onsets, each over
    its number of steps, then makes it exact. One tempo is taken for all; fewer than two different onsets get 120.

    Raises:
        TempoError: there are no notes.
    """
    if not notes:
        raise TempoError("Without notes there is no tempo: transcribe something first.")
    onsets_s = np.sort([note.onset_s for note in notes])
    shortest_s, longest_s = STEPS_S
    if np.ptp(onsets_s) < longest_s:
        return Grid(shortest_s, float(onsets_s[0]), quarters)
    from_first_s = onsets_s - onsets_s[0]
    tried = int(FINENESS * from_first_s[-1] * (1 / shortest_s - 1 / longest_s)) + 2
    rates_hz = np.linspace(1 / longest_s, 1 / shortest_s, tried)
    strength = regularity(from_first_s, rates_hz) + regularity(from_first_s, rates_hz / 2)
    rate_hz = rates_hz[strength.argmax()]
    turned = np.angle(np.exp(2j * np.pi * rate_hz * from_first_s).mean()) / (2 * np.pi)  # of a step, the grid's phase
    step = np.round(rate_hz * from_first_s - turned)
    step_s, phase_s = np.polyfit(step, onsets_s, 1) if np.ptp(step) else (1 / rate_hz, onsets_s[0])
    return Grid(float(step_s), float(phase_s + step[0] * step_s), quarters)


def quantised(notes: Sequence[Note], settings: Grid) -> PianoRoll:
    """Notes on the grid, onsets and ends to the nearest step; the roll begins at `settings.begins_s(notes)` and ends
    with a whole bar.

    Raises:
        TempoError: there are no notes.
    """
    if not notes:
        raise TempoError("No notes, no roll: transcribe something first.")
    begins_s, bar = settings.begins_s(notes), settings.quarters * QUARTER
    moved = [replace(note, onset_s=note.onset_s - begins_s) for note in notes]
    length = len(PianoRoll.from_notes(moved, settings.step_s))
    return PianoRoll.from_notes(moved, settings.step_s, -(-length // bar) * bar)
