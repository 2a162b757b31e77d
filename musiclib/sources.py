"""Files of others as pieces: MIDI, MusicXML, MAESTRO's performances, the Lakh Pianoroll Dataset.

A file ends as a `Piece`, or as `Unusable` with a cause. In musical time a piece has one metre: its bars are counted
from the time signature that holds at its first note (4/4 if there is none), and a file whose bars change their length
while it sounds is skipped. In seconds metre means nothing.

Notebook: 05 scores to piano rolls.
"""

import csv
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musiclib.pianoroll import MOST_STEPS, PITCHES, nearest
from musiclib.pieces import GRID_NOTE, Piece
from musiclib.scores import ScoreError, open_score

MIDI, MUSICXML = (".mid", ".midi"), (".musicxml", ".mxl", ".xml")
ENDINGS = {"midi": MIDI, "maestro": MIDI, "lpd": (".npz",), "musicxml": MUSICXML}
MAESTRO_STEP_S = 0.032  # a frame of the course's spectrograms, 512 samples at 16 kHz
MAESTRO_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
PIANOS = range(8)  # General MIDI programs
SONG = re.compile(r"TR[A-Z]{5}[0-9A-F]{11}")  # a folder of Lakh and LPD: all versions of one song
MOST_UNZIPPED = 1 << 28
LONGEST = np.iinfo(GRID_NOTE["length"]).max


class Unusable(ValueError):
    """A file gives no piece. `verdict` is empty, corrupt or skipped; the message is the cause."""

    def __init__(self, verdict: str, cause: str):
        super().__init__(cause)
        self.verdict = verdict


@dataclass(frozen=True)
class Reading:
    """How files are read: their kind, and the grid in steps per quarter or, if `step_s` is not 0, in seconds."""

    kind: str
    steps_per_quarter: int = 4
    step_s: float = 0.0
    monophonic: bool = False


@dataclass(frozen=True)
class Found:
    """A file: its path within the folder, its size and age, the song and the published split it belongs to."""

    path: str
    stamp: tuple[int, int]
    group: str = ""
    split: str = ""

    @property
    def name(self) -> str:
        """The path as any text file can hold it."""
        return os.fsencode(self.path).decode(errors="backslashreplace").replace(os.sep, "/")


def find(folder: Path, kind: str) -> list[Found]:
    """All files below a folder but hidden ones, sorted by name."""
    official = maestro_table(folder) if kind == "maestro" else {}
    found = []
    for path, stamp in _walk(folder, ""):
        group = next((part for part in reversed(path.split(os.sep)[:-1]) if SONG.fullmatch(part)), "")
        found.append(Found(path, stamp, *official.get(path, (group, ""))))
    return sorted(found, key=lambda file: file.name)


def _walk(folder: Path, inside: str) -> Iterator[tuple[str, tuple[int, int]]]:
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            path = os.path.join(inside, entry.name)
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, path)
            elif entry.is_file():
                yield path, (entry.stat().st_size, entry.stat().st_mtime_ns)


def maestro_table(folder: Path, field: str = "") -> dict[str, tuple[str, str]]:
    """MIDI file → (composer and title, or a field of the table; split), from the CSV that comes with MAESTRO.

    Raises:
        ValueError: it is missing or damaged.
    """
    tables = sorted(folder.glob("maestro-v*.csv"))
    if not tables:
        raise ValueError(f"{folder} holds no maestro-v3.0.0.csv, which says the splits: give MAESTRO's own folder.")
    try:
        with tables[-1].open(newline="", encoding="utf-8") as file:
            return {
                row["midi_filename"].replace("/", os.sep): (
                    row[field] if field else f"{row['canonical_composer']}: {row['canonical_title']}",
                    MAESTRO_SPLITS[row["split"]],
                )
                for row in csv.DictReader(file)
            }  # fmt: skip
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{tables[-1]} is no table of MAESTRO ({error!r}): download it again.") from error


