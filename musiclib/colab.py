"""Set-up on Colab: installs what the machine lacks, and never replaces what it has.

Run by the set-up cell of the notebooks where `import musiclib` fails. Colab's own torch, numpy and ipywidgets stay:
reinstalling them breaks the running kernel. It needs nothing but the standard library.
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """The course's run-time packages, from their one list."""
    import tomllib

    return tomllib.loads(pyproject.read_text())["project"]["dependencies"]


def missing(wanted: list[str]) -> list[str]:
    """Those of which no version at all is installed."""

    def installed(requirement: str) -> bool:
        try:
            version(re.match(r"[\w.-]+", requirement)[0])
        except PackageNotFoundError:
            return False
        return True

    return [requirement for requirement in wanted if not installed(requirement)]


def run(command: list[str]) -> None:
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=False)


if __name__ == "__main__":
    if lacking := missing(requirements()):
        run([sys.executable, "-m", "pip", "install", "--quiet", *lacking])
    if not shutil.which("fluidsynth"):
        run(["apt-get", "install", "--yes", "--quiet", "fluidsynth", "fluid-soundfont-gm"])
    sys.path.insert(0, str(ROOT))
