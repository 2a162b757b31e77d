"""Chord spectrograms made on the fly against the same chords made the long way."""

import pytest
import torch

from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import SILENCE_S, ChordSpectrograms, chord_waveform
from musiclib.spectrogram import FFT_SAMPLES, HOP_SAMPLES, constant_q, mel_spectrogram, power_to_db
from musiclib.synth import FLUTE, PIANO, SAMPLE_RATE_HZ, VIOLIN

MIXED = [
    ((PIANO, 60), (VIOLIN, 64), (FLUTE, 67)),
    ((PIANO, 36), (PIANO, 96)),
    ((FLUTE, 50), (PIANO, 55), (PIANO, 62), (VIOLIN, 71)),
    ((VIOLIN, 69),),
]


@pytest.fixture(scope="module")
def data(bank):
    return ChordSpectrograms(MIXED, bank)


def test_batch_is_the_mel_spectrogram_of_the_summed_waveforms(bank, data):
    """Silence, notes, sum, STFT, mel, dB: the specification's order, one chord at a time."""
    batch = data.batch(torch.arange(4))
    assert batch.shape == (4, 1, 128, 32)
    for example, db in zip(MIXED, batch, strict=True):
        expected = power_to_db(mel_spectrogram(chord_waveform(bank, example)))
        torch.testing.assert_close(db[0], expected, rtol=0, atol=1e-2)
        loud = expected > expected.max() - 60
        torch.testing.assert_close(db[0][loud], expected[loud], rtol=0, atol=1e-3)


def test_a_sum_of_spectrograms_is_something_else(bank, data):
    """Waveforms add, with their phases; powers do not."""
    notes = data.targets(torch.tensor([0]))[0]
    sum_of_powers = 10 * torch.log10((10 ** (notes / 10)).sum(0))
    assert (sum_of_powers - data.batch(torch.tensor([0]))[0, 0]).abs().max() > 1


def test_real_examples_in_any_order(bank):
    """A batch depends on which chords it holds and not on their order or company."""
    split = examples("JazzNet-multi").valid[:50]
    data = ChordSpectrograms(split, bank)
    assert len(data) == 50
    index = torch.tensor([7, 3, 41])
    alone = torch.cat([data.batch(torch.tensor([i])) for i in index])
    torch.testing.assert_close(data.batch(index), alone, rtol=1e-5, atol=1e-3)


def test_targets_are_the_notes_alone(bank, data):
    """One spectrogram for each note, in the example's order, each with its own floor."""
    for example, notes in zip(MIXED, data.targets(torch.arange(4)), strict=True):
        assert notes.shape == (len(example), 128, 32)
        for note, db in zip(example, notes, strict=True):
            expected = power_to_db(mel_spectrogram(chord_waveform(bank, [note])))
            torch.testing.assert_close(db, expected, rtol=0, atol=1e-3)
            assert db.min() >= db.max() - 80.001


def test_a_chord_of_one_note_is_that_note(data):
    index = torch.tensor([3])
    torch.testing.assert_close(data.batch(index)[0], data.targets(index)[0], rtol=1e-5, atol=1e-3)


def test_silence_in_front(data):
    """4000 samples at 44.1 kHz are 0.09 s: a frame that ends before them is silent."""
    assert round(SILENCE_S * 44100, 6) == 4000
    silent_frames = int((SILENCE_S * SAMPLE_RATE_HZ - 512) / 512) + 1  # frame t reads samples up to 512·t + 512
    assert silent_frames == 2
    batch = data.batch(torch.arange(4))
    floor = batch.amax((2, 3), keepdim=True) - 80
    torch.testing.assert_close(batch[..., :silent_frames], floor.expand_as(batch)[..., :silent_frames])
    assert (batch[..., silent_frames + 1] > floor[..., 0] + 20).any(dim=-1).all()


def test_frames(bank, data):
    """Fewer frames are the first ones of more; the attack, and so the floor, is in both."""
    short = ChordSpectrograms(MIXED[1:2], bank, frames=16).batch(torch.tensor([0]))
    assert short.shape == (1, 1, 128, 16)
    torch.testing.assert_close(short, data.batch(torch.tensor([1]))[..., :16], rtol=0, atol=1e-3)


def test_a_shorter_note_differs_only_after_its_end(bank, data):
    """0.5 s instead of 1.0 s: equal in all frames that end before the key is let go, quieter in the last."""
    half = ChordSpectrograms(MIXED, bank, duration_s=0.5).batch(torch.arange(4))
    whole = data.batch(torch.arange(4))
    let_go = (SILENCE_S + 0.5) * SAMPLE_RATE_HZ
    same = int((let_go - 512) / 512) + 1
    assert same == 18
    loud = whole[..., :same] > whole.amax((2, 3), keepdim=True) - 60
    torch.testing.assert_close(half[..., :same][loud], whole[..., :same][loud], rtol=0, atol=1e-2)
    assert (half[..., 25].amax((1, 2)) < whole[..., 25].amax((1, 2)) - 10).all()


def test_nearest_note_of_a_notes_own_spectrogram(data):
    """Every note is nearest to itself, also when its spectrogram is off by a little."""
    for example, notes in zip(MIXED, data.targets(torch.arange(4)), strict=True):
        assert [data.nearest_note(note + 0.5) for note in notes] == list(example)


def test_padded_targets_are_the_targets(data):
    index = torch.tensor([0, 3, 1])
    notes, present = data.padded_targets(index)
    for chord, there, expected in zip(notes, present, data.targets(index), strict=True):
        torch.testing.assert_close(chord[there], expected)
        assert (chord[~there] == -100).all()


def test_the_constant_q_front_end(bank):
    """Linear too: the transform of the summed waveforms. And an octave higher is the same pattern, 18 bins up."""
    example = ((PIANO, 48), (VIOLIN, 55), (FLUTE, 64))
    data = ChordSpectrograms([example], bank, frames=16, front_end="cqt")
    total_s = (16 * HOP_SAMPLES + FFT_SAMPLES) / 16_000
    wave = bank.chord([bank.row(*note) for note in example], 1.0, SILENCE_S, total_s)
    expected = power_to_db(constant_q(wave[None])[..., :16].abs().square())
    torch.testing.assert_close(data.batch(torch.tensor([0]))[:, 0], expected, rtol=0, atol=0.05)
    assert data.front_end.mask_threshold_db == -45

    time_s = torch.arange(16_000) / 16_000
    low, high = (constant_q(torch.sin(2 * torch.pi * hz * time_s)[None])[0].abs().mean(1) for hz in (220.0, 440.0))
    assert int(high.argmax()) - int(low.argmax()) == 18
