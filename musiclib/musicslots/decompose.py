"""A recording of your own taken apart: one sound, one picture and one name for every slot.

The model knows one kind of input: T frames in which a chord begins after 0.09 s of silence. So each chord of a
recording is brought to that place and to a usual level, its window is decomposed, and until the next chord begins the
slots keep the shares that they have at the window's end. This is both the simplest way and the best. Signal-to-noise
ratio of the notes cut out of 100 JazzNet validation chords held for 1 s, which are three windows long: 12 dB; when
every further window was decomposed, 8 dB with a made-up silence in front and 3 dB without, since the middle of a
sound is something the model never heard; with the true notes' shares, 16 dB.

Notebook: 02 MusicSlots.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from musiclib import audio, plots
from musiclib.audio import AudioError
from musiclib.musicslots.chords import INSTRUMENTS, PITCHES
from musiclib.musicslots.data import SILENCE_S, ChordSpectrograms
from musiclib.musicslots.model import MusicSlots
from musiclib.musicslots.separation import slot_waveforms
from musiclib.paths import atomic, hidden_folder
from musiclib.plots import FRAME_S
from musiclib.spectrogram import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    POWER_FLOOR,
    db_to_power,
    mel_power,
    mel_spectrogram,
    power_to_db,
    stft,
)
from musiclib.synth import PROGRAM_NAMES, SAMPLE_RATE_HZ, NoteBank

LONGEST_S = 30.0
SHORTEST_S = FFT_SAMPLES / SAMPLE_RATE_HZ
LEVEL_DB = 13.7  # the loudest point of a spectrogram, median of 1000 chords of JazzNet-multi's training split
SILENCE_SAMPLES = round(SILENCE_S * SAMPLE_RATE_HZ)
LEAD = -(-SILENCE_SAMPLES // HOP_SAMPLES)  # the frame in which a training chord is first heard, 3
BEGIN_DB = -25.0  # a recording begins where it first comes so near to its loudest; training chords mostly by `LEAD`
RISE = 0.05  # a chord begins where amplitudes rise by so much of the loudest frame,
BEFORE, AFTER = 8, 3  # from so many frames to so many, all of them, which a click or a beating tone does not do
HELD = 4  # frames whose mean is kept after a window
IDLE_DB = -26.0  # a slot so far under its chord is idle: names 55 % of validation chords exactly (-20: 51 %, -38: 50 %)
Note = tuple[int, int]  # program, pitch


@dataclass(frozen=True)
class Slots:
    """A recording taken apart.

    Attributes:
        mixture: (samples,) at 16 kHz. waveforms: (K, samples), which sum to the mixture.
        notes: for every slot the nearest (program, pitch) of each chord in which it sounds; none for idle slots.
        begins_s: where the chords begin.
    """

    mixture: Tensor
    waveforms: Tensor
    notes: list[list[Note]]
    begins_s: list[float]

    @property
    def names(self) -> list[str]:
        """Such as "violin C♯4", "piano C4, piano D4, …" or "idle"."""
        return [_name(notes) for notes in self.notes]

    @property
    def levels_db(self) -> list[float]:
        """Each slot's energy against the mixture's, in dB."""
        return _level_db(self.waveforms, self.mixture)

    @property
    def spectrograms_db(self) -> Tensor:
        """(1 + K, 128, frames) of the mixture and the slots' waveforms, at the level of training chords."""
        power = mel_power(stft(torch.cat([self.mixture[None], self.waveforms])))
        db = power_to_db(power, dynamic_range_db=None)
        return db + LEVEL_DB - db[0].max()


