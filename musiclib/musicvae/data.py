"""Pieces as what a MusicVAE reads: melody tokens or piano-roll bits, in windows of whole bars.

A melody token is a note-on of one of 128 pitches, a note-off, or a hold, when nothing changes. A roll has a bit for
each of 88 keys that sounds, and one for each that is struck.

Notebooks: 05 scores to piano rolls, 06 MusicVAE.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from musiclib import corpora
from musiclib.pianoroll import PITCHES, PianoRoll
from musiclib.pieces import Piece
from musiclib.presets import default_device

NOTE_OFF, HOLD, TOKENS = 128, 129, 130
LOWEST_KEY, KEYS = 21, 88
VALUES = {"melody": TOKENS, "roll": 2 * KEYS}
BAR_STEPS = 16  # 4/4 in 16ths
FARTHEST = 5  # semitones that training transposes, either way


def melody_tokens(roll: PianoRoll) -> np.ndarray:
    """(T,) uint8 of a roll; where several notes are struck at once, the highest is the melody.

    What sounds at the first step begins there. A rest begins with a note-off.
    """
    tokens = np.full(len(roll), HOLD, np.uint8)
    pitch = _melody_pitch(roll)
    struck = roll.onset.any(1)
    struck[:1] |= pitch[:1] != NOTE_OFF
    ends = np.flatnonzero((pitch == NOTE_OFF) & (np.r_[0, pitch[:-1]] != NOTE_OFF))
    tokens[struck], tokens[ends] = pitch[struck], NOTE_OFF
    return tokens


def _melody_pitch(roll: PianoRoll) -> np.ndarray:
    """(T,) the pitch that the melody holds at each step, or NOTE_OFF: the last struck, while it sounds."""
    steps = np.arange(len(roll))
    begun = roll.onset.copy()
    if not begun[:1].any():
        begun[:1] = roll.sounding[:1]
    highest = PITCHES - 1 - np.argmax(begun[:, ::-1], 1)
    last = np.maximum.accumulate(np.where(begun.any(1), steps, -1))  # when the held note was struck
    held = highest[last]
    silent = np.maximum.accumulate(np.where(roll.sounding[steps, held], -1, steps))  # when it was last not heard
    return np.where((last < 0) | (silent >= last), NOTE_OFF, held)


def roll_of_tokens(tokens: Tensor | np.ndarray, step_s: float = 0.125) -> PianoRoll:
    """Melody tokens (T,) → their piano roll, the inverse of `melody_tokens`."""
    planes, held = np.zeros((2, len(tokens), PITCHES), bool), NOTE_OFF
    for t, token in enumerate(np.asarray(tokens).tolist()):
        if token != HOLD:
            held = token
        if held != NOTE_OFF:
            planes[0, t, held], planes[1, t, held] = True, token != HOLD
    return PianoRoll(*planes, step_s)


def bits(roll: PianoRoll) -> np.ndarray:
    """(T, 176) of a roll: which of the 88 keys sound, then which are struck; other pitches are left out."""
    keys = slice(LOWEST_KEY, LOWEST_KEY + KEYS)
    return np.concatenate([roll.sounding[:, keys], roll.onset[:, keys]], axis=1)


def roll_of_bits(values: Tensor | np.ndarray, step_s: float = 0.125) -> PianoRoll:
    """(T, 176) → piano roll. A key that is struck sounds; one that sounds out of silence is struck."""
    planes = np.zeros((2, len(values), PITCHES), bool)
    planes[:, :, LOWEST_KEY : LOWEST_KEY + KEYS] = np.asarray(values, bool).reshape(-1, 2, KEYS).swapaxes(0, 1)
    sounding = planes[0] | planes[1]
    silent_before = ~np.concatenate([np.zeros((1, PITCHES), bool), sounding[:-1]])
    return PianoRoll(sounding, planes[1] | (sounding & silent_before), step_s)


def to_roll(x: Tensor, step_s: float = 0.125) -> PianoRoll:
    """One example as a model reads and draws it, tokens (T,) or bits (T, 176), as a piano roll."""
    return roll_of_tokens(x.cpu(), step_s) if x.dim() == 1 else roll_of_bits(x.cpu(), step_s)


class Windows:
    """All windows of some pieces, one beginning at every bar; those that are mostly rest are left out.

    Args:
        kind: "melody" or "roll". bars: 4/4 bars of 16 steps; 2/4 counts two to one. Pieces must have a grid of 16ths.

    Raises:
        ValueError: no piece is long enough.
    """

    def __init__(self, pieces: Sequence[Piece], kind: str, bars: int, device: torch.device | str = "cpu"):
        self.kind, self.steps = kind, bars * BAR_STEPS
        music, first, starts, origin, offset = [], [], [], [], 0
        for number, piece in enumerate(pieces):
            roll = piece.roll()
            music.append(melody_tokens(roll) if kind == "melody" else bits(roll))
            first.append(_melody_pitch(roll).astype(np.uint8) if kind == "melody" else _struck_anew(music[-1]))
            sounds = np.concatenate([[0], np.cumsum(roll.sounding.any(1))])
            for start in range(piece.first_bar, len(roll) - self.steps + 1, BAR_STEPS):
                if 2 * (sounds[start + self.steps] - sounds[start]) >= self.steps:
                    starts.append(offset + start)
                    origin.append(number)
            offset += len(roll)
        if not starts:
            raise ValueError(f"No piece of these {len(pieces)} has {bars} bars that are not mostly rest.")
        self._music, self._first = (
            torch.from_numpy(np.concatenate(x).astype(np.uint8)).to(device) for x in (music, first)
        )
        self._starts = torch.tensor(starts, device=device)
        self.piece = torch.tensor(origin)  # (N,) the number of each window's piece

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Tokens (B, T) or bits (B, T, 176), uint8; without the first axis for a single number."""
        starts = self._starts[index.to(self._starts.device) if isinstance(index, Tensor) else index]
        x = self._music[starts[..., None] + torch.arange(self.steps, device=starts.device)]
        (x[..., 0] if self.kind == "melody" else x[..., 0, :]).copy_(self._first[starts])
        return x

    def transposed(self, index: Tensor) -> Tensor:
        """A batch (B,) for training, each example moved by some semitones of −5 … 5."""
        return transpose(self[index], torch.randint(-FARTHEST, FARTHEST + 1, (len(index),)))


