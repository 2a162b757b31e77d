"""train, evaluate, reproduce: from an experiment to trained weights and figures."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from musiclib import ledger, paths, training, traps
from musiclib.commands.options import (
    DONE,
    MOST_SEED,
    STOPPED,
    Result,
    add_budget,
    add_preset,
    add_seed,
    command,
    preset,
    whole,
)
from musiclib.diffroll import experiments as diffroll_experiments
from musiclib.diffroll import report as diffroll_report
from musiclib.diffroll import runs as diffroll_runs
from musiclib.improvise import experiments as improvise_experiments
from musiclib.improvise import report as improvise_report
from musiclib.improvise import runs as improvise_runs
from musiclib.musicslots import claims as musicslots_claims
from musiclib.musicslots import experiments as musicslots_experiments
from musiclib.musicslots import report as musicslots_report
from musiclib.musicslots import runs as musicslots_runs
from musiclib.musicvae import experiments as musicvae_experiments
from musiclib.musicvae import report as musicvae_report
from musiclib.musicvae import runs as musicvae_runs
from musiclib.paths import check_writable
from musiclib.processes import is_first, of_first
from musiclib.reproduction import Study
from musiclib.traps import Trap

SYSTEMS = {  # its runs, how an experiment is found by name, the one to begin with, and what is printed at the end
    "musicslots": (
        musicslots_runs, musicslots_experiments.find, "jazznet-multi-none",
        lambda size: f"{musicslots_report.tables(size)}\n\n{musicslots_claims.claims_table(size)}",
    ),
    "musicvae": (musicvae_runs, musicvae_experiments.find, "melody-2", musicvae_report.results_table),
    "improvise": (
        improvise_runs, improvise_experiments.find, "chorales", lambda size: improvise_report.results_table(),
    ),
    "diffroll": (
        diffroll_runs, diffroll_experiments.find, "diffroll",
        lambda size: f"{diffroll_report.results_table(size)}\n\n{diffroll_report.claims_table(size)}",
    ),
    "traps": (traps, traps.find, "too-fast", lambda size: traps.tables()),
}  # fmt: skip


def train(options: argparse.Namespace) -> Result:
    system, find, first, _ = SYSTEMS[options.system]
    experiment, size = find(options.experiment or first), preset(options).size
    with _first_speaks():
        done = _train(system, experiment, size, options.seed, options.budget, options.parts)
    name = experiment.run_name(size, options.seed)
    if not done:
        return Result(f"{name}: not done yet; the same command goes on", {"run": name, "done": False}, STOPPED)
    return Result(f"{name}: done, in the ledger", {"run": name, "done": True, **ledger.entry(name)})


def _train(
    system: ModuleType, experiment: Any, size: str, seed: int, budget_s: float, parts: int | None = None
) -> bool:
    """By all processes together; what trains nothing, by the first. Where its result cannot be kept nothing begins."""
    name = experiment.run_name(size, seed)
    for path in (paths.RUNS / name / "last.pt", paths.RESULTS / f"{name}.json"):
        check_writable(path)
    if isinstance(experiment, Study | Trap):
        training.launch()
        return of_first(lambda: system.train(experiment, size, seed=seed, budget_s=budget_s))
    return system.train(experiment, size, seed=seed, budget_s=budget_s, parts=parts)


@contextmanager
def _first_speaks() -> Iterator[None]:
    """Of several processes the others end with the block, however it ends: the first says how."""
    try:
        yield
    except KeyboardInterrupt:
        if is_first():
            raise
    if not is_first():
        sys.exit(DONE)


def evaluate(options: argparse.Namespace) -> Result:
    system, find, first, _ = SYSTEMS[options.system]
    experiment, size = find(options.experiment or first), preset(options).size
    if isinstance(experiment, Study | Trap):
        raise ValueError(f"{experiment.name!r} is a question to trained models, not one itself: 'train' asks it again.")
    name = experiment.run_name(size, options.seed)
    known = next((entry["metrics"] for entry in ledger.entries(options.system) if entry["name"] == name), {})
    print(f"Scoring {name} on its test data …", flush=True)
    scores = system.evaluate(experiment, size, seed=options.seed)
    before = dict(_figures(known))
    rows = [[score, f"{value:.5g}", _shown(before.get(score))] for score, value in _figures(scores)]
    both = {"run": name, "metrics": scores, "ledger": {key: known.get(key) for key in scores}}
    return Result(ledger.table(rows, [name, "now", "ledger"]), both)


def _figures(scores: dict, above: str = "") -> Iterator[tuple[str, float]]:
    """Every number in nested scores with its path, such as "test miou"; lists are left out."""
    for name, value in scores.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{above}{name} ")
        elif isinstance(value, int | float):
            yield above + name, value


def _shown(value: float | None) -> str:
    return "not run" if value is None else f"{value:.5g}"


def reproduce(options: argparse.Namespace) -> Result:
    system, _, _, tables = SYSTEMS[options.system]
    size, deadline = preset(options).size, time.monotonic() + options.budget
    trained, open_ = [], []
    training.launch()
    with _first_speaks():
        for seed in options.seeds:
            for experiment in of_first(partial(system.missing, size, seed, options.only or ())):
                name, left = experiment.run_name(size, seed), of_first(lambda: deadline - time.monotonic())
                if left > 0 and is_first():
                    print(f"{name} …", flush=True)
                done = left > 0 and _train(system, experiment, size, seed, left)
                (trained if done else open_).append(name)
    data = {"trained": trained, "missing": open_, "tables": tables(size)}
    return Result(data["tables"], data, STOPPED if open_ else 0)


def run_gpu(options: argparse.Namespace) -> Result:
    from musiclib import gpu  # not above: only this command needs Jupyter

    systems = {name: system for name, (system, *_) in SYSTEMS.items()}
    done = gpu.run(preset(options), systems, options.budget)
    text = "All done." if done else "Not done yet: the same command goes on."
    return Result(text, {"done": done}, 0 if done else STOPPED)


def add(commands: argparse._SubParsersAction) -> None:
    one = command(commands, train, "train", "Train one experiment, resuming where it stopped.",
                  "python -m musiclib train musicslots --preset quick --budget 9m")  # fmt: skip
    again = command(commands, evaluate, "evaluate", "Score a trained model on its test data, and compare the ledger.",
                    "python -m musiclib evaluate musicvae --experiment melody-2 --preset quick")  # fmt: skip
    for parser in (one, again):
        parser.add_argument("system", choices=list(SYSTEMS))
        parser.add_argument("--experiment", metavar="NAME", help="unset: the one that its notebooks begin with")
        add_preset(parser)
        add_seed(parser, "of the run")
    one.add_argument("--parts", type=whole(1, 4096), metavar="N",
                     help="take each batch in N parts, for less memory, or to go on with N processes later; unset: "
                          "as the run began, else one per process")  # fmt: skip
    add_budget(one)

    every = command(commands, reproduce, "reproduce",
                    "Train every experiment that the ledger lacks, then print paper | ours.",
                    "python -m musiclib reproduce musicslots --preset paper --budget 9m")  # fmt: skip
    every.add_argument("system", choices=list(SYSTEMS))
    every.add_argument("--only", nargs="+", metavar="NAME", help="experiments or tables, such as 'ablation'")
    every.add_argument("--seeds", nargs="+", type=whole(0, MOST_SEED), default=[0], metavar="N",
                       help="the paper's are 0 12 22 32 42")  # fmt: skip
    add_preset(every)
    add_budget(every)

    slices = command(commands, run_gpu, "gpu", "All notebooks under nbval, then all missing experiments, in slices.",
                     "python -m musiclib gpu --preset colab --budget 9m")  # fmt: skip
    add_preset(slices)
    add_budget(slices)
