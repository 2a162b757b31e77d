"""The GPU run goes on where it stopped: passed notebooks are not run again, and time that is over ends it."""

from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from musiclib import course, gpu
from musiclib.presets import QUICK

pytestmark = pytest.mark.slow


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    monkeypatch.setattr(gpu, "PASSED", tmp_path / "gpu.json")

    def write(name: str, source: str):
        nbformat.write(new_notebook(cells=[new_code_cell(source)]), folder / f"{name}.ipynb")

    return write


def system(*names: str):
    """A system whose experiments take no time, and the names of those that were trained."""
    trained = []
    experiments = [SimpleNamespace(name=name, run_name=lambda size, name=name: f"{name}-{size}") for name in names]

    def train(experiment, size, budget_s):
        trained.append(experiment.name)
        return budget_s > 0

    left = lambda size: [e for e in experiments if e.name not in trained]  # noqa: E731
    return SimpleNamespace(missing=left, train=train), trained


def test_notebooks_run_once_and_then_experiments(notebooks, tmp_path, capfd):
    notebooks("01_fine", "import os; assert os.environ['MUSICLIB_PRESET'] == 'quick'")
    fake, trained = system("a", "b")
    assert gpu.run(QUICK, {"fake": fake}, 300)
    assert trained == ["a", "b"]
    assert gpu.run(QUICK, {"fake": fake}, 300)
    assert "01_fine.ipynb: passed before" in capfd.readouterr().out
    notebooks("01_fine", "1 + 1")  # changed, so it runs again
    assert gpu.run(QUICK, {"fake": fake}, 300)
    assert "passed before" not in capfd.readouterr().out


def test_a_notebook_that_fails_is_named_and_the_rest_is_done(notebooks):
    notebooks("01_broken", "raise RuntimeError")
    notebooks("02_fine", "1 + 1")
    fake, trained = system("a")
    with pytest.raises(ValueError, match=r"01_broken\.ipynb"):
        gpu.run(QUICK, {"fake": fake}, 300)
    assert trained == ["a"]
    assert "02_fine.ipynb" in gpu.PASSED.read_text()
    assert "01_broken.ipynb" not in gpu.PASSED.read_text()


def test_it_stops_when_its_time_is_over(notebooks):
    notebooks("01_long", "import time; time.sleep(600)")
    fake, trained = system("a")
    assert not gpu.run(QUICK, {"fake": fake}, 8)
    assert trained == []
    assert not gpu.PASSED.exists()
