"""The course for a class: a folder in which nbgrader releases the exercises and grades them in bulk.

Each chapter is an assignment. An answer cell of its notebook in `source` holds the student's stub, then the solution
between marks. nbgrader takes out what stands between them, so that students get the stub; run as it is, the notebook
answers every exercise. Links to the solutions are left out, and links between chapters follow nbgrader's folders.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

from musiclib.course import NOTEBOOKS
from musiclib.paths import atomic

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLUTIONS_LINK = re.compile(r"(?:Worked solutions: |(?:The s|S)olutions are in )\[[^]]*\]\(solutions/[^)]*\)\.?[ \n]*")
CONFIG = '''\
"""nbgrader's settings for this course. Run nbgrader in this folder."""

import os

os.environ["MUSICLIB_PRESET"] = "quick"  # the same checks on every machine, with or without a GPU

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "deep-music-by-ear"
c.ClearSolutions.code_stub = {"python": ""}  # each answer cell has a stub of its own
c.Execute.timeout = 600  # s for one cell: the longest trains a model, a minute or more on two cores
'''


def lay_out(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Writes a course folder for nbgrader, whole or not at all.

    Args:
        only: beginnings of names of chapters, such as "06"; none: all chapters.

    Returns:
        The assignments, in order.

    Raises:
        ValueError: there is something in the folder's place, or no chapter of such a name.
    """
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name.startswith(tuple(only) or "")]
    unknown = [name for name in only if not any(path.name.startswith(name) for path in paths)]
    if unknown:
        raise ValueError(f"No chapter begins with {', '.join(unknown)}: write numbers such as 06.")
    if folder.exists():
        raise ValueError(f"{folder} exists already: choose a new folder, so that no grades are overwritten.")
    with atomic(folder, folder=True) as temporary:
        (temporary / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
        for path in paths:
            place = temporary / "source" / path.stem / path.name
            place.parent.mkdir(parents=True)
            nbformat.write(source(path), place)
    return [path.stem for path in paths]


def source(path: Path) -> nbformat.NotebookNode:
    """The instructor's version of a chapter: its notebook, unexecuted, with the solutions in it.

    Args:
        path: of the chapter's notebook; its solutions are in the folder `solutions` beside it.
    """
    notebook, solved = (nbformat.read(p, as_version=4) for p in (path, path.parent / "solutions" / path.name))
    answers = {_grade_id(cell): cell.source for cell in solved.cells}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = SOLUTIONS_LINK.sub("", cell.source)
            cell.source = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](../\1/\1.ipynb", cell.source)
        else:
            cell.outputs, cell.execution_count = [], None
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source += f"\n{BEGIN}\n{answers[_grade_id(cell)]}\n{END}"
    return notebook


def _grade_id(cell: nbformat.NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")
