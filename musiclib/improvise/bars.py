"""Music as what the bar VAE reads: one frame per bar, for each 16th which of 78 pitches sound and which are struck.

Notebook: 08 query-based improvisation.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from musiclib.pianoroll import PITCHES, PianoRoll
from musiclib.pieces import Piece

LOWEST, KEYS, STEPS = 24, 78, 16  # MIDI 24 to 101; a bar of 4/4 in 16ths
INPUTS = STEPS * 2 * KEYS  # 2496
FARTHEST = 5, 6  # semitones that training transposes, down and up: every key


def steps_of(bar_steps: int) -> int:
    """How many steps of music a frame holds: a bar, as many whole short bars as have room, or an equal part of a long
    one: 16 of 4/4, 12 of 3/4 and 6/8, two bars of 2/4."""
    if bar_steps <= STEPS:
        return STEPS // bar_steps * bar_steps
    return next((steps for steps in range(STEPS, STEPS // 2, -1) if bar_steps % steps == 0), STEPS)


def frames(roll: PianoRoll, first_bar: int = 0, steps: int = STEPS) -> np.ndarray:
    """A roll → (B, 16, 2, 78) uint8, sounding and struck: frames from the first bar line on, a pick-up as one before.

    A pitch beyond the 78 moves by octaves. A frame with less than 16 steps of music holds its last step to the end.
    """
    roll = _within_reach(roll)
    before = -first_bar % steps  # silence, so that the first bar line begins a frame
    padding = (before, -(before + len(roll)) % steps)
    keys = slice(LOWEST, LOWEST + KEYS)
    planes = np.stack([roll.sounding[:, keys], roll.onset[:, keys]], 1)
    bars = np.pad(planes, (padding, (0, 0), (0, 0))).reshape(-1, steps, 2, KEYS)
    held = np.repeat(bars[:, -1:] * np.array([1, 0], bool)[:, None], STEPS - steps, axis=1)
    return np.concatenate([bars, held], axis=1).astype(np.uint8)


def _within_reach(roll: PianoRoll) -> PianoRoll:
    planes = np.stack([roll.sounding, roll.onset])
    for pitch in np.flatnonzero(roll.sounding.any(0)):
        octaves = -(-max(0, LOWEST - pitch) // 12) - -(-max(0, pitch - (LOWEST + KEYS - 1)) // 12)
        if octaves:
            planes[:, :, pitch + 12 * octaves] |= planes[:, :, pitch]
            planes[:, :, pitch] = False
    return PianoRoll(*planes, roll.step_s)


def to_roll(bars: Tensor | np.ndarray, step_s: float = 0.125, steps: int = STEPS) -> PianoRoll:
    """Frames (B, 16, 2, 78) or (B, 2496) → a roll: what is struck sounds, and of each frame its steps of music."""
    bars = np.asarray(bars, bool).reshape(-1, STEPS, 2, KEYS)[:, :steps].reshape(-1, 2, KEYS)
    planes = np.zeros((2, len(bars), PITCHES), bool)
    planes[:, :, LOWEST : LOWEST + KEYS] = bars.swapaxes(0, 1)
    sounding = planes[0] | planes[1]
    silent_before = ~np.concatenate([np.zeros((1, PITCHES), bool), sounding[:-1]])
    return PianoRoll(sounding, planes[1] | (sounding & silent_before), step_s)


def of_pieces(pieces: Sequence[Piece]) -> Tensor:
    """The bars of pieces, (N, 2496) uint8; silent ones are left out.

    Raises:
        ValueError: there is none.
    """
    found = [frames(piece.roll(), piece.first_bar, steps_of(piece.bar_steps)) for piece in pieces if len(piece)]
    bars = np.concatenate(found).reshape(-1, INPUTS) if found else np.empty((0, INPUTS), np.uint8)
    bars = bars[bars.any(1)]
    if not len(bars):
        raise ValueError(f"These {len(pieces)} pieces have no bar in which anything sounds: choose others.")
    return torch.from_numpy(bars)


def transposed(bars: Tensor, semitones: Tensor) -> Tensor:
    """(B, 2496), each moved by (B,) semitones; what leaves the 78 pitches is lost."""
    planes = bars.unflatten(-1, (STEPS * 2, KEYS))
    source = torch.arange(KEYS, device=bars.device) - semitones.to(bars.device)[:, None]  # (B, 78)
    inside = ((source >= 0) & (source < KEYS))[:, None]
    source = source.clamp(0, KEYS - 1)[:, None].expand(-1, STEPS * 2, -1)
    return (planes.gather(-1, source) * inside).flatten(-2)
