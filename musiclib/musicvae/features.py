"""Yang & Lerch's features of a piece: numbers, histograms and matrices that describe its pitches and its rhythm.

Conventions (MIDI toolboxes differ in most of them):

- Time is counted in steps of the roll, 16ths. A NOTE is an onset; it lasts until its pitch falls silent, is struck
  again, or the roll ends. What sounds without an onset (tied over the window's edge) counts where a feature looks at
  the sounding plane: pitch count, range and pitch-class histogram, which is weighted by duration as the authors' is.
- The AVERAGE INTERVAL is the mean absolute interval between successive notes of the skyline: the notes that are the
  highest sounding pitch when they begin. The authors' toolkit walks through note events in file order, so that a chord
  counts as a run of its own notes; for a melody the two agree.
- TRANSITIONS, of pitch classes and of note lengths, are counts: a note is followed by all notes that begin at the first
  onset at or after its end. The toolkit drops pairs of pitch classes with a rest in between, and takes lengths in file
  order; for a melody without rests all agree.
- NOTE LENGTHS fall into eight classes, 16th to whole note with dotted values in between: the nearest, ties to the
  shorter, everything above 14 steps a whole note. The toolkit's four others (triplets, dotted 16th) are lengths that a
  grid of 16ths does not have.
- INTER-ONSET INTERVALS are between different onset steps, so a chord is one onset; the toolkit counts zeros in chords.
- What too few notes leave undefined is 0; no feature is ever NaN.

Source: Yang & Lerch 2020, On the evaluation of generative models in music; the toolkit is mgeval. Notebook: 07 MusicVAE
evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from musiclib.pianoroll import PianoRoll

NOTE_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16)  # in 16ths


class Notes(NamedTuple):
    """The notes of a roll, by onset, then pitch: three (n,) integer arrays; starts and ends in steps."""

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray


def notes_of(roll: PianoRoll) -> Notes:
    """The notes that begin in a roll."""
    steps = np.arange(len(roll) + 1)[:, None]
    stops = np.vstack([~roll.sounding | roll.onset, np.ones((1, roll.onset.shape[1]), bool)])  # (T + 1, 128)
    next_stop = np.minimum.accumulate(np.where(stops, steps, len(roll))[::-1])[::-1]
    starts, pitches = roll.onset.nonzero()
    return Notes(starts, next_stop[starts + 1, pitches], pitches)


def pitch_count(roll: PianoRoll) -> int:
    """How many different pitches sound."""
    return int(roll.sounding.any(axis=0).sum())


def pitch_range(roll: PianoRoll) -> int:
    """Highest minus lowest sounding pitch, in semitones."""
    used = roll.sounding.any(axis=0).nonzero()[0]
    return int(used[-1] - used[0]) if len(used) else 0


def pitch_class_histogram(roll: PianoRoll) -> np.ndarray:
    """(12,) share of the sounding time that each pitch class has, C first."""
    steps = roll.sounding.sum(axis=0)
    return np.bincount(np.arange(len(steps)) % 12, steps, 12) / max(steps.sum(), 1)


def pitch_class_transitions(roll: PianoRoll) -> np.ndarray:
    """(12, 12) counts: pitch class of a note × pitch class of a note that follows it."""
    notes = notes_of(roll)
    return _transitions(notes, notes.pitches % 12, 12)


def average_interval(roll: PianoRoll) -> float:
    """Mean absolute interval between successive notes of the skyline, in semitones."""
    steps, pitches = roll.onset.nonzero()
    covered = np.cumsum(roll.sounding[:, ::-1], axis=1)[:, ::-1]  # (T, 128) how many sound at this pitch or above
    skyline = pitches[covered[steps, pitches] == 1]
    return float(np.abs(np.diff(skyline)).mean()) if len(skyline) > 1 else 0.0


def note_count(roll: PianoRoll) -> int:
    """How many notes begin."""
    return int(roll.onset.sum())


def average_inter_onset_interval(roll: PianoRoll) -> float:
    """Mean time from one onset step to the next, in steps."""
    onsets = roll.onset.any(axis=1).nonzero()[0]
    return float(np.diff(onsets).mean()) if len(onsets) > 1 else 0.0


def note_length_histogram(roll: PianoRoll) -> np.ndarray:
    """(8,) share of the notes that each length of NOTE_LENGTHS has."""
    classes = _length_classes(notes_of(roll))
    return np.bincount(classes, minlength=len(NOTE_LENGTHS)) / max(len(classes), 1)


def note_length_transitions(roll: PianoRoll) -> np.ndarray:
    """(8, 8) counts: length class of a note × length class of a note that follows it."""
    notes = notes_of(roll)
    return _transitions(notes, _length_classes(notes), len(NOTE_LENGTHS))


def _length_classes(notes: Notes) -> np.ndarray:
    halfway = np.add(NOTE_LENGTHS[:-1], NOTE_LENGTHS[1:]) / 2
    return np.searchsorted(halfway, notes.ends - notes.starts)


def _transitions(notes: Notes, classes: np.ndarray, count: int) -> np.ndarray:
    onsets, begins = np.unique(notes.starts, return_inverse=True)
    followed_at = np.searchsorted(onsets, notes.ends)  # the first onset at or after the end; len(onsets): none
    begun, ended = np.zeros((2, len(onsets) + 1, count))
    np.add.at(begun, (begins, classes), 1)
    np.add.at(ended, (followed_at, classes), 1)
    return ended.T @ begun


FEATURES: dict[str, Callable[[PianoRoll], float | np.ndarray]] = {
    "pitch count": pitch_count,
    "pitch-class histogram": pitch_class_histogram,
    "pitch-class transitions": pitch_class_transitions,
    "pitch range": pitch_range,
    "average interval": average_interval,
    "note count": note_count,
    "inter-onset interval": average_inter_onset_interval,
    "note-length histogram": note_length_histogram,
    "note-length transitions": note_length_transitions,
}


def feature_values(rolls: Sequence[PianoRoll]) -> dict[str, np.ndarray]:
    """Every feature of every roll, flattened: name → (N, D), D = 1 for a number and 144 for a 12 × 12 matrix."""
    return {name: np.array([np.ravel(f(roll)) for roll in rolls], float) for name, f in FEATURES.items()}


class Spread(NamedTuple):
    """Mean and standard deviation; of features (D,) each, of distances numbers."""

    mean: np.ndarray | float
    std: np.ndarray | float


def absolute(values: Mapping[str, np.ndarray]) -> dict[str, Spread]:
    """Mean and deviation over a set of what `feature_values` returned: name → two (D,)."""
    return {name: Spread(own.mean(axis=0), own.std(axis=0)) for name, own in values.items()}
