"""The shared type of the course: a note, in seconds.

Notebook: 01 from score to spectrogram.
"""

from dataclasses import dataclass


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
