"""Music to a file: a tune out of nothing, or one tune turned into another.

Notebook: 06 MusicVAE.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from musiclib.musicvae import latent
from musiclib.musicvae.data import BAR_STEPS, HOLD, NOTE_OFF, melody_tokens, roll_of_tokens
from musiclib.musicvae.experiments import EXPERIMENTS, Experiment
from musiclib.musicvae.model import MusicVAE
from musiclib.pianoroll import PITCHES, PianoRoll
from musiclib.scores import ScoreError, read_score

MOST_BARS = 1000
WINDOWS = {2: "melody-2", 16: "melody-16-hierarchical"}  # bars that a model encodes
WITHOUT_END = "melody-16-flat"  # its decoder has no plan that comes to an end


def experiment_for(bars: int) -> Experiment:
    """The model that composes so many bars: the shortest that plans them, or beyond its plan the one that goes on."""
    planned = next((name for most, name in WINDOWS.items() if bars <= most), WITHOUT_END)
    return EXPERIMENTS[planned]


def compose(model: MusicVAE, codes: latent.Codes, bars: int, seed: int = 0, temperature: float = 1.0) -> PianoRoll:
    """A tune of exactly so many bars, decoded from a z drawn where those of real tunes lie; the same seed gives the
    same tune.

    Raises:
        ValueError: the model cannot go on for so long, or fell silent.
    """
    noise = torch.randn(1, model.config.latent, generator=torch.Generator().manual_seed(seed))
    z = codes.draw(noise.to(codes.mean.device))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        drawn = model.sample(z, temperature, bars * model.config.bar_steps)
    return _sounding(roll_of_tokens(drawn[0].cpu()), f"Seed {seed}")


@dataclass(frozen=True)
class Passage:
    """One tune turned into another, in steps with a bar of rest between.

    Attributes:
        begins: the bar at which each step begins, counted from 1.
    """

    roll: PianoRoll
    begins: list[int]


def between(
    model: MusicVAE, tokens_a: Tensor, tokens_b: Tensor, steps: int, seed: int = 0, temperature: float = 0.0
) -> Passage:
    """Melodies (T,) joined by an arc in the latent space.

    Raises:
        ValueError: the model fell silent.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoded = latent.between(model, tokens_a, tokens_b, steps, temperature)
    rest = PianoRoll(*np.zeros((2, BAR_STEPS, PITCHES), bool))
    rolls = [part for tokens in decoded for part in (rest, roll_of_tokens(tokens))][1:]
    bars = len(tokens_a) // BAR_STEPS + 1
    return Passage(_sounding(PianoRoll.joined(rolls), "This way"), [1 + step * bars for step in range(steps)])


def _sounding(roll: PianoRoll, what: str) -> PianoRoll:
    if not roll.sounding.any():
        raise ValueError(f"{what} gave nothing but silence: take another seed or a higher temperature.")
    return roll


def read_melody(path: Path, bars: int) -> Tensor:
    """The first bars of a file's melody that are not mostly rest, as tokens (T,); bar lines are counted from its
    beginning, four quarters each.

    Raises:
        ScoreError: the file is missing, damaged or empty, too short, or mostly rest.
    """
    roll, steps = read_score(path), bars * BAR_STEPS
    tokens = np.r_[melody_tokens(roll), np.full(-len(roll) % BAR_STEPS, HOLD, np.uint8)]  # the last bar in full
    if len(roll) < len(tokens) and roll.sounding[-1].any():
        tokens[len(roll)] = NOTE_OFF
    if len(tokens) < steps:
        raise ScoreError(f"{path} has {_bars(len(tokens) // BAR_STEPS)}, and {bars} are needed: choose a longer score.")
    melody = roll_of_tokens(tokens)
    for start in range(0, len(melody) - steps + 1, BAR_STEPS):
        window = melody[start : start + steps]
        if 2 * window.sounding.any(1).sum() >= steps:
            return torch.from_numpy(melody_tokens(window))
    raise ScoreError(f"{path} rests most of the time: choose a score with {_bars(bars)} of melody on end.")


def _bars(count: int) -> str:
    return f"{count} bar{'s' * (count != 1)}"


def write(roll: PianoRoll, path: Path, program: int, tempo: float | None) -> None:
    """A MIDI file as long as the roll, its rests included; without a tempo as fast as its steps are.

    Raises:
        ValueError: it cannot be written there.
    """
    try:
        roll.write_midi(path, program, tempo)
    except OSError as error:
        raise ValueError(f"Cannot write {path} ({error.strerror}): choose another place for the result.") from error