def decompose(model: MusicSlots, waveform: Tensor) -> Slots:
    """Takes a recording apart.

    Chords that begin less than a window apart are taken for one. Where a recording does not begin at once, what comes
    before is shared as the first chord is.

    Args:
        model: trained on mel spectrograms.
        waveform: (samples,) at 16 kHz, at any level.

    Raises:
        AudioError: it is shorter than 0.064 s, one FFT window, or longer than 30 s.
    """
    _check_length(len(waveform))
    loudest = mel_power(stft(waveform)).max().clamp(min=POWER_FLOOR)
    usual = waveform * 10 ** (LEVEL_DB / 20) / loudest.sqrt()  # nothing of a quiet recording is under the power floor
    mel = mel_power(stft(usual))
    begins = onsets(mel, model.config.frames - LEAD)
    spans = list(itertools.pairwise([*begins, mel.shape[-1]]))
    heard, powers, held = [], [], None
    for begin, end in spans:
        slot_db, gain_db = _window(model, usual, begin)
        if held is not None:
            slot_db = slot_db[_linked(held, db_to_power(slot_db - gain_db))]
        power = db_to_power(slot_db - gain_db)[..., LEAD:]
        held = power[..., -HELD:].mean(dim=-1, keepdim=True)
        rest = held.expand(-1, -1, max(0, end - begin - power.shape[-1]))
        heard.append(slot_db)
        powers.append(torch.cat([power, rest], dim=-1)[..., : end - begin])
        if begin == begins[0]:
            powers.insert(0, held.expand(-1, -1, begin))
    waveforms = slot_waveforms(waveform, torch.cat(powers, dim=-1))
    return Slots(waveform, waveforms, _notes(waveforms, spans, heard), [begin * FRAME_S for begin in begins])


def _check_length(samples: int) -> None:
    seconds = samples / SAMPLE_RATE_HZ
    if seconds < SHORTEST_S:
        raise AudioError(
            f"The recording lasts {seconds:.3f} s, too short to hear a note in: "
            f"it takes {SHORTEST_S:.3f} s, better 0.5 s."
        )
    if seconds > LONGEST_S:
        raise AudioError(f"The recording lasts {seconds:.1f} s: cut it to {LONGEST_S:g} s.")


def onsets(mel: Tensor, apart: int) -> list[int]:
    """The frames in which chords begin, the first and then where new partials sound.

    In 3 % of JazzNet validation chords held for 1.8 s a further onset was seen by mistake, and of two chords in
    succession, in 9 % of pairs, the second was missed.

    Args:
        mel: (F, T) power.
        apart: the least distance in frames.
    """
    loudness = mel.amax(dim=0)
    begins = [int((loudness >= db_to_power(torch.tensor(BEGIN_DB)) * loudness.max()).float().argmax())]
    amplitude = mel.sqrt()
    before = F.max_pool1d(F.pad(amplitude, (BEFORE, 0)), BEFORE, stride=1)[:, :-1]  # the loudest of frames t-8 … t-1
    after = -F.max_pool1d(F.pad(-amplitude, (0, AFTER - 1)), AFTER, stride=1)  # the softest of frames t … t+2
    rise = (after - before).clamp(min=0).sum(dim=0) / amplitude.sum(dim=0).max().clamp(min=POWER_FLOOR)
    for frame in torch.nonzero(rise > RISE).flatten().tolist():
        if frame >= begins[-1] + apart:
            begins.append(frame)
    return begins


