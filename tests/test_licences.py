"""Every file that ships says where it is from and under which licence."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def rows():
    """Patterns of files, and what the table in data/README.md says of their licence."""
    lines = (ROOT / "data" / "README.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return [(pattern, licence) for names, _, licence in cells for pattern in re.findall(r"`([^`]+)`", names)]


def shipped():
    files = [path.relative_to(ROOT / "data") for path in (ROOT / "data").rglob("*") if path.is_file()]
    return [str(path) for path in files if path.parts[0] != "cache" and path.name != "README.md"]


def test_every_file_has_a_row_and_every_row_a_file():
    patterns = [pattern for pattern, _ in rows()]
    assert [name for name in shipped() if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in shipped())] == []


@pytest.mark.parametrize(("pattern", "licence"), rows())
def test_a_row_names_a_licence_or_its_origin(pattern, licence):
    assert re.search(r"licence|\(MIT\)|CC BY|public domain|as above|mixed from the note bank", licence)


def test_the_other_folders_are_named():
    text = (ROOT / "LICENSE").read_text() + (ROOT / "data" / "README.md").read_text()
    assert all(name in text for name in ("MIT License", "creativecommons.org/licenses/by/4.0", "tests/golden", "book"))


def test_the_citation_is_of_this_version():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(
        rf"^## {re.escape(version)}, \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
