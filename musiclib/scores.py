"""Scores from files and into files: MIDI and MusicXML.

A score is read in musical time, so that a tempo that changes leaves the grid alone; `read_notes` follows the tempo.
Drums are left out. A pick-up bar keeps its length: the roll begins with it.

Notebook: 05 scores to piano rolls.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musiclib.paths import atomic
from musiclib.pianoroll import Note, PianoRoll, nearest, planes

TICKS_PER_QUARTER = 480
MOST_BYTES = 1 << 26
MOST_QUARTERS = 1 << 14  # over two hours at 120 per minute
SLOWEST_TEMPO_US = (1 << 24) - 1  # MIDI writes microseconds per quarter in three bytes
SCORE_NOTE = np.dtype([("onset", "f8"), ("end", "f8"), ("pitch", "u1"), ("velocity", "u1"), ("program", "u1")])


class ScoreError(ValueError):
    """A score cannot be used: the message names the file, the cause and the remedy."""


@dataclass(frozen=True)
class Score:
    """What a file of notes says, in quarters.

    Attributes:
        notes: (N,) of SCORE_NOTE, onset and end in quarters.
        tempi: (M, 2) the quarter at which a tempo begins, and its seconds per quarter.
        quarters: the length, rests at the end included.
        signs: (quarter, numerator, denominator) of each time signature, as printed.
        pickup_quarters: the length of a bar that is shorter than its time signature says, before the first.
    """

    notes: np.ndarray
    tempi: np.ndarray
    quarters: float
    signs: tuple[tuple[float, int, int], ...] = ()
    pickup_quarters: float = 0.0

    def roll(self, steps_per_quarter: int = 4) -> PianoRoll:
        """On a grid, to the nearest steps; one step lasts what it does at the first tempo."""
        onset, end, steps = (
            nearest(np.asarray(value) * steps_per_quarter)
            for value in (self.notes["onset"], self.notes["end"], self.quarters)
        )
        length = np.maximum(end - onset, 1)
        steps = max(int(steps), int((onset + length).max(initial=0)))
        return PianoRoll(*planes(onset, length, self.notes["pitch"], steps), self.tempi[0, 1] / steps_per_quarter)

    def seconds(self, quarters: np.ndarray) -> np.ndarray:
        """When, in seconds, a moment given in quarters is reached."""
        at, pace = self.tempi.T
        reached = np.concatenate([[0.0], np.cumsum(np.diff(at) * pace[:-1])])
        current = np.searchsorted(at, quarters, side="right") - 1
        return reached[current] + (quarters - at[current]) * pace[current]


def read_score(path: Path | str, steps_per_quarter: int = 4) -> PianoRoll:
    """A MIDI or MusicXML file on a grid, all its instruments together, without drums.

    Raises:
        ScoreError: the file is missing, empty, damaged, no score, or holds no notes.
    """
    score = open_score(path)
    try:
        return score.roll(steps_per_quarter)
    except ValueError as error:
        raise ScoreError(f"{path} does not fit a grid of {steps_per_quarter} steps per quarter: {error}") from error


def read_notes(path: Path | str) -> list[Note]:
    """The notes of a MIDI or MusicXML file in seconds, sorted, with velocity and program; without drums.

    Raises:
        ScoreError: the file is missing, empty, damaged, no score, or holds no notes.
    """
    score = open_score(path)
    onset_s, end_s = score.seconds(score.notes["onset"]), score.seconds(score.notes["end"])
    rest = (score.notes[name].tolist() for name in ("pitch", "velocity", "program"))
    return sorted(map(Note, onset_s.tolist(), (end_s - onset_s).tolist(), *rest))


def open_score(path: Path | str) -> Score:
    """A MIDI (format 0 or 1) or MusicXML file, told by its content, whatever its name ends in.

    Raises:
        ScoreError: the file is missing, empty, damaged, no score, or holds no notes.
    """
    path = Path(path)
    data = _bytes(path)
    if data[:4] == b"MThd":
        score = _midi(path, data)
    elif data[:2] == b"PK" or b"<score-" in data[:4096]:
        from musiclib.musicxml import parse

        score = parse(path, data)
    else:
        raise ScoreError(f"{path} is neither MIDI nor MusicXML: export the score as one of them.")
    return _checked(path, score)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ScoreError(f"{path} is a folder: name one score in it.")
        if path.exists() and not path.is_file():
            raise ScoreError(f"{path} is a device or a pipe: save the score to a file.")
        if path.stat().st_size > MOST_BYTES:
            raise ScoreError(f"{path} has more than {MOST_BYTES >> 20} MiB, which no score has: export it again.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ScoreError(f"There is no file {path}: check its name and folder.") from error
    except OSError as error:
        raise ScoreError(f"{path} cannot be opened ({error.strerror}): check its name and permissions.") from error
    if not data:
        raise ScoreError(f"{path} is empty: export or download it again.")
    return data


def _midi(path: Path, data: bytes) -> Score:
    """Notes, tempi and metre of MIDI. A note-on without a note-off is left out, and a note-off without a note-on."""
    import symusic  # not above: only reading files needs it

    _check_midi_header(path, data)
    try:
        score = symusic.Score.from_midi(data)
    except Exception as error:  # the parser raises RuntimeError, and on some damage other things
        raise ScoreError(f"{path} is damaged MIDI ({error}): export or download it again.") from error
    parts = [(track.notes.numpy(), track.program) for track in score.tracks if not track.is_drum]
    notes = np.empty(sum(len(part["time"]) for part, _ in parts), SCORE_NOTE)
    start = 0
    for part, program in parts:
        own = notes[start : start + len(part["time"])]
        ticks = part["time"].astype(np.int64)
        own["onset"] = ticks / score.ticks_per_quarter
        own["end"] = (ticks + np.maximum(part["duration"], 1)) / score.ticks_per_quarter
        own["pitch"], own["velocity"], own["program"] = part["pitch"], part["velocity"], program
        start += len(own)
    tempi = [(tempo.time / score.ticks_per_quarter, tempo.mspq / 1e6) for tempo in score.tempos]
    signs = [(s.time / score.ticks_per_quarter, s.numerator, s.denominator) for s in score.time_signatures]
    last_marker = max((marker.time for marker in score.markers), default=0) / score.ticks_per_quarter
    return Score(notes, tempo_map(tempi), max(notes["end"].max(initial=0), last_marker), tuple(signs))


def _check_midi_header(path: Path, data: bytes) -> None:
    """What the parser lets pass, or gives no reason for."""
    if len(data) < 14:
        raise ScoreError(f"{path} is cut off within its first 14 bytes: export or download it again.")
    kind, division = (int.from_bytes(data[at : at + 2], "big") for at in (8, 12))
    if kind > 1:
        raise ScoreError(f"{path} is MIDI of format {kind}, patterns without an order: export it as format 0 or 1.")
    if division == 0:
        raise ScoreError(f"{path} is damaged MIDI, with 0 ticks per quarter: export or download it again.")
    if division >= 1 << 15:
        raise ScoreError(f"{path} counts film frames (SMPTE) instead of quarters: export it with ticks per quarter.")


def tempo_map(tempi: Iterable[tuple[float, float]]) -> np.ndarray:
    """(quarter, seconds per quarter) in order → (M, 2), from quarter 0: the first holds before it, 120 if there is
    none. Those that MIDI could not hold are left out."""
    tempi = sorted((at, pace) for at, pace in tempi if 1e-6 <= pace <= SLOWEST_TEMPO_US / 1e6) or [(0.0, 0.5)]
    return np.array([(0.0, tempi[0][1]), *tempi])


def _checked(path: Path, score: Score) -> Score:
    if not len(score.notes):
        raise ScoreError(f"{path} holds no notes, apart perhaps from drums: choose another score.")
    if score.notes["onset"].min() < 0 or score.quarters > MOST_QUARTERS:
        raise ScoreError(f"{path} lasts over {MOST_QUARTERS} quarters, so a time in it is damaged: export it again.")
    if (score.notes["pitch"] > 127).any():
        raise ScoreError(f"{path} holds a pitch outside MIDI's 0 to 127: export it again.")
    return score


def write_roll_midi(
    roll: PianoRoll, path: Path, program: int = 0, tempo: float | None = None, steps_per_quarter: int = 4
) -> None:
    """See `PianoRoll.write_midi`."""
    ticks = max(1, TICKS_PER_QUARTER // steps_per_quarter)  # per step: a whole number, so no step moves
    pace_us = round(1e6 * (60 / tempo if tempo else roll.step_s * steps_per_quarter))
    onset, length, pitch = roll.grid_notes()
    notes = {program: (onset * ticks, length * ticks, pitch, np.full(len(pitch), 90))}
    _write_midi(path, notes, ticks * steps_per_quarter, pace_us, len(roll) * ticks)


def write_midi(notes: Iterable[Note], path: Path) -> None:
    """Notes in seconds as a MIDI file, to the nearest millisecond; one track per program. Of two notes that overlap on
    a pitch of one program, the later cuts the earlier, since MIDI cannot tell which of them ends.

    Raises:
        ValueError: a note begins before 0 or absurdly late, or has no MIDI pitch.
    """
    tracks: dict[int, list[Note]] = {}
    for note in notes:
        tracks.setdefault(note.program, []).append(note)
    arrays = {}
    for program, own in sorted(tracks.items()):
        roll_ms = np.array(sorted((n.pitch, n.onset_s, n.end_s, n.velocity) for n in own), float)
        pitch, velocity = roll_ms[:, 0].astype(int), roll_ms[:, 3].astype(int)
        onset, end = nearest(roll_ms[:, 1:3] * 1000).T
        same = pitch[:-1] == pitch[1:]
        end[:-1][same] = np.minimum(end[:-1], onset[1:])[same]
        arrays[program] = (onset, np.maximum(end - onset, 1), pitch, velocity)
    _write_midi(path, arrays, 500, 500_000, 0)


def _write_midi(path: Path, tracks: dict[int, tuple], ticks_per_quarter: int, pace_us: int, end: int) -> None:
    """Tracks {program: (onset, length, pitch, velocity)}, in ticks; a marker keeps the rest at the end."""
    import symusic

    if not 0 < pace_us <= SLOWEST_TEMPO_US:
        raise ScoreError(f"{path} cannot hold a quarter of {pace_us / 1e6:g} s: MIDI's last up to 16.7 s.")
    score = symusic.Score(ticks_per_quarter)
    score.tempos.append(symusic.Tempo(0, mspq=pace_us))
    for program, (onset, length, pitch, velocity) in tracks.items():
        track = symusic.Track(program=program)
        track.notes = symusic.Note.from_numpy(
            onset.astype(np.int32), length.astype(np.int32), pitch.astype(np.int8), velocity.astype(np.int8), "tick"
        )
        score.tracks.append(track)
    if end:
        score.markers.append(symusic.TextMeta(end, "end"))
    data = score.dumps_midi()
    with atomic(path) as temporary:
        temporary.write_bytes(data)
