"""Pieces on a grid, and many of them in one memory-mapped file.

A note costs 8 bytes, so the piano tracks of 174 154 songs take about two gigabytes, of which only what is looked at
is ever read. The file is safetensors: one array per field, and where each piece starts.

Notebook: 05 scores to piano rolls.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from musiclib.paths import atomic
from musiclib.pianoroll import PianoRoll, planes

GRID_NOTE = np.dtype([("onset", "<u4"), ("length", "<u2"), ("pitch", "u1"), ("velocity", "u1")])
ARRAYS = {  # as they stand in a file, large items first, so that all are aligned
    "start": np.dtype("<i8"), "onset": np.dtype("<u4"), "bar_steps": np.dtype("<u2"), "first_bar": np.dtype("<u2"),
    "length": np.dtype("<u2"), "grid": np.dtype("u1"), "pitch": np.dtype("u1"), "velocity": np.dtype("u1"),
}  # fmt: skip
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
        fixed_split: the split that its data set publishes, if it does.
        step_s: seconds per step of a performance, which follows no beat; 0 where steps are parts of quarters.
    """

    name: str
    notes: np.ndarray
    steps_per_quarter: int = 4
    bar_steps: int = 16
    first_bar: int = 0
    group: str = ""
    fixed_split: str = ""
    step_s: float = 0.0

    def __len__(self) -> int:
        """Steps up to the end of the last note."""
        return int((self.notes["onset"] + self.notes["length"]).max(initial=0))

    def roll(self, quarters_per_minute: float = 120.0) -> PianoRoll:
        """Both planes of the piece; a repeated note ends the one before."""
        both = planes(*(self.notes[field] for field in ("onset", "length", "pitch")))
        return PianoRoll(*both, self.step_s or 60 / quarters_per_minute / self.steps_per_quarter)

    @property
    def split(self) -> str:
        """train, valid or test: as published, else eight to one to one by the group's name alone. So no window of a
        piece strays into another split, and a piece stays where it is when others are added."""
        return self.fixed_split or split_of(self.group or self.name)


def split_of(group: str) -> str:
    """train, valid or test, eight to one to one."""
    digit = int(hashlib.sha256(group.encode()).hexdigest(), 16) % 10
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
            self._splits = described.get("splits", [""] * len(self.names))
            self.step_s = described.get("step_s", 0.0)
            self.pieces = {name: self._file.get_tensor(name) for name in ("start", "bar_steps", "first_bar", "grid")}
            self._notes = {field: self._file.get_slice(field) for field in GRID_NOTE.names}
        except (SafetensorError, KeyError, TypeError, OSError, json.JSONDecodeError) as error:
            raise CorpusError(f"{path} is no corpus of this course ({error}): build it again.") from error

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start, end = (int(x) for x in self.pieces["start"][index : index + 2])
        notes = np.empty(end - start, GRID_NOTE)
        for field, values in self._notes.items() if end > start else ():  # the library slices nothing of no length
            notes[field] = values[start:end]
        grid, bar_steps, first_bar = (int(self.pieces[key][index]) for key in ("grid", "bar_steps", "first_bar"))
        return Piece(
            self.names[index], notes, grid, bar_steps, first_bar, self.groups[index], self._splits[index], self.step_s
        )

    def notes(self, field: str) -> np.ndarray:
        """(all notes,) one field of GRID_NOTE of all pieces, one after the other."""
        return self._file.get_tensor(field)

    def described(self) -> dict[str, list[str]]:
        """Each piece's name, group and published split."""
        return {"names": self.names, "groups": self.groups, "splits": self._splits}

    def split(self, name: str) -> list[Piece]:
        """The pieces of one split.

        Raises:
            ValueError: it is none of train, valid and test.
        """
        if name not in SPLITS:
            raise ValueError(f"{name!r} is no split: choose of {', '.join(SPLITS)}.")
        keys = zip(self._splits, self.groups, self.names, strict=True)
        return [self[i] for i, (fixed, group, own) in enumerate(keys) if (fixed or split_of(group or own)) == name]


