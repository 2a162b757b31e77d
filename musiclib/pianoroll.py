"""The shared types of the course: a note, in seconds, and a piano roll, on a grid of steps.

Notebooks: 01 from score to spectrogram, 05 scores to piano rolls.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musiclib.paths import atomic

PITCHES = 128
MOST_STEPS = 1 << 19  # eighteen hours of 16ths: what is longer comes from a damaged file


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


def planes(onset, length, pitch, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Notes as arrays, in steps, → the planes (sounding, onset). A repeated note cuts the one before.

    Args:
        onset, length, pitch: (N,) whole numbers. steps: T; unless given, up to the end of the last note.

    Returns:
        Two arrays (T, 128) bool.

    Raises:
        ValueError: a note begins before 0, is shorter than a step or has no MIDI pitch, or the last ends absurdly late.
    """
    onset, length, pitch = (np.asarray(values, np.int64) for values in (onset, length, pitch))
    if (onset < 0).any() or (length < 1).any() or (pitch < 0).any() or (pitch >= PITCHES).any():
        raise ValueError("A note needs an onset from 0, a length of at least one step and a pitch from 0 to 127.")
    steps = int((onset + length).max(initial=0)) if steps is None else steps
    if not 0 <= steps <= MOST_STEPS:
        raise ValueError(f"A roll of {steps} steps is out of range: 0 to {MOST_STEPS}; choose a longer step or cut it.")
    order = np.lexsort((length, onset, pitch))
    order = order[onset[order] < steps]
    onset, length, pitch = onset[order], length[order], pitch[order]
    end = np.minimum(onset + length, steps)
    repeated = pitch[:-1] == pitch[1:]
    end[:-1][repeated] = np.minimum(end[:-1], onset[1:])[repeated]
    length = end - onset
    before = np.cumsum(length) - length  # steps of the notes before this one
    every = np.repeat(onset - before, length) + np.arange(length.sum())  # each step of each note
    sounding, struck = np.zeros((2, steps, PITCHES), bool)
    sounding[every, np.repeat(pitch, length)] = True
    struck[onset, pitch] = True
    return sounding, struck


