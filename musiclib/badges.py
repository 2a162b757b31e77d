"""The repository's name, in one place: `[project.urls]` of pyproject.toml. From it come all links and Colab badges."""

import re
from pathlib import Path

from musiclib.paths import ROOT, atomic

REPOSITORY_LINE = re.compile(r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+)"$', re.MULTILINE)


def repository(root: Path = ROOT) -> str:
    """owner/name."""
    return REPOSITORY_LINE.search((root / "pyproject.toml").read_text())[1]


def files(root: Path = ROOT) -> list[Path]:
    """Every file that names the repository."""
    named = [root / name for name in ("pyproject.toml", "README.md", "CITATION.cff", "CONTRIBUTING.md")]
    return [path for path in named if path.exists()] + sorted((root / "notebooks").rglob("*.ipynb"))


def rewrite(new: str, root: Path = ROOT) -> None:
    """Points everything to `new`, owner/name.

    Raises:
        ValueError: `new` is not of that form; nothing is changed.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", new):
        raise ValueError(f"{new!r} is no repository: write owner/name.")
    old = repository(root)
    for path in files(root):
        text = path.read_text()
        with atomic(path) as temporary:
            temporary.write_text(re.sub(rf"(?<=[/\"]){re.escape(old)}\b", new, text))
