"""Chord spectrograms made on the fly, batched, on the model's device; nothing is written per chord.

The STFT is linear: the STFT of a sum of waveforms is the sum of their STFTs. So the STFT of every note is computed
once, a batch of chords is a gather and a sum, and only the power and the mel filters are left to do per chord. This
equals summing the waveforms first; a sum of SPECTROGRAMS would not (notebook 01 shows the difference).

Source: MusicSlots, appendix A.1. Notebook: 01 from score to spectrogram.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from musiclib import spectrogram
from musiclib.musicslots.chords import Example
from musiclib.spectrogram import FRAMES, HOP_SAMPLES, mel_power, power_to_db, stft
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
    """

    def __init__(self, examples: list[Example], bank: NoteBank, frames: int = FRAMES, duration_s: float = NOTE_S):
        self.examples, self.frames = examples, frames
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
        spectra = stft(waves)[..., :frames]
        self.note_db = power_to_db(mel_power(spectra))
        self._bins = spectra.shape[-2]
        table = torch.view_as_real(spectra).flatten(1)
        self._table = torch.cat([table, torch.zeros_like(table[:1])])

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, index: Tensor) -> Tensor:
        """Chords `index` (B,) as dB mel spectrograms (B, 1, 128, T)."""
        summed = F.embedding_bag(self.rows[index.to(self.device)], self._table, mode="sum")
        spectra = torch.view_as_complex(summed.view(len(index), self._bins, self.frames, 2))
        return power_to_db(mel_power(spectra))[:, None]

    def targets(self, index: Tensor) -> list[Tensor]:
        """The notes of chords `index` on their own: dB mel spectrograms, one (notes, 128, T) per chord."""
        rows = self.rows[index.to(self.device)]
        return [self.note_db[row[row != self.silent]] for row in rows]

    def nearest_note(self, slot_db: Tensor) -> tuple[int, int]:
        """The (program, pitch) whose spectrogram is nearest to a slot's (128, T), by mean squared error in dB."""
        return self.notes[int((self.note_db - slot_db).square().mean(dim=(1, 2)).argmin())]
