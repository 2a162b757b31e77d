"""Note discovery: how well a model's slots match the notes of a chord.

Convention: notes and slots are compared pairwise, each note is assigned its own slot (best assignment, by scipy), the
score is the mean over the matched notes. MSE and mIoU each take their own best assignment. A mask is where a
spectrogram reaches -30 dB; an empty union counts as IoU 0.

Source: MusicSlots, appendix A.4. Notebook: 03 note discovery.
"""

from typing import NamedTuple

from scipy.optimize import linear_sum_assignment
from torch import Tensor

from musiclib.spectrogram import MASK_THRESHOLD_DB, note_mask


class Match(NamedTuple):
    """One chord's score and, for each note, the slot it was given."""

    score: float
    slot_of_note: list[int]


def pairwise_mse(notes: Tensor, slots: Tensor) -> Tensor:
    """(..., n, F, T), (..., K, F, T) in dB → (..., n, K) mean squared error, in dB²."""
    return (notes.unsqueeze(-3) - slots.unsqueeze(-4)).square().mean(dim=(-2, -1))


def pairwise_iou(notes: Tensor, slots: Tensor, threshold_db: float = MASK_THRESHOLD_DB) -> Tensor:
    """(..., n, F, T), (..., K, F, T) in dB → (..., n, K) intersection over union of the note masks."""
    n, k = (note_mask(x, threshold_db).flatten(-2).float() for x in (notes, slots))
    intersection = n @ k.mT
    union = n.sum(-1).unsqueeze(-1) + k.sum(-1).unsqueeze(-2) - intersection
    return intersection / union.clamp(min=1)


def match(pairs: Tensor, maximize: bool) -> Match:
    """The assignment of notes to slots with the best total. (n, K) with n ≤ K."""
    return matches(pairs[None], [len(pairs)], maximize)[0]


def matches(pairs: Tensor, counts: list[int], maximize: bool) -> list[Match]:
    """The same for a batch (B, n, K) in which chord b has `counts[b]` notes; one copy to the CPU for all.

    Raises:
        ValueError: a chord has more notes than there are slots.
    """
    if max(counts) > pairs.shape[-1]:
        raise ValueError(f"{max(counts)} notes cannot each have one of {pairs.shape[-1]} slots: give the model more.")
    found = []
    for own, count in zip(pairs.cpu().numpy(), counts, strict=True):
        notes, slots = linear_sum_assignment(own[:count], maximize=maximize)
        found.append(Match(float(own[notes, slots].mean()), slots.tolist()))
    return found


def note_mse(notes: Tensor, slots: Tensor) -> Match:
    """Note MSE of one chord, in dB². Lower is better."""
    return match(pairwise_mse(notes, slots), maximize=False)


def note_iou(notes: Tensor, slots: Tensor) -> Match:
    """mIoU of one chord, 0 to 1. Higher is better."""
    return match(pairwise_iou(notes, slots), maximize=True)
