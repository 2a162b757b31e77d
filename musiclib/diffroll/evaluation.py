"""How well a model transcribes clips whose notes are known.

Notebooks: 10 transcription, 12 DiffRoll evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from musiclib.diffroll.clips import Clip
from musiclib.diffroll.diffusion import Diffusion, Guided, discriminate
from musiclib.diffroll.mel import FRAME_S, SEGMENT_FRAMES, heard
from musiclib.diffroll.model import BANDS, MASKED, PITCHES, DiffRoll
from musiclib.diffroll.scoring import THRESHOLD, frame_f1, note_scores, roll_of
from musiclib.pianoroll import PianoRoll
from musiclib.progress import scored
from musiclib.training import autocast

THRESHOLDS = tuple(round(0.1 * k, 1) for k in range(1, 10))
TOGETHER = 4  # clips denoised at once


@dataclass(frozen=True)
class Sampling:
    """How a roll is drawn from noise: see `diffusion.Diffusion.moments` and `diffusion.Guided`. Few calls of the
    conditional network are enough (notebook 12)."""

    calls: int = 8
    sampler: str = "ddim"
    weight: float = 0.0
    interval: tuple[int, int] | None = None
    seed: int = 0


FAST = Sampling()
TEN_CALLS = Sampling(5, weight=0.5)  # guided, so two calls a step; chosen on validation clips (notebook 12)
PUBLISHED = Sampling(200, "ddpm", 0.5)
GENERATION = Sampling(50, "ddpm", -1.0)


@torch.no_grad()
def transcribe(model: DiffRoll, mel: Tensor, sampling: Sampling = FAST, x_t: Tensor | None = None) -> Tensor:
    """Spectrograms (B, 229, T), as `mel.normalised` gives them → rolls (B, 88·planes, T), not yet binary. The
    discriminative twin answers in one call, whatever the sampling.

    Args:
        x_t: the noise to begin with, like the result; unless given, that of the sampling's seed.
    """
    with autocast(mel.device):
        if model.config.discriminative:
            return discriminate(model, mel, model.channels).float()
        diffusion = Diffusion(model.config.schedule, model.config.steps)
        predict = Guided(model, model.condition(mel), sampling.weight, sampling.interval)
        generator = torch.Generator(device=mel.device).manual_seed(sampling.seed)
        x_t = noise(model, mel, sampling.seed) if x_t is None else x_t
        return diffusion.sample(predict, x_t, sampling.calls, sampling.sampler, generator)


def generate(model: DiffRoll, count: int, sampling: Sampling = GENERATION, frames: int = SEGMENT_FRAMES) -> Tensor:
    """Rolls out of nothing, (count, 88·planes, frames), not yet binary: nothing is heard anywhere."""
    weight = model.input_projection.weight
    nothing = torch.full((count, BANDS, frames), MASKED, device=weight.device)
    return transcribe(model, nothing, replace(sampling, weight=-1.0))


def noise(model: DiffRoll, mel: Tensor, seed: int) -> Tensor:
    """x_T for spectrograms (B, 229, T): the same of a seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(mel), model.channels, mel.shape[-1], generator=generator).to(mel.device)


def rolls(model: DiffRoll, clips: Sequence[Clip], sampling: Sampling = FAST) -> list[Tensor]:
    """The roll (88·planes, T) of each clip, not yet binary, on the CPU. Clips have one length but perhaps the last."""
    device = next(model.parameters()).device
    longest = max(len(clip.waveform) for clip in clips)
    found = []
    for start in scored(range(0, len(clips), TOGETHER)):
        own = clips[start : start + TOGETHER]
        waves = [torch.nn.functional.pad(clip.waveform, (0, longest - len(clip.waveform))) for clip in own]
        found += list(transcribe(model, heard(torch.stack(waves).to(device)), sampling).cpu())
    return found


def clip_scores(
    found: Sequence[Tensor], clips: Sequence[Clip], threshold: float = THRESHOLD, onsets: bool = True
) -> list[dict[str, float]]:
    """Every score of every clip.

    Args:
        onsets: False ignores the onset plane, if there is one.
    """
    scored = []
    for x, clip in zip(found, clips, strict=True):
        roll = roll_of(x if onsets else x[:PITCHES], threshold)
        reference = PianoRoll.from_notes(clip.notes, FRAME_S)
        scored.append(note_scores(roll.notes(), clip.notes) | {"frame_f1": frame_f1(roll, reference)})
    return scored


def summary(scored: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over clips, with standard errors."""
    table = {name: np.array([scores[name] for scores in scored]) for name in scored[0]}
    means = {name: round(float(values.mean()), 5) for name, values in table.items()}
    errors = {
        f"{name}_standard_error": round(float(values.std(ddof=1) / len(values) ** 0.5), 5)
        for name, values in table.items()
        if len(values) > 1
    }
    return means | errors


def best_threshold(found: Sequence[Tensor], clips: Sequence[Clip]) -> float:
    """The threshold with the best note F1 on these clips, to be used on others."""
    return max(THRESHOLDS, key=lambda threshold: np.mean([s["f1"] for s in clip_scores(found, clips, threshold)]))
