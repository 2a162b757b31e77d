"""Note discovery's metrics on cases small enough to compute by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.musicslots.metrics import match, matches, note_iou, note_mse, pairwise_iou, pairwise_mse

# 1×4 spectrograms in dB; a mask is where they reach -30.
NOTES = torch.tensor([[[0.0, 0.0, -80.0, -80.0]], [[-80.0, 0.0, 0.0, 0.0]]])
SLOTS = torch.tensor([[[-80.0, 0.0, 0.0, -40.0]], [[-100.0] * 4], [[0.0, 2.0, -80.0, -80.0]]])


def test_pairwise_mse_by_hand():
    expected = torch.tensor([
        [(80**2 + 80**2 + 40**2) / 4, (100**2 + 100**2 + 20**2 + 20**2) / 4, (2**2) / 4],
        [40**2 / 4, (20**2 + 3 * 100**2) / 4, (80**2 + 2**2 + 80**2 + 80**2) / 4],
    ])  # fmt: skip
    torch.testing.assert_close(pairwise_mse(NOTES, SLOTS), expected)


def test_pairwise_iou_by_hand():
    """Masks: notes 1100 and 0111; slots 0110, 0000 and 1100."""
    expected = torch.tensor([[1 / 3, 0.0, 1.0], [2 / 3, 0.0, 1 / 4]])
    torch.testing.assert_close(pairwise_iou(NOTES, SLOTS), expected)


def test_scores_and_matches_by_hand():
    mse, iou = note_mse(NOTES, SLOTS), note_iou(NOTES, SLOTS)
    assert mse.slot_of_note == [2, 0]
    assert mse.score == pytest.approx((1 + 400) / 2)
    assert iou.slot_of_note == [2, 0]
    assert iou.score == pytest.approx((1 + 2 / 3) / 2)


def test_a_slot_serves_one_note_only():
    """Both notes would like slot 0; the best total gives it to the one that needs it more."""
    pairs = torch.tensor([[1.0, 2.0], [1.0, 9.0]])
    assert match(pairs, maximize=False) == (1.5, [1, 0])
    assert match(pairs, maximize=True) == (5.0, [0, 1])


def test_mse_and_iou_take_their_own_assignments():
    """Slot 0 is near note 0 in decibels but under the threshold; slot 1 is far off but has the mask."""
    note = torch.tensor([[[-29.0, -80.0]]])
    slots = torch.tensor([[[-31.0, -80.0]], [[20.0, -80.0]]])
    assert note_mse(note, slots).slot_of_note == [0]
    assert note_iou(note, slots).slot_of_note == [1]
    assert note_iou(note, slots).score == 1


def test_an_empty_union_counts_zero():
    silent = torch.full((1, 4, 4), -100.0)
    assert note_iou(silent, silent).score == 0
    assert note_mse(silent, silent).score == 0


def random_notes(seed, count):
    return torch.rand(count, 6, 5, generator=torch.Generator().manual_seed(seed)) * 100 - 70


cases = given(seed=st.integers(0, 10_000), notes=st.integers(1, 4), spare=st.integers(0, 3))


@settings(max_examples=50, deadline=None)
@cases
def test_perfect_slots(seed, notes, spare):
    """The notes themselves, in any order and with slots to spare, score 0 and 1."""
    truth = random_notes(seed, notes)
    slots = torch.cat([truth, random_notes(seed + 1, spare)])
    order = torch.randperm(len(slots), generator=torch.Generator().manual_seed(seed))
    where = [order.tolist().index(note) for note in range(notes)]
    mse, iou = note_mse(truth, slots[order]), note_iou(truth, slots[order])
    assert (mse.score, mse.slot_of_note) == (0, where)
    assert iou.score == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@cases
def test_bounds_and_invariance_to_slot_order(seed, notes, spare):
    """MSE ≥ 0, 0 ≤ IoU ≤ 1, neither depends on the order of slots or notes, and a spare slot never hurts."""
    truth, slots = random_notes(seed, notes), random_notes(seed + 1, notes + spare)
    order = torch.randperm(len(slots), generator=torch.Generator().manual_seed(seed))
    for score, lower_is_better in ((note_mse, True), (note_iou, False)):
        value = score(truth, slots).score
        assert 0 <= value <= (170**2 if lower_is_better else 1)
        assert score(truth, slots[order]).score == pytest.approx(value, rel=1e-5)
        assert score(truth.flip(0), slots).score == pytest.approx(value, rel=1e-5)
        more = score(truth, torch.cat([slots, random_notes(seed + 2, 1)])).score
        assert more <= value + 1e-4 if lower_is_better else more >= value - 1e-4


def test_a_batch_scores_as_its_chords_do_alone():
    """Chords of 2, 4 and 1 notes, padded to four; what the padding holds does not matter."""
    counts, slots = [2, 4, 1], torch.stack([random_notes(seed, 5) for seed in (1, 2, 3)])
    notes = torch.stack([random_notes(seed, 4) for seed in (4, 5, 6)])
    for pairwise, alone, maximize in ((pairwise_mse, note_mse, False), (pairwise_iou, note_iou, True)):
        found = matches(pairwise(notes, slots), counts, maximize)
        for own, chord, count, slot in zip(found, notes, counts, slots, strict=True):
            expected = alone(chord[:count], slot)
            assert own.slot_of_note == expected.slot_of_note
            assert own.score == pytest.approx(expected.score, rel=1e-6)


def test_more_notes_than_slots():
    with pytest.raises(ValueError, match="3 notes cannot each have one of 2 slots"):
        note_mse(random_notes(0, 3), random_notes(1, 2))
