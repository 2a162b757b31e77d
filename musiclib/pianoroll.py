"""The shared types of the course: a note, in seconds, and a piano roll, on a grid of steps.

Notebooks: 01 from score to spectrogram, 05 scores to piano rolls.
"""

from dataclasses import dataclass

import numpy as np

PITCHES = 128


@dataclass(frozen=True, order=True)
class Note:
    """One sounding note. `program` is the General MIDI program, counted from 0 (0 piano, 40 violin, 73 flute)."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int = 90
    program: int = 0

    @property
    def end_s(self) -> float:
        return self.onset_s + self.duration_s


def notes_from_grid(grid: list[list[int]], step_s: float, program: int = 0) -> list[Note]:
    """Pitches sampled on a grid of `step_s` seconds → notes, sorted; a pitch in successive steps is one long note."""
    notes = []
    for step, pitches in enumerate(grid):
        before = grid[step - 1] if step else []
        for pitch in set(pitches) - set(before):
            length = 1
            while step + length < len(grid) and pitch in grid[step + length]:
                length += 1
            notes.append(Note(step * step_s, length * step_s, pitch, program=program))
    return sorted(notes)


@dataclass(frozen=True)
class PianoRoll:
    """Which pitches sound, and which begin, at each step of a grid.

    Two planes, because one cannot tell a long note from a repeated one.

    Attributes:
        sounding, onset: (T, 128) bool; an onset always sounds.
        step_s: seconds per step; 0.125 is a 16th at 120 quarters per minute.
    """

    sounding: np.ndarray
    onset: np.ndarray
    step_s: float = 0.125

    def __len__(self) -> int:
        return len(self.sounding)
