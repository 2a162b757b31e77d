"""The course as a whole: the banner that opens every notebook, and the run of all notebooks in order."""

import base64
import io
import os
import re
import time
from html import escape
from pathlib import Path

import matplotlib
import nbformat
import torch
import torchaudio
from PIL import Image

import musiclib
from musiclib import alttext, plots
from musiclib.paths import ROOT, atomic
from musiclib.presets import Preset, current_preset, default_device

NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build" / "course"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT_S = {"quick": 600, "colab": 4 * 3600, "paper": None}


def begin() -> tuple[Preset, torch.device]:
    """The last line of every notebook's set-up cell: says what runs here and what its numbers mean."""
    preset, device = current_preset(), default_device()
    torch.manual_seed(0)
    alttext.register()
    matplotlib.rcParams |= {"figure.dpi": 90, "savefig.dpi": 90, "font.size": 9}
    matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=plots.CYCLE)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    print(f"Deep Music by Ear · musiclib {musiclib.__version__} · torch {torch.__version__}"
          f" · torchaudio {torchaudio.__version__} · {where}")  # fmt: skip
    print(f"preset {preset.name}: {preset.meaning}")
    return preset, device


def run(output: Path = BUILD, only: list[str] | None = None, write_back: bool = False) -> int:
    """Executes the notebooks in order, each in its own kernel, and writes their pages and an index.

    Returns:
        How many failed; their pages end at the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert import HTMLExporter

    from musiclib.kernels import AskingManager

    preset = current_preset()
    output.mkdir(parents=True, exist_ok=True)
    paths = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if not only or p.name.startswith(tuple(only))]
    print(f"Running {len(paths)} notebooks in preset {preset.name}.", flush=True)
    pages, failures = [], 0
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} … ", end="", flush=True)
        notebook, started = nbformat.read(path, as_version=4), time.monotonic()
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S[preset.name],
            kernel_name="python3",
            kernel_manager_class=AskingManager,
            resources={"metadata": {"path": NOTEBOOKS}},
        )
        try:
            client.execute()
            verdict = "done"
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            verdict, failures = f"FAILED\n{error}", failures + 1
        wall_s = time.monotonic() - started
        print(f"{verdict} in {wall_s:.0f} s", flush=True)
        still_widgets(notebook)
        shrink_pictures(notebook)
        page = HTMLExporter().from_notebook_node(notebook)[0]
        _write(output / path.name, nbformat.writes(notebook) + "\n")
        _write(output / f"{path.stem}.html", page)
        if write_back and verdict == "done":
            _write(path, nbformat.writes(notebook) + "\n")
        pages.append((path.stem, title(notebook), wall_s, verdict))
    _write(output / "index.html", _index(pages, preset))
    for path in (NOTEBOOKS / "solutions").glob("*.ipynb"):  # the pages link to them
        _write(output / "solutions" / path.name, path.read_text(encoding="utf-8"))
    return failures


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def still_widgets(notebook: nbformat.NotebookNode) -> None:
    """Stores a sentence for each widget: without its kernel a front end would show an error in its place."""
    notebook.metadata.pop("widgets", None)  # their state: large, and dead on static pages
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(WIDGET, None) and re.match(r"\w+\(", data["text/plain"]):  # its code; some have a sentence
                empty = data["text/plain"] == "Output()"  # where another widget's result goes
                data["text/plain"] = "" if empty else "Something to turn: run this cell in Jupyter to use it."


def shrink_pictures(notebook: nbformat.NotebookNode) -> None:
    """Stores the pictures of all outputs with 256 colours each, where that is smaller: about a third."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                png = base64.b64decode(output.data["image/png"])
                file = io.BytesIO()
                whole = Image.open(io.BytesIO(png)).convert("RGB")
                whole.quantize(256, Image.Quantize.MAXCOVERAGE).save(file, "PNG", optimize=True)  # keeps rare colours
                output.data["image/png"] = base64.b64encode(min(png, file.getvalue(), key=len)).decode()


def title(notebook: nbformat.NotebookNode) -> str:
    """The first heading of a notebook."""
    lines = notebook.cells[0].source.splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "untitled")


def _index(pages: list[tuple[str, str, float, str]], preset: Preset) -> str:
    rows = "".join(
        f'<li><a href="{stem}.html">{escape(heading)}</a> <small>{wall_s:.0f} s, {verdict.splitlines()[0]}</small></li>'
        for stem, heading, wall_s, verdict in pages
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Deep Music by Ear</title>'
        '<body style="font:17px/1.6 system-ui;max-width:44em;margin:3em auto;padding:0 1em">'
        "<h1>Deep Music by Ear</h1><p>Four generative music systems in notebooks.</p>"
        f"<p>Executed in preset <b>{preset.name}</b>: {escape(preset.meaning)}</p><ul>{rows}</ul></body></html>\n"
    )
