"""From the network's roll to notes, and how many of them are right.

Convention: mir_eval's transcription scores. A note is right if its pitch is and its onset lies within 50 ms; "with
offsets" also asks that it ends within 50 ms or a fifth of its length. A frame score counts steps of 32 ms. Precision is
the share of what was found that is right, recall the share of what is right that was found, F1 their harmonic mean. A
clip without notes scores 0 like mir_eval's, unless nothing was found in it either: then 1.

Source: Cheuk et al. 2023, DiffRoll, section 4; Raffel et al. 2014, mir_eval.
Notebook: 10 transcription.
"""

from collections.abc import Sequence

import mir_eval
import numpy as np
import torch
from torch import Tensor

from musiclib.diffroll.mel import FRAME_S
from musiclib.diffroll.model import PITCHES
from musiclib.pianoroll import Note, PianoRoll

LOWEST_PITCH = 21
THRESHOLD = 0.5  # the paper's
ONSET_TOLERANCE_S = 0.05


def tensor_of(notes: Sequence[Note] | PianoRoll, frames: int, planes: int = 1) -> Tensor:
    """Notes as the network's target, (88·planes, frames) float: what sounds, and below it, of two planes, the onsets.

    Notes outside the piano's 88 keys are left out.
    """
    roll = notes if isinstance(notes, PianoRoll) else PianoRoll.from_notes(notes, FRAME_S, frames)
    keys = slice(LOWEST_PITCH, LOWEST_PITCH + PITCHES)
    both = np.concatenate([plane[:frames, keys].T for plane in (roll.sounding, roll.onset)][:planes])
    return torch.from_numpy(both).float()


def roll_of(x: Tensor, threshold: float = THRESHOLD) -> PianoRoll:
    """The network's roll (88·planes, T) as a piano roll: what exceeds the threshold sounds.

    With an onset plane, a note begins wherever that plane rises above the threshold, so a repeated note is two notes.
    Without one they are a single long note.
    """
    on = (x.detach().cpu() > threshold).numpy().reshape(-1, PITCHES, x.shape[-1])
    sounding, onset = np.zeros((2, x.shape[-1], 128), bool)
    keys = slice(LOWEST_PITCH, LOWEST_PITCH + PITCHES)
    sounding[:, keys] = on.any(0).T
    if len(on) == 2:
        struck = on[1].T
        onset[:, keys] = struck & ~np.concatenate([np.zeros_like(struck[:1]), struck[:-1]])[: len(struck)]
    return PianoRoll(sounding, onset, FRAME_S)


def note_scores(estimate: Sequence[Note], reference: Sequence[Note]) -> dict[str, float]:
    """precision, recall and f1 of notes, and f1_with_offsets."""
    if not estimate and not reference:
        return dict.fromkeys(("precision", "recall", "f1", "f1_with_offsets"), 1.0)
    if not estimate or not reference:
        return dict.fromkeys(("precision", "recall", "f1", "f1_with_offsets"), 0.0)
    arrays = (*_arrays(reference), *_arrays(estimate))
    score = mir_eval.transcription.precision_recall_f1_overlap
    precision, recall, f1, _ = score(*arrays, onset_tolerance=ONSET_TOLERANCE_S, offset_ratio=None)
    with_offsets = score(*arrays, onset_tolerance=ONSET_TOLERANCE_S)[2]
    return {"precision": precision, "recall": recall, "f1": f1, "f1_with_offsets": with_offsets}


def _arrays(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """Intervals in seconds and pitches in hertz, as mir_eval wants them: MIDI numbers would match wrongly."""
    intervals = np.array([(note.onset_s, note.end_s) for note in notes])
    return intervals, mir_eval.util.midi_to_hz(np.array([note.pitch for note in notes]))


def frame_f1(estimate: PianoRoll, reference: PianoRoll) -> float:
    """F1 over steps and pitches that sound; the shorter roll is continued with silence."""
    frames = max(len(estimate), len(reference))
    one, other = (np.pad(roll.sounding, ((0, frames - len(roll)), (0, 0))) for roll in (estimate, reference))
    found = one.sum() + other.sum()
    return float(2 * (one & other).sum() / found) if found else 1.0
