"""Probes: chord-exact accuracy by hand, separable slots to 100 %, and one pitch on two instruments."""

import pytest
import torch

from musiclib.musicslots import evaluation
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.experiments import SMALL
from musiclib.musicslots.model import MusicSlots
from musiclib.musicslots.probes import LatentFeatures, LatentProbe, ProbeConfig, SlotFeatures, SlotProbe, exact
from musiclib.synth import FLUTE, PIANO, VIOLIN
from musiclib.training import TrainingConfig, fit

CONFIG = ProbeConfig(width=6, pitches=4, instruments=2)  # a slot is [pitch one-hot, instrument one-hot] below


def slot(pitch, instrument, size=10.0):
    vector = torch.zeros(6)
    vector[pitch], vector[4 + instrument] = size, size
    return vector


def perfect_probe():
    """Reads the one-hot slots: the identity."""
    probe = SlotProbe(CONFIG)
    with torch.no_grad():
        probe.linear.weight.copy_(torch.eye(6))
        probe.linear.bias.zero_()
    return probe


def chord(slots, slot_of_note, notes, sounding):
    """One chord as features, padded to three notes."""
    missing = 3 - len(notes)
    return SlotFeatures(
        torch.stack(slots)[None],
        torch.tensor([slot_of_note + [-1] * missing]),
        torch.tensor([sounding]),
        torch.tensor([[pitch for pitch, _ in notes] + [-1] * missing]),
        torch.tensor([[instrument for _, instrument in notes] + [-1] * missing]),
    )