def _window(model: MusicSlots, waveform: Tensor, begin: int) -> tuple[Tensor, float]:
    """The chord that begins in frame `begin` as the slots hear it, (K, F, T) in dB, and the gain that was applied."""
    frames, device = model.config.frames, next(model.parameters()).device
    start = (begin - LEAD) * HOP_SAMPLES
    sound = waveform[max(0, start) : start + frames * HOP_SAMPLES + FFT_SAMPLES]
    sound = F.pad(sound, (max(0, -start), frames * HOP_SAMPLES))
    sound = torch.cat([torch.zeros(SILENCE_SAMPLES), sound[SILENCE_SAMPLES:]])
    x = power_to_db(mel_spectrogram(sound, frames))
    gain_db = LEVEL_DB - float(x.max())
    noise = torch.randn(1, model.config.slots, model.config.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model((x + gain_db)[None, None].to(device), noise.to(device)).slot_db[0].cpu(), gain_db


def _linked(held: Tensor, power: Tensor) -> Tensor:
    """The order of new slots (K, F, T) in which each resembles most the old slot (K, F, 1) in its place."""
    likeness = held[..., 0].sqrt() @ power.mean(dim=-1).sqrt().T
    return torch.from_numpy(linear_sum_assignment(likeness.numpy(), maximize=True)[1])


@lru_cache
def _single_notes(frames: int) -> ChordSpectrograms:
    """Every note that training chords are made of; the bank's violin and flute have no sound at some pitches."""
    bank = NoteBank.load()
    every = [(program, pitch) for program in INSTRUMENTS for pitch in PITCHES]
    return ChordSpectrograms([(n,) for n in every if bank.waveforms[bank.row(*n)].abs().max() > 1e-4], bank, frames)


def _notes(waveforms: Tensor, spans: Sequence[tuple[int, int]], heard: Sequence[Tensor]) -> list[list[Note]]:
    """For every slot the note nearest to it (F, T) in each chord, from frame to frame, in which it is not idle."""
    notes = [[] for _ in waveforms]
    for (begin, end), slots_db in zip(spans, heard, strict=True):
        sound = waveforms[:, begin * HOP_SAMPLES : end * HOP_SAMPLES]
        levels_db = _level_db(sound, sound.sum(dim=0))
        for own, slot_db, level_db in zip(notes, slots_db, levels_db, strict=True):
            if level_db >= IDLE_DB:
                own.append(_single_notes(slot_db.shape[-1]).nearest_note(slot_db))
    return [[note for note, _ in itertools.groupby(own)] for own in notes]


def _level_db(sounds: Tensor, mixture: Tensor) -> list[float]:
    """Energy of sounds (K, samples) against their mixture's (samples,), in dB; -100 for nothing at all."""
    energy = sounds.square().sum(dim=1) / mixture.square().sum().clamp(min=POWER_FLOOR)
    return (10 * energy.clamp(min=POWER_FLOOR).log10()).tolist()


def _name(notes: Sequence[Note], most: int = 2) -> str:
    shown = [f"{PROGRAM_NAMES[program]} {plots.pitch_name(pitch)}" for program, pitch in notes[:most]]
    return ", ".join(shown + ["…"] * (len(notes) > most)) or "idle"


# ---------------------------------------------------------------------------------------------------------- files


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"Cannot write {folder} ({error.strerror}): choose another folder with --output.") from error


def check_folder(folder: Path) -> None:
    """Whether `write` may use a folder.

    Raises:
        ValueError: it is a file, holds anything else than what `write` wrote, or may not be looked into.
    """
    with _one_sentence(folder):
        if not folder.exists():
            return
        if not folder.is_dir():
            raise ValueError(f"{folder} is a file: choose another folder with --output.")
        names = [path.name for path in folder.iterdir()]
    ours = all(re.fullmatch(r"slot-\d+\.(wav|png)|decomposition\.png", name) for name in names)
    if names and not (ours and "decomposition.png" in names):
        raise ValueError(f"{folder} holds other files, which stay untouched: choose another folder with --output.")


def write(slots: Slots, folder: Path) -> list[Path]:
    """Writes slot-0.wav, slot-0.png and so on, and decomposition.png, all or nothing; an earlier result is replaced.

    Returns:
        The WAV files.

    Raises:
        ValueError: the folder cannot be made, or holds something else.
    """
    folder = Path(folder).resolve()
    check_folder(folder)
    with _one_sentence(folder), hidden_folder(folder) as hidden:
        made = hidden / "new"
        made.mkdir()
        _write_files(slots, made)
        if folder.exists():
            folder.rename(hidden / "old")
        made.rename(folder)
    return [folder / f"slot-{number}.wav" for number in range(len(slots.waveforms))]


def _write_files(slots: Slots, folder: Path) -> None:
    chord, *pictures = slots.spectrograms_db
    titles = [f"slot {number}: {name}" for number, name in enumerate(slots.names)]
    for number, (sound, picture, title) in enumerate(zip(slots.waveforms, pictures, titles, strict=True)):
        audio.write_wav(folder / f"slot-{number}.wav", sound)
        _save(plots.spectrograms([picture], [title]), folder / f"slot-{number}.png")
    short = [title.replace(": ", "\n") for title in titles]  # pictures side by side leave no room for a long line
    overview = plots.spectrograms([chord, *pictures], ["recording", *short], columns=4)
    _save(overview, folder / "decomposition.png")


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
