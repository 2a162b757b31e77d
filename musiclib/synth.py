"""Sound from notes: FluidSynth as the reference, and the NoteBank that replaces it everywhere else.

FluidSynth adds its voices, so a chord is the sum of its notes. Hence the bank: every (program, pitch) is rendered
once, and after that a chord is a sum of rows and a piece is a scatter-add, on any device, without a system package.

Reference conditions (specification of MusicSlots): FluidR3 GM, velocity 90, gain 0.2, no reverb, no chorus,
44.1 kHz 16 bit, the two channels averaged, resampled to 16 kHz.

Notebook: 01 from score to spectrogram.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from musiclib.paths import DATA, atomic
from musiclib.pianoroll import Note

SYNTH_RATE_HZ = 44_100
SAMPLE_RATE_HZ = 16_000
BLOCK_SAMPLES = 64  # FluidSynth's own
VELOCITY = 90  # music21's volume 0.71 of full scale
PIANO, VIOLIN, FLUTE = 0, 40, 73
PROGRAM_NAMES = {PIANO: "piano", VIOLIN: "violin", FLUTE: "flute"}
BANK_PITCHES = {PIANO: range(21, 109), VIOLIN: range(36, 97), FLUTE: range(36, 97)}
BANK_LENGTHS_S = {PIANO: 4.0, VIOLIN: 2.0, FLUTE: 2.0}
BANK_VERSION = 1
INAUDIBLE_DB = 96.0  # under full scale: one step of 16 bits
BANK_FLAC, BANK_INDEX = DATA / "note_bank.flac", DATA / "note_bank.json"
SOUNDFONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/soundfonts/FluidR3_GM.sf2")


class SoundfontError(FileNotFoundError):
    """No usable soundfont: the message names the file and says how to get one."""


class NoteBankError(ValueError):
    """The note bank is missing, damaged or of another version: the message says how to rebuild it."""


# ------------------------------------------------------------------------------------------------- FluidSynth


def find_soundfont() -> Path:
    """The soundfont to render with: `MUSICLIB_SOUNDFONT` where set, else the system's FluidR3.

    Raises:
        SoundfontError: there is none, or the file is not a soundfont.
    """
    wanted = os.environ.get("MUSICLIB_SOUNDFONT")
    candidates = [Path(wanted)] if wanted else [Path(name) for name in SOUNDFONTS]
    for path in candidates:
        if path.is_file():
            return _checked_soundfont(path)
    raise SoundfontError(
        f"No soundfont at {' or '.join(map(str, candidates))}: install it with "
        "'sudo apt-get install fluidsynth fluid-soundfont-gm', or set MUSICLIB_SOUNDFONT to a FluidR3_GM.sf2. "
        "Only re-rendering needs it; the shipped note bank plays without."
    )


def _checked_soundfont(path: Path) -> Path:
    with path.open("rb") as file:
        header = file.read(12)
    if header[:4] != b"RIFF" or header[8:12] != b"sfbk":
        raise SoundfontError(
            f"{path} is not a SoundFont 2 file: point MUSICLIB_SOUNDFONT to FluidR3_GM.sf2 "
            "(Debian and Ubuntu package fluid-soundfont-gm)."
        )
    return path


class Synthesizer:
    """One FluidSynth in this process, with reverb and chorus off.

    Raises:
        SoundfontError: FluidSynth is not installed, or cannot read the soundfont.
    """

    def __init__(self, soundfont: Path | None = None):
        path = _checked_soundfont(Path(soundfont)) if soundfont else find_soundfont()
        try:
            import fluidsynth
        except ImportError as error:
            raise SoundfontError(
                "The FluidSynth library is not installed: 'sudo apt-get install fluidsynth' provides it."
            ) from error
        settings = {"synth.reverb.active": 0, "synth.chorus.active": 0}  # only the constructor honours these
        self._synth = fluidsynth.Synth(gain=0.2, samplerate=float(SYNTH_RATE_HZ), **settings)
        self._soundfont_id = self._synth.sfload(str(path))
        if self._soundfont_id < 0:
            raise SoundfontError(f"FluidSynth cannot read {path}: reinstall the package fluid-soundfont-gm.")

    def __enter__(self) -> "Synthesizer":
        return self

    def __exit__(self, *_) -> None:
        self._synth.delete()

    def _samples(self, count: int) -> np.ndarray:
        """The next `count` samples, mono, in [-1, 1)."""
        if count == 0:
            return np.zeros(0, dtype=np.float32)
        stereo = np.asarray(self._synth.get_samples(count)).reshape(count, 2)
        return (stereo.mean(axis=1) / 32768).astype(np.float32)

    def render(self, notes: Iterable[Note], tail_s: float = 1.0) -> Tensor:
        """Notes as a waveform at 44.1 kHz, (samples,), with `tail_s` seconds after the last note ends.

        FluidSynth acts on events between blocks of 64 samples, so onsets are rounded to 1.5 ms here; left to
        itself it would start a note late by whatever was left of the last block.
        """
        self._synth.all_sounds_off(-1)
        notes = list(notes)
        channels = self._select_programs({note.program for note in notes})
        events = [(note.onset_s, 1, note) for note in notes] + [(note.end_s, 0, note) for note in notes]
        clock, chunks = 0, []
        for time_s, is_onset, note in sorted(events, key=lambda event: event[:2]):
            now = _whole_blocks(time_s)
            chunks.append(self._samples(now - clock))
            clock = now
            if is_onset:
                self._synth.noteon(channels[note.program], note.pitch, note.velocity)
            else:
                self._synth.noteoff(channels[note.program], note.pitch)
        end_s = max((note.end_s for note in notes), default=0.0) + tail_s
        chunks.append(self._samples(_whole_blocks(end_s) - clock))
        return torch.from_numpy(np.concatenate(chunks))

    def _select_programs(self, programs: set[int]) -> dict[int, int]:
        channels = dict(zip(sorted(programs), (c for c in range(16) if c != 9), strict=False))  # 9 is the drum kit
        for program, channel in channels.items():
            self._synth.program_select(channel, self._soundfont_id, 0, program)
        return channels


def _whole_blocks(time_s: float) -> int:
    return round(time_s * SYNTH_RATE_HZ / BLOCK_SAMPLES) * BLOCK_SAMPLES


def to_sample_rate(waveform_44k: Tensor) -> Tensor:
    """44.1 kHz to the course's 16 kHz, along the last axis."""
    return torchaudio.functional.resample(waveform_44k, SYNTH_RATE_HZ, SAMPLE_RATE_HZ)


