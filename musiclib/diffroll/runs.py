"""Runs of experiments: from a name to trained weights and a ledger entry.

Notebooks: 10 transcription, 11 DiffRoll, 12 DiffRoll evaluation.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from musiclib import checkpoints, corpora, reproduction, training
from musiclib.diffroll import clips, evaluation, performance, recordings, studies
from musiclib.diffroll.clips import Clip
from musiclib.diffroll.data import SPEEDS, Rendered, other_piano
from musiclib.diffroll.diffusion import Diffusion, discriminate, dropped
from musiclib.diffroll.experiments import EXPERIMENTS, FRAMES, STUDIES, Experiment, find
from musiclib.diffroll.mel import SEGMENT_FRAMES, heard
from musiclib.diffroll.model import BANDS, MASKED, DiffRoll, DiffRollConfig
from musiclib.diffroll.recordings import Recorded
from musiclib.pieces import Corpus, Piece
from musiclib.presets import default_device
from musiclib.processes import of_first
from musiclib.reproduction import Run, Study, checkpoint, ensure_trained
from musiclib.synth import NoteBank

Source = Rendered | Recorded
VALIDATION_CLIPS = 8
EXAMPLES = 1 << 20  # there is no end of them: an epoch is what one likes


@cache
def bank() -> NoteBank:
    """The note bank on the best device here."""
    return NoteBank.load().to(default_device())


@cache
def pianos() -> tuple[NoteBank, ...]:
    """Made-up instruments beside the bank's."""
    return tuple(other_piano(bank(), semitones, seed) for semitones in SPEEDS for seed in range(2))


def further() -> dict[str, Any]:
    """How training strays further than it must, see `Experiment.varied`."""
    return {"pianos": pianos(), "style": performance.VARIED}


@cache
def pieces(corpora_: tuple[str, ...], split: str) -> list[Piece]:
    """The pieces of a split of corpora, shipped ones or files.

    Raises:
        CorpusError: a file is missing or damaged.
        ValueError: nothing sounds in that split.
    """
    opened = [corpora.shipped(name) if name in corpora.CORPORA else Corpus(Path(name)) for name in corpora_]
    found = [piece for corpus in opened for piece in corpus.split(split) if len(piece.notes)]
    if not found:
        raise ValueError(f"{', '.join(corpora_)} has no music in its {split} split: it needs more pieces.")
    return found


