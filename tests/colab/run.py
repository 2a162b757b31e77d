"""Runs the notebooks as Colab does: in /content, where the course is not, each from its own set-up cell on.

`.ci/colab` builds the environment and calls this with its Python; by hand: `bash .ci/colab 00 06` for two notebooks.
Every notebook gets an empty /content, as on a machine of its own; only what the first one installed stays. Tells the
seconds of each and fails if one failed, or if set-up replaced a package or installed anything twice.
"""

import os
import re
import shutil
import sys
import time
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # for the runner alone: a kernel finds the course only where its set-up cell puts it

from musiclib.kernels import AskingManager  # noqa: E402 found only there

CONTENT = Path("/content")
COURSE = CONTENT / "course"


def serve_repository(folder: Path) -> None:
    """Lets `git clone` of the course's address, in all that is started from here, clone this checkout's HEAD."""
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    config = folder / "gitconfig"
    config.write_text(f'[safe]\n\tdirectory = *\n[url "file://{ROOT}"]\n\tinsteadOf = {address}\n')
    os.environ["GIT_CONFIG_GLOBAL"] = str(config)


def installed() -> dict[str, str]:
    return {distribution.name: distribution.version for distribution in distributions()}


def execute(notebook: nbformat.NotebookNode) -> str:
    """Its error, or nothing."""
    resources = {"metadata": {"path": str(CONTENT)}}
    try:
        NotebookClient(
            notebook, timeout=600, kernel_name="python3", kernel_manager_class=AskingManager, resources=resources
        ).execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return plain(str(error))
    return ""


def plain(text: str) -> str:
    """Without colours, and without what a progress bar has overwritten."""
    return re.sub(r"\x1b\[[\d;]*[A-Za-z]|[^\n]*\r", "", text.replace("\r\n", "\n"))


def first_code(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return next(cell for cell in notebook.cells if cell.cell_type == "code")


def printed(cell: nbformat.NotebookNode) -> str:
    return plain("".join(output.text for output in cell.outputs if output.output_type == "stream"))


def check_set_up(notebook: nbformat.NotebookNode) -> list[str]:
    """What is wrong with the set-up cell, run twice on a machine that lacks part of the course's packages."""
    notebook = nbformat.v4.new_notebook(cells=[first_code(notebook)])
    before, wrong = installed(), []
    for turn in ("first", "second"):
        had = installed()
        if error := execute(notebook):
            return [error]
        text = printed(notebook.cells[0])
        print(f"--- {turn} set-up\n{text}---", flush=True)
        news = installed().keys() - had.keys()
        if ("pip install" in text) != (turn == "first") or bool(news) != (turn == "first"):
            wrong.append(f"the {turn} run of the set-up cell installed {sorted(news) or 'nothing'}")
    after = installed()
    replaced = [f"{name} {old}, now {after.get(name)}" for name, old in before.items() if after.get(name) != old]
    return wrong + [f"set-up replaced {package}" for package in replaced]


def main(only: list[str]) -> int:
    paths = sorted((ROOT / "notebooks").glob("*.ipynb")) + sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
    paths = [path for path in paths if not only or path.name.startswith(tuple(only))]
    if COURSE.exists():
        raise SystemExit(f"{COURSE} exists: this would remove it.")
    made = not CONTENT.exists()
    CONTENT.mkdir(exist_ok=True)
    serve_repository(Path(sys.prefix))
    os.environ |= {"MUSICLIB_PRESET": "quick", "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a kernel's warning about its debugger
    wrong = []
    try:
        wrong += check_set_up(nbformat.read(paths[0], as_version=4))
        for path in paths:
            shutil.rmtree(COURSE, ignore_errors=True)
            notebook, started = nbformat.read(path, as_version=4), time.monotonic()
            error = execute(notebook)
            name = path.relative_to(ROOT / "notebooks")
            verdict = "FAILED" if error else "passed"
            print(f"{verdict} {name} in {time.monotonic() - started:.0f} s {error}".rstrip(), flush=True)
            wrong += [f"{name} failed"] if error else []
    finally:
        shutil.rmtree(CONTENT if made else COURSE, ignore_errors=True)
    print(*wrong, f"{len(paths)} notebooks, {len(wrong)} complaints", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
