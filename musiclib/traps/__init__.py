"""The traps of the published code: what it does, what this course does instead, and how much that is, measured.

A trap is a run like any other: it has a name and leaves a ledger entry. What the ledger's other runs have measured
already is read from them, each time anew.

Notebook: 14 reproduction.
"""

import math
import time
from collections.abc import Collection
from dataclasses import asdict

from musiclib import ledger, reproduction
from musiclib.traps import diffroll, improvise, musicslots, musicvae
from musiclib.traps.trap import Measured, Trap

SYSTEMS = {"MusicSlots": musicslots, "MusicVAE": musicvae, "Improvisation": improvise, "DiffRoll": diffroll}
TRAPS = {trap.name: trap for system in SYSTEMS.values() for trap in system.TRAPS}
EXPERIMENTS = {name: trap for name, trap in TRAPS.items() if not trap.from_ledger}


def train(trap: Trap, size: str = "small", *, seed: int = 0, budget_s: float = math.inf) -> bool:
    """Measures a trap and writes it down; named as the other systems' `train`, so that `reproduce` serves all."""
    commit, started = ledger.commit(), time.monotonic()
    measured = trap.measure()
    ledger.record(
        trap.run_name(size), system="traps", preset="small", seed=0, wall_s=time.monotonic() - started, commit=commit,
        config={"trap": trap.name}, metrics=asdict(measured),
    )  # fmt: skip
    return True


def missing(size: str, seed: int = 0, only: Collection[str] = ()) -> list[Trap]:
    """What the ledger lacks, at whatever size: what is measured ships at the small one."""
    return reproduction.missing(EXPERIMENTS, "traps", "small", 0, only)


def find(name: str) -> Trap:
    """A trap with a run of its own, by name; see `reproduction.find`."""
    return reproduction.find(EXPERIMENTS, name)


def measured(trap: Trap) -> Measured | None:
    """The number of a trap; None if it, or a run that it needs, has not been run."""
    if trap.from_ledger:
        return trap.measure()
    found = next((entry for entry in ledger.entries("traps") if entry["name"] == trap.run_name("small")), None)
    return Measured(**found["metrics"]) if found else None


def table(system: str) -> str:
    """The traps of a system in Markdown."""
    rows = [[trap.published, trap.ours, *_cells(measured(trap)), trap.notebook] for trap in SYSTEMS[system].TRAPS]
    return ledger.table(
        rows, ["the published code", "here", "measured", "theirs", "the other way", "difference", "notebook"]
    )


def _cells(found: Measured | None) -> list[str]:
    if found is None:
        return [ledger.NOT_RUN, "–", "–", "–"]
    if found.published is None:
        return [found.what, "–", f"{found.ours:.4g}", "–"]
    reach = f" ± {found.interval:.2g}" if found.interval is not None else ""
    return [found.what, f"{found.published:.4g}", f"{found.ours:.4g}", f"{found.ours - found.published:+.3g}{reach}"]


def tables() -> str:
    """The traps of all systems, one table below the other."""
    return "\n\n".join(f"**{system}**\n\n{table(system)}" for system in SYSTEMS)
