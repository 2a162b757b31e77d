"""Runs of experiments: from a name to trained weights and a ledger entry.

Notebook: 08 query-based improvisation.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from musiclib import checkpoints, reproduction, training
from musiclib.improvise import bars, studies
from musiclib.improvise.data import corpus_source as corpus_source  # notebooks find it here
from musiclib.improvise.data import data
from musiclib.improvise.evaluation import reconstruction
from musiclib.improvise.experiments import EXPERIMENTS, STUDIES, Experiment, find
from musiclib.improvise.vae import BarVAE, BarVAEConfig
from musiclib.pieces import SPLITS
from musiclib.presets import default_device
from musiclib.processes import of_first
from musiclib.reproduction import Run, Study, checkpoint, ensure_trained


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
        reproduction.ask(experiment, studies.KINDS[experiment.kind], model, "paper", seed)
        return True
    fabric = training.launch()
    run = Run("improvise", experiment, "paper", seed, experiment.training_config(seed))
    torch.manual_seed(seed)
    model = BarVAE(experiment.model_config())
    splits = {split: data(experiment.corpus, split) for split in SPLITS}

    def loss(model: BarVAE, index: Tensor, step: int) -> Tensor:
        down, up = bars.FARTHEST
        x = splits["train"][index.to(splits["train"].device)]
        x = bars.transposed(x, torch.randint(-down, up + 1, (len(x),)))
        distortion, rate = model(x)
        return (distortion + experiment.beta * rate).mean()

    history = training.fit(
        model, loss, len(splits["train"]), run.training, fabric=fabric, run=run.folder, select="-loss",
        budget_s=budget_s, parts=parts, evaluate=lambda model: reconstruction(model, splits["valid"]),
    )  # fmt: skip

    def finish() -> None:
        checkpoints.load_weights(run.folder / "best.safetensors", model)
        scores = {split: reconstruction(model, splits[split]) for split in ("valid", "test")}
        run.finish(model, scores, history, train_bars=len(splits["train"]))

    if history.finished:
        of_first(finish)
    return history.finished


def evaluate(experiment: Experiment, size: str, *, seed: int = 0) -> dict[str, dict[str, float]]:
    """The scores of a trained model on its test data, again.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    model = load(experiment.run_name(size, seed))
    return {"test": reconstruction(model, data(experiment.corpus, "test"))}


def missing(size: str, seed: int = 0, only: Collection[str] = ()) -> list[Experiment]:
    """What the ledger lacks; see `reproduction.missing`."""
    return reproduction.missing(EXPERIMENTS | STUDIES, "improvise", "paper", seed, only)


def trained(experiment: Experiment, size: str) -> BarVAE:
    """The trained model of an experiment, trained here and now if it does not ship."""
    ensure_trained(EXPERIMENTS, experiment, size, train)
    return load(experiment.run_name(size))


def load(name: str) -> BarVAE:
    """A trained model, on the best device here.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    config, _ = checkpoints.read_metadata(checkpoint(name))
    model = BarVAE(checkpoints.configured(checkpoint(name), BarVAEConfig, config))
    return checkpoints.load_weights(checkpoint(name), model).to(default_device()).eval()
