"""What the network hears: 229 mel bands on a logarithmic scale, from 0 to 1 within a clip, −1 where it must not listen.

Frame i is centred on sample 512·i, and so is step i of a piano roll of 32 ms steps: both planes mean the same moment.

Source: Cheuk et al. 2023, DiffRoll, section 4.
Notebook: 10 transcription.
"""

from functools import lru_cache

import torch
import torchaudio
from torch import Tensor

from musiclib.diffroll.model import BANDS, MASKED
from musiclib.synth import SAMPLE_RATE_HZ

HOP_SAMPLES, WINDOW_SAMPLES = 512, 2048
FRAME_S = HOP_SAMPLES / SAMPLE_RATE_HZ  # 32 ms
SEGMENT_FRAMES = 640  # the paper's 20.48 s
FLOOR = 1e-6


@lru_cache
def _transform(device: torch.device) -> torchaudio.transforms.MelSpectrogram:
    return torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE_HZ, n_fft=WINDOW_SAMPLES, hop_length=HOP_SAMPLES, f_min=0.0, f_max=SAMPLE_RATE_HZ / 2,
        n_mels=BANDS, normalized=True,
    ).to(device)  # fmt: skip


def log_mel(waveform: Tensor) -> Tensor:
    """(B, samples) → (B, 229, T): natural logarithm of mel power, one frame for each 512 samples."""
    frames = waveform.shape[-1] // HOP_SAMPLES
    power = _transform(waveform.device)(waveform.float())
    return (power[..., :frames] + FLOOR).log()


def normalised(log_mel: Tensor, listen: Tensor | None = None) -> Tensor:
    """(B, 229, T) from its least to its greatest value to 0 … 1; silence is all 0.

    Args:
        listen: where the network may, broadcast to (B, 229, T); elsewhere it gets −1, and what sounds there does not
            even touch the scale of the rest. None is everywhere.
    """
    if listen is None:
        listen = torch.ones_like(log_mel, dtype=torch.bool)
    listen = listen.expand_as(log_mel)
    low = log_mel.masked_fill(~listen, torch.inf).amin((-2, -1), keepdim=True)
    high = log_mel.masked_fill(~listen, -torch.inf).amax((-2, -1), keepdim=True)
    span = high - low
    scaled = torch.where(span > 0, (log_mel - low) / span, torch.zeros_like(log_mel))
    return scaled.masked_fill(~listen, MASKED)


def heard(waveform: Tensor) -> Tensor:
    """(B, samples) → (B, 229, T), 0 to 1."""
    return normalised(log_mel(waveform))