@dataclass(frozen=True, eq=False)
class PianoRoll:
    """Which pitches sound, and which begin, at each step of a grid.

    Two planes, because one cannot tell a long note from a repeated one. What sounds out of silence is a note, whether
    or not its onset is marked.

    Attributes:
        sounding, onset: (T, 128) bool; an onset always sounds.
        step_s: seconds per step; 0.125 is a 16th at 120 quarters per minute.

    Raises:
        ValueError: the planes or the step are not so.
    """

    sounding: np.ndarray
    onset: np.ndarray
    step_s: float = 0.125

    def __post_init__(self):
        for name, plane in (("sounding", self.sounding), ("onset", self.onset)):
            if not isinstance(plane, np.ndarray) or plane.dtype != bool:
                raise ValueError(f"The plane {name!r} of a piano roll is an array of bool, not {_kind(plane)}.")
            if plane.ndim != 2 or plane.shape[1] != PITCHES:
                raise ValueError(f"The plane {name!r} of a piano roll is (steps, {PITCHES}), not {plane.shape}.")
        if len(self.sounding) != len(self.onset):
            raise ValueError(
                f"The planes differ in length: {len(self.sounding)} steps sounding, {len(self.onset)} onset."
            )
        if (self.onset & ~self.sounding).any():
            step, pitch = np.argwhere(self.onset & ~self.sounding)[0]
            raise ValueError(f"Pitch {pitch} has an onset at step {step} but does not sound there.")
        if not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ValueError(f"A step lasts more than 0 s, not {self.step_s}.")

    def __len__(self) -> int:
        return len(self.sounding)

    def __eq__(self, other) -> bool:
        if not isinstance(other, PianoRoll):
            return NotImplemented
        return (
            self.step_s == other.step_s
            and np.array_equal(self.sounding, other.sounding)
            and np.array_equal(self.onset, other.onset)
        )

    def __repr__(self) -> str:
        return f"PianoRoll({len(self)} steps of {self.step_s:g} s, {len(self.grid_notes()[0])} notes)"

    @classmethod
    def from_notes(cls, notes: Iterable[Note], step_s: float = 0.125, steps: int | None = None) -> "PianoRoll":
        """Notes, onsets and ends to the nearest step, at least one step long; a repeated note cuts the one before.

        Args:
            step_s: seconds per step. steps: T, what is later is cut; unless given, up to the end of the last note.

        Raises:
            ValueError: a note begins before 0 or absurdly late, or has no MIDI pitch.
        """
        if not (math.isfinite(step_s) and step_s > 0):
            raise ValueError(f"A step lasts more than 0 s, not {step_s}.")
        rows = np.array([(note.onset_s, note.end_s, note.pitch) for note in notes], float).reshape(-1, 3)
        onset, end = nearest(rows[:, :2] / step_s).T
        return cls(*planes(onset, np.maximum(end - onset, 1), rows[:, 2], steps), step_s)

    def grid_notes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The notes as arrays (N,), in steps: onset, length and pitch, sorted by onset, then pitch."""
        silent = np.zeros((1, PITCHES), bool)
        first = self.onset | (self.sounding & ~np.concatenate([silent, self.sounding[:-1]]))
        last = self.sounding & ~np.concatenate([(self.sounding & ~first)[1:], silent])[: len(self)]
        # Pitch by pitch, so that each first step meets its own last one.
        pitch, onset = np.nonzero(first.T)
        length = np.nonzero(last.T)[1] - onset + 1
        order = np.lexsort((pitch, onset))
        return onset[order], length[order], pitch[order]

    def notes(self, program: int = 0, velocity: int = 90) -> list[Note]:
        """The notes in seconds, sorted: the inverse of `from_notes` for on-grid notes that overlap on no pitch."""
        return [
            Note(onset * self.step_s, length * self.step_s, pitch, velocity, program)
            for onset, length, pitch in zip(*(values.tolist() for values in self.grid_notes()), strict=True)
        ]

    def __getitem__(self, steps: slice) -> "PianoRoll":
        """`roll[a:b]`, the steps a to b as a roll; a note that is cut at the left begins there."""
        if not isinstance(steps, slice) or steps.step not in (None, 1):
            raise TypeError("A piano roll is cut with roll[first:last], without a stride.")
        sounding, onset = self.sounding[steps], self.onset[steps].copy()
        onset[:1] = sounding[:1]
        return PianoRoll(sounding, onset, self.step_s)

    def transposed(self, semitones: int) -> "PianoRoll":
        """The roll some semitones higher, or lower if negative.

        Raises:
            ValueError: a note would leave the 128 pitches.
        """
        pitches = np.flatnonzero(self.sounding.any(0))
        if len(pitches) and (pitches[0] + semitones < 0 or pitches[-1] + semitones >= PITCHES):
            raise ValueError(
                f"Pitches {pitches[0]} to {pitches[-1]}, moved by {semitones} semitones, leave MIDI's 0 to 127."
            )
        return PianoRoll(np.roll(self.sounding, semitones, 1), np.roll(self.onset, semitones, 1), self.step_s)

    @staticmethod
    def joined(rolls: Iterable["PianoRoll"]) -> "PianoRoll":
        """Rolls one after the other.

        Raises:
            ValueError: there is none, or their steps differ.
        """
        rolls = list(rolls)
        if len({roll.step_s for roll in rolls}) != 1:
            raise ValueError(f"Rolls to join have one step, not {sorted({roll.step_s for roll in rolls})} s.")
        return PianoRoll(
            np.concatenate([roll.sounding for roll in rolls]),
            np.concatenate([roll.onset for roll in rolls]),
            rolls[0].step_s,
        )

    def write_midi(self, path: Path, program: int = 0, tempo: float | None = None, steps_per_quarter: int = 4) -> None:
        """The roll as a MIDI file that `musiclib.scores.read_score` reads back exactly, silence at its end included.

        Args:
            tempo: quarters per minute; unless given, as fast as `step_s` says.

        Raises:
            ScoreError: MIDI has no such tempo.
        """
        from musiclib import scores  # not above: it builds on this module

        scores.write_roll_midi(self, path, program, tempo, steps_per_quarter)

    def musicxml(self, steps_per_quarter: int = 4) -> str:
        """The roll as MusicXML, to print or to feed to other programs: 4/4, two staves if it is wide.

        Raises:
            ScoreError: the roll has no steps.
        """
        from musiclib import musicxml

        return musicxml.musicxml(self, steps_per_quarter)

    def write_musicxml(self, path: Path, steps_per_quarter: int = 4) -> None:
        """`musicxml` as a file that `musiclib.scores.read_score` reads back exactly, silence at its end included."""
        text = self.musicxml(steps_per_quarter)
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def nearest(values: np.ndarray) -> np.ndarray:
    """To whole numbers, halves upwards, so that notes of equal length stay equal wherever they begin.

    Raises:
        ValueError: one is no number, or too large to be a step.
    """
    if not (np.abs(values) < 2**53).all():
        raise ValueError("A note's onset or end is no number, or beyond all measure.")
    return np.floor(values + 0.5).astype(np.int64)


def _kind(value) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
