"""What the systems have in common when their experiments are run: which are missing, and where trained weights are.

Notebook: 14 reproduction.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from musiclib import ledger, paths


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


def checkpoint(name: str) -> Path:
    """Where the weights of a run are: among those that ship, else in the run's own folder."""
    shipped, own = (folder / f"{name}.safetensors" for folder in (paths.CHECKPOINTS, paths.RUNS / name))
    return own if own.exists() and not shipped.exists() else shipped
