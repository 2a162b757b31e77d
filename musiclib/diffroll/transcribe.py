"""A recording of any length to notes: window by window, so an hour needs no more memory than a minute.

Windows of 20.48 s overlap by about two seconds. In the overlap both begin from the same noise, and what they found is
cross-faded before it becomes notes, so that a seam neither doubles a note nor cuts one.

Notebook: 12 DiffRoll evaluation.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from musiclib import audio, scores
from musiclib.diffroll.evaluation import TEN_CALLS, Sampling, noise, transcribe
from musiclib.diffroll.mel import FLOOR, FRAME_S, HOP_SAMPLES, SEGMENT_FRAMES, WINDOW_SAMPLES, log_mel, normalised
from musiclib.diffroll.model import DiffRoll
from musiclib.diffroll.scoring import THRESHOLD, roll_of
from musiclib.pianoroll import Note, PianoRoll
from musiclib.progress import progress_bar
from musiclib.synth import SAMPLE_RATE_HZ

OVERLAP_FRAMES = 64
QUIET = 1e-6  # a window whose loudest band has so little of the power of the loudest before it, 60 dB less, is silent


class NothingHeard(ValueError):
    """A recording in which the model finds no notes."""


def transcribe_file(
    model: DiffRoll, path: Path, sampling: Sampling = TEN_CALLS, threshold: float = THRESHOLD, progress: bool = True
) -> list[Note]:
    """The notes of a recording, in seconds, sorted.

    Raises:
        AudioError: see `audio.load_audio`.
        NothingHeard: there are none.
    """
    blocks = audio.stream_audio(path)
    begun = next(blocks)  # what is no recording is told before a bar is drawn
    rolls = transcribe_stream(model, chain([begun], blocks), sampling)
    seconds = audio.claimed_s(path)
    total = seconds and windows(round(seconds * SAMPLE_RATE_HZ))
    bar = progress_bar(rolls, total=total, unit=" windows", disable=not progress)
    notes = sorted(notes_of_stream(bar, threshold))
    if not notes:
        raise NothingHeard(f"{path} holds no notes that the model hears as a piano's: nothing is written.")
    return notes


def transcribe_stream(model: DiffRoll, blocks: Iterable[Tensor], sampling: Sampling = TEN_CALLS) -> Iterator[Tensor]:
    """Blocks of a waveform (samples,) → its roll piece by piece, (88·planes, T) each, not yet binary."""
    step = SEGMENT_FRAMES - OVERLAP_FRAMES
    fade = torch.linspace(0, 1, OVERLAP_FRAMES + 2)[1:-1]
    before = noise_before = None  # the overlap with the window before: what it found, and its noise
    loudest = 0.0
    device = next(model.parameters()).device
    for number, (wave, is_last) in enumerate(_windows(blocks)):
        mel = log_mel(wave[None].to(device))
        power = float(mel.max().exp()) - FLOOR
        loudest = max(loudest, power)
        is_quiet = power < QUIET * loudest
        x_t = noise(model, mel, sampling.seed + number)
        if noise_before is not None:
            x_t[..., :OVERLAP_FRAMES] = noise_before
        found = transcribe(model, torch.zeros_like(mel) if is_quiet else normalised(mel), sampling, x_t)[0].cpu()
        if before is not None:
            found[:, :OVERLAP_FRAMES] = torch.lerp(before, found[:, :OVERLAP_FRAMES], fade)
        before, noise_before = found[:, step:], x_t[..., step:]
        yield found if is_last else found[:, :step]


def windows(samples: int) -> int:
    """How many windows a recording takes."""
    window, step = SEGMENT_FRAMES * HOP_SAMPLES, (SEGMENT_FRAMES - OVERLAP_FRAMES) * HOP_SAMPLES
    return 1 + max(0, -(-(samples - window) // step))


def _windows(blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Blocks of any length → overlapping windows (samples,), and whether it is the last one, which is shorter."""
    window, step = SEGMENT_FRAMES * HOP_SAMPLES, (SEGMENT_FRAMES - OVERLAP_FRAMES) * HOP_SAMPLES
    buffer = torch.zeros(0)
    for block in blocks:
        buffer = torch.cat([buffer, block])
        while len(buffer) > window:
            yield buffer[:window], False
            buffer = buffer[step:]
    shortest = max(WINDOW_SAMPLES, -(-len(buffer) // HOP_SAMPLES) * HOP_SAMPLES)
    yield torch.nn.functional.pad(buffer, (0, shortest - len(buffer))), True


def notes_of_stream(rolls: Iterable[Tensor], threshold: float = THRESHOLD) -> Iterator[Note]:
    """Rolls (88·planes, T), one after the other → notes, each as soon as it has ended; a note may last over seams."""
    sounding: dict[int, int] = {}  # pitch → frame of its onset
    at, last_frame = 0, None
    for x in rolls:
        both = x if last_frame is None else torch.cat([last_frame, x], dim=1)
        roll = roll_of(both, threshold)
        own = slice(both.shape[1] - x.shape[1], None)
        roll = PianoRoll(roll.sounding[own], roll.onset[own], FRAME_S)
        onset, length, pitch = (values.tolist() for values in roll.grid_notes())
        goes_on = {p for o, p in zip(onset, pitch, strict=True) if o == 0 and p in sounding and not roll.onset[0, p]}
        for ended in sorted(set(sounding) - goes_on):
            yield _note(sounding.pop(ended), at, ended)
        for o, n, p in zip(onset, length, pitch, strict=True):
            start = sounding.pop(p) if o == 0 and p in goes_on else at + o
            if o + n == len(roll):
                sounding[p] = start
            else:
                yield _note(start, at + o + n, p)
        at, last_frame = at + len(roll), x[:, -1:]
    for pitch, start in sorted(sounding.items()):
        yield _note(start, at, pitch)


def _note(start: int, end: int, pitch: int) -> Note:
    return Note(start * FRAME_S, (end - start) * FRAME_S, pitch)


def write(notes: list[Note], path: Path) -> None:
    """A MIDI file of the notes, as long in seconds as they are.

    Raises:
        ValueError: it cannot be written there.
    """
    try:
        scores.write_midi(notes, path)
    except OSError as error:
        raise ValueError(f"Cannot write {path} ({error.strerror}): choose another place for the result.") from error
