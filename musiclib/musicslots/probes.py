"""Note properties: which pitch, on which instrument, does a representation make plain to ONE linear layer?

    MusicSlots      every slot that was matched to a note (by spectrogram MSE) → softmax over pitches, softmax over
                    instruments; cross-entropy
    auto-encoders   the latent → a logit for every note, all notes of the chord at once; binary cross-entropy

A chord counts as correct only if every pitch AND every instrument is right. Note the difference: matching tells the
slot probe which slots hold notes, and so how many notes there are; the latent probe must find that out. `unaided`
accuracy, ours, gives the slots no such help: a slot counts as a note if its spectrogram reaches the mask threshold.

Source: MusicSlots, section 4 and appendix A.2 to A.4. Notebook: 04 note properties.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musiclib.musicslots.chords import INSTRUMENTS, PITCHES


@dataclass(frozen=True)
class ProbeConfig:
    """A linear probe on slots or on a latent of `width` D, for P pitches and I instruments."""

    width: int
    pitches: int = len(PITCHES)
    instruments: int = len(INSTRUMENTS)


@dataclass(frozen=True)
class SlotFeatures:
    """A split as a frozen MusicSlots sees it.

    Attributes:
        slots: (E, K, D). slot_of_note: (E, n) the slot each note was matched to.
        sounding: (E, K) whether the slot's spectrogram reaches the mask threshold.
        pitch, instrument: (E, n) class of each note, -1 where the chord has fewer notes.
    """

    slots: Tensor
    slot_of_note: Tensor
    sounding: Tensor
    pitch: Tensor
    instrument: Tensor

    def __len__(self) -> int:
        return len(self.slots)

    def __getitem__(self, index: Tensor) -> "SlotFeatures":
        return SlotFeatures(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @property
    def inputs(self) -> Tensor:
        """(E, n, D) the slot each note was matched to; of missing notes, any."""
        index = self.slot_of_note.clamp(min=0)[..., None].expand(-1, -1, self.slots.shape[-1])
        return self.slots.gather(1, index)

    def loss(self, logits: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy of pitch plus that of instrument, a mean over all notes; logits (E, n, P) and (E, n, I)."""
        pitch, instrument = logits
        return F.cross_entropy(pitch.flatten(0, 1), self.pitch.flatten(), ignore_index=-1) + F.cross_entropy(
            instrument.flatten(0, 1), self.instrument.flatten(), ignore_index=-1
        )


@dataclass(frozen=True)
class LatentFeatures:
    """A split as a frozen auto-encoder sees it: z (E, D), and which notes sound, (E, P·I) zeros and ones."""

    z: Tensor
    notes: Tensor

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, index: Tensor) -> "LatentFeatures":
        return LatentFeatures(self.z[index], self.notes[index])

    @property
    def inputs(self) -> Tensor:
        return self.z

    def loss(self, logits: Tensor) -> Tensor:
        """Binary cross-entropy, a mean over chords and notes; logits (E, P·I)."""
        return F.binary_cross_entropy_with_logits(logits, self.notes)


class SlotProbe(nn.Module):
    """Slots (..., D) → pitch logits (..., P) and instrument logits (..., I)."""

    def __init__(self, config: ProbeConfig):
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, config.pitches + config.instruments)

    def forward(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        pitch, instrument = self.linear(slots).split([self.config.pitches, self.config.instruments], dim=-1)
        return pitch, instrument

    @torch.no_grad()
    def scores(self, data: SlotFeatures) -> dict[str, float]:
        """Chord-exact accuracy, `unaided` accuracy, and the accuracies of pitch and instrument per note."""
        pitch, instrument = (logits.argmax(dim=-1) for logits in self(data.inputs))
        right_pitch, right_instrument, absent = pitch == data.pitch, instrument == data.instrument, data.pitch < 0
        exact = (right_pitch & right_instrument | absent).all(dim=1)
        heard = self.heard(data)
        true = note_counts(data.pitch, data.instrument, ~absent, self.config)
        return {
            "accuracy": _mean(exact),
            "unaided_accuracy": _mean((heard == true).all(dim=1)),
            "pitch_accuracy": _mean(right_pitch[~absent]),
            "instrument_accuracy": _mean(right_instrument[~absent]),
            "chords": len(data),
        }

    def heard(self, data: SlotFeatures) -> Tensor:
        """(E, P·I) how often the sounding slots name each note, without being told which slots hold one."""
        pitch, instrument = (logits.argmax(dim=-1) for logits in self(data.slots))
        return note_counts(pitch, instrument, data.sounding, self.config)


class LatentProbe(nn.Module):
    """Latents (B, D) → logits (B, P·I)."""

    def __init__(self, config: ProbeConfig):
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, config.pitches * config.instruments)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z)

    @torch.no_grad()
    def scores(self, data: LatentFeatures) -> dict[str, float]:
        return {"accuracy": _mean(exact(self(data.z), data.notes)), "chords": len(data)}


def exact(logits: Tensor, notes: Tensor) -> Tensor:
    """(B, P·I) logits and zeros-and-ones → (B,) whether every note, and no other, has probability above 0.5."""
    return ((logits > 0) == notes.bool()).all(dim=1)


def note_counts(pitch: Tensor, instrument: Tensor, present: Tensor, config: ProbeConfig) -> Tensor:
    """(E, n) classes of notes, and which of them count → (E, P·I) how often each note occurs."""
    note = (pitch * config.instruments + instrument).clamp(min=0)
    counts = torch.zeros(len(pitch), config.pitches * config.instruments, device=pitch.device)
    return counts.scatter_add_(1, note, present.float())


def _mean(right: Tensor) -> float:
    return right.double().mean().item()
