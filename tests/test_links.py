"""Links of the README and the other pages at the top: to files that exist, to each notebook, to few hosts."""

import re
from pathlib import Path
from urllib.parse import urlparse

import pytest

from musiclib import badges
from musiclib.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md")
HOSTS = {"colab.research.google.com", "colinraffel.com", "github.com", "magenta.tensorflow.org", "semver.org",
         "www.music21.org"}  # fmt: skip
COLAB = f"https://colab.research.google.com/github/{badges.repository()}/blob/main/"


def links(page):
    return re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in links(page):
        if target.startswith(COLAB):
            assert (ROOT / target.removeprefix(COLAB)).is_file()
        elif target.startswith("https://"):
            assert urlparse(target).hostname in HOSTS
        else:
            name, _, anchor = target.partition("#")
            assert ((ROOT / page).parent / name).exists(), target
            assert not anchor, "headings change without a word"


def test_every_notebook_is_in_the_syllabus_with_its_badge():
    notebooks = [f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    found = links("README.md")
    assert [target for target in found if target.startswith("notebooks/")] == notebooks
    assert [t.removeprefix(COLAB) for t in found if t.startswith(COLAB)] == [notebooks[0], *notebooks]


def test_commands_of_the_readme_exist():
    """`make` targets, and what `python -m musiclib` is told to do."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = re.findall(r"`make (\w+)", readme)
    assert {"lab", "book", "bench", "gpu"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    for command in sorted(set(re.findall(r"python -m musiclib ([a-z]+)", readme))):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
