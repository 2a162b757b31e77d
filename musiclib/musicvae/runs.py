"""Runs of experiments: from a name to trained weights, samples and a ledger entry.

Notebooks: 06 MusicVAE, 07 MusicVAE evaluation.
"""

import math
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from musiclib import checkpoints, paths, reproduction, training
from musiclib.musicvae import studies
from musiclib.musicvae.data import windows
from musiclib.musicvae.evaluation import active_dimensions, gain, reconstruction
from musiclib.musicvae.experiments import EXPERIMENTS, STUDIES, Experiment, find
from musiclib.musicvae.model import MusicVAE, MusicVAEConfig
from musiclib.pieces import SPLITS
from musiclib.presets import default_device
from musiclib.processes import of_first
from musiclib.reproduction import Run, Study, checkpoint, ensure_trained

VALIDATION_WINDOWS = 512  # scored while training
SELECT = {"melody": "sampled", "roll": "sampled_note_f1"}  # the score that chooses the best weights
SAMPLES = 8  # drawn from every kept state of a run


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
    run = Run("musicvae", experiment, size, seed, experiment.training_config(size, seed))
    torch.manual_seed(seed)
    model = MusicVAE(experiment.model_config(size))
    if before := experiment.needs(size):
        model.load_state_dict(model.state_dict() | load(find(before).run_name(size, seed)).state_dict())
    data = {s: windows(experiment.corpus, s, experiment.kind, model.config.bars) for s in SPLITS}
    per_epoch = max(1, len(data["train"]) // run.training.batch)
    kept = {epoch: epoch * per_epoch for epoch in experiment.epochs if epoch * per_epoch <= run.training.steps}
    history = training.fit(
        model, lambda model, index, step: model(data["train"].transposed(index), step).total, len(data["train"]),
        run.training, fabric=fabric, run=run.folder, budget_s=budget_s, parts=parts, select=SELECT[experiment.kind],
        snapshots=kept.values(), evaluate=lambda model: reconstruction(model, data["valid"], VALIDATION_WINDOWS),
    )  # fmt: skip

    def finish() -> None:
        if kept:
            states = {epoch: run.folder / f"step-{step}.safetensors" for epoch, step in kept.items()}
            samples = (paths.DATA if run.ships else run.folder) / "samples" / f"{run.name}.safetensors"
            _save_samples(samples, model, states)
        checkpoints.load_weights(run.folder / "best.safetensors", model)
        scores = {"valid": reconstruction(model, data["valid"]), "test": _test_scores(model, experiment, size, seed)}
        scores["valid"]["active_dimensions"] = active_dimensions(model, data["valid"])
        run.finish(model, scores, history, train_windows=len(data["train"]))

    if history.finished:
        of_first(finish)
    return history.finished


def evaluate(experiment: Experiment, size: str, *, seed: int = 0) -> dict[str, dict]:
    """The scores of a trained model on its test data, again.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    return {"test": _test_scores(load(experiment.run_name(size, seed)), experiment, size, seed)}


def _test_scores(model: MusicVAE, experiment: Experiment, size: str, seed: int) -> dict:
    """Those of `reconstruction`, and the gain over the experiment beside it, if that one has been trained."""
    own = windows(experiment.corpus, "test", experiment.kind, model.config.bars)
    scores = reconstruction(model, own)
    if experiment.beside and checkpoint(beside := find(experiment.beside).run_name(size, seed)).exists():
        scores["over"] = {experiment.beside: gain(model, load(beside), own)}
    return scores


@torch.no_grad()
def _save_samples(path: Path, model: MusicVAE, states: dict[int, Path]) -> None:
    """What each kept state of a run makes of the same z: {epoch: tokens or bits} in one file."""
    z = torch.randn(SAMPLES, model.config.latent, generator=torch.Generator().manual_seed(0))
    drawn = {}
    for epoch, state in states.items():
        checkpoints.load_weights(state, model)
        torch.manual_seed(0)
        drawn[str(epoch)] = model.sample(z.to(next(model.parameters()).device), 1.0).to("cpu", torch.uint8)
    with paths.atomic(path) as temporary:
        save_file(drawn, temporary)


def samples_path(name: str) -> Path:
    """Where the samples of a run's kept states are: among those that ship, else in the run's own folder."""
    shipped, own = (
        folder / f"{name}.safetensors" for folder in (paths.DATA / "samples", paths.RUNS / name / "samples")
    )
    return own if own.exists() and not shipped.exists() else shipped


def samples(name: str) -> dict[int, Tensor]:
    """Samples (8, T) or (8, T, 176) after each kept number of epochs, from the same z."""
    drawn = {int(epoch): x for epoch, x in load_file(samples_path(name)).items()}
    return {epoch: drawn[epoch] for epoch in sorted(drawn)}


def missing(size: str, seed: int = 0, only: Collection[str] = ()) -> list[Experiment]:
    """What the ledger lacks; see `reproduction.missing`."""
    return reproduction.missing(EXPERIMENTS | STUDIES, "musicvae", size, seed, only)


def trained(experiment: Experiment, size: str) -> MusicVAE:
    """The trained model of an experiment: the one that ships if there is one, else trained here and now."""
    ensure_trained(EXPERIMENTS, experiment, size, train)
    return load(experiment.run_name(size))


def load(name: str) -> MusicVAE:
    """A trained model by the name of its run, ready to use, on the best device here.

    Raises:
        CheckpointError: it has not been trained, does not ship, or is damaged.
    """
    config, _ = checkpoints.read_metadata(checkpoint(name))
    model = MusicVAE(checkpoints.configured(checkpoint(name), MusicVAEConfig, config))
    return checkpoints.load_weights(checkpoint(name), model).to(default_device()).eval()
