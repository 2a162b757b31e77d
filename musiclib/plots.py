"""Every picture of the course. Functions draw and return a matplotlib figure; they compute nothing but the picture.

Spectrograms: bands upwards, time to the right, one colour scale within a figure, colours that colour-blind readers
can tell apart.
"""

import io
from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from musiclib.pianoroll import Note, PianoRoll
from musiclib.spectrogram import HOP_SAMPLES, MASK_THRESHOLD_DB
from musiclib.synth import SAMPLE_RATE_HZ

LOWEST_DB, HIGHEST_DB = -60.0, 30.0
FRAME_S = HOP_SAMPLES / SAMPLE_RATE_HZ
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # Okabe and Ito
BARS = (BLUE, ORANGE, GREY, "#56B4E9")
CYCLE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # for curves that choose none
NOTE_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


def pitch_name(pitch: int) -> str:
    """MIDI 60 → C4."""
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _image(axes: Axes, picture: Tensor, title: str, **options):
    picture = picture.detach().cpu().float().squeeze()
    extent = (0, picture.shape[1] * FRAME_S, 0, picture.shape[0])
    image = axes.imshow(picture, origin="lower", aspect="auto", extent=extent, interpolation="nearest", **options)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    return image


def spectrogram(axes: Axes, db: Tensor, title: str = "", low_db: float = LOWEST_DB, high_db: float = HIGHEST_DB):
    """One dB spectrogram (F, T) on given axes; returns the image, for a colour bar."""
    return _image(axes, db, title, cmap="magma", vmin=low_db, vmax=high_db)


def spectrograms(pictures: Sequence[Tensor], titles: Sequence[str], columns: int | None = None) -> Figure:
    """Spectrograms (F, T) in dB side by side, with one colour bar."""
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.9 * columns + 0.8, 2.1 * rows + 0.3), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes in grid.flat[len(pictures) :]:
        axes.axis("off")
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=False):
        image = spectrogram(axes, picture, title)
    figure.colorbar(image, ax=grid, label="dB", fraction=0.03, pad=0.01)
    figure.supxlabel("time in s", fontsize=8)
    figure.supylabel("mel band", fontsize=8)
    plt.close(figure)
    return figure


def masks(pictures: Sequence[Tensor], titles: Sequence[str], threshold_db: float = MASK_THRESHOLD_DB) -> Figure:
    """Where spectrograms (F, T) reach the threshold."""
    figure, grid = plt.subplots(
        1, len(pictures), figsize=(1.9 * len(pictures), 2.2), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=True):
        _image(axes, picture >= threshold_db, title, cmap="Greys", vmin=0, vmax=1)
    figure.supxlabel("time in s", fontsize=8)
    figure.supylabel("mel band", fontsize=8)
    plt.close(figure)
    return figure


def decomposition(
    chord: Tensor,
    reconstruction: Tensor,
    slots: Tensor,
    notes: Tensor,
    slot_of_note: Sequence[int],
    names: Sequence[str],
) -> Figure:
    """A chord taken apart: the true notes above, the slots they were matched with below, idle slots last.

    Args:
        chord, reconstruction: (F, T) dB. slots: (K, F, T) dB. notes: (n, F, T) dB.
        slot_of_note: for each note its slot. names: of the notes.
    """
    idle = [k for k in range(len(slots)) if k not in slot_of_note]
    columns = 1 + len(slots)
    figure, grid = plt.subplots(
        2, columns, figsize=(1.55 * columns + 0.6, 4.2), sharex=True, sharey=True, layout="constrained"
    )
    spectrogram(grid[0, 0], chord, "chord")
    image = spectrogram(grid[1, 0], reconstruction, "sum of slots")
    for column, (note, k, name) in enumerate(zip(notes, slot_of_note, names, strict=True), start=1):
        spectrogram(grid[0, column], note, name)
        spectrogram(grid[1, column], slots[k], f"slot {k}")
    for column, k in enumerate(idle, start=1 + len(notes)):
        grid[0, column].axis("off")
        spectrogram(grid[1, column], slots[k], f"slot {k} (idle)")
    figure.colorbar(image, ax=grid, label="dB", fraction=0.03, pad=0.01)
    figure.supxlabel("time in s", fontsize=8)
    figure.supylabel("mel band", fontsize=8)
    plt.close(figure)
    return figure


def attention(weights: Tensor, bands: int, title: str = "") -> Figure:
    """Slot attention (K, N) over a grid of N = bands × frames tokens: one map per slot, one colour scale."""
    maps = weights.detach().cpu().float().unflatten(1, (bands, -1))
    figure, grid = plt.subplots(
        1, len(maps), figsize=(1.1 * len(maps) + 0.8, 2.6), sharey=True, squeeze=False, layout="constrained"
    )
    for k, (axes, weight) in enumerate(zip(grid.flat, maps, strict=True)):
        image = axes.imshow(weight, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=float(maps.max()))
        axes.set_title(f"slot {k}", fontsize=9)
        axes.set_xticks([])
    figure.colorbar(image, ax=grid, label="weight", fraction=0.05, pad=0.01)
    figure.supylabel("band of the token", fontsize=8)
    figure.suptitle(title, fontsize=10)
    plt.close(figure)
    return figure


