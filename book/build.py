"""The book: a static site in build/book/ from the committed, executed notebooks. It opens from disk and asks no host.

`python book/build.py`, or `make book`. Nothing is executed. Three steps:

1. Pages are copied to build/book-source/, those of book/ to its top, all others to where they lie in the repository.
   On the way links are mended: to a page if the book has it, else to the repository on GitHub. A link to a file that
   does not exist ends the build.
2. jupyter-book makes the site. Every warning of it is an error.
3. The site takes the place of the last one; the download buttons get the notebooks as they are in the repository.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from musiclib import badges
from musiclib.paths import ROOT

BOOK = ROOT / "book"
GITHUB = f"https://github.com/{badges.repository()}"
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
CODE_OR_LINK = re.compile(r"```.*?```|`[^`\n]*`|(\]\(|src=\"|href=\")([^)\"\s]+)", re.DOTALL)
MATHJAX_PARTS = {"tex-chtml.js", "input", "output"}  # of a package with all of MathJax


def pages() -> dict[Path, Path]:
    """Every page of the book: where it is in the repository → where it is staged."""
    course = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks" / "solutions").glob("*.ipynb")]
    about = [path for path in (ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md") if path.exists()]
    others = {path: path.relative_to(ROOT) for path in sorted([*course, *about, ROOT / "data" / "README.md"])}
    return {path: path.relative_to(BOOK) for path in sorted(BOOK.rglob("*.md"))} | others


class Stage:
    """The folder that jupyter-book reads."""

    def __init__(self, folder: Path):
        self.folder, self.pages = folder, pages()

    def fill(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(BOOK / "_static", self.folder / "_static")
        for name in ("_toc.yml", "offline.py"):
            shutil.copy(BOOK / name, self.folder)
        config = (BOOK / "_config.yml").read_text().replace("OWNER/NAME", badges.repository())
        (self.folder / "_config.yml").write_text(config)
        for page, place in self.pages.items():
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            if page.suffix == ".md":
                (self.folder / place).write_text(self.mended(page.read_text(), page))
                continue
            notebook = nbformat.read(page, as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = self.mended(cell.source, page)
                for output in cell.get("outputs", ()):
                    if "text/markdown" in output.get("data", {}):
                        output.data["text/markdown"] = self.mended(output.data["text/markdown"], page)
            nbformat.write(notebook, self.folder / place)

    def mended(self, markdown: str, page: Path) -> str:
        """The text with every link as it must be in the book."""
        return CODE_OR_LINK.sub(lambda m: m[1] + self.link(m[2], page) if m[1] else m[0], markdown)

    def link(self, target: str, page: Path) -> str:
        if target == COLAB_BADGE:
            return os.path.relpath("_static/open-in-colab.svg", self.pages[page].parent)
        within = target.removeprefix(f"{GITHUB}/blob/main/")
        if within == target and re.match(r"[a-z]+:|#", target):
            return target
        name, hash_, fragment = within.partition("#")
        path = ((page.parent if within == target else ROOT) / name).resolve()
        if not path.exists():
            raise SystemExit(f"{page.relative_to(ROOT)} links to {target}, which does not exist.")
        inside = [other for other in self.pages if other.parent == path]
        if inside:  # a folder is its own page, or the first one in it
            path = next((other for other in inside if other.stem == "index"), inside[0])
        if path in self.pages:
            return os.path.relpath(self.pages[path], self.pages[page].parent) + hash_ + fragment
        if path.suffix in (".png", ".svg"):
            place = path.relative_to(ROOT)
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.folder / place)
            return os.path.relpath(place, self.pages[page].parent)
        return f"{GITHUB}/{'tree' if path.is_dir() else 'blob'}/main/{path.relative_to(ROOT)}{hash_}{fragment}"


def build(output: Path) -> None:
    """Makes the site anew; what was in `output` is gone, and stays if the build fails."""
    stage = Stage(output.with_name(f"{output.name}-source"))
    stage.fill()
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    options = ["--quiet", "--warningiserror", "--keep-going", "--all"]
    command = [jupyter_book, "build", *options, stage.folder]
    built = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # it tells of a place that is moved below
    if built.returncode:
        raise SystemExit("The book was not built: see the warnings above.")
    site = stage.folder / "_build" / "html"
    for page, place in stage.pages.items():
        if page.suffix == ".ipynb":
            shutil.copy(page, site / "_sources" / place)
    for part in (site / "_static" / "mathjax").iterdir():
        if part.name not in MATHJAX_PARTS:
            shutil.rmtree(part) if part.is_dir() else part.unlink()
    for template in (site / "_static").glob("*webpack-macros.html"):  # the theme's, no page
        template.unlink()
    shutil.rmtree(output, ignore_errors=True)
    shutil.move(site, output)
    print(f"The book: {(output / 'index.html').as_uri()}")


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build" / "book")