def _struck_anew(values: np.ndarray) -> np.ndarray:
    """(T, 176) → each step as it is when a window begins there: all that sounds is struck."""
    return np.concatenate([values[:, :KEYS], values[:, :KEYS]], axis=1)


def transpose(x: Tensor, semitones: Tensor) -> Tensor:
    """Tokens (B, T) or bits (B, T, 176) moved by (B,) semitones; a note that leaves the keyboard moves an octave back,
    a bit that does is lost."""
    semitones = semitones.to(x.device)
    if x.dim() == 2:
        moved = x.long() + semitones[:, None]
        moved = moved - 12 * (moved > PITCHES - 1).long() + 12 * (moved < 0).long()
        return torch.where(x < PITCHES, moved, x.long()).to(x.dtype)
    planes = x.unflatten(-1, (2, KEYS))
    source = torch.arange(KEYS, device=x.device) - semitones[:, None]  # (B, 88)
    inside = ((source >= 0) & (source < KEYS))[:, None, None]
    source = source.clamp(0, KEYS - 1)[:, None, None].expand(-1, x.shape[1], 2, -1)
    return (planes.gather(-1, source) * inside).flatten(-2)


@cache
def windows(corpus: str, split: str, kind: str, bars: int) -> Windows:
    """All windows of a split of a corpus that ships, on the best device here."""
    return Windows(corpora.shipped(corpus).split(split), kind, bars, default_device())
