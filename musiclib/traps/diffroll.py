"""Traps of DiffRoll's published code. Notebooks: 10 transcription, 11 DiffRoll, 12 DiffRoll evaluation."""

from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np
import torch

from musiclib.diffroll import clips, evaluation, report, runs, scoring
from musiclib.diffroll.experiments import find
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES, heard
from musiclib.diffroll.report import Row
from musiclib.pianoroll import PianoRoll
from musiclib.synth import SAMPLE_RATE_HZ
from musiclib.traps.trap import Measured, Trap

SIZE = "small"
PUBLISHED_HOP = 160  # of its MIDI files


def two_rows(published: Row, ours: Row) -> Measured | None:
    """Note F1 of two rows of the ledger, clip by clip."""
    change = report.gain(ours, published, SIZE)
    if change is None:
        return None
    theirs, own = (100 * report.at(row, SIZE)["f1"] for row in (published, ours))
    return Measured(f"note F1 on {ours[1]}, %", theirs, own, change.interval)


def too_fast() -> Measured:
    """How long a clip of 20.48 s lasts as a file."""
    clip = clips.shipped("A")[0]
    roll = scoring.roll_of(scoring.tensor_of(clip.notes, 640))
    ends = [
        max(note.end_s for note in PianoRoll(roll.sounding, roll.onset, hop / SAMPLE_RATE_HZ).notes())
        for hop in (PUBLISHED_HOP, HOP_SAMPLES)
    ]
    return Measured("seconds of a clip's MIDI file", *ends)


def first_batch() -> Measured | None:
    """Note F1 over the first four clips of B, and over all."""
    scores = report.at(("diffroll", "B"), SIZE)
    if scores is None:
        return None
    of_clips = 100 * np.array(scores["f1_of_clips"])
    return Measured("note F1 on B, %, DiffRoll", of_clips[:4].mean(), of_clips.mean())


def late_labels() -> Measured:
    """Note F1 of the twin against labels as the published loader cuts them, and against the true ones, set A: the mean
    over eight places of the cut between two frames."""
    own = clips.shipped("A")
    found = evaluation.rolls(runs.load(find("twin").run_name(SIZE)), own)

    def f1_of_clips(labelled: list[clips.Clip]) -> np.ndarray:
        return np.array([scores["f1"] for scores in evaluation.clip_scores(found, labelled)])

    parts = [(k + 0.5) / 8 for k in range(8)]
    published = np.mean([f1_of_clips([cut_between_frames(clip, part) for clip in own]) for part in parts], axis=0)
    ours = f1_of_clips(own)
    reach = report.paired(ours, published).interval
    return Measured("note F1 on A, %, the twin", 100 * published.mean(), 100 * ours.mean(), reach)


def cut_between_frames(clip: clips.Clip, part: float) -> clips.Clip:
    """Labels as the published loader gives them to a segment that begins `part` of a frame, 0 to 1, behind a frame of
    its piece: onsets on the piece's nearest frames, and these counted from the frame before the segment's beginning.
    So they are `part` of a frame late, apart from the rounding."""
    moved = [replace(note, onset_s=round(note.onset_s / FRAME_S + part) * FRAME_S) for note in clip.notes]
    return replace(clip, notes=moved)


@torch.no_grad()
def repeated_work() -> Measured:
    """Milliseconds of a call for one clip: with its spectrogram and projections made anew, and with those once made."""
    model, clip = runs.load(find("diffroll").run_name(SIZE)), clips.shipped("A")[0]
    wave = clip.waveform[None].to(next(model.parameters()).device)
    condition, t = model.condition(heard(wave)), torch.full((1,), 100, device=wave.device)
    x_t = evaluation.noise(model, heard(wave), 0)
    ways = (lambda: model(x_t, t, heard(wave)), lambda: model.denoise(x_t, t, condition))
    best = []
    for way in ways:
        times = []
        for _ in range(8):
            started = perf_counter()
            way().sum().item()
            times.append(perf_counter() - started)
        best.append(1e3 * min(times))
    return Measured("ms of a call of the network", *best)


def one_plane() -> Measured:
    """Note F1 of the true rolls of B, as a network would give them that is right in every cell."""
    own = clips.shipped("B")
    whole = [
        evaluation.summary(evaluation.clip_scores([scoring.tensor_of(c.notes, 640, n) for c in own], own))["f1"]
        for n in (1, 2)
    ]
    return Measured("note F1 of the true rolls of B, %", *(100 * value for value in whole))


def whole_pieces() -> Measured | None:
    """Note F1 of the twin on one segment of each piece of B, and on the pieces."""
    segments, pieces = report.at(("twin", "B"), SIZE), report.at(("whole-twin", "B"), SIZE)
    if segments is None or pieces is None:
        return None
    return Measured("note F1 on B, %, the twin", 100 * segments["f1"], 100 * pieces["f1"])


TRAPS = (
    Trap("terminal-snr", "noise that never hides the roll, ᾱ_T = 0.13", "offered beside schedules that end in noise",
         "12", partial(two_rows, ("p-0.1", "B"), ("zero-snr", "B")), from_ledger=True),
    Trap("missing-mask", "guided DDIM leaves the unheard call unmasked", "masked", "12",
         partial(two_rows, ("published-diffroll", "B", "ddim, unmasked"), ("published-diffroll", "B", "ddim")),
         from_ledger=True),
    Trap("four-hundred-calls", "200 guided steps, 400 calls of the network", "5 guided steps, 10 calls", "12",
         partial(two_rows, ("published-diffroll", "B", "ddpm"), ("published-diffroll", "B", "ours")), from_ledger=True),
    Trap("too-fast", "MIDI written with hop 160 for rolls of hop 512", "one hop", "12", too_fast),
    Trap("first-batch", "F1 of the first batch only", "of all clips, with an interval", "12", first_batch,
         from_ledger=True),
    Trap("one-segment", "one random segment of each piece", "whole pieces, too", "12", whole_pieces, from_ledger=True),
    Trap("late-labels", "labels up to a frame late, where a segment is cut between frames",
         "frames and labels at the same centres", "10", late_labels),
    Trap("repeated-work", "spectrogram and projections in every call", "once a clip", "12", repeated_work),
    Trap("one-plane", "repeated notes merge in the roll", "a second plane for onsets", "12", one_plane),
)  # fmt: skip