def rolls(
    pictures: Sequence[Tensor], titles: Sequence[str], low: float = 0.0, high: float = 1.0, columns: int = 1
) -> Figure:
    """Rolls of the piano's 88 keys as numbers, (88, T), one colour scale: predictions, noisy rolls, differences."""
    rows = -(-len(pictures) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(6.4, 1.3 * rows + 0.5), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    signed = {"cmap": "PuOr_r"} if low < 0 else {"cmap": "magma"}
    for axes in grid.flat[len(pictures) :]:
        axes.axis("off")
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=False):
        image = _image(axes, picture, title, vmin=low, vmax=high, **signed)
    octaves = range(3, 88, 24)  # C1, C3, C5, C7
    grid[0, 0].set_yticks([key + 0.5 for key in octaves], [pitch_name(21 + key) for key in octaves])
    figure.colorbar(image, ax=grid, fraction=0.03, pad=0.01)
    figure.supxlabel("time in s", fontsize=8)
    plt.close(figure)
    return figure


def film(
    pictures: Sequence[Tensor], alt: str, low: float = 0.0, high: float = 1.0, picture_s: float = 0.25, scale: int = 2
):
    """Pictures (F, T) one after the other as an animated GIF, which plays wherever pictures show; the last stays.

    `alt` tells what happens in it to those who do not see it. In eight colours, since noise in more of them makes a
    file of megabytes.
    """
    from IPython.display import Image as Shown  # not above: the package works without a notebook
    from PIL import Image

    colours = plt.get_cmap("magma")
    frames = []
    for picture in pictures:
        level = ((picture.detach().cpu().float().flip(0) - low) / (high - low)).clamp(0, 1).numpy()
        level = (7 * level).round() / 7
        image = Image.fromarray((colours(level)[..., :3] * 255).astype("uint8")).convert("P", palette=Image.ADAPTIVE)
        frames.append(image.resize((picture.shape[1] * scale, picture.shape[0] * scale), Image.NEAREST))
    durations = [round(1000 * picture_s)] * (len(frames) - 1) + [2000]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return Shown(data=file.getvalue(), format="gif", metadata={"alt": alt})


def piano_roll(notes: Sequence[Note] | PianoRoll, reference: Sequence[Note] | PianoRoll = ()) -> Figure:
    """Notes as bars, pitch upwards, time to the right, one colour per instrument; a reference as outlines over them."""
    notes, reference = (x.notes() if isinstance(x, PianoRoll) else x for x in (notes, reference))
    figure, axes = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
    programs = sorted({note.program for note in notes})
    for number, program in enumerate(programs):
        _bars(axes, [note for note in notes if note.program == program], color=(BLUE, ORANGE, GREY)[number % 3])
    _bars(axes, reference, facecolor="none", edgecolor="black", linewidth=0.8)
    pitches = [note.pitch for note in (*notes, *reference)] or [60]
    octaves = range(min(pitches) // 12 * 12, max(pitches) + 12, 12)
    axes.set_yticks(octaves, [pitch_name(pitch) for pitch in octaves])
    axes.set(xlabel="time in s", ylabel="pitch")
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def _bars(axes: Axes, notes: Sequence[Note], **look) -> None:
    """Bars as long as the notes; a white edge tells a note from the next of its pitch."""
    look = {"edgecolor": "white", "linewidth": 0.5} | look
    axes.barh([n.pitch for n in notes], [n.duration_s for n in notes], left=[n.onset_s for n in notes], **look)


def curves(series: dict[str, Sequence[float]], xlabel: str, ylabel: str, smooth: int = 1, log: bool = False) -> Figure:
    """Named curves over their index, faint as they are and bold as a running mean of `smooth` points."""
    figure, axes = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    for (name, values), colour in zip(series.items(), cycle(CYCLE), strict=False):
        values = np.asarray(values)
        if smooth > 1 and len(values) > smooth:
            axes.plot(values, color=colour, alpha=0.25, linewidth=0.8)
            mean = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
            axes.plot(np.arange(len(mean)) + smooth // 2, mean, color=colour, label=name)
        else:
            axes.plot(values, color=colour, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def bars(groups: dict[str, dict[str, float]], ylabel: str, title: str = "") -> Figure:
    """Grouped bars: {series: {category: value}}."""
    figure, axes = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    width = 0.8 / len(groups)
    for number, (name, values) in enumerate(groups.items()):
        places = np.arange(len(values)) + (number - (len(groups) - 1) / 2) * width
        drawn = axes.bar(places, list(values.values()), width, label=name, color=BARS[number % 4])
        axes.bar_label(drawn, fmt="%.3g", fontsize=7)
    axes.set_xticks(range(len(values)), list(values))
    axes.set(ylabel=ylabel, title=title)
    figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=len(groups))
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def shares(points: dict[str, tuple[float, float, float]], targets: dict[str, float], xlabel: str) -> Figure:
    """Shares with their intervals, one row each from the top down: {name: (share, low, high)}; targets as lines."""
    figure, axes = plt.subplots(figsize=(6.4, 1.3 + 0.32 * len(points)), layout="constrained")
    for row, (share, low, high) in enumerate(points.values()):
        axes.plot([low, high], [row, row], color=BLUE, linewidth=2, solid_capstyle="butt")
        axes.plot(share, row, "o", color=BLUE, markersize=7)
    for (name, value), style in zip(targets.items(), ("--", ":"), strict=False):
        axes.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=f"{name}, {value:.0%}")
    axes.set_yticks(range(len(points)), list(points))
    axes.set(xlim=(-0.02, 1.02), ylim=(len(points) - 0.5, -0.5), xlabel=xlabel)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=len(targets))
    axes.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
