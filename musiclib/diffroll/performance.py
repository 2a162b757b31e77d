"""A score as someone might play it: a tempo, a key, a touch, hands that are never quite together.

Scores on a grid are too even to learn from: every note as loud, as long as printed, exactly in time. A `Style` says how
far a performance may stray, and a seed says where it does, so that one seed is one performance.

Notebook: 10 transcription.
"""

from dataclasses import dataclass

import numpy as np

from musiclib.pianoroll import Note, nearest
from musiclib.pieces import Piece

LOWEST, HIGHEST = 21, 108
SHORTEST_S = 0.05
REPEATED_S = 0.12  # a note that is struck again lasts at least so long
Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges that a performance is drawn from.

    Attributes:
        tempo: quarters per minute, or for a piece in seconds its speed in percent. semitones: transposition, kept
            within the keyboard. velocity: mean of a performance; spread: standard deviation from note to note.
        length: share of the printed length that a note is held. lateness_s: standard deviation of onsets.
        short, repeated: shares of the notes that are played staccato (50 to 100 ms), or struck again and again.
    """

    tempo: Range = (60.0, 150.0)
    semitones: tuple[int, int] = (-6, 6)
    velocity: Range = (50.0, 105.0)
    spread: float = 12.0
    length: Range = (0.6, 1.0)
    lateness_s: float = 0.008
    short: float = 0.0
    repeated: float = 0.0


PRACTICE = Style(short=0.05, repeated=0.05)  # what training hears
VARIED = Style(velocity=(40.0, 110.0), spread=18.0, lateness_s=0.012, short=0.15, repeated=0.15)
CLEAN = Style(spread=6.0, velocity=(75.0, 95.0), length=(0.85, 1.0), lateness_s=0.003)  # test set A
HARD = Style(velocity=(45.0, 100.0), spread=20.0, lateness_s=0.012, short=0.2, repeated=0.15)  # test set B


def perform(piece: Piece, style: Style, rng: np.random.Generator) -> np.ndarray:
    """A piece on the piano: (N, 4), onset and duration in seconds, pitch and velocity, sorted by onset. A note ends at
    the latest when its key is struck again."""
    notes = piece.notes
    tempo, velocity, held = (rng.uniform(*low_high) for low_high in (style.tempo, style.velocity, style.length))
    step_s = piece.step_s * 100 / tempo if piece.step_s else 60 / tempo / piece.steps_per_quarter
    onset = notes["onset"] * step_s + rng.normal(0, style.lateness_s, len(notes))
    duration = np.maximum(notes["length"] * step_s * held, SHORTEST_S)
    short = rng.random(len(notes)) < style.short
    duration = np.where(short, rng.uniform(SHORTEST_S, 2 * SHORTEST_S, len(notes)), duration)
    pitch = notes["pitch"].astype(int) + _transposition(notes["pitch"], style.semitones, rng)
    loudness = np.clip(rng.normal(velocity, style.spread, len(notes)), 20, 127).astype(int)
    rows = np.stack([np.maximum(onset, 0), duration, pitch, loudness], axis=1)
    rows = _struck_again(rows, rng.random(len(rows)) < style.repeated, rng)
    rows = rows[(rows[:, 2] >= LOWEST) & (rows[:, 2] <= HIGHEST)]
    return _one_key_one_note(rows)


def _transposition(pitch: np.ndarray, semitones: tuple[int, int], rng: np.random.Generator) -> int:
    """Random, but no further than the keyboard goes."""
    low = max(semitones[0], LOWEST - int(pitch.min(initial=60)))
    high = min(semitones[1], HIGHEST - int(pitch.max(initial=60)))
    return int(rng.integers(low, high, endpoint=True)) if low <= high else 0


def _struck_again(rows: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Chosen notes that are long enough are cut into two to four, each struck anew without a gap."""
    times = np.minimum(rng.integers(2, 5, len(rows)), (rows[:, 1] / REPEATED_S).astype(int))
    times = np.where(chosen & (times > 1), times, 1)
    cut = np.repeat(rows, times, axis=0)
    number = np.concatenate([np.arange(count) for count in times]) if len(times) else np.zeros(0)
    cut[:, 1] /= np.repeat(times, times)
    cut[:, 0] += number * cut[:, 1]
    return cut


def _one_key_one_note(rows: np.ndarray) -> np.ndarray:
    """Rows (onset, duration, pitch, velocity), of one key never two at a time: what a key still plays when it is
    struck again ends there, and strokes less than `SHORTEST_S` apart are one."""
    rows = rows[np.lexsort((rows[:, 0], rows[:, 2]))]
    same = rows[1:, 2] == rows[:-1, 2]
    double = np.append(False, same & (np.diff(rows[:, 0]) < SHORTEST_S))[: len(rows)]
    rows = rows[~double]
    same = rows[1:, 2] == rows[:-1, 2]
    gap = np.where(same, np.diff(rows[:, 0]), np.inf)
    rows[:-1, 1] = np.minimum(rows[:-1, 1], gap)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def notes_of(rows: np.ndarray) -> list[Note]:
    """A performance as notes."""
    return [Note(onset, duration, int(pitch), int(velocity)) for onset, duration, pitch, velocity in rows.tolist()]


def excerpt(piece: Piece, seconds: float, style: Style, rng: np.random.Generator) -> Piece:
    """A random part of a piece, long enough for so many seconds at any tempo of the style; all of it if it is short."""
    step_s = piece.step_s * 100 / style.tempo[1] if piece.step_s else 60 / style.tempo[1] / piece.steps_per_quarter
    steps = int(nearest(np.asarray(seconds / step_s)))
    first = int(rng.integers(0, max(1, len(piece) - steps)))
    notes = piece.notes
    chosen = notes[(notes["onset"] >= first) & (notes["onset"] < first + steps)].copy()
    chosen["onset"] -= first
    return Piece(piece.name, chosen, piece.steps_per_quarter, piece.bar_steps, group=piece.group, step_s=piece.step_s)
