"""The shared type of the course: a note, in seconds.

Notebook: 01 from score to spectrogram.
"""

from dataclasses import dataclass

import music21


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


def notes_from_score(score: music21.stream.Stream, quarter_s: float = 0.5, program: int = 0) -> list[Note]:
    """The notes of a music21 score, tied notes joined, `quarter_s` seconds to the quarter, sorted by onset."""
    notes = []
    for element in score.stripTies().flatten().notes:
        length = float(element.duration.quarterLength) * quarter_s
        if length == 0:  # grace notes take no time on this grid
            continue
        onset = float(element.offset) * quarter_s
        notes += [Note(onset, length, pitch.midi, program=program) for pitch in element.pitches]
    return sorted(notes)
