"""What the systems have in common when their experiments are run: which are missing, and where trained weights are.

Notebook: 14 reproduction.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from musiclib import checkpoints, ledger, paths, training
from musiclib.training import History, TrainingConfig


class Experiment(Protocol):
    """What is trained on what, as data; every system has its own kind.

    Attributes:
        table: where its results belong. sizes: at which it is run.
    """

    name: str
    table: str
    sizes: tuple[str, ...]

    def run_name(self, size: str, seed: int = 0) -> str: ...

    def needs(self, size: str) -> str | None:
        """The experiment that must have been run before this one."""


Some = TypeVar("Some", bound=Experiment)


@dataclass(frozen=True)
class Study:
    """A question to one trained model. It is run like an experiment, and trains nothing.

    Attributes:
        table: where its answer belongs. kind: of question. of: the experiment whose model is asked.
    """

    system: str
    name: str
    table: str
    kind: str
    of: str
    sizes: tuple[str, ...] = ("small", "short", "paper")

    def needs(self, size: str) -> str:
        """The experiment that must have been run before this one."""
        return self.of

    def run_name(self, size: str, seed: int = 0) -> str:
        """Where there is one size only, whatever was asked for, it is that."""
        size = size if size in self.sizes else self.sizes[0]
        return f"{self.system}-{self.name}-{size}" + (f"-seed{seed}" if seed else "")


@dataclass(frozen=True)
class Run:
    """One training of an experiment: where its files are, and what is written down when it is done.

    Attributes:
        size: as the ledger names it. training: its configuration. commit: whose code began it.
    """

    system: str
    experiment: Any
    size: str
    seed: int
    training: TrainingConfig
    commit: str = field(default_factory=ledger.commit)

    @property
    def name(self) -> str:
        return self.experiment.run_name(self.size, self.seed)

    @property
    def folder(self) -> Path:
        """Where it keeps what it goes on from, and its best weights."""
        return paths.RUNS / self.name

    @property
    def ships(self) -> bool:
        """Whether its weights are part of the course: those of the smallest size and the first seed."""
        return self.experiment.ships and self.size == self.experiment.sizes[0] and not self.seed

    def finish(self, model: nn.Module, scores: dict, history: History | None = None, **facts: Any) -> None:
        """Writes the weights, where something was trained, and the ledger entry.

        Args:
            scores: of the model on its test data. history: of the training. facts: more for the ledger's config.
        """
        described = {
            "experiment": asdict(self.experiment), "model": asdict(model.config), "training": asdict(self.training),
        }  # fmt: skip
        curves = {}
        if history is not None:
            about = {"experiment": self.experiment.name, "training": described["training"], "scores": scores}
            folder = paths.CHECKPOINTS if self.ships else self.folder
            checkpoints.save_weights(folder / f"{self.name}.safetensors", model, about, torch.float16)
            described["parts"] = history.parts
            curves = {"validation_curve": history.scores, "loss_curve": training.thinned(history.loss)}
        ledger.record(
            self.name, system=self.system, preset=self.size, seed=self.seed, commit=self.commit,
            wall_s=history.wall_s if history else 0.0, config=described | facts, metrics=scores | curves,
        )  # fmt: skip


def ask(study: Study, question: Callable[[nn.Module, str], dict], model: nn.Module, size: str, seed: int = 0) -> None:
    """Asks a trained model, and writes the answer to the ledger.

    Args:
        question: model and name of the run → what was measured. Under that name it may save samples.
    """
    commit, started, name = ledger.commit(), time.monotonic(), study.run_name(size, seed)
    metrics = question(model, name)
    ledger.record(
        name, system=study.system, preset=size, seed=seed, wall_s=time.monotonic() - started, commit=commit,
        config={"experiment": asdict(study)}, metrics=metrics,
    )  # fmt: skip


def save_bits(name: str, bits: Mapping[Any, Tensor]) -> None:
    """Keeps binary tensors among the samples that ship, eight values in a byte; lengths must be multiples of 8."""
    packed = {f"{key:g}" if isinstance(key, float) else str(key): _packed(value) for key, value in bits.items()}
    with paths.atomic(paths.DATA / "samples" / f"{name}.safetensors") as temporary:
        save_file(packed, temporary)


def _packed(bits: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(bits.cpu().numpy().astype(bool), axis=-1))


def load_bits(name: str) -> dict[str, Tensor]:
    """What `save_bits` kept, uint8.

    Raises:
        FileNotFoundError: nothing has been kept under that name.
    """
    packed = load_file(paths.DATA / "samples" / f"{name}.safetensors")
    return {key: torch.from_numpy(np.unpackbits(value.numpy(), axis=-1)) for key, value in packed.items()}


def find(experiments: Mapping[str, Some], name: str) -> Some:
    """An experiment by name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in experiments:
        raise ValueError(f"No experiment {name!r}: choose of {', '.join(experiments)}.")
    return experiments[name]


def missing(
    experiments: Mapping[str, Some], system: str, size: str, seed: int = 0, only: Collection[str] = ()
) -> list[Some]:
    """What the ledger lacks, of all experiments or of those whose name or table is in `only`: each after what it needs,
    and what it needs even if only its weights are missing.

    Raises:
        ValueError: `only` names no experiment and no table.
    """
    known = {name for e in experiments.values() for name in (e.name, e.table)}
    if unknown := set(only) - known:
        raise ValueError(f"No experiment or table {', '.join(sorted(unknown))}: choose of {', '.join(sorted(known))}.")
    in_ledger = {entry["name"] for entry in ledger.entries(system)}
    todo: list[Some] = []

    def add(experiment: Some, have: bool) -> None:
        if have or experiment in todo:
            return
        if before := experiment.needs(size):
            add(experiments[before], checkpoint(experiments[before].run_name(size, seed)).exists())
        todo.append(experiment)

    for experiment in experiments.values():
        if size in experiment.sizes and (not only or {experiment.name, experiment.table} & set(only)):
            add(experiment, experiment.run_name(size, seed) in in_ledger)
    return todo


def ensure_trained(
    experiments: Mapping[str, Some], experiment: Some, size: str, train: Callable[[Some, str], object]
) -> None:
    """Trains an experiment here and now, and what it needs before it, unless its weights are there already."""
    name = experiment.run_name(size)
    if checkpoint(name).exists():
        print(f"Found the trained model {name}, loading it.")
        return
    print(f"No trained model {name} yet: training it.")
    if before := experiment.needs(size):
        ensure_trained(experiments, experiments[before], size, train)
    train(experiment, size)


def usable(run_name: Callable[[str], str], size: str) -> str:
    """The run of a size, if its weights are here; else that of the small size, whose weights ship."""
    return run_name(size) if checkpoint(run_name(size)).exists() else run_name("small")


def checkpoint(name: str) -> Path:
    """Where the weights of a run are: among those that ship, else in the run's own folder."""
    shipped, own = (folder / f"{name}.safetensors" for folder in (paths.CHECKPOINTS, paths.RUNS / name))
    return own if own.exists() and not shipped.exists() else shipped