def save_corpus(path: Path, pieces: Iterable[Piece], about: str) -> None:
    """Writes pieces into one file, sorted by name.

    Args:
        about: where they are from, in words.

    Raises:
        ValueError: two pieces have the same name, or some are in seconds and others are not.
    """
    pieces = sorted(pieces, key=lambda piece: piece.name)
    steps_s = {piece.step_s for piece in pieces} or {0.0}
    if len(steps_s) > 1:
        raise ValueError(f"Pieces of one corpus have one step, not {sorted(steps_s)} s.")
    notes = np.concatenate([np.empty(0, GRID_NOTE), *(piece.notes for piece in pieces)])
    described = {
        "names": [piece.name for piece in pieces],
        "groups": [piece.group for piece in pieces],
        "splits": [piece.fixed_split for piece in pieces],
    }
    per_piece = {
        "start": np.cumsum([0, *(len(piece.notes) for piece in pieces)]),
        "bar_steps": [piece.bar_steps for piece in pieces],
        "first_bar": [piece.first_bar for piece in pieces],
        "grid": [piece.steps_per_quarter for piece in pieces],
    }
    _write(path, described, per_piece, lambda field: [notes[field]], steps_s.pop(), about)


def join_corpora(path: Path, parts: Sequence[Corpus], about: str) -> None:
    """Corpora one after the other in one file, of which only one field of one part is in memory at a time.

    Raises:
        ValueError: the names do not go on rising from part to part, or the parts' steps differ.
    """
    steps_s = {part.step_s for part in parts if len(part)} or {0.0}
    if len(steps_s) > 1:
        raise ValueError(f"Pieces of one corpus have one step, not {sorted(steps_s)} s.")
    described = {key: [value for part in parts for value in part.described()[key]] for key in parts[0].described()}
    offsets = np.cumsum([0, *(part.pieces["start"][-1] for part in parts)])
    per_piece = {
        key: np.concatenate([part.pieces[key] for part in parts]) for key in ("bar_steps", "first_bar", "grid")
    }
    per_piece["start"] = np.concatenate(
        [[0], *(part.pieces["start"][1:] + offset for part, offset in zip(parts, offsets[:-1], strict=True))]
    )
    _write(path, described, per_piece, lambda field: (part.notes(field) for part in parts), steps_s.pop(), about)


def _write(path: Path, described: dict, per_piece: dict, notes_of: Callable, step_s: float, about: str) -> None:
    """A safetensors file, written by hand because its library wants all of it in memory.

    Args:
        notes_of: gives for a field of GRID_NOTE its arrays, one after the other.
    """
    names = described["names"]
    for name, after in pairwise(names):
        if name == after:
            raise ValueError(f"Two pieces are named {name!r}: names tell the splits apart and must differ.")
        if name > after:
            raise ValueError(f"Parts of a corpus are joined in the order of their names: {after!r} comes too late.")
    described = {"names": names, "groups": described["groups"], "about": about} | (
        {"splits": described["splits"]} if any(described["splits"]) else {}
    )
    described |= {"step_s": step_s} if step_s else {}
    header: dict[str, dict] = {"__metadata__": {"musiclib": json.dumps(described)}}
    sizes = dict.fromkeys(GRID_NOTE.names, int(per_piece["start"][-1])) | {k: len(v) for k, v in per_piece.items()}
    at = 0
    for name, kind in ARRAYS.items():
        end = at + sizes[name] * kind.itemsize
        code = f"{'U' if kind.kind == 'u' else 'I'}{8 * kind.itemsize}"
        header[name] = {"dtype": code, "shape": [sizes[name]], "data_offsets": [at, end]}
        at = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name, kind in ARRAYS.items():
            for values in [per_piece[name]] if name in per_piece else notes_of(name):
                file.write(np.asarray(values).astype(kind).data)
