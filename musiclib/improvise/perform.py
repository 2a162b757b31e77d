"""A file as a query, and the improvisation over it as a roll of the same length.

Notebook: 08 query-based improvisation.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from musiclib.improvise.bars import INPUTS, STEPS, frames, steps_of, to_roll
from musiclib.improvise.query import Channel, Source, improvise
from musiclib.improvise.vae import BarVAE
from musiclib.pianoroll import PianoRoll
from musiclib.pieces import Piece
from musiclib.scores import ScoreError, open_score
from musiclib.sources import Unusable, bars_on_grid, metre

STEPS_PER_QUARTER = 4


@dataclass(frozen=True, eq=False)
class Query:
    """A piece in frames.

    Attributes:
        roll: the piece on a grid of 16ths. first_bar: the step of its first bar line. steps: of music in a frame.
        remark: what had to be assumed, or "".
    """

    roll: PianoRoll
    first_bar: int = 0
    steps: int = STEPS
    remark: str = ""

    @classmethod
    def of_piece(cls, piece: Piece, quarters_per_minute: float = 120.0) -> "Query":
        return cls(piece.roll(quarters_per_minute), piece.first_bar, steps_of(piece.bar_steps))

    @property
    def bars(self) -> Tensor:
        """(B, 2496) uint8."""
        return torch.from_numpy(frames(self.roll, self.first_bar, self.steps).reshape(-1, INPUTS))

    def to_roll(self, bars: Tensor) -> PianoRoll:
        """Bars (B, 2496), such as an improvisation over this query, as a roll that begins and ends with it."""
        before = -self.first_bar % self.steps
        return to_roll(bars, self.roll.step_s, self.steps)[before : before + len(self.roll)]


def read_query(path: Path | str) -> Query:
    """A MIDI or MusicXML file in whatever metre; one whose bars change their length is cut every four quarters.

    Raises:
        ScoreError: the file is missing, damaged, or holds no notes but drums.
    """
    score = open_score(path)
    try:
        roll = score.roll(STEPS_PER_QUARTER)
    except ValueError as error:
        raise ScoreError(f"{path} does not fit a grid of 16ths: {error}") from error
    try:
        bar, start = metre(score.signs, float(score.notes["onset"].min()), float(score.notes["end"].max()))
        _, bar_steps, first_bar = bars_on_grid(bar, start + score.pickup_quarters, STEPS_PER_QUARTER)
    except Unusable as cause:
        return Query(roll, remark=f"{path}: {cause}; it is cut every four quarters.")
    return Query(roll, first_bar, steps_of(bar_steps))


def perform(model: BarVAE, query: Query, settings: Channel, corpus: Source | None = None, seed: int = 0) -> PianoRoll:
    """The improvisation over a query, as long as it is; arguments as of `query.send`.

    Raises:
        ValueError: nothing was played.
    """
    roll = query.to_roll(improvise(model, query.bars, settings, corpus, seed))
    if not roll.sounding.any():
        raise ValueError(f"Seed {seed} at {settings.bits:g} bits gave nothing but silence: take another, or more bits.")
    return roll
