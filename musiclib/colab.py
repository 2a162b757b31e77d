"""Set-up on Colab: installs what the machine lacks, and never replaces what it has.

Run by the set-up cell of the notebooks where `import musiclib` fails. Colab's own torch, numpy and ipywidgets stay:
reinstalling them breaks the running kernel. It needs nothing but the standard library.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ["ipywidgets", "ipython", "ipykernel"]  # what the running notebook stands on, beside the course's packages
APT = ["fluidsynth", "fluid-soundfont-gm", "timgm6mb-soundfont"]


def requirements(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """The course's run-time packages, from their one list."""
    import tomllib

    return tomllib.loads(pyproject.read_text())["project"]["dependencies"]


def installed(requirements: list[str]) -> dict[str, str]:
    """Those that are installed, in whatever version: the requirement, and the package as it is."""
    found = {}
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)[0]
        try:
            found[requirement] = f"{name}=={version(name)}"
        except PackageNotFoundError:
            continue
    return found


def missing(requirements: list[str]) -> list[str]:
    """Those of which no version at all is installed."""
    return [requirement for requirement in requirements if requirement not in installed(requirements)]


def run(command: list[str]) -> bool:
    """Shows a command, runs it and says whether it succeeded."""
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, check=False).returncode == 0


def install(wanted: list[str]) -> None:
    """Installs packages beside those of the course that are there, which stay as they are even if one wants another."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"
        kept.write_text("\n".join(installed([*requirements(), *KERNEL]).values()))
        run([sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(kept), *wanted])


if __name__ == "__main__":
    if lacking := missing(requirements()):
        install(lacking)
    if shutil.which("apt-get") and not shutil.which("fluidsynth"):
        get = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *APT]
        run(get) or (run(["apt-get", "update", "--quiet"]) and run(get))  # its list of packages may be old
