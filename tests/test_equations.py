"""Every equation of the papers has a function that is there, and a notebook whose number its module names."""

import importlib
import re
from pathlib import Path

import pytest

from musiclib.equations import EQUATIONS, index
from musiclib.paths import ROOT

ALL = [equation for equations in EQUATIONS.values() for equation in equations]


def module_of(code: str):
    """The module of a dotted name, and what is left of the name."""
    parts = ["musiclib", *code.split(".")]
    for cut in range(len(parts) - 1, 0, -1):
        if (ROOT / Path(*parts[:cut])).with_suffix(".py").is_file():
            return importlib.import_module(".".join(parts[:cut])), parts[cut:]
    raise AssertionError(f"{code} is in no module")


@pytest.mark.parametrize("equation", ALL, ids=lambda equation: equation.code)
def test_the_code_is_there_and_names_its_notebook(equation):
    module, names = module_of(equation.code)
    found = module
    for name in names:
        found = getattr(found, name)
    said = re.sub(r"\s+", " ", f"{module.__doc__} {found.__doc__}")
    for number in equation.notebooks:
        assert re.search(rf"Notebooks?: .*\b{number}\b", said), f"{equation.code} does not name notebook {number}"
        assert list((ROOT / "notebooks").glob(f"{number}_*.ipynb"))


def test_the_index_has_a_row_for_each():
    rows = index().splitlines()[2:]
    assert len(rows) == len(ALL)
    assert all(row.startswith("| ") and row.count(" | ") == 4 for row in rows)
