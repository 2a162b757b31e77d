"""Alternative text for pictures: what a screen reader says in a figure's place.

Written from the figure itself, so none is forgotten and none is out of date: titles, axes with their ranges, and where
curves begin, end and turn. Stored with the picture as nbconvert's `alt`, from which the pages take it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

MOST_PANELS, MOST_PARTS = 6, 6


def describe(figure: Figure) -> str:
    """A figure in a few sentences, one for each panel."""
    bars_of_colour = [axes for axes in figure.axes if hasattr(axes, "_colorbar")]
    panels = [axes for axes in figure.axes if axes not in bars_of_colour and (axes.axison or axes.texts)]
    sentences = [figure.get_suptitle()] if figure.get_suptitle() else []
    told = [_panel(axes, figure.get_supxlabel(), figure.get_supylabel()) for axes in panels[:MOST_PANELS]]
    if len(panels) > 1:
        sentences.append(f"{len(panels)} panels")
        told = [f"Panel {number}: {text}" for number, text in enumerate(told, start=1)]
    sentences += told
    if more := list(filter(None, map(_title, panels[MOST_PANELS:]))):
        sentences.append(f"Further panels: {_list(more)}")
    sentences += [f"Colours: {axes.get_ylabel()}" for axes in bars_of_colour[:1] if axes.get_ylabel()]
    return ". ".join(sentences or ["A drawing"]) + "."


def _panel(axes: Axes, x_label: str, y_label: str) -> str:
    parts = [*_images(axes), *_curves(axes), *_bars(axes), *_clouds(axes)]
    if not parts:
        words = [text.get_text() for text in axes.texts if text.get_text().strip()]
        parts = [f"a drawing with the words {_list(words)}" if words else "a drawing"]
    ranges = [_axis(axes.xaxis, x_label, "x"), _axis(axes.yaxis, y_label, "y")] if axes.axison else []
    return ", ".join(filter(None, (_title(axes), _list(parts, "; "), *ranges)))


def _list(parts: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(parts) - MOST_PARTS} more"] if len(parts) > MOST_PARTS else []
    return separator.join([*map(str, parts[:MOST_PARTS]), *more])


def _title(axes: Axes) -> str:
    title = " ".join(" ".join(axes.get_title(where) for where in ("left", "center", "right")).split())
    return f"“{title}”" if title else ""


def _axis(axis, shared_label: str, name: str) -> str:
    """Its label and, where it counts something, from where to where."""
    label = " ".join((axis.get_label_text() or shared_label or name).split())
    names = [tick.get_text() for tick in axis.get_ticklabels()]
    if not names or any(text and not any(character.isdigit() for character in text) for text in names):  # categories
        return "" if label == name else label
    seen, drawn = sorted(axis.get_view_interval()), axis.get_data_interval()
    low, high = np.clip(drawn, *seen) if np.isfinite(drawn).all() else seen  # without the margin
    return f"{label} from {_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _span(values: Iterable[float]) -> str:
    low, high = min(values), max(values)
    return f"between {_number(low)} and {_number(high)}"


def _images(axes: Axes) -> Iterable[str]:
    meshes = [part for part in axes.collections if isinstance(part, QuadMesh)]
    for values in (image.get_array() for image in [*axes.images, *meshes]):
        if values is not None and np.ma.count(values):
            yield f"an image with values {_span([values.min(), values.max()])}"


def _curves(axes: Axes) -> Iterable[str]:
    """Those with a name one by one, the others too if they are few. An error bar's ends say nothing of their own."""
    errors = {bar.lines[0]: bar.get_label() for bar in axes.containers if isinstance(bar, ErrorbarContainer)}
    ends = {cap for bar in axes.containers if isinstance(bar, ErrorbarContainer) for cap in bar.lines[1]}
    nameless = []
    for line in (line for line in axes.lines if line not in ends):
        x, y = (np.asarray(values, float) for values in line.get_data())
        y = y[np.isfinite(y)]
        if y.size == 0 or (y.size <= 2 and (np.ptp(x) == 0 or np.ptp(y) == 0)):
            continue  # a guide: an axis, a bar line, a threshold
        label = errors.get(line) or line.get_label()
        label = "" if label.startswith("_") else f" “{label}”"
        turns = f", {_span(y)}" if {y.min(), y.max()} - {y[0], y[-1]} else ""
        kind = "points" if line.get_linestyle() == "None" else "a curve"
        told = f"{kind}{label} from {_number(y[0])} to {_number(y[-1])}{turns}"
        if label:
            yield told
        else:
            nameless.append((told, y))
    if len(nameless) > 2:
        yield f"{len(nameless)} curves {_span(np.concatenate([y for _, y in nameless]))}"
    else:
        yield from (told for told, _ in nameless)


def _bars(axes: Axes) -> Iterable[str]:
    """With their names where there are few; those that are drawn one by one count together."""
    groups = [part for part in axes.containers if isinstance(part, BarContainer) and len(part)]
    blocks = [
        group for group in groups if len({bar.get_x() for bar in group}) > 1 and group.orientation == "horizontal"
    ]
    for group in blocks:  # a piano roll: where each begins matters
        groups.remove(group)
        yield f"{len(group)} blocks, their lengths {_span(_lengths(group))}"
    if len(groups) > MOST_PARTS:
        yield f"{sum(map(len, groups))} bars {_span([length for group in groups for length in _lengths(group)])}"
        return
    for group in groups:
        axis = axes.yaxis if group.orientation == "horizontal" else axes.xaxis
        names, lengths = [text.get_text() for text in axis.get_ticklabels()], _lengths(group)
        label = "" if group.get_label().startswith("_") else f" “{group.get_label()}”"
        if len(names) == len(lengths) <= MOST_PARTS:
            named = (f"{name} {_number(length)}" for name, length in zip(names, lengths, strict=True))
            yield f"bars{label}: {', '.join(named)}"
        else:
            yield f"{len(lengths)} bars{label} {_span(lengths)}"


def _lengths(bars: BarContainer) -> list[float]:
    return [bar.get_width() if bars.orientation == "horizontal" else bar.get_height() for bar in bars]


def _clouds(axes: Axes) -> Iterable[str]:
    for points in axes.collections:
        if isinstance(points, PathCollection) and len(points.get_offsets()):
            label = "" if points.get_label().startswith("_") else f" “{points.get_label()}”"
            yield f"{len(points.get_offsets())} points{label}"


def register() -> None:
    """From now on this kernel's pictures carry their text; outside of IPython nothing happens."""
    from IPython import get_ipython

    if shell := get_ipython():
        told = shell.display_formatter.mimebundle_formatter
        told.for_type(Figure, lambda figure, **_: ({}, {"image/png": {"alt": describe(figure)}}))
