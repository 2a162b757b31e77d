"""Real recordings with their notes: MAESTRO's and MAPS' own folders, where the reader has them.

MAPS is split as in the paper: what was played on the real piano (ENSTDkAm, ENSTDkCl) is the test set, and of the seven
synthesizers' clips those whose piece also occurs there are left out; one piece in ten of the rest is for validation.
MAESTRO says itself what is what. A key that was let go while the pedal is down goes on sounding: notes are lengthened
up to the pedal's end, as is usual.

Notebook: 10 transcription.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from musiclib import audio, scores
from musiclib.diffroll.clips import CLIP_S, Clip, notes_between
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES
from musiclib.diffroll.scoring import tensor_of
from musiclib.pianoroll import Note
from musiclib.pieces import SPLITS, split_of
from musiclib.sources import maestro_table

SUSTAIN = 64  # MIDI's controller of the right pedal, and the value from which it is down
REAL_PIANO = ("ENSTDkAm", "ENSTDkCl")
MAPS_NAME = re.compile(r"MAPS_MUS-(?P<piece>.+)_(?P<piano>[A-Za-z0-9]+)")


class RecordingsError(ValueError):
    """A folder of recordings cannot be used: the message names it, and says why and what helps."""


@dataclass(frozen=True)
class Pair:
    """A recording and the MIDI file of what was played."""

    name: str
    sound: Path
    midi: Path

    @cached_property
    def notes(self) -> list[Note]:
        """What sounds, in seconds, with the pedal.

        Raises:
            ScoreError: the MIDI file is missing or damaged.
        """
        return pedalled(scores.read_notes(self.midi), pedal_spans(self.midi))


def find(folder: Path, split: str) -> list[Pair]:
    """The pairs of a split of MAESTRO's or MAPS' folder.

    Raises:
        ValueError: there is no such split.
        RecordingsError: the folder is neither, or holds no pair of that split.
    """
    if split not in SPLITS:
        raise ValueError(f"{split!r} is no split: choose of {', '.join(SPLITS)}.")
    pairs = _maestro(folder, split) if list(folder.glob("maestro-v*.csv")) else _maps(folder, split)
    if not pairs:
        raise RecordingsError(
            f"{folder} holds no recordings of the {split} split: give MAESTRO's folder, with its CSV, WAV and MIDI "
            "files, or MAPS', with its MUS folders."
        )
    return pairs


def _maestro(folder: Path, split: str) -> list[Pair]:
    table = maestro_table(folder, "audio_filename")
    return [
        Pair(midi, folder / sound, folder / midi)
        for midi, (sound, own) in sorted(table.items())
        if own == split and (folder / sound).exists() and (folder / midi).exists()
    ]


def _maps(folder: Path, split: str) -> list[Pair]:
    found = [(path, match) for path in sorted(folder.rglob("MAPS_MUS-*.wav")) if (match := MAPS_NAME.match(path.stem))]
    tested = {match["piece"] for _, match in found if match["piano"] in REAL_PIANO}

    def split_of_clip(match: re.Match) -> str | None:
        if match["piano"] in REAL_PIANO:
            return "test"
        if match["piece"] in tested:
            return None
        return "valid" if split_of(match["piece"]) == "valid" else "train"

    return [
        Pair(path.stem, path, path.with_suffix(".mid"))
        for path, match in found
        if split_of_clip(match) == split and path.with_suffix(".mid").exists()
    ]


def pedal_spans(path: Path) -> list[tuple[float, float]]:
    """When the sustain pedal is down, (from, to) in seconds, of a MIDI file that `read_notes` has read."""
    import symusic

    score = symusic.Score.from_midi(path.read_bytes()).to("second")
    moves = sorted((c.time, c.value) for track in score.tracks for c in track.controls if c.number == SUSTAIN)
    spans, down = [], None
    for time_s, value in moves:
        if value >= SUSTAIN and down is None:
            down = time_s
        elif value < SUSTAIN and down is not None:
            spans.append((down, time_s))
            down = None
    return spans if down is None else [*spans, (down, float("inf"))]


def pedalled(notes: Sequence[Note], spans: Sequence[tuple[float, float]]) -> list[Note]:
    """Notes, sorted, that end while the pedal is down, lengthened to its end, or until their key is struck again."""
    again: dict[int, float] = {}
    last_s = max((note.end_s for note in notes), default=0.0)
    longer = []
    for note in reversed(notes):
        end_s = next((up for down, up in spans if down <= note.end_s < up), note.end_s)
        end_s = min(max(end_s, note.end_s), again.get(note.pitch, np.inf), max(last_s, note.end_s))
        longer.append(Note(note.onset_s, end_s - note.onset_s, note.pitch, note.velocity, note.program))
        again[note.pitch] = note.onset_s
    return [note for note in reversed(longer) if note.duration_s > 0]


def clip(pair: Pair, start_s: float, seconds: float) -> Clip:
    """A part of a recording with the notes in it; what began before is a note from its start.

    Raises:
        AudioError: the sound cannot be read.
    """
    notes = notes_between(pair.notes, start_s, start_s + seconds)
    return Clip(f"{pair.name} from {start_s:.0f} s", audio.load_part(pair.sound, start_s, seconds), notes)


def clips(folder: Path, split: str, count: int | None = None) -> list[Clip]:
    """One random segment of 20.48 s of each recording, as in the paper, or of the first `count`; always the same."""
    rng = np.random.default_rng(0)
    pairs = find(folder, split)[:count]
    return [clip(pair, rng.uniform(0, max(0.0, _seconds(pair) - CLIP_S)), CLIP_S) for pair in pairs]


def _seconds(pair: Pair) -> float:
    return soundfile.info(pair.sound).duration


@dataclass(frozen=True)
class Recorded:
    """Segments of real recordings, drawn at random, long recordings more often; see `data.Rendered`."""

    pairs: Sequence[Pair]
    frames: int
    planes: int = 1
    device: torch.device | str = "cpu"

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Waveforms (count, samples) and rolls (count, 88·planes, frames), drawn from torch's random state."""
        segments = [self._segment() for _ in range(count)]
        waves = torch.stack([segment.waveform for segment in segments])
        return waves.to(self.device), self._targets(segments)

    def rolls(self, count: int) -> Tensor:
        """Rolls alone, (count, 88·planes, frames)."""
        return self._targets([self._segment() for _ in range(count)])

    def _segment(self) -> Clip:
        rng = np.random.default_rng(int(torch.randint(1 << 62, ())))
        number = int(rng.choice(len(self.pairs), p=self._lengths_s / self._lengths_s.sum()))
        seconds = self.frames * FRAME_S
        start_s = rng.uniform(0, max(0.0, self._lengths_s[number] - seconds))
        found = clip(self.pairs[number], start_s, seconds)
        missing = max(0, self.frames * HOP_SAMPLES - len(found.waveform))
        wave = torch.nn.functional.pad(found.waveform, (0, missing))[: self.frames * HOP_SAMPLES]
        return Clip(found.name, wave, found.notes)

    def _targets(self, segments: Sequence[Clip]) -> Tensor:
        return torch.stack([tensor_of(s.notes, self.frames, self.planes) for s in segments]).to(self.device)

    @cached_property
    def _lengths_s(self) -> np.ndarray:
        return np.array([_seconds(pair) for pair in self.pairs])
