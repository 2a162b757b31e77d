"""Mel spectrograms in power and in decibels.

Convention (specification of MusicSlots): 128 mel bands, FFT and window of 1024 samples, hop 512, power, frames
centred on their sample; decibels are 10·log10(max(power, 1e-10)), floored 80 dB under the spectrogram's own maximum.

Notebook: 01 from score to spectrogram.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torchaudio
from torch import Tensor

from musiclib.synth import SAMPLE_RATE_HZ

BANDS = 128
FFT_SAMPLES = 1024
HOP_SAMPLES = 512
FRAMES = 32
POWER_FLOOR = 1e-10
DYNAMIC_RANGE_DB = 80.0
MASK_THRESHOLD_DB = -30.0
CQT_BINS, CQT_BINS_PER_OCTAVE = 112, 18
CQT_LOWEST_HZ = 65.406  # C2, MIDI 36


def stft(waveform: Tensor) -> Tensor:
    """Complex spectrogram. (..., samples) → (..., 513, frames). Linear: the STFT of a sum is the sum of STFTs."""
    window = torch.hann_window(FFT_SAMPLES, device=waveform.device)
    flat = waveform.reshape(-1, waveform.shape[-1])
    spectrum = torch.stft(flat, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    return spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[-2:])


@lru_cache
def mel_filters(device: torch.device | str = "cpu") -> Tensor:
    """(513, 128) triangular filters, equally wide in mel. At the bottom they are about as fine as the FFT's grid: none
    is empty, but some hold one or two bins, shared with their neighbours."""
    filters = torchaudio.functional.melscale_fbanks(
        FFT_SAMPLES // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, BANDS, SAMPLE_RATE_HZ
    )
    return filters.to(device)


def mel_power(spectrum: Tensor) -> Tensor:
    """Complex spectrogram (..., 513, T) → mel power (..., 128, T)."""
    power = spectrum.real.square() + spectrum.imag.square()
    return mel_filters(power.device).T @ power


def mel_spectrogram(waveform: Tensor, frames: int = FRAMES) -> Tensor:
    """(..., samples) → mel power (..., 128, frames): the first `frames` frames."""
    return mel_power(stft(waveform)[..., :frames])


def power_to_db(power: Tensor, dynamic_range_db: float | None = DYNAMIC_RANGE_DB) -> Tensor:
    """Power → decibels, floored `dynamic_range_db` under each spectrogram's own maximum (its last two axes)."""
    db = 10 * torch.log10(power.clamp(min=POWER_FLOOR))
    if dynamic_range_db is None:
        return db
    return torch.maximum(db, db.amax(dim=(-2, -1), keepdim=True) - dynamic_range_db)


def db_to_power(db: Tensor) -> Tensor:
    """Decibels → power."""
    return 10 ** (db / 10)


def note_mask(db: Tensor, threshold_db: float = MASK_THRESHOLD_DB) -> Tensor:
    """Where a note sounds: at or above -30 dB."""
    return db >= threshold_db


def constant_q(waveform: Tensor) -> Tensor:
    """(B, samples) → (B, 112, frames), complex: 18 bins an octave, every pitch is the same pattern, moved."""
    import librosa  # not above: it takes seconds

    spectrum = librosa.cqt(
        waveform.cpu().numpy(), sr=SAMPLE_RATE_HZ, hop_length=HOP_SAMPLES, fmin=CQT_LOWEST_HZ, n_bins=CQT_BINS,
        bins_per_octave=CQT_BINS_PER_OCTAVE,
    )  # fmt: skip
    return torch.from_numpy(spectrum).to(waveform.device)


@dataclass(frozen=True)
class FrontEnd:
    """A way from waveforms to spectrograms in which sounds add: a linear `transform`, then `power`.

    Attributes:
        bands: F. mask_threshold_db: where a note's mask begins.
    """

    transform: Callable[[Tensor], Tensor]
    power: Callable[[Tensor], Tensor]
    bands: int
    mask_threshold_db: float


FRONT_ENDS = {
    "mel": FrontEnd(stft, mel_power, BANDS, MASK_THRESHOLD_DB),
    "cqt": FrontEnd(constant_q, lambda spectrum: spectrum.abs().square(), CQT_BINS, -45.0),
}


def griffin_lim(mel: Tensor, iterations: int = 64) -> Tensor:
    """Mel power (128, T) → a waveform (samples,) whose spectrogram comes close.

    Two things were thrown away and must be guessed: the bins within a mel band (pseudo-inverse of the filters, no
    negative power), and the phase (Griffin and Lim's alternation between time and frequency).
    """
    power = (torch.linalg.pinv(mel_filters(mel.device).T) @ mel).clamp(min=0)
    window = torch.hann_window(FFT_SAMPLES, device=mel.device)
    return torchaudio.functional.griffinlim(
        power, window, FFT_SAMPLES, HOP_SAMPLES, FFT_SAMPLES, power=2.0, n_iter=iterations, momentum=0.9,
        length=None, rand_init=False,
    )  # fmt: skip
