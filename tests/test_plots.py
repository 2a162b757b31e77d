"""Pictures: the right number of panels, titled, and drawn without an error."""

import io
import re
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from musiclib import plots
from musiclib.pianoroll import Note, PianoRoll

X = torch.linspace(-90, 20, 128 * 32).view(128, 32)


def panels(figure):
    """Visible axes with a picture or curve, colour bars not counted."""
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


def assert_draws(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    assert file.getvalue().startswith(b"\x89PNG")
    assert not plt.get_fignums(), "an open figure would show twice in a notebook"


@pytest.mark.parametrize(
    ("pitch", "name"), [(60, "C4"), (69, "A4"), (21, "A0"), (108, "C8"), (61, "C♯4"), (70, "B♭4"), (59, "B3")]
)
def test_pitch_name(pitch, name):
    assert plots.pitch_name(pitch) == name


@pytest.mark.parametrize(("count", "columns"), [(1, None), (3, None), (5, 2)])
def test_spectrograms(count, columns):
    figure = plots.spectrograms([X] * count, [f"x{i}" for i in range(count)], columns)
    assert [axes.get_title() for axes in panels(figure)] == [f"x{i}" for i in range(count)]
    assert len({image.get_clim() for axes in panels(figure) for image in axes.images}) == 1
    assert_draws(figure)


def test_masks():
    figure = plots.masks([X, X], ["a", "b"])
    assert len(panels(figure)) == 2
    shown = panels(figure)[0].images[0].get_array()
    assert (shown == (X >= -30).numpy()).all()
    assert_draws(figure)


def test_decomposition():
    """Chord, two notes above; sum, two matched and three idle slots below."""
    figure = plots.decomposition(X, X, X.expand(5, -1, -1), X.expand(2, -1, -1), [3, 0], ["C4", "E4"])
    titles = [axes.get_title() for axes in panels(figure)]
    assert sorted(titles) == sorted(
        ["chord", "C4", "E4", "sum of slots", "slot 3", "slot 0", "slot 1 (idle)", "slot 2 (idle)", "slot 4 (idle)"]
    )
    assert_draws(figure)


def test_attention():
    figure = plots.attention(torch.rand(4, 128 * 2), bands=128, title="attention")
    assert [axes.images[0].get_array().shape for axes in panels(figure)] == [(128, 2)] * 4
    assert_draws(figure)


def test_piano_roll_with_reference():
    """Three notes of two instruments filled, the reference's one note outlined where it is."""
    notes = [Note(0.0, 1.0, 60), Note(1.0, 1.0, 64), Note(0.0, 2.0, 67, program=40)]
    figure = plots.piano_roll(notes, PianoRoll.from_notes([Note(0.5, 1.0, 62)]))
    (axes,) = panels(figure)
    assert [patch.get_x() for patch in axes.patches] == [0.0, 1.0, 0.0, 0.5]
    assert [patch.get_facecolor()[3] > 0 for patch in axes.patches] == [True, True, True, False]
    assert len({patch.get_facecolor() for patch in axes.patches[:3]}) == 2
    assert_draws(figure)
    assert_draws(plots.piano_roll([]))


def test_curves():
    figure = plots.curves({"a": [3.0, 2.0, 1.0] * 10, "b": [1.0] * 30}, "step", "loss", smooth=5, log=True)
    (axes,) = panels(figure)
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "loss"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert_draws(figure)


def test_bars():
    figure = plots.bars({"paper": {"x": 1.0, "y": 2.0}, "ours": {"x": 1.5, "y": 2.5}}, "MSE")
    (axes,) = panels(figure)
    assert sorted(patch.get_height() for patch in axes.patches) == [1.0, 1.5, 2.0, 2.5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y"]
    assert_draws(figure)


def seen(colour, cvd):
    """An sRGB colour as a reader with a colour vision deficiency sees it (Machado et al. 2009)."""
    vision = {"name": "sRGB1+CVD", "cvd_type": cvd, "severity": 100} if cvd else "sRGB1"
    return np.clip(cspace_convert(to_rgb(colour), vision, "sRGB1"), 0, 1)


VISION = pytest.mark.parametrize("cvd", [None, "deuteranomaly", "protanomaly", "tritanomaly"])


@VISION
@pytest.mark.parametrize("colours", [plots.BARS, plots.CYCLE], ids=["bars", "curves"])
def test_colours_that_mean_something_can_be_told_apart(cvd, colours):
    """By 10 units of CAM02-UCS; about 1 is just noticeable side by side."""
    distances = [deltaE(seen(a, cvd), seen(b, cvd), input_space="sRGB1") for a, b in combinations(colours, 2)]
    assert min(distances) > 10
    red_and_green = deltaE(seen("#d62728", "deuteranomaly"), seen("#2ca02c", "deuteranomaly"), input_space="sRGB1")
    assert red_and_green < 10  # matplotlib's own would not pass


AMOUNTS, TWO_SIDED = ("magma", "cividis", "viridis", "Greys", "Blues"), ("RdBu_r", "PuOr_r")


@VISION
@pytest.mark.parametrize("name", AMOUNTS)
def test_colour_maps_of_amounts_grow_steadily_darker_or_lighter(cvd, name):
    """So more and less can be told by brightness alone, and in print."""
    colours = [seen(colour[:3], cvd) for colour in plt.get_cmap(name)(np.linspace(0, 1, 32))]
    lightness = cspace_convert(np.array(colours), "sRGB1", "CAM02-UCS")[:, 0]
    steps = np.diff(lightness)
    assert (steps > -0.3).all() or (steps < 0.3).all()
    assert abs(lightness[-1] - lightness[0]) > 50


@VISION
@pytest.mark.parametrize("name", TWO_SIDED)
def test_colour_maps_with_a_middle_have_two_sides(cvd, name):
    ends = [seen(plt.get_cmap(name)(place)[:3], cvd) for place in (0.1, 0.9)]
    assert deltaE(*ends, input_space="sRGB1") > 20


def test_no_other_colour_maps_are_used():
    """In the library, the notebooks and their solutions."""
    root = Path(__file__).resolve().parent.parent
    files = [*(root / "musiclib").rglob("*.py"), *(root / "notebooks").rglob("*.ipynb")]
    names = {name for path in files for name in re.findall(r'(?:cmap=|get_cmap\()\\?"(\w+)', path.read_text())}
    assert "magma" in names
    assert {name.removesuffix("_r") for name in names} <= {name.removesuffix("_r") for name in AMOUNTS + TWO_SIDED}


def test_a_film_says_what_happens_in_it():
    data, metadata = plots.film([X, -X], "An animation: it turns around.")._repr_mimebundle_()
    assert data["image/gif"]
    assert metadata["image/gif"]["alt"] == "An animation: it turns around."
