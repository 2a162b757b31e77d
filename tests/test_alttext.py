"""What a screen reader says of a figure: all that is drawn, in words, whatever is drawn."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib import plots
from musiclib.alttext import describe
from musiclib.pianoroll import Note


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_a_curve_with_its_ends_and_turns(axes):
    axes.plot([0, 10, 20], [3, 1, 2], label="loss")
    axes.set(title="Learning", xlabel="step", ylabel="nats", xlim=(0, 20), ylim=(0, 4))
    text = "“Learning”, a curve “loss” from 3 to 2, between 1 and 3, step from 0 to 20, nats from 1 to 3."
    assert describe(axes.figure) == text


def test_curves_without_a_name_are_counted_and_guides_are_not(axes):
    for height in range(5):
        axes.plot([0, 1, 2], [height, height + 1, height])
    axes.axhline(3)
    axes.axvline(1)
    assert "5 curves between 0 and 5" in describe(axes.figure)


def test_an_error_bar_is_one_row_of_points(axes):
    axes.errorbar([0, 1, 2], [1, 5, 2], yerr=0.5, fmt="o", capsize=3, label="ours")
    assert describe(axes.figure).startswith("points “ours” from 1 to 2, between 1 and 5, ")
    assert describe(axes.figure).count("points") == 1


def test_bars_with_their_names(axes):
    axes.bar(["violin", "flute"], [0.25, 0.5], label="F1")
    assert "bars “F1”: violin 0.25, flute 0.5" in describe(axes.figure)


def test_images_and_their_colours(axes):
    axes.figure.colorbar(axes.imshow([[-60.0, 30.0]]), label="dB")
    text = describe(axes.figure)
    assert "an image with values between -60 and 30" in text
    assert text.endswith("Colours: dB.")
    assert "panels" not in text


def test_words_of_a_drawing(axes):
    axes.axis("off")
    axes.text(0, 0, "state 1")
    assert describe(axes.figure) == "a drawing with the words state 1."


def test_panels_are_numbered_and_those_left_empty_are_not_counted():
    figure, grid = plt.subplots(2, 2)
    for n, axes in enumerate(grid.flat[:3]):
        axes.set_title(f"slot {n}")
    grid.flat[3].axis("off")
    text = describe(figure)
    plt.close(figure)
    assert text.startswith("3 panels. Panel 1: “slot 0”")
    assert "Panel 4" not in text


def test_a_piano_roll_is_told_as_blocks():
    figure = plots.piano_roll([Note(k * 0.5, 0.5 + k, 60 + k) for k in range(4)])
    assert "4 blocks, their lengths between 0.5 and 3.5" in describe(figure)


VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=5)


@given(VALUES, VALUES.filter(len), st.text(max_size=5))
@settings(max_examples=30, deadline=None)
def test_whatever_is_drawn_is_told(curve, bars, title):
    """Nothing to see, nothing finite, odd names: a sentence that ends, in one line."""
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(curve)
    left.set_title(title.replace("$", ""))
    right.bar(np.arange(len(bars)), np.nan_to_num(bars, posinf=1, neginf=0))
    right.imshow(np.full((2, 2), np.nan))
    text = describe(figure)
    plt.close(figure)
    assert text.startswith("2 panels. Panel 1: ")
    assert text.endswith(".")
    assert "\n" not in text
    assert "from inf" not in text


@pytest.mark.slow
def test_a_kernel_stores_it_with_the_picture(monkeypatch):
    """By both ways on which notebooks show pictures: as a cell's last line, and by `show`."""
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND")  # a notebook's own
    code = (
        "from musiclib.course import begin\nbegin()\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\n"
    )
    cells = [
        nbformat.v4.new_code_cell(f"{code}axes.set_title('heard')\nplt.show()"),
        nbformat.v4.new_code_cell("figure"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    pictures = [o for cell in cells for o in cell.outputs if "image/png" in o.get("data", {})]
    assert ["heard" in picture.metadata["image/png"]["alt"] for picture in pictures] == [True, True]
