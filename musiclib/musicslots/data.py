"""Chord spectrograms made on the fly, batched, on the model's device; nothing is written per chord.

The STFT is linear: the STFT of a sum of waveforms is the sum of their STFTs. So the STFT of every note is computed
once, a batch of chords is a gather and a sum, and only the power and the mel filters are left to do per chord. This
equals summing the waveforms first; a sum of SPECTROGRAMS would not (notebook 01 shows the difference). The constant-Q
transform, ours, is linear too and takes the same way.

Source: MusicSlots, appendix A.1. Notebook: 01 from score to spectrogram.
"""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from musiclib import corpora, spectrogram
from musiclib.musicslots import chords
from musiclib.musicslots.chords import INSTRUMENTS, PITCHES, Example
from musiclib.presets import default_device
from musiclib.spectrogram import FRAMES, FRONT_ENDS, HOP_SAMPLES, power_to_db
from musiclib.synth import SAMPLE_RATE_HZ, SYNTH_RATE_HZ, NoteBank

SILENCE_S = 4000 / SYNTH_RATE_HZ  # in front of every note
NOTE_S = 1.0


def chord_waveform(bank: NoteBank, example: Example, duration_s: float = NOTE_S, total_s: float = 1.6) -> Tensor:
    """One example to listen to: (samples,) at 16 kHz, with the dataset's silence in front."""
    rows = [bank.row(program, pitch) for program, pitch in example]
    return bank.chord(rows, duration_s, SILENCE_S, total_s)


class ChordSpectrograms:
    """Examples as spectrograms.

    Args:
        examples: what `chords.examples` gives, one split of it.
        bank: the notes, on the device where the spectrograms are wanted.
        frames: T, how many frames of 32 ms are kept.
        duration_s: how long the keys are held (the published code rendered 0.5 s where its paper says 1.0 s).
        front_end: "mel", as in the paper, or "cqt".
    """

    def __init__(
        self,
        examples: list[Example],
        bank: NoteBank,
        frames: int = FRAMES,
        duration_s: float = NOTE_S,
        front_end: str = "mel",
    ):
        self.examples, self.frames, self.front_end = examples, frames, FRONT_ENDS[front_end]
        notes = sorted({note for example in examples for note in example})
        self.notes = notes
        row_of = {note: row for row, note in enumerate(notes)}
        self.silent = len(notes)  # one row of silence pads the shorter chords
        most = max(len(example) for example in examples)
        padded = [[row_of[n] for n in e] + [self.silent] * (most - len(e)) for e in examples]
        self.device = bank.waveforms.device
        self.rows = torch.tensor(padded, device=self.device)

        total_s = (frames * HOP_SAMPLES + spectrogram.FFT_SAMPLES) / SAMPLE_RATE_HZ
        waves = torch.stack([bank.note(bank.row(*note), duration_s, SILENCE_S, total_s) for note in notes])
        spectra = self.front_end.transform(waves)[..., :frames]
        self.note_db = power_to_db(self.front_end.power(spectra))
        self._bins = spectra.shape[-2]
        table = torch.view_as_real(spectra).flatten(1)
        self._table = torch.cat([table, torch.zeros_like(table[:1])])

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, index: Tensor) -> Tensor:
        """Chords `index` (B,) as dB mel spectrograms (B, 1, F, T)."""
        summed = F.embedding_bag(self.rows[index.to(self.device, non_blocking=True)], self._table, mode="sum")
        spectra = torch.view_as_complex(summed.view(len(index), self._bins, self.frames, 2))
        return power_to_db(self.front_end.power(spectra))[:, None]

    def targets(self, index: Tensor) -> list[Tensor]:
        """The notes of chords `index` on their own: dB mel spectrograms, one (notes, F, T) per chord."""
        rows = self.rows[index.to(self.device, non_blocking=True)]
        return [self.note_db[row[row != self.silent]] for row in rows]

    def padded_targets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The same in one tensor, (B, n, F, T), and which notes are there, (B, n); the others are silent."""
        rows = self.rows[index.to(self.device, non_blocking=True)]
        padded = torch.cat([self.note_db, torch.full_like(self.note_db[:1], -100.0)])
        return padded[rows], rows != self.silent

    @cached_property
    def classes(self) -> tuple[Tensor, Tensor]:
        """Of every example's notes the pitch and the instrument as class numbers, each (E, n); -1 for missing ones."""
        pitch = [PITCHES.index(pitch) for _, pitch in self.notes] + [-1]
        instrument = [INSTRUMENTS.index(program) for program, _ in self.notes] + [-1]
        return torch.tensor(pitch, device=self.device)[self.rows], torch.tensor(instrument, device=self.device)[
            self.rows
        ]

    @cached_property
    def multi_hot(self) -> Tensor:
        """(E, P·I) one where a note sounds, pitch by pitch and within a pitch instrument by instrument."""
        pitch, instrument = self.classes
        note = pitch * len(INSTRUMENTS) + instrument
        hot = torch.zeros(len(self), len(PITCHES) * len(INSTRUMENTS), device=self.device)
        return hot.scatter_add_(1, note.clamp(min=0), (note >= 0).float()).clamp(max=1)

    def nearest_note(self, slot_db: Tensor) -> tuple[int, int]:
        """The (program, pitch) whose spectrogram is nearest to a slot's (F, T), by mean squared error in dB."""
        return self.notes[int((self.note_db - slot_db).square().mean(dim=(1, 2)).argmin())]


def datasets(
    name: str, frames: int, bank: NoteBank | None = None, duration_s: float = 1.0, front_end: str = "mel"
) -> chords.Splits:
    """Train, validation and test splits of a dataset as spectrograms, on the best device here."""
    bank = bank or NoteBank.load().to(default_device())
    chorales = corpora.chorales()[0] if name.startswith("JSB") else None
    return chords.examples(name, chorales).map(
        lambda split: ChordSpectrograms(split, bank, frames, duration_s, front_end)
    )
