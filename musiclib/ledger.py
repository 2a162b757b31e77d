"""The results ledger: every figure in a notebook or the README comes from a run written down here.

One run is one file, `data/results/<name>.json`, with what is needed to judge and repeat it.

Notebook: 03 note discovery.
"""

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

import torch

from musiclib import paths
from musiclib.paths import atomic

CONFIRMED, UNDECIDED, NOT_CONFIRMED, NOT_RUN = "confirmed", "undecided", "**not confirmed**", "not run"
REMEDY = "restore it with 'git checkout data/results', or delete it and run 'make reproduce'."


class LedgerError(ValueError):
    """A ledger entry is damaged: the message names its file and the remedy."""


def record(
    name: str,
    *,
    system: str,
    preset: str,
    seed: int,
    config: dict,
    metrics: dict,
    wall_s: float,
    commit: str,
    folder: Path | None = None,
) -> Path:
    """Writes one run: what was chosen (`config`), what was measured (`metrics`), `wall_s` seconds of training, and
    the `commit` whose code began it."""
    entry = {
        "name": name,
        "system": system,
        "preset": preset,
        "seed": seed,
        "metrics": metrics,
        "config": config,
        "wall_s": round(wall_s, 1),
        "hardware": hardware(),
        "torch": torch.__version__,
        "commit": commit,
        "threads": torch.get_num_threads(),
        "date": datetime.date.today().isoformat(),
    }
    path = (folder or paths.RESULTS) / f"{name}.json"
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(entry, indent=1, default=str) + "\n")
    return path


def entries(system: str | None = None, folder: Path | None = None) -> list[dict]:
    """All runs, or one system's, by name.

    Raises:
        LedgerError: an entry is damaged.
    """
    runs = [_read(path) for path in sorted((folder or paths.RESULTS).glob("*.json"))]
    return [run for run in runs if system in (None, run["system"])]


def entry(name: str, folder: Path | None = None) -> dict:
    """One run.

    Raises:
        FileNotFoundError: it has not been run; the message says how to.
        LedgerError: it is damaged.
    """
    path = (folder or paths.RESULTS) / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"The ledger has no run {name!r} ({path}): 'make reproduce' runs what is missing.")
    return _read(path)


def _read(path: Path) -> dict:
    try:
        run = json.loads(path.read_text())
        missing = {"name", "system", "preset", "seed", "metrics"} - set(run)
    except (ValueError, TypeError) as error:  # no JSON, no text, or a bare number
        raise LedgerError(f"The ledger entry {path} is damaged ({error}): {REMEDY}") from error
    if missing:
        raise LedgerError(f"The ledger entry {path} has no {', '.join(sorted(missing))}: {REMEDY}")
    return run


def outcome(differences: Iterable[tuple[float, float]]) -> str:
    """The verdict on a claim by which all these differences, each with the half-width of its interval, are positive."""
    differences = list(differences)
    if all(value > interval for value, interval in differences):
        return CONFIRMED
    return NOT_CONFIRMED if any(value < -interval for value, interval in differences) else UNDECIDED


def table(rows: list[list[str]], header: list[str]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_between(path: Path, marker: str, text: str) -> None:
    """Replaces what stands between `<!-- marker -->` and `<!-- /marker -->` in a Markdown file.

    Raises:
        ValueError: the file has no such pair of marks.
    """
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, found, rest = path.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{path} has no lines {start} and {end} to write the table between: put them back.")
    with atomic(path) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}")


def hardware() -> str:
    """The processor that does the work, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.cpu.get_capabilities().get('cpu_name') or platform.machine()}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit of this checkout, or "unknown" outside one."""
    command = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
