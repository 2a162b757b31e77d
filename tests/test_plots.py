"""Pictures: the right number of panels, titled, and drawn without an error."""

import io

import matplotlib.pyplot as plt
import pytest
import torch

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
