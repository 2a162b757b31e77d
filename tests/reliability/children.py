"""Children of one process that has imported everything: forked in milliseconds, and each may end as it will.

What a child prints is caught at the file descriptors, so that a library in C which speaks to the terminal is heard too.
"""

import json
import multiprocessing
import os
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

FORK = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, minus the signal that killed it, or "too long"; what it returned and said."""

    code: int | str
    result: Any
    out: str
    error: str


@cache
def _mother() -> None:
    """Starts the process that children are forked from, and has it import everything."""
    FORK.set_forkserver_preload(["mother"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MUSICLIB_PRESET", "quick")
        patch.setenv("MPLBACKEND", "agg")
        forkserver.ensure_running()


def start(function: Callable, *arguments: Any, folder: Path, memory: int = 0, cpu_s: int = 0):
    """A child at work on `function(*arguments)`, in the working directory `folder`/work, which is made.

    Args:
        memory: bytes that it may take beyond what it has at birth; 0 for no limit. cpu_s: seconds of work; likewise.
    """
    _mother()
    (folder / "work").mkdir(parents=True, exist_ok=True)
    child = FORK.Process(target=_live, args=(function, arguments, str(folder), memory, cpu_s))
    child.start()
    return child


def ended(child, folder: Path, seconds: float = 300.0) -> Ended:
    """Waits for a child, at most so long."""
    child.join(seconds)
    code = child.exitcode
    if code is None:
        child.kill()
        child.join()
        code = "too long"
    result = folder / "result.json"
    told = [(folder / name).read_text(errors="replace") if (folder / name).exists() else "" for name in ("out", "err")]
    return Ended(code, json.loads(result.read_text()) if code == 0 else None, *told)


def lived(function: Callable, *arguments: Any, folder: Path, **limits: int) -> Ended:
    """A child from its birth to its end."""
    return ended(start(function, *arguments, folder=folder, **limits), folder)


def _live(function: Callable, arguments: tuple, folder: str, memory: int, cpu_s: int) -> None:
    for name, own in (("out", 1), ("err", 2)):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), own)
    sys.stdout, sys.stderr = (open(own, "w", buffering=1, closefd=False) for own in (1, 2))  # noqa: SIM115 while it lives
    if memory:
        at_birth = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (at_birth + memory,) * 2)
    if cpu_s:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    os.chdir(f"{folder}/work")
    try:
        result = function(*arguments)
        Path(folder, "result.json").write_text(json.dumps(result))
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def command(*arguments: str) -> int:
    """Runs a command of the command line as its process would, and gives its exit code."""
    from musiclib.__main__ import main

    try:
        return main(list(arguments))
    except SystemExit as stop:
        return stop.code
    except Exception:
        traceback.print_exc()
        return 70