def thinned(pieces: Sequence[Piece], share: float) -> list[Piece]:
    """A share of the pieces, spread evenly, at least one."""
    count = max(1, round(share * len(pieces)))
    return [pieces[k * len(pieces) // count] for k in range(count)]


def source(experiment: Experiment, size: str, split: str = "train") -> Source:
    """Where an experiment's pairs come from.

    Raises:
        ValueError: there is no music, or no recording, in that split.
    """
    frames, planes = FRAMES[size], experiment.model_config(size).planes
    if Path(experiment.corpora[0]).is_dir():
        return Recorded(recordings.find(Path(experiment.corpora[0]), split), frames, planes, default_device())
    own = pieces(experiment.corpora, split)
    if experiment.pairs is None:
        return Rendered(own, bank(), frames, planes, **(further() if experiment.varied else {}))
    return Rendered(thinned(own, experiment.pairs), bank(), frames, planes, limited=True)


def loss_of(experiment: Experiment, size: str) -> Callable[[nn.Module, Tensor, int], Tensor]:
    """The loss of a batch that is drawn anew: equation 3, for the twin the same without noise, for "p = 0+1" the sum
    over a paired and an unpaired stream."""
    config = experiment.model_config(size)
    diffusion = Diffusion(config.schedule, config.steps)
    paired = source(experiment, size)
    every = None
    if experiment.unpaired:
        every = Rendered(pieces(experiment.corpora, "train"), bank(), paired.frames, config.planes)

    def unheard(model: nn.Module, rolls: Tensor) -> Tensor:
        return diffusion.loss(model, rolls, torch.full((len(rolls), BANDS, 1), MASKED, device=rolls.device))

    def loss(model: nn.Module, index: Tensor, step: int) -> Tensor:
        if experiment.dropout == 1:
            return unheard(model, paired.rolls(len(index)))
        waveform, x0 = paired.draw(len(index))
        mel = heard(waveform)
        if config.discriminative:
            return (discriminate(model, mel, x0.shape[1]) - x0).square().mean()
        total = diffusion.loss(model, x0, dropped(mel, experiment.dropout))
        return total if every is None else total + unheard(model, every.rolls(len(index)))

    return loss


@cache
def validation_clips(corpora_: tuple[str, ...], varied: bool = False) -> list[Clip]:
    """Clips for choosing weights and thresholds: held-out pieces, played and recorded as in training."""
    if Path(corpora_[0]).is_dir():
        return recordings.clips(Path(corpora_[0]), "valid", VALIDATION_CLIPS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = Rendered(pieces(corpora_, "valid"), bank(), SEGMENT_FRAMES, **(further() if varied else {}))
        return own.clips(VALIDATION_CLIPS)


def validate(model: DiffRoll, own: Sequence[Clip]) -> dict[str, float]:
    """Note F1 on validation clips, for a model that hears; one that does not is judged by what it is for, later."""
    scored = evaluation.clip_scores(evaluation.rolls(model.eval(), own), own)
    model.train()
    return {"f1": evaluation.summary(scored)["f1"]}


def test_scores(model: DiffRoll, own: Sequence[Clip], corpora_: tuple[str, ...]) -> dict:
    """Every score on test sets A and B, and on C where there are real recordings, at the paper's threshold and at the
    best one of the validation clips."""
    best = evaluation.best_threshold(evaluation.rolls(model, own), own)
    scores: dict = {"threshold": best}
    sets = {name: clips.shipped(name) for name in ("A", "B")}
    if Path(corpora_[0]).is_dir():
        sets["C"] = recordings.clips(Path(corpora_[0]), "test")
    for name, tested in sets.items():
        found = evaluation.rolls(model, tested)
        scored = evaluation.clip_scores(found, tested, best)
        scores[name] = evaluation.summary(scored) | {"f1_of_clips": [round(s["f1"], 4) for s in scored]}
        half = evaluation.summary(evaluation.clip_scores(found, tested))
        scores[name] |= {"f1_at_0.5": half["f1"]}
    return scores


def train(
    experiment: Experiment | Study, size: str, *, seed: int = 0, budget_s: float = math.inf, parts: int | None = None
) -> bool:
    """Trains one experiment, or goes on where it stopped; when it is done, writes its weights and its ledger entry. A
    study asks its trained model.

    Args:
        parts: of a batch, see `training.fit`.

    Returns:
        Whether it is done.
    """
    if isinstance(experiment, Study):
        model = load(find(experiment.of).run_name(size, seed))
        reproduction.ask(experiment, studies.KINDS[experiment.kind], model, size, seed)
        return True
    fabric = training.launch()
    run = Run("diffroll", experiment, size, seed, experiment.training_config(size, seed))
    torch.manual_seed(seed)
    model = DiffRoll(experiment.model_config(size))
    if before := experiment.needs(size):
        model.load_state_dict(load(find(before).run_name(size, seed)).state_dict())
    own, hears = validation_clips(experiment.corpora, experiment.varied), experiment.dropout < 1
    history = training.fit(
        model, loss_of(experiment, size), EXAMPLES, run.training, fabric=fabric, run=run.folder, select="f1",
        budget_s=budget_s, parts=parts, evaluate=(lambda model: validate(model, own)) if hears else None,
    )  # fmt: skip

    def finish() -> None:
        if hears:
            checkpoints.load_weights(run.folder / "best.safetensors", model)
        model.to(default_device()).eval()
        scores = test_scores(model, own, experiment.corpora) if hears else {}
        run.finish(model, scores, history, sampling=asdict(evaluation.FAST))

    if history.finished:
        of_first(finish)
    return history.finished


def evaluate(experiment: Experiment, size: str, *, seed: int = 0) -> dict[str, Any]:
    """The scores of a trained model on the test sets, again.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
        ValueError: there are none of this experiment.
    """
    if experiment.dropout == 1:
        raise ValueError(f"{experiment.name!r} hears nothing, so it has no scores: evaluate what starts from it.")
    own = validation_clips(experiment.corpora, experiment.varied)  # which choose the threshold
    return test_scores(load(experiment.run_name(size, seed)), own, experiment.corpora)


def missing(size: str, seed: int = 0, only: Collection[str] = ()) -> list[Experiment]:
    """What the ledger lacks; see `reproduction.missing`."""
    return reproduction.missing(EXPERIMENTS | STUDIES, "diffroll", size, seed, only)


def trained(experiment: Experiment, size: str) -> DiffRoll:
    """The trained model of an experiment: the one that ships if there is one, else trained here and now."""
    ensure_trained(EXPERIMENTS, experiment, size, train)
    return load(experiment.run_name(size))


def load(name: str) -> DiffRoll:
    """A trained model by the name of its run, ready to use, on the best device here.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    config, _ = checkpoints.read_metadata(checkpoint(name))
    model = DiffRoll(checkpoints.configured(checkpoint(name), DiffRollConfig, config))
    return checkpoints.load_weights(checkpoint(name), model).to(default_device()).eval()
