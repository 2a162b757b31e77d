"""Runs of experiments: from its name to trained weights and a ledger entry, by one path for all kinds of model.

Notebooks: 03 note discovery, 04 note properties.
"""

import math
from collections.abc import Collection
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from musiclib import checkpoints, corpora, reproduction, training
from musiclib.musicslots import chords, evaluation, studies
from musiclib.musicslots.baselines import (
    AutoEncoder,
    AutoEncoderConfig,
    ClassifierConfig,
    NoteClassifier,
    WholeChord,
    autoencoder_loss,
)
from musiclib.musicslots.data import datasets
from musiclib.musicslots.experiments import EXPERIMENTS, STUDIES, Experiment, find
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, reconstruction_loss
from musiclib.musicslots.probes import LatentProbe, ProbeConfig, SlotProbe, exact
from musiclib.presets import default_device
from musiclib.processes import of_first
from musiclib.reproduction import Run, Study, checkpoint, ensure_trained

VALIDATION_CHORDS = 256  # scored while training, of the split that selects the best weights
MODEL_TYPES: dict[str, tuple[type, type]] = {
    "slots": (MusicSlotsConfig, MusicSlots),
    "autoencoder": (AutoEncoderConfig, AutoEncoder),
    "classifier": (ClassifierConfig, NoteClassifier),
}


# ---------------------------------------------------------------------------------------------------------- tasks


class Task:
    """What a kind of experiment trains, and how it is scored.

    Attributes:
        model: to train. data: its splits. select: the score that chooses the best weights, see `training.fit`.
    """

    model: nn.Module
    data: chords.Splits
    select: str

    def __init__(self, experiment: Experiment, size: str, seed: int):
        config = experiment.model_config(size)
        self.model = MODEL_TYPES[experiment.kind][1](config)
        self.data = datasets(experiment.dataset, config.frames, front_end=experiment.front_end)

    def loss(self, model: nn.Module, index: Tensor, step: int) -> Tensor:
        raise NotImplementedError

    def scores(self, model: nn.Module, split: str, limit: int | None = None) -> dict[str, float]:
        raise NotImplementedError


class NoteDiscovery(Task):
    """Reconstruct chords; scored by how well slots match notes."""

    select = "miou"

    def loss(self, model, index, step):
        x = self.data.train.batch(index)
        return reconstruction_loss(x, model(x))

    def scores(self, model, split, limit=None):
        return evaluation.note_discovery(model, getattr(self.data, split), limit)


class MoreSlots(NoteDiscovery):
    """A trained model with another number of slots: nothing to train."""

    def __init__(self, experiment, size, seed):
        trained = load(find(experiment.on).run_name(size, seed))
        slots = (experiment.changes | experiment.adjustment(size).model)["slots"]
        self.model = trained.resized(slots)
        self.data = datasets(experiment.dataset, trained.config.frames)


class Floor(NoteDiscovery):
    """What a model scores that separates nothing."""

    def __init__(self, experiment, size, seed):
        self.model = WholeChord(experiment.model_config(size))
        self.data = datasets(experiment.dataset, self.model.config.frames)


class AutoEncoding(Task):
    """Reconstruct chords through one latent."""

    select = "-reconstruction_mse"

    def loss(self, model, index, step):
        x = self.data.train.batch(index)
        return autoencoder_loss(x, model(x), self.model.config.kl_weight)

    def scores(self, model, split, limit=None):
        return evaluation.reconstruction(model, getattr(self.data, split), limit)


class Classification(Task):
    """Name all notes of a chord, supervised."""

    select = "accuracy"

    def loss(self, model, index, step):
        notes = self.data.train.multi_hot[index.to(self.data.train.device)]
        return nn.functional.binary_cross_entropy_with_logits(model(self.data.train.batch(index)), notes)

    def scores(self, model, split, limit=None):
        data = getattr(self.data, split)
        logits, index = evaluation.outputs(model, data, limit)
        right = exact(logits, data.multi_hot[index.to(data.device)])
        return {"accuracy": right.double().mean().item(), "chords": len(index)}


