"""Spectrograms: torchaudio's convention, and the laws the course rests on."""

import warnings

import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.spectrogram import (
    db_to_power,
    griffin_lim,
    mel_filters,
    mel_power,
    mel_spectrogram,
    note_mask,
    power_to_db,
    stft,
)


def sound(seed, samples=8000):
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def test_equals_torchaudio(bank):
    """A real chord through torchaudio's own transform gives the same numbers."""
    waveform = bank.chord([bank.row(0, 60), bank.row(40, 67)], silence_s=0.09)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of empty mel filters
        transform = torchaudio.transforms.MelSpectrogram(16000, n_fft=1024, hop_length=512, n_mels=128)
    theirs = transform(waveform)[..., :32]
    ours = mel_spectrogram(waveform)
    assert ours.shape == (128, 32)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.max().item() * 1e-6)


def test_shapes_keep_leading_axes():
    waveforms = sound(0).repeat(2, 3, 1)
    assert stft(waveforms).shape == (2, 3, 513, 16)
    assert mel_power(stft(waveforms)).shape == (2, 3, 128, 16)
    assert mel_spectrogram(waveforms, frames=5).shape == (2, 3, 128, 5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(-3, 3), st.floats(-3, 3))
def test_stft_is_linear(seed_a, seed_b, u, v):
    """The STFT of a sum is the sum of STFTs; that is why chords can be made from notes' STFTs."""
    a, b = sound(seed_a), sound(seed_b)
    torch.testing.assert_close(stft(u * a + v * b), u * stft(a) + v * stft(b), rtol=1e-4, atol=1e-3)


def test_mel_power_is_not_linear():
    """Twice the amplitude is four times the power, and a sum of spectrograms is not the spectrogram of a sum."""
    a = sound(1)
    torch.testing.assert_close(mel_power(stft(2 * a)), 4 * mel_power(stft(a)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frequency_hz", [440.0, 1000.0, 4000.0])
def test_a_sine_is_loudest_in_its_own_band(frequency_hz):
    """By hand: mel = 2595·log10(1 + f/700); 130 equally spaced points from 0 to 8000 Hz bound the 128 bands."""
    sine = torch.sin(2 * torch.pi * frequency_hz * torch.arange(16000) / 16000)

    def mel(f):
        return 2595 * torch.log10(1 + torch.tensor(f) / 700)

    band = mel(frequency_hz) / mel(8000.0) * 129 - 1
    assert mel_spectrogram(sine).sum(1).argmax().item() == pytest.approx(band.item(), abs=1.5)


def test_mel_filters_shape():
    assert mel_filters().shape == (513, 128)
    assert mel_filters().min() >= 0


def test_decibels_by_hand():
    power = torch.tensor([[1.0, 100.0, 1e-3]])
    torch.testing.assert_close(power_to_db(power), torch.tensor([[0.0, 20.0, -30.0]]))


def test_floor_is_under_each_spectrograms_own_maximum():
    """A quiet chord in a batch with a loud one keeps its own floor, 80 dB under its own maximum."""
    quiet, loud = torch.full((128, 32), 1e-9), torch.full((128, 32), 1e-9)
    quiet[3, 4], loud[5, 6] = 1e-2, 1e4
    db = power_to_db(torch.stack([quiet, loud])[:, None])
    assert db.shape == (2, 1, 128, 32)
    torch.testing.assert_close(db.amax((1, 2, 3)), torch.tensor([-20.0, 40.0]))
    torch.testing.assert_close(db.amin((1, 2, 3)), torch.tensor([-90.0, -40.0]))


def test_floor_of_silence():
    """No power at all is -100 dB (1e-10), with a dynamic range and without."""
    for dynamic_range_db in (80.0, None):
        torch.testing.assert_close(power_to_db(torch.zeros(2, 3), dynamic_range_db), torch.full((2, 3), -100.0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-99, 60), min_size=1, max_size=20))
def test_decibels_and_power_round_trip(values):
    db = torch.tensor([values])
    torch.testing.assert_close(power_to_db(db_to_power(db), dynamic_range_db=None), db, rtol=1e-4, atol=1e-3)


def test_note_mask_threshold():
    """-30 dB itself belongs to the note."""
    assert note_mask(torch.tensor([-30.01, -30.0, -29.99, 5.0])).tolist() == [False, True, True, True]


def test_griffin_lim_gives_back_the_spectrogram(bank):
    """32 iterations: measured 8 % of the spectrogram's norm away, at most 12 % allowed."""
    mel = mel_power(stft(bank.chord([bank.row(0, 60), bank.row(0, 64)], silence_s=0.1, total_s=1.2)))
    waveform = griffin_lim(mel, iterations=32)
    again = mel_power(stft(waveform))
    frames = min(mel.shape[1], again.shape[1])
    assert frames >= mel.shape[1] - 1
    error = (mel[:, :frames] - again[:, :frames]).norm() / mel.norm()
    assert error < 0.12
