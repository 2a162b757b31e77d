"""A class: its folder for nbgrader, and submissions from release to grades, without a network."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from musiclib.__main__ import main
from musiclib.classroom import BEGIN, END
from musiclib.course import NOTEBOOKS

CHAPTER = "08_query_based_improvisation"
ALL = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]


def by_id(notebook):
    return {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}


def read(path):
    return nbformat.read(path, as_version=4)


# ---------------------------------------------------------------------------------------------------- the folder


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "course"
    assert main(["classroom", str(folder), "--quiet"]) == 0
    return folder


@pytest.mark.parametrize("chapter", ALL)
def test_a_solved_notebook_holds_stub_and_solution(everything, chapter):
    made, course = read(everything / "source" / chapter / f"{chapter}.ipynb"), read(NOTEBOOKS / f"{chapter}.ipynb")
    stubs, solved = by_id(course), by_id(read(NOTEBOOKS / "solutions" / f"{chapter}.ipynb"))
    for grade_id, cell in by_id(made).items():
        solution = f"\n{BEGIN}\n{solved[grade_id].source}\n{END}" if grade_id.startswith("exercise") else ""
        assert cell.source == stubs[grade_id].source + solution
    assert [cell.cell_type for cell in made.cells] == [cell.cell_type for cell in course.cells]
    assert not any("](solutions" in cell.source for cell in made.cells)
    assert not any(cell.get("outputs") for cell in made.cells)


def test_solutions_need_no_more_than_their_notebooks(everything):
    """No name that only the solutions' own notebook has."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821", "source"]
    checked = subprocess.run(command, cwd=everything, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_links_between_chapters_lead_somewhere(everything):
    text = (everything / "source" / CHAPTER / f"{CHAPTER}.ipynb").read_text()
    assert "](../09_music_information_dynamics/09_music_information_dynamics.ipynb)" in text


def test_some_chapters(tmp_path, capsys):
    assert main(["classroom", str(tmp_path / "course"), "--only", "00", "06"]) == 0
    assert [path.name for path in sorted((tmp_path / "course" / "source").iterdir())] == [
        "00_start_here",
        "06_musicvae",
    ]
    assert "nbgrader generate_assignment 00_start_here" in capsys.readouterr().out


@pytest.mark.parametrize("only", [["99"], ["06", "x"]])
def test_an_unknown_chapter(tmp_path, capsys, only):
    assert main(["classroom", str(tmp_path / "course"), "--only", *only]) == 1
    assert f"No chapter begins with {only[-1]}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_course_is_overwritten(tmp_path, capsys):
    (tmp_path / "gradebook.db").write_text("grades")
    assert main(["classroom", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["gradebook.db"]


def test_a_failure_half_way_leaves_nothing(tmp_path, capsys, monkeypatch):
    written = []

    def full(notebook, path):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("musiclib.classroom.nbformat.write", full)
    assert main(["classroom", str(tmp_path / "course")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------- released and graded


def nbgrader(folder, *arguments):
    """Runs it as in an activated environment: it calls alembic by name."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stderr


def without_the_rest(notebook):
    """The exercises with what their checks need: autograding runs whole notebooks, this test's need not be long."""
    needed = read(NOTEBOOKS / "solutions" / f"{CHAPTER}.ipynb").cells[:4]
    kept = [cell for cell in needed if cell.cell_type == "code"] + list(by_id(notebook).values())
    notebook.cells = [nbformat.from_dict(cell) for cell in kept]
    return notebook


@pytest.mark.slow
def test_from_release_to_grades(tmp_path):
    """Six students: all right; one wrong; nothing; a tampered check; an error; a loop without end."""
    folder = tmp_path / "course"
    assert main(["classroom", str(folder), "--only", "08", "--quiet"]) == 0
    place = folder / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    nbformat.write(without_the_rest(read(place)), place)
    nbgrader(folder, "generate_assignment", CHAPTER)
    released = folder / "release" / CHAPTER / f"{CHAPTER}.ipynb"
    stubs = by_id(read(NOTEBOOKS / f"{CHAPTER}.ipynb"))
    assert {key: cell.source.strip() for key, cell in by_id(read(released)).items()} == {
        key: cell.source for key, cell in stubs.items()
    }

    solved = by_id(read(NOTEBOOKS / "solutions" / f"{CHAPTER}.ipynb"))
    right = {key: cell.source for key, cell in solved.items() if key.startswith("exercise")}
    cheat = {f"check-{n}": f"def check_{n}():\n    return 'Well done'\n\n\nprint('Well done')" for n in (1, 2, 3)}
    answers = {
        "all-right": right,
        "one-wrong": right | {"exercise-2": "def my_level(variance, bits):\n    return variance.max().item()"},
        "nothing": {},
        "tampered": cheat | {"exercise-3": right["exercise-3"]},
        "error": right | {"exercise-1": "def my_rate(variance, distortion):\n    raise RuntimeError('oh')"},
        "loop": right | {"exercise-1": "def my_rate(variance, distortion):\n    while True:\n        pass"},
    }
    for student, own in answers.items():
        notebook = read(released)
        for grade_id, source in own.items():
            by_id(notebook)[grade_id].source = source
        handed_in = folder / "submitted" / student / CHAPTER / f"{CHAPTER}.ipynb"
        handed_in.parent.mkdir(parents=True)
        nbformat.write(notebook, handed_in)
    config = folder / "nbgrader_config.py"
    config.write_text(config.read_text().replace("timeout = 600", "timeout = 60"))
    nbgrader(folder, "autograde", CHAPTER, "--create")
    nbgrader(folder, "export", "--to", "grades.csv")
    with open(folder / "grades.csv") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"all-right": 3, "one-wrong": 2, "nothing": 0, "tampered": 1, "error": 2, "loop": 2}
