"""Exercises: what a check says, and cells that nbgrader can release, collect and grade."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from musiclib.exercises import graded

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))

chapters = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def exercises(path):
    """The cells that nbgrader knows, by their ids, in order."""
    cells = nbformat.read(path, as_version=4).cells
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}


# ------------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize("sentence", ["Well done: 7 of 9", "Not yet: a is None."])
def test_a_reader_is_told(sentence, capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    graded(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"


def test_points_are_for_what_is_well_done(capsys, monkeypatch):
    """nbgrader takes what a cell raises for no points, and a number that it returns for some of them."""
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert graded("Well done.") is None
    with pytest.raises(AssertionError, match="not Well done yet"):
        graded("not Well done yet")
    assert capsys.readouterr().out == "Well done.\nnot Well done yet\n"


# --------------------------------------------------------------------------------------------------------- cells


@chapters
@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "solutions"], ids=lambda folder: folder.name)
def test_nbgrader_accepts_the_metadata(path, folder):
    MetadataValidator().validate_nb(nbformat.read(folder / path.name, as_version=4))


@chapters
def test_every_exercise_is_answered_then_checked(path):
    """exercise-1, check-1, exercise-2, …, as its headings count them; one without an answer cell is for the ear."""
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    headings = re.findall(r"^### Exercise (\d)[^\n]*\n+([^\n]*)", text, re.M)
    numbers = [number for number, task in headings if not task.startswith("No check")]
    assert len(numbers) >= 3
    assert list(exercises(path)) == [f"{kind}-{number}" for number in numbers for kind in ("exercise", "check")]


@chapters
def test_answers_are_open_and_checks_locked(path):
    for grade_id, cell in exercises(path).items():
        about, is_check = cell.metadata.nbgrader, grade_id.startswith("check")
        assert (about.grade, about.solution, about.locked, about.task) == (is_check, not is_check, is_check, False)
        if is_check:
            assert about.points == 1
            assert cell.source.endswith(f"\ngraded(check_{grade_id[-1]}())")
            assert "Well done" in cell.source


@chapters
def test_solutions_are_checked_by_the_notebook_s_own_checks(path):
    ours, solved = exercises(path), exercises(FOLDER / "solutions" / path.name)
    assert list(ours) == list(solved)
    for grade_id in ours:
        assert (ours[grade_id].source == solved[grade_id].source) == grade_id.startswith("check")
    for grade_id, cell in solved.items():
        if grade_id.startswith("check"):
            said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
            assert said.startswith("Well done")


def assigned(source):
    """The names that a cell defines."""
    kept = [line for line in source.splitlines() if not line.startswith("%")]
    tree = ast.parse("\n".join(kept))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return {*names, *(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))}


@chapters
def test_a_solution_defines_what_its_exercise_asks_for(path):
    """Else nbgrader's solution would be some other cell's, and the stub be left."""
    ours, solved = exercises(path), exercises(FOLDER / "solutions" / path.name)
    for grade_id, cell in ours.items():
        if grade_id.startswith("exercise"):
            assert assigned(cell.source) and assigned(cell.source) <= assigned(solved[grade_id].source), grade_id
