"""The studio: what each of the four systems does with music, as plain functions from music to music.

    sound → `transcribed` → notes → `tempo.quantised` → roll
    roll → `improvised`, `travelled`, `pushed`, `recombined` → roll
    roll → `rendered` → sound → `taken_apart` → slots

Sound is a waveform (samples,) at 16 kHz, notes are in seconds, a roll is on a grid of 16ths and begins on a bar line.
Each function has its settings, a frozen dataclass of plain values. `project` keeps what came out, and how.

This is the one module, besides the command line, that knows all four systems.

Notebook: 13 the studio.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from musiclib.audio import SILENCE_PEAK
from musiclib.diffroll import experiments as diffroll_experiments
from musiclib.diffroll import runs as diffroll_runs
from musiclib.diffroll import transcribe
from musiclib.diffroll.evaluation import TEN_CALLS
from musiclib.improvise import bars, distances, motifs, oracle, perform
from musiclib.improvise import experiments as improvise_experiments
from musiclib.improvise import runs as improvise_runs
from musiclib.improvise.data import corpus_source
from musiclib.improvise.query import Channel
from musiclib.improvise.vae import BarVAE
from musiclib.musicslots import decompose
from musiclib.musicslots import experiments as musicslots_experiments
from musiclib.musicslots import runs as musicslots_runs
from musiclib.musicslots.decompose import Slots
from musiclib.musicvae import attributes, data, latent
from musiclib.musicvae import experiments as musicvae_experiments
from musiclib.musicvae import runs as musicvae_runs
from musiclib.musicvae.model import MusicVAE
from musiclib.pianoroll import Note, PianoRoll
from musiclib.presets import current_preset
from musiclib.reproduction import usable
from musiclib.synth import BANK_PITCHES, FLUTE, PIANO, SAMPLE_RATE_HZ, VIOLIN, NoteBank
from musiclib.tempo import QUARTER

LONGEST_S = 60.0  # of a recording: one tempo hardly lasts longer
VECTOR_WINDOWS = 400  # of the corpus, from which an attribute's vector is taken
STYLES = [name for name, e in improvise_experiments.EXPERIMENTS.items() if e.ships]
INSTRUMENTS = {"piano": PIANO, "violin": VIOLIN, "flute": FLUTE}


class StudioError(ValueError):
    """Music, a setting or a project that cannot be used: the message says which, why, and what helps."""


def _check(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise StudioError(f"{what} is a number from {least:g} to {most:g}, not {value:g}.")


def _check_style(style: str) -> None:
    if style not in STYLES and not Path(style).is_file():
        raise StudioError(f"No style {style!r}: choose of {', '.join(STYLES)}, or a corpus file that you trained on.")


# ------------------------------------------------------------------------------------------------ sound to notes


@dataclass(frozen=True)
class Listening:
    """How a recording is transcribed: by "twin-best", in one call, or "diffroll-best", in ten, from the noise of a
    seed; what exceeds the threshold sounds."""

    model: str = "twin-best"
    threshold: float = 0.5
    seed: int = 0

    @property
    def run(self) -> str:
        return usable(diffroll_experiments.find(self.model).run_name, current_preset().size)


def transcribed(sound: Tensor, settings: Listening) -> list[Note]:
    """The notes that DiffRoll hears in (samples,), sorted.

    Raises:
        StudioError: it hears none.
    """
    model = _listener(settings.run)
    rolls = transcribe.transcribe_stream(model, [sound.cpu()], replace(TEN_CALLS, seed=settings.seed))
    notes = sorted(transcribe.notes_of_stream(rolls, settings.threshold))
    if not notes:
        raise StudioError(f"{settings.model} hears no piano notes here: take another recording or a lower threshold.")
    return notes


# ------------------------------------------------------------------------------------------------ roll to roll


@dataclass(frozen=True)
class Fader:
    """How the bar VAE answers: so many bits of each bar reach it, None for all; `style` is what it has read."""

    bits: int | None = None
    style: str = "chorales"
    quarters: int = 4
    seed: int = 0

    def __post_init__(self):
        _check_style(self.style)
        _check("The number of bits", 0 if self.bits is None else self.bits, 0, 1e6)
        _check("The number of quarters in a bar", self.quarters, 1, 16)

    @property
    def run(self) -> str:
        return improvise_experiments.find(self.style).run_name("paper")


def improvised(roll: PianoRoll, settings: Fader) -> PianoRoll:
    """The bar VAE's answer to a roll, bar by bar and as long.

    Raises:
        StudioError: nothing was played.
    """
    model = _answerer(settings.run)
    query = perform.Query(roll, 0, bars.steps_of(settings.quarters * QUARTER))
    channel = Channel(float("inf") if settings.bits is None else settings.bits, "corpus", made_up=True)
    corpus = _spread(settings.run, improvise_experiments.find(settings.style).corpus)
    try:
        return perform.perform(model, query, channel, corpus, settings.seed)
    except ValueError as error:
        raise StudioError(str(error)) from error


@dataclass(frozen=True)
class Way:
    """From one passage to another: the quarters with which they begin, from 0, and at how many places of the way,
    both ends among them, MusicVAE stops."""

    first: int = 0
    second: int = 8
    stops: int = 5
    model: str = "chorale-2"

    def __post_init__(self):
        _check("The number of stops", self.stops, 2, 64)

    @property
    def run(self) -> str:
        return usable(musicvae_experiments.find(self.model).run_name, current_preset().size)


def travelled(roll: PianoRoll, settings: Way) -> PianoRoll:
    """One passage of a roll turned into another, stop by stop along the arc between their µ.

    Raises:
        StudioError: a passage lies outside the roll, or nothing was played.
    """
    model = _composer(settings.run)
    ends = (passage(roll, first, model) for first in (settings.first, settings.second))
    stops = latent.between(model, *ends, settings.stops)
    return _sounding(PianoRoll.joined([data.to_roll(stop, roll.step_s) for stop in stops]), "This way")


@dataclass(frozen=True)
class Push:
    """A passage, from a quarter on, pushed along the vector of an attribute, see `attributes.ATTRIBUTES`: by 1, as far
    as it is from the quarter of the corpus with least of it to that with most."""

    attribute: str = "note density"
    amount: float = 1.0
    first: int = 0
    model: str = "chorale-2"

    def __post_init__(self):
        if self.attribute not in attributes.ATTRIBUTES:
            raise StudioError(f"No attribute {self.attribute!r}: choose of {', '.join(attributes.ATTRIBUTES)}.")
        _check("How far to push", self.amount, -10, 10)

    run = Way.run


def pushed(roll: PianoRoll, settings: Push) -> PianoRoll:
    """The passage with more of an attribute, or less if the amount is negative; with 0 the model's reconstruction.

    Raises:
        StudioError: the passage lies outside the roll, or nothing was played.
    """
    model = _composer(settings.run)
    vector = _vectors(settings.run, settings.model)[settings.attribute]
    with torch.no_grad():
        z = model.encode(passage(roll, settings.first, model)[None].to(vector.device)).mu
        drawn = model.sample(z + settings.amount * vector, 0.0)[0]
    return _sounding(data.to_roll(drawn, roll.step_s), "This push")


def passage(roll: PianoRoll, first: int, model: MusicVAE) -> Tensor:
    """What a MusicVAE reads of a roll from a quarter on, tokens (T,) or bits (T, 176); silence after the roll's end.

    Raises:
        StudioError: nothing sounds there.
    """
    steps = model.config.bars * data.BAR_STEPS
    cut = roll[QUARTER * first : QUARTER * first + steps] if first >= 0 else roll[:0]
    if not cut.sounding.any():
        last = len(roll) // QUARTER
        raise StudioError(
            f"Nothing sounds from quarter {first} on: the music has {last}, choose one of 0 to {last - 1}."
        )
    silence = PianoRoll(*np.zeros((2, steps - len(cut), 128), bool), roll.step_s)
    whole = PianoRoll.joined([cut, silence])
    return torch.from_numpy((data.melody_tokens if model.config.kind == "melody" else data.bits)(whole))


@dataclass(frozen=True)
class Walk:
    """A new order of the quarters: how many, with what probability the next one follows where there is a choice, and
    how many quarters of past two places must share; `style` names the bar VAE whose ear tells what is alike."""

    length: int = 32
    continuity: float = 0.7
    least: int = 1
    style: str = "chorales"
    seed: int = 0

    def __post_init__(self):
        _check("The number of quarters", self.length, 1, 1000)
        _check("The probability of going on", self.continuity, 0, 1)
        _check_style(self.style)

    run = Fader.run


def quarters_heard(roll: PianoRoll, settings: Walk) -> Tensor:
    """(Q, D): for each quarter the µ of the four quarters that begin with it."""
    silence = PianoRoll(*np.zeros((2, bars.STEPS, 128), bool), roll.step_s)
    longer = PianoRoll.joined([roll, silence])
    frames = [bars.frames(longer[first : first + bars.STEPS]) for first in range(0, len(roll), QUARTER)]
    model = _answerer(settings.run)
    x = torch.from_numpy(np.concatenate(frames).reshape(-1, bars.INPUTS))
    with torch.no_grad():
        return model.encode(x.to(next(model.parameters()).device)).mu.cpu()


def path(mu: Tensor, settings: Walk) -> list[int]:
    """Which quarters follow each other, counted from 1: through the oracle of (Q, D), along suffix links.

    Raises:
        StudioError: there are fewer than two quarters.
    """
    if len(mu) < 2:
        raise StudioError("A new order needs at least two quarters of music: take a longer recording.")
    found = oracle.best_oracle(distances.cosine(mu.numpy()))
    return motifs.recombined(found, settings.length, settings.continuity, settings.least, settings.seed)


def recombined(roll: PianoRoll, settings: Walk) -> PianoRoll:
    """The quarters of a roll in a new order that the oracle allows, each decoded from its latent.

    Raises:
        StudioError: there are fewer than two quarters, or nothing was played.
    """
    mu, model = quarters_heard(roll, settings), _answerer(settings.run)
    z = mu[torch.tensor(path(mu, settings)) - 1].to(next(model.parameters()).device)
    return _sounding(bars.to_roll(model.play(z).cpu(), roll.step_s, QUARTER), "This walk")


def _sounding(roll: PianoRoll, what: str) -> PianoRoll:
    if not roll.sounding.any():
        raise StudioError(f"{what} gave nothing but silence: change a setting, such as where it begins or its seed.")
    return roll


# ------------------------------------------------------------------------------------------- to sound, and apart


@dataclass(frozen=True)
class Rendering:
    """Who plays: the upper voice, and the others; each piano, violin or flute."""

    upper: str = "piano"
    others: str = "piano"

    def __post_init__(self):
        for name in (self.upper, self.others):
            if name not in INSTRUMENTS:
                raise StudioError(f"No instrument {name!r} in the note bank: choose of {', '.join(INSTRUMENTS)}.")


def orchestrated(roll: PianoRoll, settings: Rendering) -> list[Note]:
    """The notes of a roll with their instruments. What is the highest as it begins is the upper voice. Notes beyond an
    instrument move by octaves into its range."""
    highest = 127 - roll.sounding[:, ::-1].argmax(1)
    notes = []
    for onset, length, pitch in zip(*(values.tolist() for values in roll.grid_notes()), strict=True):
        program = INSTRUMENTS[settings.upper if pitch == highest[onset] else settings.others]
        notes.append(within_reach(Note(onset * roll.step_s, length * roll.step_s, pitch, program=program)))
    return sorted(notes)


def within_reach(note: Note) -> Note:
    """A note of the bank's instruments, moved by octaves to where the bank has it; others play the piano."""
    program = note.program if note.program in BANK_PITCHES else PIANO
    low, high = BANK_PITCHES[program][0], BANK_PITCHES[program][-1]
    octaves = -(-max(0, low - note.pitch) // 12) - -(-max(0, note.pitch - high) // 12)
    return replace(note, pitch=note.pitch + 12 * octaves, program=program)


def rendered(roll: PianoRoll, settings: Rendering) -> Tensor:
    """A roll as sound, (samples,)."""
    return bank().render(orchestrated(roll, settings))


@dataclass(frozen=True)
class Cut:
    """Which chord is taken apart: from when on, and how much of the sound."""

    at_s: float = 0.0
    seconds: float = 1.0

    @property
    def run(self) -> str:
        return usable(lambda size: musicslots_experiments.shown(size).run_name(size), current_preset().size)


def taken_apart(sound: Tensor, settings: Cut) -> Slots:
    """A part of a sound as MusicSlots hears it.

    Raises:
        StudioError: there is nothing to hear. AudioError: it is too short or too long.
    """
    first, last = (round(s * SAMPLE_RATE_HZ) for s in (settings.at_s, settings.at_s + settings.seconds))
    chord = sound[max(0, first) : max(0, last)].cpu()
    if not len(chord) or chord.abs().max() < SILENCE_PEAK:
        end_s = len(sound) / SAMPLE_RATE_HZ
        raise StudioError(f"Nothing sounds from {settings.at_s:g} s on: choose a moment of 0 to {end_s:.1f} s.")
    return decompose.decompose(_separator(settings.run), chord)


# --------------------------------------------------------------------------------------------------- what is loaded


bank = cache(NoteBank.load)
_listener = cache(diffroll_runs.load)
_answerer: Callable[[str], BarVAE] = cache(improvise_runs.load)
_composer: Callable[[str], MusicVAE] = cache(musicvae_runs.load)
_separator = cache(musicslots_runs.load)


@cache
def _spread(run: str, corpus: str):
    return corpus_source(_answerer(run), corpus)


@cache
@torch.no_grad()
def _vectors(run: str, name: str) -> dict[str, Tensor]:
    """Decorrelated vectors (D,) of every attribute, over windows of the model's corpus that it was not trained on."""
    model, experiment = _composer(run), musicvae_experiments.find(name)
    windows = musicvae_runs.windows(experiment.corpus, "valid", experiment.kind, model.config.bars)
    x = windows[torch.linspace(0, len(windows) - 1, min(VECTOR_WINDOWS, len(windows))).round().long()]
    values = attributes.attribute_values([data.to_roll(one) for one in x])
    return attributes.decorrelated_vectors(model.encode(x.to(next(model.parameters()).device)).mu, values)
