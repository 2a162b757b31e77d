"""Everything that wants a GPU, in slices of any length: each call goes on where the one before stopped.

First every notebook at the preset's size under nbval, which trains what the notebook needs; then the experiments that
the ledger lacks. Training saves itself every two minutes and when its time is over, so a slice that is cut off loses
little. A notebook that passed is not run again until it, or the code, changes.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from musiclib import course, ledger, paths
from musiclib.presets import Preset

PASSED = paths.CACHE / "gpu.json"  # notebook → what it was when it passed


def run(preset: Preset, systems: Mapping[str, ModuleType], budget_s: float) -> bool:
    """Notebooks, then missing experiments, until all is done or the time is over.

    Args:
        systems: name → the module with its `missing` and `train`.

    Returns:
        Whether all is done.

    Raises:
        ValueError: notebooks failed; the message names them. What came after them was done all the same.
    """
    deadline = time.monotonic() + budget_s
    failed = []
    for notebook in sorted(course.NOTEBOOKS.glob("*.ipynb")):
        if (left_s := deadline - time.monotonic()) <= 0:
            return False
        verdict = _notebook(notebook, preset, left_s)
        failed += [notebook.name] if verdict is False else []
        if verdict is None:
            return False
    done = all(_experiments(system, preset.size, deadline) for system in systems.values())
    if failed:
        raise ValueError(
            f"Under nbval, preset {preset.name}, these failed: {', '.join(failed)}: see their output above."
        )
    return done


def _notebook(path: Path, preset: Preset, left_s: float) -> bool | None:
    """Whether a notebook passes; None if the time was over first."""
    passed = json.loads(PASSED.read_text()) if PASSED.exists() else {}
    state = f"{preset.name} {ledger.commit()} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    if passed.get(path.name) == state:
        print(f"{path.name}: passed before", flush=True)
        return True
    print(f"{path.name} …", flush=True)
    timeout_s = course.CELL_TIMEOUT_S[preset.name] or -1  # nbval waits for ever with -1
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env"]
    process = subprocess.Popen(
        [*command, f"--nbval-cell-timeout={timeout_s}", str(path)],
        env=os.environ | {"MUSICLIB_PRESET": preset.name}, start_new_session=True,
    )  # fmt: skip
    try:
        code = process.wait(left_s if left_s < float("inf") else None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its kernel too
        process.wait()
        return None
    if code == 0:
        with paths.atomic(PASSED) as temporary:
            temporary.write_text(json.dumps(passed | {path.name: state}, indent=1) + "\n")
    return code == 0


def _experiments(system: ModuleType, size: str, deadline: float) -> bool:
    """Trains what the ledger lacks of a system; whether nothing is left."""
    for experiment in system.missing(size):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        print(f"{experiment.run_name(size)} …", flush=True)
        if not system.train(experiment, size, budget_s=left_s):
            return False
    return True
