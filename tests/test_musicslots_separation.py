"""Separation: shares sum to one, sounds sum to the mixture, and a slot that has a note's power gets the note."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.musicslots.data import chord_waveform
from musiclib.musicslots.separation import shares, slot_waveforms
from musiclib.spectrogram import HOP_SAMPLES, mel_power, stft
from musiclib.synth import FLUTE, PIANO, VIOLIN

FRAMES = 16
TOTAL_S = (FRAMES - 1) * HOP_SAMPLES / 16_000


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_shares_sum_to_one_and_sounds_to_the_mixture(k, seed):
    generator = torch.Generator().manual_seed(seed)
    power = 10 ** (torch.rand(k, 128, FRAMES, generator=generator) * 12 - 10)
    mixture = torch.randn((FRAMES - 1) * HOP_SAMPLES, generator=generator)
    share = shares(power)
    assert (share >= 0).all()
    torch.testing.assert_close(share.sum(0), torch.ones(513, FRAMES))
    sounds = slot_waveforms(mixture, power)
    assert sounds.shape == (k, len(mixture))
    torch.testing.assert_close(sounds.sum(0), mixture, rtol=0, atol=1e-4)


def test_the_true_powers_give_the_true_notes_nearly(bank):
    notes = ((PIANO, 57), (VIOLIN, 61), (FLUTE, 65))
    truth = torch.stack([chord_waveform(bank, (note,), total_s=TOTAL_S) for note in notes])
    sounds = slot_waveforms(truth.sum(0), mel_power(stft(truth)))
    for own, note in zip(sounds, truth, strict=True):
        error_db = 10 * torch.log10((own - note).square().sum() / note.square().sum())
        assert error_db < -10


def test_a_silent_slot_gets_next_to_nothing(bank):
    mixture = chord_waveform(bank, ((PIANO, 60),), total_s=TOTAL_S)
    power = mel_power(stft(mixture))
    sounds = slot_waveforms(mixture, torch.stack([power, torch.zeros_like(power)]))
    assert sounds[1].abs().max() < 1e-2 * mixture.abs().max()


def test_slots_of_nothing_share_silence_alike():
    sounds = slot_waveforms(torch.zeros(8 * HOP_SAMPLES), torch.zeros(3, 128, FRAMES))
    assert sounds.abs().max() == 0


def test_a_mixture_longer_than_the_slots():
    with pytest.raises(ValueError, match="The mixture has 21 frames, the slots 16: cut it to 7680 samples"):
        slot_waveforms(torch.zeros(20 * HOP_SAMPLES), torch.ones(2, 128, FRAMES))