def read_piece(folder: Path, file: Found, reading: Reading) -> Piece:
    """One file as a piece.

    Raises:
        Unusable: it gives none, and why.
    """
    path, endings = folder / file.path, ENDINGS[reading.kind]
    if path.suffix.lower() not in endings:
        raise Unusable("skipped", f"its name does not end in {' or '.join(endings)}")
    if reading.kind == "maestro" and not file.split:
        raise Unusable("skipped", "MAESTRO's table does not list it")
    try:
        notes, grid, bar_steps, first_bar = _lpd(path, reading) if reading.kind == "lpd" else _score(path, reading)
    except Unusable:
        raise
    except ScoreError as error:
        cause = str(error).removeprefix(f"{path} ")
        raise Unusable("empty" if cause.startswith("holds no notes") else "corrupt", cause) from error
    except Exception as error:  # whatever a damaged file makes a library raise
        raise Unusable("corrupt", f"{type(error).__name__}: {error}".splitlines()[0]) from error
    return Piece(file.name, notes, grid, bar_steps, first_bar, file.group, file.split, reading.step_s)


def _score(path: Path, reading: Reading) -> tuple[np.ndarray, int, int, int]:
    """Notes, steps per quarter, steps per bar and first bar of MIDI or MusicXML."""
    score = open_score(path)
    onset, end = score.notes["onset"], score.notes["end"]
    grid = (0, 0, 0)
    if reading.step_s:
        onset, end = score.seconds(onset) / reading.step_s, score.seconds(end) / reading.step_s
    else:
        bar, start = metre(score.signs, float(onset.min()), float(end.max()))
        grid = bars_on_grid(bar, start + score.pickup_quarters, reading.steps_per_quarter)
        onset, end = onset * reading.steps_per_quarter, end * reading.steps_per_quarter
    notes = score.notes
    return arranged(nearest(onset), nearest(end), notes["pitch"], notes["velocity"], reading.monophonic), *grid


def bars_on_grid(bar_quarters: float, start_quarters: float, steps_per_quarter: int) -> tuple[int, int, int]:
    """Steps per quarter, steps per bar and the first bar line, in steps.

    Raises:
        Unusable: a bar has no whole number of steps.
    """
    bar = bar_quarters * steps_per_quarter
    if bar != round(bar):
        raise Unusable("skipped", f"a bar of {bar_quarters:g} quarters is no whole number of steps")
    return steps_per_quarter, round(bar), round(start_quarters * steps_per_quarter) % round(bar)


def metre(signs: Sequence[tuple[float, int, int]], first: float, last: float) -> tuple[float, float]:
    """The length of a bar in quarters, and the quarter at which bars begin to be counted.

    Args:
        signs: (quarter, numerator, denominator) of each time signature. first, last: between which quarters it sounds.

    Raises:
        Unusable: bars change their length in between.
    """
    lengths = [(at, 4 * top / bottom) for at, top, bottom in signs if top > 0 and bottom > 0]
    lengths = [(0.0, 4.0), *sorted(lengths, key=lambda sign: sign[0])]
    number = max(i for i, (at, _) in enumerate(lengths) if at <= first)
    start, bar = lengths[number]
    for at, length in lengths[number + 1 :]:
        if at < last and length != bar:
            raise Unusable("skipped", f"its bars change from {bar:g} to {length:g} quarters at quarter {at:g}")
    return bar, start


