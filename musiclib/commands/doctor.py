"""doctor: what this machine and this checkout have, what is wrong, and what to do."""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
import torchaudio

from musiclib import corpora, ledger, paths, presets, synth, training
from musiclib.checkpoints import read_metadata
from musiclib.commands.learning import SYSTEMS
from musiclib.commands.options import FAULT, Result, command
from musiclib.diffroll import clips

LEAST_PYTHON = (3, 11)
LAST_TORCHAUDIO = (2, 11)  # it goes with every later torch too
LEAST_FREE_GB = 0.2  # checkpoints of one training run
GOOD_FREE_GB = 5.0
OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """What one check found: its verdict, and in words what is there, or what is wrong and what to do."""

    check: str
    verdict: str
    found: str


def python() -> tuple[str, str]:
    if sys.version_info < LEAST_PYTHON:
        return FAILED, f"{platform.python_version()} is too old: make a new environment with Python 3.11 or newer."
    return OK, platform.python_version()


def torch_and_torchaudio() -> tuple[str, str]:
    found = f"torch {torch.__version__}, torchaudio {torchaudio.__version__}"
    wanted, has = _release(torch.__version__), _release(torchaudio.__version__)
    if has != min(wanted, LAST_TORCHAUDIO):
        release = ".".join(map(str, min(wanted, LAST_TORCHAUDIO)))
        return FAILED, f"{found} do not belong together: 'python -m pip install torchaudio=={release}.*'."
    return OK, found


def _release(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split(".")[:2])


def device() -> tuple[str, str]:
    own = presets.default_device()
    found = f"{ledger.hardware()}, precision {training.precision_of(own)}"
    if own.type == "cpu" and shutil.which("nvidia-smi"):
        return WARNING, f"{found}: there is an NVIDIA driver, but this torch cannot use it; install torch with CUDA."
    return OK, found


def preset() -> tuple[str, str]:
    own = presets.current_preset()
    chosen = "MUSICLIB_PRESET" if os.environ.get("MUSICLIB_PRESET") else f"the device, {presets.default_device().type}"
    return OK, f"{own.name}, chosen by {chosen}"


def soundfont() -> tuple[str, str]:
    try:
        with synth.Synthesizer():
            return OK, str(synth.find_soundfont())
    except synth.SoundfontError as error:
        return WARNING, str(error)


def note_bank() -> tuple[str, str]:
    return OK, f"{len(synth.NoteBank.load().waveforms)} notes"


def shipped_music() -> tuple[str, str]:
    """Every shipped corpus and test clip can be read."""
    pieces = {name: len(corpora.shipped(name)) for name in corpora.CORPORA}
    json.loads(corpora.BACH_CHORALES.read_text())
    recordings = sum(len(clips.shipped(name)) for name in ("A", "B"))
    return OK, ", ".join(f"{name} {count}" for name, count in pieces.items()) + f", test clips {recordings}"


def checkpoints() -> tuple[str, str]:
    """Every model that ships is there, and every file beside them can be read."""
    names = {
        experiment.run_name("small")
        for system, *_ in SYSTEMS.values()
        for experiment in system.EXPERIMENTS.values()
        if experiment.ships
    }
    files = {paths.CHECKPOINTS / f"{name}.safetensors" for name in names} | set(paths.CHECKPOINTS.glob("*.safetensors"))
    for path in sorted(files):
        read_metadata(path)
    return OK, f"{len(files)} in {paths.CHECKPOINTS}"


def results() -> tuple[str, str]:
    return OK, f"{len(ledger.entries())} runs in {paths.RESULTS}"


def disk() -> tuple[str, str]:
    """Free space and the right to write where downloads and training runs go."""
    folder = next(folder for folder in (paths.CACHE, *paths.CACHE.parents) if folder.exists())
    with tempfile.TemporaryFile(dir=folder):
        free_gb = shutil.disk_usage(folder).free / 1e9
    found = f"{free_gb:.1f} GB free in {folder}"
    if free_gb < GOOD_FREE_GB:
        return FAILED if free_gb < LEAST_FREE_GB else WARNING, f"{found}: make room for downloads and training runs."
    return OK, found


def jupyter() -> tuple[str, str]:
    found = []
    for package in ("jupyterlab", "ipywidgets", "nbconvert"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return WARNING, f"{package} is missing, which the notebooks need: 'python -m pip install -e .[course]'."
    return OK, ", ".join(found)


CHECKS: dict[str, Callable[[], tuple[str, str]]] = {
    "Python": python,
    "torch": torch_and_torchaudio,
    "device": device,
    "preset": preset,
    "FluidSynth and soundfont": soundfont,
    "note bank": note_bank,
    "corpora and clips": shipped_music,
    "checkpoints": checkpoints,
    "results ledger": results,
    "disk": disk,
    "Jupyter": jupyter,
}


def examined(check: str) -> Finding:
    """One check; what it raises is what is wrong."""
    try:
        return Finding(check, *CHECKS[check]())
    except (ValueError, OSError) as error:
        return Finding(check, FAILED, str(error))


def doctor(_: argparse.Namespace) -> Result:
    findings = [examined(check) for check in CHECKS]
    wide = max(map(len, CHECKS))
    text = "\n".join(f"{finding.verdict:8}{finding.check:{wide + 2}}{finding.found}" for finding in findings)
    failed = [finding.check for finding in findings if finding.verdict == FAILED]
    text += f"\n{len(failed)} of {len(findings)} checks failed." if failed else "\nNothing is wrong."
    data = {"checks": [asdict(finding) for finding in findings], "failed": failed}
    return Result(text, data, FAULT if failed else 0)


def add(commands: argparse._SubParsersAction) -> None:
    command(commands, doctor, "doctor", "Check this machine and this checkout: what is wrong, and what to do.",
            "python -m musiclib doctor")  # fmt: skip
