"""Set-up on Colab adds what is missing and never replaces what is there."""

import subprocess
import sys

import pytest

from musiclib import colab


def test_only_what_is_not_installed_is_missing():
    """A package in another version than asked for is not missing: Colab's own stays."""
    assert colab.missing(["torch==0.1.*", "numpy>=99", "pytest"]) == []
    assert colab.missing(["torch", "no-such-package-of-music>=1.2"]) == ["no-such-package-of-music>=1.2"]


def test_requirements_are_those_of_pyproject(tmp_path):
    pytest.importorskip("tomllib")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["a>=1", "b"]\n')
    assert colab.requirements(tmp_path / "pyproject.toml") == ["a>=1", "b"]
    assert any(requirement.startswith("torch==") for requirement in colab.requirements())


def test_nothing_is_missing_here():
    """So a second run of the set-up cell installs nothing."""
    pytest.importorskip("tomllib")
    assert colab.missing(colab.requirements()) == []


def test_it_needs_only_the_standard_library():
    """It runs where nothing is installed yet: -S leaves all site-packages out."""
    code = f"import runpy; runpy.run_path({colab.__file__!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_a_failing_command_is_shown_and_does_not_raise(capsys):
    colab.run([sys.executable, "-c", "raise SystemExit(3)"])
    assert capsys.readouterr().out.startswith(f"$ {sys.executable} -c")
