"""What lies between a piano and a microphone: a room, an instrument's own colour, noise, a recording level.

Everything acts on a batch at once, on its device, and draws from torch's random state.

Notebook: 10 transcription.
"""

from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from musiclib.synth import SAMPLE_RATE_HZ

COLOUR_POINTS = 10  # an instrument's colour is a smooth curve through so many points, equally far apart in octaves
LONGEST_S = 0.6
Range = tuple[float, float]


@dataclass(frozen=True)
class Room:
    """Ranges that a recording is drawn from.

    Attributes:
        reverberation_s: until it has died down by 60 dB. wet_db: its energy beside the direct sound's.
        colour_db: standard deviation of the filter. noise_db: level of the noise under the music's; level_db: gain.
    """

    reverberation_s: Range = (0.1, 0.8)
    wet_db: Range = (-25.0, -3.0)
    colour_db: float = 5.0
    noise_db: Range = (-70.0, -18.0)
    level_db: Range = (-15.0, 5.0)


PRACTICE = Room()
HARD = Room((0.4, 0.7), (-8.0, -4.0), 0.0, (-30.0, -22.0), (-10.0, 0.0))  # test set B


def recorded(waveform: Tensor, room: Room) -> Tensor:
    """Waveforms (B, samples) as microphones would have them, each in a room of its own."""
    samples = waveform.shape[-1]
    size = next_fast_len(samples + round(LONGEST_S * SAMPLE_RATE_HZ), real=True)
    size += size % 2
    spectrum = torch.fft.rfft(waveform, size) * torch.fft.rfft(_echoes(waveform, room), size)
    wet = torch.fft.irfft(spectrum * _colour(waveform, room.colour_db, size), size)[:, :samples]
    wet = wet + _noise(wet, room)
    return wet * _gain(_between(room.level_db, waveform))


def coloured(waveform: Tensor, colour_db: float) -> Tensor:
    """Waveforms (B, samples), each through a random filter of its own, smooth over the octaves."""
    samples = waveform.shape[-1]
    size = 2 * next_fast_len(samples // 2 + 1, real=True)
    return torch.fft.irfft(torch.fft.rfft(waveform, size) * _colour(waveform, colour_db, size), size)[:, :samples]


def _between(low_high: Range, like: Tensor) -> Tensor:
    """(B, 1) uniform random numbers."""
    return torch.empty(len(like), 1, device=like.device).uniform_(*low_high)


def _gain(db: Tensor) -> Tensor:
    return 10 ** (db / 20)


def _echoes(like: Tensor, room: Room) -> Tensor:
    """(B, samples) impulse responses: the sound itself, then noise that dies away exponentially."""
    time_s = torch.arange(round(LONGEST_S * SAMPLE_RATE_HZ), device=like.device) / SAMPLE_RATE_HZ
    tail = torch.randn(len(like), len(time_s), device=like.device) * _gain(
        -60 * time_s / _between(room.reverberation_s, like)
    )
    tail = tail / tail.square().sum(-1, keepdim=True).sqrt() * _gain(_between(room.wet_db, like))
    tail[:, 0] += 1
    return tail


def _colour(like: Tensor, colour_db: float, size: int) -> Tensor:
    """(B, bins) gain at each frequency: a random curve, smooth over the octaves."""
    points = colour_db * torch.randn(len(like), 1, COLOUR_POINTS, device=like.device)
    bins = torch.arange(1, size // 2 + 2, device=like.device)
    octave = torch.log2(bins / bins[-1]).clamp(min=-9) / 9 + 1  # 0 at 16 Hz and below, 1 at 8 kHz
    places = octave * (COLOUR_POINTS - 1)
    left = places.long().clamp(max=COLOUR_POINTS - 2)
    return _gain(torch.lerp(points[:, 0, left], points[:, 0, left + 1], places - left))


def _noise(wave: Tensor, room: Room) -> Tensor:
    """(B, samples) noise, somewhere between white and without its high half."""
    white = torch.randn_like(wave)
    softer = F.avg_pool1d(white[:, None], 3, 1, 1)[:, 0]
    mixed = torch.lerp(white, softer, torch.rand(len(wave), 1, device=wave.device))
    return mixed * wave.square().mean(-1, keepdim=True).sqrt() * _gain(_between(room.noise_db, wave))