NOTES = [(1, 0), (3, 1)]
RIGHT = chord([slot(3, 1), slot(0, 0), slot(1, 0)], [2, 0], NOTES, [True, False, True])
CASES = {
    # name: (features, accuracy, unaided accuracy, pitch accuracy, instrument accuracy)
    "all right": (RIGHT, 1, 1, 1, 1),
    "one pitch wrong": (chord([slot(2, 1), slot(0, 0), slot(1, 0)], [2, 0], NOTES, [True, False, True]), 0, 0, 0.5, 1),
    "one instrument wrong": (
        chord([slot(3, 0), slot(0, 0), slot(1, 0)], [2, 0], NOTES, [True, False, True]), 0, 0, 1, 0.5,
    ),
    "an idle slot sounds": (chord([slot(3, 1), slot(0, 0), slot(1, 0)], [2, 0], NOTES, [True, True, True]), 1, 0, 1, 1),
    "a note's slot is silent": (
        chord([slot(3, 1), slot(0, 0), slot(1, 0)], [2, 0], NOTES, [True, False, False]), 1, 0, 1, 1,
    ),
    "one note in two slots": (
        chord([slot(3, 1), slot(1, 0), slot(1, 0)], [2, 0], NOTES, [True, True, True]), 1, 0, 1, 1,
    ),
    "one pitch on two instruments": (
        chord([slot(1, 1), slot(0, 0), slot(1, 0)], [2, 0], [(1, 0), (1, 1)], [True, False, True]), 1, 1, 1, 1,
    ),
    "the two instruments of a pitch heard as one": (
        chord([slot(1, 0), slot(0, 0), slot(1, 0)], [2, 0], [(1, 0), (1, 1)], [True, False, True]), 0, 0, 1, 0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("features", "accuracy", "unaided", "pitch", "instrument"), CASES.values(), ids=CASES)
def test_chord_exact_accuracy_by_hand(features, accuracy, unaided, pitch, instrument):
    scores = perfect_probe().scores(features)
    found = [scores[f"{name}accuracy"] for name in ("", "unaided_", "pitch_", "instrument_")]
    assert found == [accuracy, unaided, pitch, instrument]
    assert scores["chords"] == 1


def test_exact_by_hand():
    notes = torch.tensor([[1.0, 0, 1], [1, 0, 1], [1, 0, 1], [0, 0, 0]])
    logits = torch.tensor([[2.0, -1, 0.1], [2, 0.1, 0.1], [2, -1, -0.1], [-1, -1, -1]])
    assert exact(logits, notes).tolist() == [True, False, False, True]


def test_missing_notes_have_no_part_in_the_loss():
    """Padding a chord to more notes changes nothing."""
    probe = SlotProbe(CONFIG)

    def longer(classes):
        return torch.cat([classes, torch.tensor([[-1, -1]])], 1)

    padded = SlotFeatures(
        RIGHT.slots, longer(RIGHT.slot_of_note), RIGHT.sounding, longer(RIGHT.pitch), longer(RIGHT.instrument)
    )
    torch.testing.assert_close(RIGHT.loss(probe(RIGHT.inputs)), padded.loss(probe(padded.inputs)))


def separable(chords=400, k=4):
    """Random chords of two or three notes whose slots are noisy one-hots, in random order, among idle slots."""
    pitch, instrument = torch.randint(4, (chords, 3)), torch.randint(2, (chords, 3))
    slots = torch.randn(chords, k, 6)
    order = torch.stack([torch.randperm(k)[:3] for _ in range(chords)])
    for row in range(chords):
        for note in range(3):
            slots[row, order[row, note]] = slot(pitch[row, note], instrument[row, note], 3.0) + 0.3 * torch.randn(6)
    absent = torch.zeros(chords, 3, dtype=torch.bool)
    absent[: chords // 2, 2] = True
    sounding = torch.zeros(chords, k, dtype=torch.bool).scatter_(1, order, ~absent)
    return SlotFeatures(
        slots,
        order.masked_fill(absent, -1),
        sounding,
        pitch.masked_fill(absent, -1),
        instrument.masked_fill(absent, -1),
    )


def train(probe, features, steps=400):
    def loss(model, index, step):
        batch = features[index]
        return batch.loss(model(batch.inputs))

    config = TrainingConfig(steps, learning_rate=3e-2, clip_norm=None)
    fit(probe, loss, len(features), config, progress=False)


def test_a_probe_on_separable_slots_reaches_every_chord():
    train_split, test_split = separable(), separable()
    probe = SlotProbe(CONFIG)
    train(probe, train_split)
    scores = probe.scores(test_split)
    assert scores["accuracy"] == scores["unaided_accuracy"] == 1


def test_a_probe_on_a_separable_latent_reaches_every_chord():
    notes = (torch.rand(400, 8) < 0.3).float()
    latent = LatentFeatures(torch.cat([notes * 3, torch.randn(400, 4)], 1), notes)
    probe = LatentProbe(ProbeConfig(width=12, pitches=4, instruments=2))
    train(probe, latent, steps=600)
    assert probe.scores(latent)["accuracy"] == 1


def test_classes_and_multi_hot_of_real_chords(bank):
    """Piano and violin on the same C4, and a flute E4; P × I, pitch by pitch from MIDI 36."""
    data = ChordSpectrograms([((PIANO, 60), (VIOLIN, 60)), ((FLUTE, 64),)], bank, frames=16)
    pitch, instrument = data.classes
    assert pitch.tolist() == [[24, 24], [28, -1]]
    assert instrument.tolist() == [[0, 1], [2, -1]]
    assert data.multi_hot.nonzero().tolist() == [[0, 72], [0, 73], [1, 86]]
    assert data.multi_hot.sum() == 3


def test_one_pitch_on_two_instruments_is_two_notes_to_match(bank):
    data = ChordSpectrograms([((PIANO, 60), (VIOLIN, 60)), ((FLUTE, 64), (PIANO, 40), (VIOLIN, 70))], bank, frames=16)
    found = evaluation.features(MusicSlots(SMALL), data)
    assert found.slots.shape == (2, 5, 64)
    assert (found.slot_of_note[0, :2] >= 0).all() and found.slot_of_note[0, 2] == -1
    assert len(set(found.slot_of_note[0, :2].tolist())) == 2
    assert len(set(found.slot_of_note[1].tolist())) == 3
