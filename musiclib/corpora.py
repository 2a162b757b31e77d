"""The scores of the course.

Notebook: 01 from score to spectrogram.
"""

import json
from pathlib import Path

from joblib import Parallel, delayed

from musiclib.fetch import JSB, DownloadError, download
from musiclib.paths import DATA, atomic

BACH_CHORALES = DATA / "bach-chorales-quarter.json"

Piece = list[list[int]]  # the MIDI pitches that sound on each quarter


def chorales() -> tuple[dict[str, list[Piece]], str]:
    """Bach's chorales on a grid of quarters, in C major or C minor: {"train" | "valid" | "test": pieces}.

    Returns:
        The chorales, and where they are from: the paper's dataset where it can be had, else music21's four-part
        chorales, which ship with the course.
    """
    try:
        return json.loads(download(JSB).read_text()), "the JSB-Chorales dataset"
    except DownloadError:
        return json.loads(BACH_CHORALES.read_text()), "music21's four-part Bach chorales (no network for the JSB file)"


def build_bach_chorales(path: Path = BACH_CHORALES) -> None:
    """Makes the stand-in from music21's corpus; of every ten pieces one is for validation and one for test."""
    import music21  # not above: in a notebook its import makes every later picture twice as large

    files = sorted(file for file in music21.corpus.getComposer("bach") if file.suffix in (".mxl", ".xml", ".krn"))
    pieces = [piece for piece in Parallel(n_jobs=-1)(map(delayed(_chorale), files)) if piece]
    splits: dict[str, list[Piece]] = {"train": [], "valid": [], "test": []}
    for number, piece in enumerate(pieces):
        splits[{8: "valid", 9: "test"}.get(number % 10, "train")].append(piece)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(splits, separators=(",", ":")) + "\n")


def _chorale(file: Path) -> Piece | None:
    """A score transposed to C, sampled on quarters; None if it is not in four parts.

    By the nearest way, and then an octave up: that is how the JSB file stands, MIDI 43 to 96.
    """
    import music21

    score = music21.corpus.parse(file)
    if not isinstance(score, music21.stream.Score) or len(score.parts) != 4:
        return None
    shift = 12 - score.analyze("key").tonic.pitchClass
    shift += 12 if shift < 6 else 0
    sounding: list[set[int]] = [set() for _ in range(int(score.highestTime))]
    for note in score.flatten().notes:
        start, end = float(note.offset), float(note.offset + note.quarterLength)
        for quarter in range(-int(-start // 1), min(len(sounding), -int(-end // 1))):
            sounding[quarter].update(pitch.midi + shift for pitch in note.pitches)
    return [sorted(pitches) for pitches in sounding]