class Probing(Task):
    """A linear layer on a frozen model, whose features are computed once per split."""

    select = "accuracy"

    def __init__(self, experiment, size, seed):
        frozen = load(find(experiment.on).run_name(size, seed))
        probe = SlotProbe if isinstance(frozen, MusicSlots) else LatentProbe
        self.model = probe(ProbeConfig(frozen.config.width))
        self._frozen = frozen
        self.data = datasets(experiment.dataset, frozen.config.frames)

    @cached_property
    def features(self) -> chords.Splits:
        return self.data.map(lambda split: evaluation.features(self._frozen, split))

    def loss(self, model, index, step):
        batch = self.features.train[index]
        return batch.loss(model(batch.inputs))

    def scores(self, model, split, limit=None):
        features = getattr(self.features, split)
        return self.model.scores(features[evaluation.spread(len(features), limit)])


TASKS = {
    "slots": NoteDiscovery,
    "resized": MoreSlots,
    "whole": Floor,
    "autoencoder": AutoEncoding,
    "classifier": Classification,
    "probe": Probing,
}


# ----------------------------------------------------------------------------------------------------------- runs


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
    run = Run("musicslots", experiment, size, seed, experiment.training_config(size, seed))
    torch.manual_seed(seed)
    with fabric.rank_zero_first():  # what is downloaded is kept for the others
        task, history = TASKS[experiment.kind](experiment, size, seed), None
    if before := experiment.adjustment(size).starts_from:
        checkpoints.load_weights(checkpoint(find(before).run_name(size, seed)), task.model)
    if run.training.steps:
        history = training.fit(
            task.model, task.loss, len(task.data.train), run.training, fabric=fabric, run=run.folder,
            budget_s=budget_s, parts=parts, select=task.select,
            evaluate=lambda model: task.scores(model, "valid", VALIDATION_CHORDS),
        )  # fmt: skip
        if not history.finished:
            return False

    def finish() -> None:
        if history:
            checkpoints.load_weights(run.folder / "best.safetensors", task.model)
        scores = {"valid": task.scores(task.model, "valid"), "test": _test_scores(task, experiment, size)}
        facts = {"chorales": corpora.chorales()[1]} if experiment.dataset.startswith("JSB") else {}
        run.finish(task.model, scores, history, **facts)

    of_first(finish)
    return True


def evaluate(experiment: Experiment, size: str, *, seed: int = 0) -> dict[str, dict[str, float]]:
    """The scores of a trained model on its test data, again.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    task = TASKS[experiment.kind](experiment, size, seed)
    if experiment.training_config(size, seed).steps:
        checkpoints.load_weights(checkpoint(experiment.run_name(size, seed)), task.model.to(default_device()))
    return {"test": _test_scores(task, experiment, size)}


def _test_scores(task: Task, experiment: Experiment, size: str) -> dict[str, float]:
    return task.scores(task.model, "test", experiment.adjustment(size).test_chords)


def missing(size: str, seed: int = 0, only: Collection[str] = ()) -> list[Experiment]:
    """What the ledger lacks; see `reproduction.missing`."""
    return reproduction.missing(EXPERIMENTS | STUDIES, "musicslots", size, seed, only)


def trained(experiment: Experiment, size: str) -> Any:
    """The trained model of an experiment: the one that ships if there is one, else trained here and now."""
    ensure_trained(EXPERIMENTS, experiment, size, train)
    return load(experiment.run_name(size))


def load(name: str) -> Any:
    """A trained model by the name of its run, ready to evaluate, on the best device here.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    config, about = checkpoints.read_metadata(checkpoint(name))
    experiment = find(about["experiment"])
    if experiment.kind == "probe":
        probed = MODEL_TYPES[find(experiment.on).kind][1]
        model = (SlotProbe if probed is MusicSlots else LatentProbe)(
            checkpoints.configured(checkpoint(name), ProbeConfig, config)
        )
    else:
        config_type, model_type = MODEL_TYPES[experiment.kind]
        model = model_type(checkpoints.configured(checkpoint(name), config_type, config))
    return checkpoints.load_weights(checkpoint(name), model).to(default_device()).eval()
