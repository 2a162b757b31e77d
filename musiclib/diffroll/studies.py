"""What is asked of trained models: how guidance, samplers and published habits change what they transcribe.

Each question takes a model and the name of its run, under which it may keep samples; see `reproduction.ask`.

Notebook: 12 DiffRoll evaluation.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from musiclib.diffroll import clips
from musiclib.diffroll.clips import Clip
from musiclib.diffroll.diffusion import SAMPLERS, Diffusion, Guided
from musiclib.diffroll.evaluation import FAST, PUBLISHED, TEN_CALLS, Sampling, clip_scores, noise, rolls, summary
from musiclib.diffroll.experiments import CALLS, WEIGHTS
from musiclib.diffroll.mel import heard
from musiclib.diffroll.model import PITCHES, DiffRoll
from musiclib.diffroll.scoring import THRESHOLD, note_scores
from musiclib.diffroll.transcribe import notes_of_stream, transcribe_stream
from musiclib.reproduction import save_bits
from musiclib.training import autocast

GUIDED = replace(FAST, calls=10)
SOUNDED = 8  # the clip of B that is kept to be heard
LONGEST_S = 120.0  # of a whole piece


def _keep_sounds(name: str, model: DiffRoll, ways: dict[str, Sampling]) -> None:
    """What a model hears in `SOUNDED`, a clip of test set B, in several ways: {way: (88, T)}, see `save_bits`."""
    own = clips.shipped("B")[SOUNDED : SOUNDED + 1]
    save_bits(name, {way: rolls(model, own, sampling)[0][:PITCHES] > THRESHOLD for way, sampling in ways.items()})


def _told(scored: Sequence[dict[str, float]]) -> dict:
    """The summary, and F1 clip by clip, for paired comparisons."""
    return summary(scored) | {"f1_of_clips": [round(scores["f1"], 4) for scores in scored]}


def _scored(model: DiffRoll, own: Sequence[Clip], sampling: Sampling) -> dict:
    return _told(clip_scores(rolls(model, own, sampling), own))


def guidance(model: DiffRoll, name: str) -> dict:
    """{set: {w: scores}}, and under "late", guidance in the less noisy half alone; a clip at each w is kept."""
    ways = {f"{w:g}": replace(GUIDED, weight=w) for w in WEIGHTS}
    late = {w: replace(sampling, interval=(0, model.config.steps // 2)) for w, sampling in ways.items()}
    _keep_sounds(name, model, ways)
    return _on_both_sets(model, ways) | {"late": {w: _scored(model, clips.shipped("B"), s) for w, s in late.items()}}


def two_weights(model: DiffRoll, name: str) -> dict:
    """{set: {w: scores}} for w = 0 and the paper's best."""
    return _on_both_sets(model, {f"{w:g}": replace(GUIDED, weight=w) for w in (0.0, 0.5)})


def _on_both_sets(model: DiffRoll, ways: dict[str, Sampling]) -> dict:
    return {on: {way: _scored(model, clips.shipped(on), s) for way, s in ways.items()} for on in ("A", "B")}


def samplers(model: DiffRoll, name: str) -> dict:
    """{set: {sampler: {calls: scores}}} without guidance, on half of each set; a clip at each number of DDIM's calls is
    kept."""
    _keep_sounds(name, model, {str(calls): Sampling(calls) for calls in CALLS})
    return {
        on: {
            sampler: {str(calls): _scored(model, clips.shipped(on)[::2], Sampling(calls, sampler)) for calls in CALLS}
            for sampler in SAMPLERS
        }
        for on in ("A", "B")
    }


def published(model: DiffRoll, run: str) -> dict:
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
    with autocast(mel.device):
        listening = Guided(model, model.condition(mel))

        def predict(x_t: Tensor, t: int) -> Tensor:
            conditional, unconditional = listening(x_t, t), listening(x_t, t)
            return (1 + sampling.weight) * conditional - sampling.weight * unconditional

        diffusion = Diffusion(model.config.schedule, model.config.steps)
        return diffusion.sample(predict, noise(model, mel, sampling.seed), sampling.calls, "ddim")[0].cpu()


def whole(model: DiffRoll, run: str) -> dict:
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


def onsets(model: DiffRoll, run: str) -> dict:
    """{set: {with or without the onset plane: scores}} of one network that has both planes, from one drawing."""
    found = {}
    for name in ("A", "B"):
        own = clips.shipped(name)
        x = rolls(model, own)
        found[name] = {"with": _told(clip_scores(x, own)), "without": _told(clip_scores(x, own, onsets=False))}
    return found


KINDS = {
    "guidance": guidance,
    "two weights": two_weights,
    "samplers": samplers,
    "published": published,
    "whole": whole,
    "onsets": onsets,
}
