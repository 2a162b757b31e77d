"""What is asked of trained models: how guidance, samplers and published habits change what they transcribe.

A study is a run like any other: it has a name, needs a trained model, and leaves a ledger entry.

Notebook: 12 DiffRoll evaluation.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from musiclib import ledger, paths
from musiclib.diffroll import clips
from musiclib.diffroll.clips import Clip
from musiclib.diffroll.diffusion import SAMPLERS, Diffusion, Guided
from musiclib.diffroll.evaluation import FAST, PUBLISHED, TEN_CALLS, Sampling, clip_scores, noise, rolls, summary
from musiclib.diffroll.experiments import CALLS, WEIGHTS, Study
from musiclib.diffroll.mel import heard
from musiclib.diffroll.model import PITCHES, DiffRoll
from musiclib.diffroll.scoring import THRESHOLD, note_scores
from musiclib.diffroll.transcribe import notes_of_stream, transcribe_stream
from musiclib.paths import atomic

GUIDED = replace(FAST, calls=10)
SOUNDED = 8  # the clip of B that is kept to be heard
LONGEST_S = 120.0  # of a whole piece


def run(study: Study, model: DiffRoll, name: str, size: str) -> None:
    """Runs a study of a trained model and writes its ledger entry."""
    commit, started = ledger.commit(), time.monotonic()
    metrics = KINDS[study.kind](study, model)
    if study.kind == "guidance":
        _save_sounds(paths.DATA / "samples" / f"{name}.safetensors", model)
    ledger.record(
        name, system="diffroll", preset=size, seed=0, wall_s=time.monotonic() - started, commit=commit,
        config={"study": asdict(study)}, metrics=metrics,
    )  # fmt: skip


def _save_sounds(path: Path, model: DiffRoll) -> None:
    """What a model hears in one clip at each w, as packed bits of (88, T): {w: bytes}."""
    own = clips.shipped("B")[SOUNDED : SOUNDED + 1]
    bits = {}
    for w in WEIGHTS:
        roll = rolls(model, own, replace(GUIDED, weight=w))[0][:PITCHES] > THRESHOLD
        bits[f"{w:g}"] = torch.from_numpy(np.packbits(roll.numpy(), axis=1))
    with atomic(path) as temporary:
        save_file(bits, temporary)


def sounds(name: str) -> dict[str, Tensor]:
    """The rolls (88, T) of `SOUNDED`, a clip of test set B, at each w, of a guidance study that was run."""
    packed = load_file(paths.DATA / "samples" / f"{name}.safetensors")
    return {w: torch.from_numpy(np.unpackbits(packed[w].numpy(), axis=1)) for w in sorted(packed, key=float)}


def _told(scored: Sequence[dict[str, float]]) -> dict:
    """The summary, and F1 clip by clip, for paired comparisons."""
    return summary(scored) | {"f1_of_clips": [round(scores["f1"], 4) for scores in scored]}


def _scored(model: DiffRoll, own: Sequence[Clip], sampling: Sampling) -> dict:
    return _told(clip_scores(rolls(model, own, sampling), own))


def guidance(study: Study, model: DiffRoll) -> dict:
    """{set: {w: scores}}, and under "late", guidance in the less noisy half alone."""
    weights = WEIGHTS if study.kind == "guidance" else (0.0, 0.5)
    found: dict = {name: {} for name in ("A", "B", "late")}
    for w in weights:
        sampling = replace(GUIDED, weight=w)
        for name in ("A", "B"):
            found[name][f"{w:g}"] = _scored(model, clips.shipped(name), sampling)
        if study.kind == "guidance":
            late = replace(sampling, interval=(0, model.config.steps // 2))
            found["late"][f"{w:g}"] = _scored(model, clips.shipped("B"), late)
    return found


def samplers(study: Study, model: DiffRoll) -> dict:
    """{set: {sampler: {calls: scores}}} without guidance, on half of each set."""
    return {
        name: {
            sampler: {str(calls): _scored(model, clips.shipped(name)[::2], Sampling(calls, sampler)) for calls in CALLS}
            for sampler in SAMPLERS
        }
        for name in ("A", "B")
    }


def published(study: Study, model: DiffRoll) -> dict:
    """The published way, 200 steps at w = 0.5: DDPM; DDIM as published, whose unconditional call hears everything;
    DDIM with the mask; and ours, in ten calls, beside them."""
    ways: dict[str, Sampling | Callable[[Clip], Tensor]] = {
        "ddpm": PUBLISHED,
        "ddim, unmasked": lambda clip: unmasked_ddim(model, clip, PUBLISHED),
        "ddim": replace(PUBLISHED, sampler="ddim"),
        "ours": TEN_CALLS,
    }
    found: dict = {}
    for name in ("A", "B"):
        own = clips.shipped(name)
        found[name] = {}
        for way, how in ways.items():
            x = rolls(model, own, how) if isinstance(how, Sampling) else [how(clip) for clip in own]
            found[name][way] = _told(clip_scores(x, own))
    return found


@torch.no_grad()
def unmasked_ddim(model: DiffRoll, clip: Clip, sampling: Sampling) -> Tensor:
    """One clip → its roll by the published guided DDIM: what should hear nothing hears all, and guidance cancels."""
    mel = heard(clip.waveform[None].to(next(model.parameters()).device))
    condition = model.condition(mel)
    listening = Guided(model, condition)

    def predict(x_t: Tensor, t: int) -> Tensor:
        conditional, unconditional = listening(x_t, t), listening(x_t, t)
        return (1 + sampling.weight) * conditional - sampling.weight * unconditional

    diffusion = Diffusion(model.config.schedule, model.config.steps)
    return diffusion.sample(predict, noise(model, mel, sampling.seed), sampling.calls, "ddim")[0].cpu()


def whole(study: Study, model: DiffRoll) -> dict:
    """{set: scores} of whole pieces, of at most two minutes, with the onset plane where there is one."""
    found = {}
    for name in ("A", "B"):
        own = [clips.rendered(name, piece, LONGEST_S, seed) for seed, piece in enumerate(clips.test_pieces())]
        own = [clips.in_hard_room(clip, seed) for seed, clip in enumerate(own)] if name == "B" else own
        seconds = sum(len(clip.waveform) for clip in own) / 16_000
        scored = [_of_stream(model, clip) for clip in own]
        found[name] = _told(scored) | {"seconds": seconds}
    return found


def _of_stream(model: DiffRoll, clip: Clip, threshold: float = THRESHOLD) -> dict[str, float]:
    """Every note score of one recording of any length."""
    notes = sorted(notes_of_stream(transcribe_stream(model, [clip.waveform]), threshold))
    return note_scores(notes, clip.notes)


def onsets(study: Study, model: DiffRoll) -> dict:
    """{set: {with or without the onset plane: scores}} of one network that has both planes, from one drawing."""
    found = {}
    for name in ("A", "B"):
        own = clips.shipped(name)
        x = rolls(model, own)
        found[name] = {"with": _told(clip_scores(x, own)), "without": _told(clip_scores(x, own, onsets=False))}
    return found


KINDS = {
    "guidance": guidance,
    "two weights": guidance,
    "samplers": samplers,
    "published": published,
    "whole": whole,
    "onsets": onsets,
}
