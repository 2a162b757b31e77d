"""The course runner, on a folder of tiny notebooks."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from musiclib import course


def notebook(heading, code):
    return new_notebook(cells=[new_markdown_cell(f"# {heading}\n\ntext"), new_code_cell(code)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook("Good <music>", "print('sounds', 6 * 7)"), folder / "00_good.ipynb")
    nbformat.write(notebook("Bad music", "1 / 0"), folder / "01_bad.ipynb")
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    return folder


def test_title():
    assert course.title(notebook("Slots & sounds", "")) == "Slots & sounds"
    assert course.title(new_notebook(cells=[new_markdown_cell("## no first heading")])) == "untitled"


def test_banner(capsys, monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    preset, _ = course.begin()
    out = capsys.readouterr().out
    assert preset.name == "quick"
    assert "Deep Music by Ear" in out
    assert f"preset quick: {preset.meaning}" in out


def test_pictures_are_stored_smaller_and_look_the_same():
    """A noisy colour picture: a palette of 256 is smaller, and no pixel is far off."""
    rng = np.random.default_rng(0)
    pixels = np.clip(np.linspace(0, 255, 200)[:, None, None] + rng.normal(0, 3, (200, 200, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    page = new_notebook(cells=[new_code_cell("", outputs=[new_output("display_data", data)]), new_markdown_cell("")])
    course.shrink_pictures(page)
    stored = base64.b64decode(page.cells[0].outputs[0].data["image/png"])
    assert len(stored) < 0.6 * len(file.getvalue())
    difference = np.asarray(Image.open(io.BytesIO(stored)).convert("RGB")).astype(int) - pixels
    assert np.abs(difference).mean() < 4
    course.shrink_pictures(page)  # and once more changes nothing for the worse
    assert len(base64.b64decode(page.cells[0].outputs[0].data["image/png"])) <= len(stored)


def test_rare_colours_are_kept():
    """A spectrogram's few loud pixels are what one looks at."""
    pixels = np.random.default_rng(0).integers(0, 60, (200, 200, 3)).astype(np.uint8)
    pixels[100, :8] = [[250 - 10 * k, 200 - 20 * k, 5 * k] for k in range(8)]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    page = new_notebook(cells=[new_code_cell("", outputs=[new_output("display_data", data)])])
    course.shrink_pictures(page)
    stored = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(page.cells[0].outputs[0].data["image/png"]))).convert("RGB")
    )
    assert np.abs(stored[100, :8].astype(int) - pixels[100, :8]).max() < 12


def test_widgets_are_stored_as_a_sentence():
    texts = {"IntSlider(value=3, max=5)": "Something to turn", "Output()": "", "A test: run this cell.": "A test: run"}
    for text, stored in texts.items():
        data = {course.WIDGET: {"model_id": "x"}, "text/plain": text}
        page = new_notebook(
            cells=[new_markdown_cell(""), new_code_cell("", outputs=[new_output("display_data", data)])]
        )
        page.metadata["widgets"] = {"state": {}}
        course.still_widgets(page)
        shown = page.cells[1].outputs[0].data
        assert list(shown) == ["text/plain"]
        assert shown["text/plain"].startswith(stored)
        assert bool(stored) == bool(shown["text/plain"])
        assert "widgets" not in page.metadata
    text_output = new_notebook(cells=[new_code_cell("", outputs=[new_output("stream", text="f(x)")])])
    course.still_widgets(text_output)
    assert text_output.cells[0].outputs[0].text == "f(x)"


@pytest.mark.slow
def test_pages_and_index(folder, tmp_path, monkeypatch, capsys):
    """Both run, each with its page; the one that fails is counted, and its page ends at the error."""
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    source = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert course.run(tmp_path / "out") == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert "sounds 42" in (tmp_path / "out" / "00_good.html").read_text()
    assert "ZeroDivisionError" in (tmp_path / "out" / "01_bad.html").read_text()
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'href="00_good.html">Good &lt;music&gt;</a>' in index
    assert 'href="01_bad.html">Bad music</a>' in index
    assert "FAILED" in index
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == source


@pytest.mark.slow
def test_write_back_of_chosen_notebooks(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    assert course.run(tmp_path / "out", only=["00"], write_back=True) == 0
    stored = nbformat.read(folder / "00_good.ipynb", as_version=4)
    assert stored.cells[1].outputs[0].text == "sounds 42\n"
    assert stored.cells[1].execution_count == 1
    assert not (tmp_path / "out" / "01_bad.html").exists()


@pytest.mark.slow
def test_a_cell_that_takes_too_long_is_a_failure(folder, tmp_path, monkeypatch, capsys):
    """The others still run, and the index says which one it was."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time; time.sleep(60)")])
    nbformat.write(notebook, folder / "01_bad.ipynb")
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    monkeypatch.setitem(course.CELL_TIMEOUT_S, "quick", 3)
    assert course.run(tmp_path / "out") == 1
    assert "timed out" in capsys.readouterr().out
    assert "FAILED" in (tmp_path / "out" / "index.html").read_text()
