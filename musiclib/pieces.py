"""Pieces on a grid, and many of them in one memory-mapped file.

A note costs 8 bytes, so the piano tracks of 174 154 songs take about two gigabytes, of which only what is looked at
is ever read. The file is safetensors: one array per field, and where each piece starts.

Notebook: 05 scores to piano rolls.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from musiclib.paths import atomic
from musiclib.pianoroll import PITCHES, PianoRoll

GRID_NOTE = np.dtype([("onset", "<u4"), ("length", "<u2"), ("pitch", "u1"), ("velocity", "u1")])
SPLITS = ("train", "valid", "test")


class CorpusError(ValueError):
    """A corpus file is missing or damaged: the message names the file and the remedy."""


@dataclass(frozen=True)
class Piece:
    """A score on a grid.

    Attributes:
        name: unique within its corpus. notes: (N,) of GRID_NOTE, in steps, sorted by onset.
        bar_steps: steps per bar. first_bar: the step of the first bar line, after a pick-up.
        group: pieces of one group, such as versions of one song, share a split; unset, a piece is on its own.
    """

    name: str
    notes: np.ndarray
    steps_per_quarter: int = 4
    bar_steps: int = 16
    first_bar: int = 0
    group: str = ""

    def __len__(self) -> int:
        """Steps up to the end of the last note."""
        return int((self.notes["onset"] + self.notes["length"]).max(initial=0))

    def roll(self, quarters_per_minute: float = 120.0) -> PianoRoll:
        """Both planes of the piece; a repeated note ends the one before."""
        planes = np.zeros((2, len(self), PITCHES), dtype=bool)
        for onset, length, pitch, _ in self.notes.tolist():
            planes[0, onset : onset + length, pitch] = True
            planes[1, onset, pitch] = True
        return PianoRoll(planes[0], planes[1], 60 / quarters_per_minute / self.steps_per_quarter)

    @property
    def split(self) -> str:
        """train, valid or test, eight to one to one, by the group's name alone: so no window of a piece strays into
        another split, and a piece stays where it is when others are added."""
        digit = int(hashlib.sha256((self.group or self.name).encode()).hexdigest(), 16) % 10
        return SPLITS[max(0, digit - 7)]


class Corpus(Sequence[Piece]):
    """The pieces in a file, read when they are asked for.

    Raises:
        CorpusError: the file is missing or damaged.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.exists():
            raise CorpusError(f"There is no corpus {path}: build it, or restore it from the repository.")
        try:
            self._file = safe_open(path, "np")
            described = json.loads(self._file.metadata()["musiclib"])
            self.names, self.groups, self.about = (described[key] for key in ("names", "groups", "about"))
            self._pieces = {name: self._file.get_tensor(name) for name in ("start", "bar_steps", "first_bar", "grid")}
            self._notes = {field: self._file.get_slice(field) for field in GRID_NOTE.names}
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise CorpusError(f"{path} is no corpus of this course ({error}): build it again.") from error

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start, end = (int(x) for x in self._pieces["start"][index : index + 2])
        notes = np.empty(end - start, GRID_NOTE)
        for field, values in self._notes.items():
            notes[field] = values[start:end]
        grid, bar_steps, first_bar = (int(self._pieces[key][index]) for key in ("grid", "bar_steps", "first_bar"))
        return Piece(self.names[index], notes, grid, bar_steps, first_bar, self.groups[index])

    def split(self, name: str) -> list[Piece]:
        """The pieces of one split.

        Raises:
            ValueError: it is none of train, valid and test.
        """
        if name not in SPLITS:
            raise ValueError(f"{name!r} is no split: choose of {', '.join(SPLITS)}.")
        return [piece for piece in self if piece.split == name]


def save_corpus(path: Path, pieces: Iterable[Piece], about: str) -> None:
    """Writes pieces into one file, sorted by name.

    Args:
        about: where they are from, in words.

    Raises:
        ValueError: two pieces have the same name.
    """
    pieces = sorted(pieces, key=lambda piece: piece.name)
    names = [piece.name for piece in pieces]
    if len(set(names)) < len(names):
        twice = next(name for name, after in zip(names, names[1:], strict=False) if name == after)
        raise ValueError(f"Two pieces are named {twice!r}: names tell the splits apart and must differ.")
    notes = np.concatenate([np.empty(0, GRID_NOTE), *(piece.notes for piece in pieces)])
    arrays = {field: np.ascontiguousarray(notes[field]) for field in GRID_NOTE.names} | {
        "start": np.cumsum([0, *(len(piece.notes) for piece in pieces)]).astype(np.int64),
        "bar_steps": np.array([piece.bar_steps for piece in pieces], np.uint16),
        "first_bar": np.array([piece.first_bar for piece in pieces], np.uint16),
        "grid": np.array([piece.steps_per_quarter for piece in pieces], np.uint8),
    }
    described = {"names": names, "groups": [piece.group for piece in pieces], "about": about}
    with atomic(path) as temporary:
        save_file(arrays, temporary, {"musiclib": json.dumps(described)})
