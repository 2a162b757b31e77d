"""Pairs of sound and piano roll without limit: scores performed, played by the note bank, recorded in a room.

Notebook: 10 transcription.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
import torchaudio
from torch import Tensor

from musiclib.diffroll import performance, room
from musiclib.diffroll.clips import Clip, notes_between
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES
from musiclib.diffroll.performance import HIGHEST, LOWEST
from musiclib.diffroll.scoring import tensor_of
from musiclib.pianoroll import Note, PianoRoll
from musiclib.pieces import Piece
from musiclib.synth import PIANO, SAMPLE_RATE_HZ, NoteBank

SPEEDS = (-9, -6, -3, 3, 6, 9)  # semitones by which the pianos beside the bank's own are out of place
DECAY_DB_PER_S = (-4.0, 10.0)  # how much sooner, or later, than the bank's they die away
VOICING_DB = 3.0  # standard deviation of the loudness of their keys
LEAD_S = 3.0  # how much is performed before a segment, so that some notes already sound when it begins


@dataclass(frozen=True)
class Rendered:
    """Segments of performances, drawn at random.

    Attributes:
        pieces: scores; long ones are drawn more often. bank: on the device where it is to render.
        frames: T of a segment. planes: of the rolls. style, recording: what varies; without a recording one hears the
            bank itself.
        limited: each piece has one performance, as in a data set of recordings; else there is no end of them.
        pianos: other instruments beside the bank, of which each segment gets one; see `other_piano`.
    """

    pieces: Sequence[Piece]
    bank: NoteBank
    frames: int
    planes: int = 1
    style: performance.Style = performance.PRACTICE
    recording: room.Room | None = room.PRACTICE
    limited: bool = False
    pianos: Sequence[NoteBank] = ()

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Waveforms (count, samples) and rolls (count, 88·planes, frames), drawn from torch's random state."""
        segments = [self._segment() for _ in range(count)]
        return self._recorded(segments), self._targets(segments)

    def rolls(self, count: int) -> Tensor:
        """Rolls alone, (count, 88·planes, frames): nothing is rendered."""
        return self._targets([self._segment() for _ in range(count)])

    def clips(self, count: int) -> list[Clip]:
        """The same as clips to be scored."""
        segments = [self._segment() for _ in range(count)]
        waves = self._recorded(segments).cpu()
        return [
            Clip(f"rendered {number}", wave, notes_between(notes, 0.0, self.frames * FRAME_S))
            for number, (notes, wave) in enumerate(zip(segments, waves, strict=True))
        ]

    def _segment(self) -> list[Note]:
        """The notes of one segment; those of the seconds before it have onsets below 0."""
        rng = np.random.default_rng(int(torch.randint(1 << 62, ())))
        piece = self.pieces[int(rng.choice(len(self.pieces), p=self._weights))]
        length_s = self.frames * FRAME_S
        if self.limited:
            played = self._only_performance(piece)
            start_s = rng.uniform(-1.0, max(0.0, played[-1, 0] - length_s))
        else:
            played = performance.perform(
                performance.excerpt(piece, LEAD_S + length_s, self.style, rng), self.style, rng
            )  # fmt: skip
            start_s = rng.uniform(-1.0, LEAD_S)
        onset, duration = played[:, 0] - start_s, played[:, 1]
        inside = played[(onset + duration > -LEAD_S) & (onset < length_s)].copy()
        inside[:, 0] -= start_s
        return performance.notes_of(inside)

    def _recorded(self, segments: list[list[Note]]) -> Tensor:
        waves = torch.stack([self._render(notes) for notes in segments])
        return waves if self.recording is None else room.recorded(waves, self.recording)

    def _render(self, notes: list[Note]) -> Tensor:
        wave = torch.zeros(self.frames * HOP_SAMPLES, device=self.bank.waveforms.device)
        pianos = [self.bank, *self.pianos]
        piano = pianos[int(torch.randint(len(pianos), ()))]
        for note in notes:
            piano.add(wave, note)
        return wave

    def _targets(self, segments: list[list[Note]]) -> Tensor:
        """What sounds in each segment; of notes from before, the part inside, which has no onset."""
        lead = round(LEAD_S / FRAME_S) * 2
        targets = []
        for notes in segments:
            shifted = [
                Note(max(0.0, note.onset_s + lead * FRAME_S), note.duration_s, note.pitch, note.velocity)
                for note in notes
            ]
            roll = PianoRoll.from_notes(shifted, FRAME_S, lead + self.frames)
            targets.append(tensor_of(roll, lead + self.frames, self.planes)[:, lead:])
        return torch.stack(targets).to(self.bank.waveforms.device)

    @cached_property
    def _weights(self) -> np.ndarray:
        seconds = np.array([len(piece) * (piece.step_s or 0.6 / piece.steps_per_quarter) for piece in self.pieces])
        return seconds / seconds.sum()

    def _only_performance(self, piece: Piece) -> np.ndarray:
        if piece.name not in self._performances:
            rng = np.random.default_rng(list(piece.name.encode()))
            self._performances[piece.name] = performance.perform(piece, self.style, rng)
        return self._performances[piece.name]

    @cached_property
    def _performances(self) -> dict[str, np.ndarray]:
        return {}


def other_piano(bank: NoteBank, semitones: int, seed: int = 0) -> NoteBank:
    """A piano that there is not: each key plays the recording of one so many semitones away, slowed down or sped up to
    the right pitch, so that hammer, body and decay are another instrument's. Keys without such a neighbour keep their
    own. Then every key gets a colour and a loudness of its own, and all die away sooner or later than the bank's."""
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(40)
    moved = torchaudio.functional.resample(bank.waveforms, ratio.denominator, ratio.numerator)
    samples = bank.waveforms.shape[1]
    moved = torch.nn.functional.pad(moved, (0, max(0, samples - moved.shape[1])))[:, :samples]
    waveforms = bank.waveforms.clone()
    for row, (program, pitch) in enumerate(zip(bank.programs.tolist(), bank.pitches.tolist(), strict=True)):
        if program == PIANO and LOWEST <= pitch + semitones <= HIGHEST:
            waveforms[row] = moved[bank.row(PIANO, pitch + semitones)]
    keys = bank.programs == PIANO
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 * seed + semitones)
        waveforms[keys] = _voiced(waveforms[keys])
    return replace(bank, waveforms=waveforms)


def _voiced(keys: Tensor) -> Tensor:
    """Notes (keys, samples), each with a colour and a loudness of its own, all dying away sooner or later."""
    time_s = torch.arange(keys.shape[1], device=keys.device) / SAMPLE_RATE_HZ
    decay_db = torch.empty((), device=keys.device).uniform_(*DECAY_DB_PER_S) * time_s
    gain_db = VOICING_DB * torch.randn(len(keys), 1, device=keys.device)
    return room.coloured(keys, room.PRACTICE.colour_db) * 10 ** ((gain_db - decay_db) / 20)
