"""Set-up on Colab adds what is missing and never replaces what is there."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from musiclib import badges, colab
from musiclib.paths import ROOT

# The part of the notebooks' first code cell that makes musiclib importable.
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
SET_UP = next(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code").split("\nfrom musiclib")[0]

# Installs nothing: writes down what was asked for, and leaves the metadata of an installed package.
PIP = """
import json, sys
from pathlib import Path

here, arguments = Path(__file__).parent, sys.argv[1:]
wanted = arguments[arguments.index("--constraint") + 2:]
kept = Path(arguments[arguments.index("--constraint") + 1]).read_text().split()
with open(here / "asked", "a") as file:
    print(json.dumps([wanted, kept]), file=file)
for requirement in wanted:
    name = requirement.split(">")[0]
    (here / f"{name}-1.0.dist-info").mkdir()
    (here / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
"""

# A notebook's kernel on a machine without the course.
KERNEL = """
import sys
sys.path = [folder for folder in sys.path if folder != {root!r}]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell(sys.argv[1]).raise_error()
from musiclib import colab
print(colab.__file__)
"""


class Machine:
    """What Colab gives, small: a repository to clone, a pip and an apt-get that only write down what they are asked."""

    def __init__(self, folder: Path):
        self.folder, self.bin, self.site = folder, folder / "bin", folder / "site"
        self.bin.mkdir()
        self.site.mkdir()
        self.script("python", f'exec {sys.executable} "$@"')
        for name in ("git", "sh"):
            (self.bin / name).symlink_to(shutil.which(name))
        (self.site / "pip.py").write_text(PIP)
        (folder / "gitconfig").write_text(
            f'[url "file://{folder}/repository"]\n\tinsteadOf = https://github.com/{badges.repository()}\n'
            "[user]\n\tname = test\n\temail = test@localhost\n"
        )
        self.environment = os.environ | {
            "PATH": str(self.bin), "PYTHONPATH": str(self.site), "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }  # fmt: skip
        repository = folder / "repository"
        (repository / "notebooks").mkdir(parents=True)
        (repository / "notebooks" / "00.ipynb").touch()
        (repository / "musiclib").mkdir()
        shutil.copy(colab.__file__, repository / "musiclib" / "colab.py")
        (repository / "pyproject.toml").write_text('[project]\ndependencies = ["torch==0.1", "unheard>=1.2"]\n')
        for command in ("init", "add .", "commit --message all"):
            self.run(["git", "-C", str(repository), *command.split()])

    def script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def set_up(self) -> str:
        """What the notebooks' set-up cell prints, and where musiclib comes from after it."""
        cell = SET_UP.replace("/content/course", f"{self.folder}/course")
        return self.run([sys.executable, "-c", KERNEL.format(root=str(ROOT)), cell])

    def asked(self, name: str) -> list:
        return [json.loads(line) for line in (self.site / name).read_text().splitlines()]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_set_up_cell_clones_the_course_and_installs_what_is_missing(machine):
    text = machine.set_up()
    assert "-m pip install --quiet" in text
    assert Path(text.splitlines()[-1]).resolve() == machine.folder / "course" / "musiclib" / "colab.py"
    [(wanted, kept)] = machine.asked("asked")
    assert wanted == ["unheard>=1.2"]
    assert {f"torch=={version('torch')}", f"ipywidgets=={version('ipywidgets')}"} <= set(kept)


def test_the_set_up_cell_installs_once(machine):
    machine.set_up()
    assert "$" not in machine.set_up()
    assert len(machine.asked("asked")) == 1


def test_fluidsynth_comes_from_apt_whose_list_may_be_old(machine):
    log = machine.folder / "apt"
    machine.script("apt-get", f"echo $1 >> {log}; while read word; do [ $word = update ] && exit; done < {log}; exit 1")
    assert "apt-get update" in machine.set_up()
    assert log.read_text().split() == ["install", "update", "install"]


def test_only_what_is_not_installed_is_missing():
    """A package in another version than asked for is not missing: Colab's own stays."""
    assert colab.missing(["torch==0.1.*", "numpy>=99", "pytest"]) == []
    assert colab.missing(["torch", "no-such-package-of-music>=1.2"]) == ["no-such-package-of-music>=1.2"]


def test_requirements_are_those_of_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["a>=1", "b"]\n')
    assert colab.requirements(tmp_path / "pyproject.toml") == ["a>=1", "b"]
    assert any(requirement.startswith("torch") for requirement in colab.requirements())


def test_nothing_is_missing_here():
    """So a second run of the set-up cell installs nothing."""
    assert colab.missing(colab.requirements()) == []


def test_it_needs_only_the_standard_library():
    """It runs where nothing is installed yet: -S leaves all site-packages out."""
    code = f"import runpy; runpy.run_path({colab.__file__!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_a_failing_command_is_shown_and_does_not_raise(capsys):
    assert not colab.run([sys.executable, "-c", "raise SystemExit(3)"])
    assert capsys.readouterr().out.startswith(f"$ {sys.executable} -c")