def arranged(onset, end, pitch, velocity, monophonic: bool = False) -> np.ndarray:
    """Notes in steps as (N,) of GRID_NOTE: at least one step long, none lasting into the next of its pitch.

    Of several on one step and pitch the longest stays. If monophonic, the skyline: the highest of each step, up to the
    next.
    """
    if onset.max(initial=0) > MOST_STEPS * 8:
        raise Unusable("corrupt", f"a note begins at step {onset.max()}, which no piece has")
    end = np.maximum(end, onset + 1)
    voice = np.zeros_like(pitch) if monophonic else pitch
    order = np.lexsort((end, pitch, onset, voice))
    same = (np.diff(voice[order].astype(int)) == 0) & (np.diff(onset[order]) == 0)
    order = order[np.append(~same, True)[: len(order)]]
    onset, end, voice, pitch, velocity = (values[order] for values in (onset, end, voice, pitch, velocity))
    follows = voice[1:] == voice[:-1]
    end[:-1][follows] = np.minimum(end[:-1], onset[1:])[follows]
    notes = np.empty(len(order), GRID_NOTE)
    notes["onset"], notes["pitch"], notes["velocity"] = onset, pitch, velocity
    notes["length"] = np.minimum(end - onset, LONGEST)
    return notes[np.lexsort((pitch, onset))]


def _lpd(path: Path, reading: Reading) -> tuple[np.ndarray, int, int, int]:
    """Notes, steps per quarter, steps per bar and first bar of the piano tracks of a pypianoroll archive.

    Its rolls have no onsets: what sounds without a gap is one note. LPD's makers put a gap of one of its 24 steps
    before a repeated note, so these are told apart. Metre is 4/4 unless the down-beats are all equally far apart.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_UNZIPPED:
            raise Unusable("corrupt", f"it unzips to more than {MOST_UNZIPPED >> 20} MiB, which no song has")
    with np.load(path) as arrays:
        info = json.loads(arrays["info.json"])
        resolution = int(info.get("resolution") or info["beat_resolution"])
        tracks = [number for number in range(len(info)) if _is_piano(info.get(str(number)))]
        runs = [_runs(arrays, f"pianoroll_{number}_csc") for number in tracks]
        downbeat = np.flatnonzero(arrays["downbeat"]) if "downbeat" in arrays else np.array([0])
    onset, end, pitch, velocity = (np.concatenate(x) for x in zip(*runs, strict=True)) if runs else [np.array([])] * 4
    if not len(onset):
        raise Unusable("empty", "its piano tracks hold no notes" if tracks else "it has no piano track")
    gaps = np.unique(np.diff(downbeat))
    if len(gaps) > 1:
        raise Unusable("skipped", f"its bars change their length: {', '.join(map(str, gaps / resolution))} quarters")
    scale = reading.steps_per_quarter / resolution
    bar = float(gaps[0]) / resolution if len(gaps) else 4.0
    grid = bars_on_grid(bar, downbeat[0] / resolution if len(downbeat) else 0, reading.steps_per_quarter)
    return arranged(nearest(onset * scale), nearest(end * scale), pitch, velocity, reading.monophonic), *grid


def _is_piano(track: dict | None) -> bool:
    return track is not None and not track["is_drum"] and track["program"] in PIANOS


def _runs(arrays, name: str) -> tuple[np.ndarray, ...]:
    """Onset, end, pitch and velocity of what sounds without a gap, from a sparse (T, 128) roll stored by columns."""
    data, rows, starts, shape = (arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr", "shape"))
    counts = np.diff(starts.astype(np.int64))
    whole = len(starts) == PITCHES + 1 and len(data) == len(rows) == starts[-1] and (counts >= 0).all()
    if not whole or shape[1] != PITCHES or (rows < 0).any() or (rows >= shape[0]).any():
        raise Unusable("corrupt", "its roll's sparse arrays do not fit together")
    pitch, rows = np.repeat(np.arange(PITCHES, dtype=np.uint8), counts), rows.astype(np.int64)
    order = np.lexsort((rows, pitch))
    order = order[data[order] > 0]
    pitch, rows, data = pitch[order], rows[order], data[order]
    breaks = (np.diff(pitch.astype(int)) != 0) | (np.diff(rows) != 1)
    first, last = np.append(True, breaks)[: len(rows)], np.append(breaks, True)[: len(rows)]
    velocity = np.full(first.sum(), 90) if data.dtype == bool else np.clip(data[first], 1, 127)
    return rows[first], rows[last] + 1, pitch[first], velocity
