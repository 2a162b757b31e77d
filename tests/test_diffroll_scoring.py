"""Scores on notes that can be checked by hand."""

import mir_eval
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.diffroll import evaluation
from musiclib.diffroll.clips import Clip
from musiclib.diffroll.mel import FRAME_S
from musiclib.diffroll.scoring import frame_f1, note_scores, roll_of, tensor_of
from musiclib.pianoroll import Note, PianoRoll

TRUE = [Note(0.0, 0.5, 60), Note(0.5, 0.5, 62), Note(1.0, 0.5, 64), Note(1.5, 0.5, 65), Note(2.0, 0.5, 67)]
FOUND = [  # right; right but let go early; 60 ms late; an octave too high; missed; one too many
    TRUE[0], Note(0.5, 0.1, 62), Note(1.06, 0.5, 64), Note(1.5, 0.5, 77), Note(2.5, 0.5, 69),
]  # fmt: skip


def test_five_notes_by_hand():
    scores = note_scores(FOUND, TRUE)
    assert scores["precision"] == pytest.approx(2 / 5) and scores["recall"] == pytest.approx(2 / 5)
    assert scores["f1"] == pytest.approx(2 / 5) and scores["f1_with_offsets"] == pytest.approx(1 / 5)
    more = note_scores([*FOUND, *(Note(3.0 + k, 0.5, 50) for k in range(5))], TRUE)
    assert more["precision"] == pytest.approx(2 / 10) and more["f1"] == pytest.approx(2 * 0.2 * 0.4 / 0.6)


def test_nothing_found_and_nothing_there():
    assert note_scores([], [])["f1"] == 1 and note_scores([], TRUE)["f1"] == 0 and note_scores(TRUE, [])["f1"] == 0


def test_a_true_note_counts_once():
    twice = [Note(0.0, 0.2, 60), Note(0.02, 0.2, 60)]
    assert note_scores(twice, TRUE[:1])["precision"] == 0.5


def test_the_tolerance_is_fifty_milliseconds():
    assert note_scores([Note(0.549, 0.5, 62)], [TRUE[1]])["f1"] == 1
    assert note_scores([Note(0.551, 0.5, 62)], [TRUE[1]])["f1"] == 0


def test_frames_by_hand():
    one, other = (PianoRoll.from_notes([Note(0, n * FRAME_S, 60)], FRAME_S) for n in (4, 6))
    assert frame_f1(one, other) == pytest.approx(2 * 4 / 10) == pytest.approx(frame_f1(other, one))
    assert frame_f1(one, one) == 1
    empty = PianoRoll.from_notes([], FRAME_S, 3)
    assert frame_f1(empty, one) == 0 and frame_f1(empty, empty) == 1


def test_agrees_with_mir_eval_in_hertz():
    rng = np.random.default_rng(0)
    true = [Note(t, 0.3, int(p)) for t, p in zip(rng.uniform(0, 20, 80), rng.integers(21, 109, 80), strict=True)]
    found = [Note(max(0, n.onset_s + rng.normal(0, 0.04)), 0.3, n.pitch) for n in true[:60]]
    arrays = []
    for notes in (true, found):
        arrays += [
            np.array([(n.onset_s, n.end_s) for n in notes]),
            440 * 2 ** ((np.array([n.pitch for n in notes]) - 69) / 12),
        ]
    expected = mir_eval.transcription.precision_recall_f1_overlap(*arrays, offset_ratio=None)[:3]
    scores = note_scores(found, true)
    assert [scores[key] for key in ("precision", "recall", "f1")] == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20), st.integers(21, 108)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_two_planes_hold_every_note(rows):
    """What a roll with onsets holds comes back: notes that do not overlap on a key, with no two onsets in a row."""
    kept: dict[int, tuple[int, int]] = {}
    notes = []
    for onset, length, pitch in sorted(rows):
        start, end = kept.get(pitch, (-9, -9))
        if onset >= end and onset > start + 1:
            kept[pitch] = (onset, onset + length)
            notes.append(Note(onset * FRAME_S, length * FRAME_S, pitch))
    back = roll_of(tensor_of(notes, 120, planes=2)).notes()
    found, true = (
        sorted((round(n.onset_s / FRAME_S), round(n.duration_s / FRAME_S), n.pitch) for n in x) for x in (back, notes)
    )
    assert found == true


def test_pitches_beyond_the_keyboard_are_left_out():
    assert tensor_of([Note(0, 1, 20), Note(0, 1, 109)], 10).sum() == 0
    assert tensor_of([Note(0, 0.1, 21), Note(0, 0.1, 108)], 10)[[0, 87], 0].tolist() == [1, 1]


def test_the_threshold_is_chosen_where_f1_is_best():
    x = 0.3 * tensor_of(TRUE, 100)
    clip = Clip("made", torch.zeros(100 * 512), TRUE)
    assert evaluation.best_threshold([x], [clip]) < 0.3
    assert evaluation.clip_scores([x], [clip])[0]["f1"] == 0
    assert evaluation.clip_scores([x], [clip], 0.2)[0]["f1"] == 1


def test_a_summary_has_means_and_standard_errors():
    told = evaluation.summary([{"f1": 0.2}, {"f1": 0.4}])
    assert told == {"f1": pytest.approx(0.3), "f1_standard_error": pytest.approx(0.1, abs=1e-5)}
    assert evaluation.summary([{"f1": 0.5}]) == {"f1": 0.5}
