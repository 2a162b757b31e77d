"""MIDI files into rolls: ours, and pretty_midi."""

import tempfile
from pathlib import Path

import numpy as np
from timing import median_s

from musiclib import corpora
from musiclib.ingestion import ingest
from musiclib.pianoroll import PianoRoll
from musiclib.pieces import Corpus

TIMES = (1, 4, 16)  # a piece that many times over: from a tune's to a symphony's length


def write_files(folder: Path, quick: bool) -> list[Path]:
    """Tunes and chorales as MIDI at 120 quarters per minute, in three lengths."""
    files = []
    for name in ("fiddle-tunes", "chorales"):
        pieces = [piece for piece in corpora.shipped(name)[:: 400 if quick else 12] if len(piece) < 1000]
        for number, piece in enumerate(pieces):
            times = TIMES[number % len(TIMES)]
            files.append(folder / f"{name}-{number:03}.mid")
            PianoRoll.joined([piece.roll()] * times).write_midi(files[-1])
    return files


def plain_roll(path: Path) -> np.ndarray:
    """(T, 128) what sounds on each 16th, by pretty_midi."""
    from pretty_midi import PrettyMIDI

    return PrettyMIDI(str(path)).get_piano_roll(fs=8).T > 0


def ingestion_ours(quick: bool) -> dict:
    """`ingest` in one process: metre, corpus and report included; then every piece as a roll."""
    with tempfile.TemporaryDirectory() as folder:
        source, corpus = Path(folder, "in"), Path(folder, "out.corpus")
        source.mkdir()
        files = write_files(source, quick)

        def read() -> None:
            ingest(source, corpus, jobs=1)
            for piece in Corpus(corpus):
                piece.roll()

        seconds = median_s(read, 1 if quick else 3)
        check(files[:: 1 if quick else 10], Corpus(corpus))
    return {"seconds": seconds / len(files), "note": f"{len(files)} files, one process, corpus and report written"}


def ingestion_plain(quick: bool) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), quick)
        seconds = median_s(lambda: [plain_roll(file) for file in files], 1, warm_up=int(quick))
    return {"seconds": seconds / len(files), "note": f"{len(files)} files, nothing written"}


def check(files: list[Path], corpus: Corpus) -> None:
    """Both ways give the same rolls."""
    ours = {piece.name: piece.roll().sounding for piece in corpus}
    for file in files:
        if not np.array_equal(ours[file.name], plain_roll(file)[: len(ours[file.name])]):
            raise AssertionError(f"{file.name} is not the same roll both ways.")


MEASUREMENTS = {function.__name__: function for function in (ingestion_ours, ingestion_plain)}
COMPARISONS = (("read a MIDI file into a roll", "ingestion_ours", "ingestion_plain", 30),)
