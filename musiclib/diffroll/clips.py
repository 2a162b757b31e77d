"""What transcription is tested on: clips whose notes are known, from pieces and renderers that training never meets.

- **A**, clean: FluidSynth itself with FluidR3's grand piano, calm playing. The note bank of training comes from the
  same soundfont, but FluidSynth lets notes go in its own way, and goes on where the bank's notes end.
- **B**, hard: another soundfont's bright piano (TimGM6mb), in a reverberant room with noise, loud beside soft, with
  staccato and struck-again notes. The file holds the dry sound; `shipped` adds the same room and noise every time.
- **C**, real: recordings of MAESTRO or MAPS, where the reader has them; see `recordings`.

Notebook: 10 transcription.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from musiclib import corpora
from musiclib.diffroll import performance, room
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES, SEGMENT_FRAMES
from musiclib.paths import DATA, atomic
from musiclib.pianoroll import Note
from musiclib.pieces import Piece
from musiclib.synth import SAMPLE_RATE_HZ, Synthesizer, to_sample_rate

CLIPS = 16
CLIP_S = SEGMENT_FRAMES * FRAME_S
FLAC, INDEX = DATA / "piano-clips.flac", DATA / "piano-clips.json"
EXAMPLE = DATA / "piano.ogg"  # one clip as a file that any player plays, for the command line
TIMGM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")  # Debian and Ubuntu package timgm6mb-soundfont
BRIGHT_PIANO = 1
STYLES = {"A": performance.CLEAN, "B": performance.HARD}
WORKS = ("piano-works", "chorales")


class ClipsError(ValueError):
    """The clips are missing or damaged: the message names the file and the remedy."""


@dataclass(frozen=True)
class Clip:
    """A recording and its notes: waveform (samples,) at 16 kHz."""

    name: str
    waveform: Tensor
    notes: list[Note]


def notes_between(notes: Sequence[Note], start_s: float, end_s: float) -> list[Note]:
    """What is heard in a part of a recording, in its own time: what began before is a note from its start, as in the
    paper, and what is there for less than a frame is left out."""
    inside = [note for note in notes if note.end_s > start_s + FRAME_S and note.onset_s < end_s - FRAME_S]
    spans = [(max(start_s, note.onset_s), min(end_s, note.end_s), note) for note in inside]
    return [Note(start - start_s, end - start, note.pitch, note.velocity) for start, end, note in spans]


@cache
def shipped(name: str) -> list[Clip]:
    """Test set "A" or "B", 16 clips of 20.48 s.

    Raises:
        ValueError: there is no such set.
        ClipsError: a file is missing or damaged.
    """
    if name not in STYLES:
        raise ValueError(f"{name!r} is no test set: choose of {', '.join(STYLES)}.")
    remedy = "restore it with 'git checkout data', or make it anew with 'python -m musiclib rebuild piano-clips'."
    try:
        audio, rate_hz = soundfile.read(FLAC, dtype="float32")
        clips = [
            Clip(entry["piece"], torch.from_numpy(audio[entry["start"] : entry["start"] + entry["samples"]]),
                 [Note(*note) for note in entry["notes"]])
            for entry in json.loads(INDEX.read_text())[name]
        ]  # fmt: skip
        if rate_hz != SAMPLE_RATE_HZ or not all(len(clip.waveform) for clip in clips):
            raise ValueError("index and sound do not fit together")
    except (OSError, ValueError, KeyError, TypeError, soundfile.SoundFileError) as error:
        raise ClipsError(f"The test clips {FLAC} with {INDEX} are missing or damaged ({error}): {remedy}") from error
    return [in_hard_room(clip, number) for number, clip in enumerate(clips)] if name == "B" else clips


def in_hard_room(clip: Clip, seed: int) -> Clip:
    """A dry clip as test set B has it: its own room and noise, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Clip(clip.name, room.recorded(clip.waveform[None], room.HARD)[0], clip.notes)


def test_pieces() -> list[Piece]:
    """The held-out piano works, then chorales."""
    return [piece for name in WORKS for piece in corpora.shipped(name).split("test")][:CLIPS]


def build(flac: Path = FLAC, index: Path = INDEX) -> None:
    """Renders both sets, dry, and writes the example for the command line.

    Raises:
        SoundfontError: see `synth.Synthesizer`; set B needs TimGM6mb.sf2.
    """
    waves, described, start = [], {}, 0
    for name in STYLES:
        described[name] = []
        for number, piece in enumerate(test_pieces()):
            clip = rendered(name, piece, CLIP_S, number)
            rows = [[round(n.onset_s, 4), round(n.duration_s, 4), n.pitch, n.velocity] for n in clip.notes]
            described[name].append({"piece": piece.name, "start": start, "samples": len(clip.waveform), "notes": rows})
            waves.append(clip.waveform)
            start += len(clip.waveform)
    with atomic(flac) as temporary:
        soundfile.write(temporary, torch.cat(waves).numpy(), SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC")
    with atomic(index) as temporary:
        temporary.write_text(json.dumps(described) + "\n")
    with atomic(EXAMPLE) as temporary:
        soundfile.write(temporary, 4 * shipped("A")[8].waveform.numpy(), SAMPLE_RATE_HZ, format="OGG")


def rendered(name: str, piece: Piece, seconds: float, seed: int) -> Clip:
    """A piece as set A or B plays it, dry: a random part of it, or all if it is no longer; cut after `seconds`."""
    rng = np.random.default_rng([ord(name), seed])
    style = STYLES[name]
    played = performance.perform(performance.excerpt(piece, seconds, style, rng), style, rng)
    played[:, 0] -= played[0, 0]
    played = played[played[:, 0] < seconds - 2 * FRAME_S]
    played[:, 1] = np.minimum(played[:, 1], seconds - played[:, 0])
    notes = performance.notes_of(played)
    soundfont, program = (None, 0) if name == "A" else (TIMGM, BRIGHT_PIANO)
    with Synthesizer(soundfont) as synth:
        wave = to_sample_rate(
            synth.render([Note(n.onset_s, n.duration_s, n.pitch, n.velocity, program) for n in notes])
        )
    samples = round(min(seconds, max(n.end_s for n in notes) + 1) / FRAME_S) * HOP_SAMPLES
    return Clip(piece.name, torch.nn.functional.pad(wave, (0, max(0, samples - len(wave))))[:samples], notes)
