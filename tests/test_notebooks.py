"""What every notebook of the course must be, whatever it teaches. That they run is nbval's to say."""

import re
from pathlib import Path
from statistics import median

import nbformat
import pytest

from musiclib import badges, course

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))

notebooks = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def lines(cell):
    return len(cell.source.splitlines())


@notebooks
def test_is_valid(path):
    nbformat.validate(nbformat.read(path, as_version=4))


@notebooks
def test_set_up_cell_is_the_same_everywhere(path):
    assert cells(path, "code")[0].source == cells(PATHS[0], "code")[0].source


@notebooks
def test_badge_opens_this_notebook(path):
    links = re.findall(r"https://colab\.research\.google\.com/github/[^\s)\"]+", cells(path, "markdown")[0].source)
    assert links == [f"https://colab.research.google.com/github/{badges.repository()}/blob/main/notebooks/{path.name}"]


@notebooks
def test_is_stored_executed(path):
    """Every code cell ran, in order, in one go, without an error."""
    code = [cell for cell in cells(path, "code") if cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    errors = [output.ename for cell in code for output in cell.outputs if output.output_type == "error"]
    assert errors == []


@notebooks
def test_stores_no_widget_that_needs_its_kernel(path):
    kinds = {kind for cell in cells(path, "code") for output in cell.outputs for kind in output.get("data", ())}
    assert course.WIDGET not in kinds


@notebooks
def test_every_picture_has_an_alternative_text(path):
    """Of more than a few words, in the outputs and in the text."""
    told, html = [], ""
    for cell in cells(path, "code"):
        for output in cell.outputs:
            kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            told += [output.metadata.get(kind, {}).get("alt", "") for kind in kinds]
            html += "".join(output.get("data", {}).get("text/html", ""))
    told += re.findall(r"!\[([^]]*)\]", "\n".join(cell.source for cell in cells(path, "markdown")))
    told += [(re.search(r'alt="([^"]*)"', tag) or ("", ""))[1] for tag in re.findall(r"<img [^>]*>", html)]
    assert [text for text in told if len(text) < 8] == []


@notebooks
def test_size(path):
    assert path.stat().st_size <= 2 * 1024**2


@notebooks
def test_has_solutions(path):
    assert (FOLDER / "solutions" / path.name).exists()


@notebooks
def test_code_comes_in_small_pieces(path):
    """At most 25 lines a cell, half of the cells at most 8."""
    lengths = [lines(cell) for cell in cells(path, "code")]
    assert max(lengths) <= 25
    assert median(lengths) <= 8


@notebooks
def test_more_prose_than_code(path):
    assert len(cells(path, "markdown")) >= len(cells(path, "code"))


@notebooks
def test_has_exercises(path):
    assert sum("Exercise" in cell.source for cell in cells(path, "markdown")) >= 3