# --------------------------------------------------------------------------------------------------- the bank


@dataclass(frozen=True)
class NoteBank:
    """Every note of every instrument, rendered once and held down.

    Attributes:
        waveforms: (notes, samples) at 16 kHz; short instruments are padded with zeros.
        programs, pitches: (notes,) what each row is.
        release_db_per_s: per program, how fast a note fades once its key is let go.
    """

    waveforms: Tensor
    programs: Tensor
    pitches: Tensor
    release_db_per_s: dict[int, float]

    @classmethod
    def load(cls, flac: Path = BANK_FLAC, index: Path = BANK_INDEX) -> "NoteBank":
        """The shipped bank, on the CPU.

        Raises:
            NoteBankError: a file is missing, damaged or of another version.
        """
        remedy = "restore it with 'git checkout data', or rebuild it with 'python -m musiclib rebuild bank'."
        for file in (Path(flac), Path(index)):
            if not file.is_file():
                raise NoteBankError(f"The note bank is missing {file}: {remedy}")
        try:
            description = json.loads(Path(index).read_text())
            audio, sample_rate_hz = soundfile.read(flac, dtype="float32")
            version, samples = description["version"], description["samples"]
            rows = [
                (int(program), int(pitch), int(start), int(length))
                for program, pitch, start, length in description["notes"]
            ]
            release = {int(program): float(rate) for program, rate in description["release_db_per_s"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, soundfile.SoundFileError) as error:
            raise NoteBankError(f"The note bank {flac} with {index} is damaged ({error}): {remedy}") from error
        if version != BANK_VERSION:
            raise NoteBankError(f"{index} is of bank version {version}, this code reads {BANK_VERSION}: {remedy}")
        if len(audio) != samples or sample_rate_hz != SAMPLE_RATE_HZ:
            raise NoteBankError(
                f"{flac} holds {len(audio)} samples at {sample_rate_hz} Hz, its index promises {samples} at "
                f"{SAMPLE_RATE_HZ}: {remedy}"
            )
        waveforms = torch.zeros(len(rows), max(length for *_, length in rows))
        for row, (_, _, start, length) in enumerate(rows):
            waveforms[row, :length] = torch.from_numpy(audio[start : start + length])
        programs, pitches = (torch.tensor([row[i] for row in rows]) for i in (0, 1))
        return cls(waveforms, programs, pitches, release)

    def to(self, device: torch.device | str) -> "NoteBank":
        fields = {name: getattr(self, name).to(device) for name in ("waveforms", "programs", "pitches")}
        return replace(self, **fields)

    def row(self, program: int, pitch: int) -> int:
        """The row of one note.

        Raises:
            ValueError: the bank does not hold it.
        """
        if (program, pitch) not in self._row_of:
            held = sorted(set(self.programs.tolist()))
            raise ValueError(
                f"The note bank has no pitch {pitch} for program {program}: it holds programs {held}, "
                "piano 21 to 108 and the others 36 to 96."
            )
        return self._row_of[program, pitch]

    def note(self, row: int, duration_s: float = 1.0, silence_s: float = 0.0, total_s: float = 2.0) -> Tensor:
        """One note: silence, then `duration_s` of key down, then its release; (samples,)."""
        wave = torch.zeros(round(total_s * SAMPLE_RATE_HZ), device=self.waveforms.device)
        start = round(silence_s * SAMPLE_RATE_HZ)
        length = min(len(wave) - start, self.waveforms.shape[1])
        held = self.waveforms[row, :length]
        wave[start : start + length] = held * self._release(int(self.programs[row]), duration_s, length)
        return wave

    def chord(
        self, rows: Sequence[int], duration_s: float = 1.0, silence_s: float = 0.0, total_s: float = 2.0
    ) -> Tensor:
        """The sum of the notes in `rows`, all struck together; (samples,)."""
        return torch.stack([self.note(row, duration_s, silence_s, total_s) for row in rows]).sum(0)

    def render(self, notes: Iterable[Note], tail_s: float = 1.0) -> Tensor:
        """A piece at 16 kHz, (samples,): each note's row scattered to its onset and faded after its end.

        Velocity acts on amplitude as (velocity / 90)², FluidSynth's curve. Notes longer than the bank's end with it.
        """
        notes = list(notes)
        end_s = max((note.end_s for note in notes), default=0.0) + tail_s
        wave = torch.zeros(round(end_s * SAMPLE_RATE_HZ), device=self.waveforms.device)
        for note in notes:
            self.add(wave, note)
        return wave

    def add(self, wave: Tensor, note: Note) -> None:
        """Adds a note to a waveform (samples,) in place; of one that began before its first sample, what is left."""
        row, start = self.row(note.program, note.pitch), round(note.onset_s * SAMPLE_RATE_HZ)
        held = max(0, round(note.duration_s * SAMPLE_RATE_HZ))
        fade = self._fades[note.program]
        gain = (note.velocity / VELOCITY) ** 2
        parts = ((0, held, None), (held, held + len(fade), fade))
        for first, last, shape in parts:
            low, high = max(first, -start), min(last, self.waveforms.shape[1], len(wave) - start)
            if low < high:
                sound = self.waveforms[row, low:high]
                wave[start + low : start + high] += gain * (
                    sound if shape is None else sound * shape[low - first : high - first]
                )

    @cached_property
    def _row_of(self) -> dict[tuple[int, int], int]:
        keys = zip(self.programs.tolist(), self.pitches.tolist(), strict=True)
        return {key: row for row, key in enumerate(keys)}

    @cached_property
    def _fades(self) -> dict[int, Tensor]:
        """Per program, the gain of a note that was let go, sample by sample until it is inaudible."""
        return {
            program: self._release(program, 0.0, round(INAUDIBLE_DB / rate * SAMPLE_RATE_HZ))
            for program, rate in self.release_db_per_s.items()
        }

    def _release(self, program: int, duration_s: float, length: int) -> Tensor:
        """(length,) gain of a note: 1 while held, then a straight line in decibels."""
        time_s = torch.arange(length, device=self.waveforms.device) / SAMPLE_RATE_HZ
        return 10 ** (-self.release_db_per_s[program] / 20 * (time_s - duration_s).clamp(min=0))


def build_bank(soundfont: Path | None = None, flac: Path = BANK_FLAC, index: Path = BANK_INDEX) -> None:
    """Renders the bank from the soundfont and writes it as FLAC and index. The same machine gives the same bytes.

    Raises:
        SoundfontError: see `Synthesizer`.
    """
    rows, waves, start = [], [], 0
    with Synthesizer(soundfont) as synth:
        for program, pitches in BANK_PITCHES.items():
            for pitch in pitches:
                held = Note(0.0, BANK_LENGTHS_S[program], pitch, VELOCITY, program)
                wave = to_sample_rate(synth.render([held], tail_s=0.0))
                rows.append([program, pitch, start, len(wave)])
                waves.append(wave)
                start += len(wave)
        release = {program: _measured_release(synth, program) for program in BANK_PITCHES}
    description = {
        "version": BANK_VERSION,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "velocity": VELOCITY,
        "samples": start,
        "release_db_per_s": release,
        "columns": ["program", "pitch", "start_sample", "samples"],
        "notes": rows,
    }
    with atomic(flac) as temporary:
        soundfile.write(temporary, torch.cat(waves).numpy(), SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC")
    with atomic(index) as temporary:
        temporary.write_text(json.dumps(description) + "\n")


def _measured_release(synth: Synthesizer, program: int, pitch: int = 60) -> float:
    """Decibels per second that a let-go note loses against the same note held down."""
    let_go = synth.render([Note(0.0, 0.5, pitch, VELOCITY, program)], tail_s=0.3)
    held = synth.render([Note(0.0, 0.8, pitch, VELOCITY, program)], tail_s=0.0)
    blocks = torch.stack([let_go, held])[:, SYNTH_RATE_HZ // 2 :].unfold(1, SYNTH_RATE_HZ // 50, SYNTH_RATE_HZ // 50)
    level_db = 20 * blocks.square().mean(-1).sqrt().log10()
    drop_db = (level_db[1] - level_db[0]).numpy()
    time_s = (np.arange(len(drop_db)) + 0.5) / 50
    return round(float(np.linalg.lstsq(time_s[:, None], drop_db, rcond=None)[0][0]), 1)
