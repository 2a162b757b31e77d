"""The book as a reader has it: opened from disk in a real browser, without a network."""

import json
import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock

from musiclib import badges
from musiclib.paths import ROOT

pytestmark = pytest.mark.slow
NOTEBOOKS = [path.relative_to(ROOT) for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))]
GITHUB = f"https://github.com/{badges.repository()}"
IS_READY = "el => el.shadowRoot && el.audio.readyState > 0"


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """The whole book, built once however many processes test it."""
    alone = worker_id == "master"
    folder = tmp_path_factory.mktemp("book") if alone else tmp_path_factory.getbasetemp().parent / "book"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "site" / "index.html").exists():
            (folder / "site").mkdir()
            (folder / "site" / "stale.html").touch()
            command = [sys.executable, ROOT / "book" / "build.py", folder / "site"]
            built = subprocess.run(command, capture_output=True, text=True)
            assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


@cache
def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


def html_pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


def html_of(site: Path, notebook: Path) -> Path:
    return site / notebook.with_suffix(".html")


@pytest.fixture
def tab(chromium):
    """A page whose `problems` list fills with whatever a reader's console would show, and with requests to any host."""
    context = chromium.new_context()
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: message.type in ("error", "warning") and page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or page.problems.append(asked.url))
    yield page
    context.close()


def test_all_that_is_to_be_read_is_in(site):
    """Every notebook, every solution, every page of `book/` is reached from the landing page's side bar."""
    pages = {path.relative_to(ROOT / "book").with_suffix(".html") for path in (ROOT / "book").rglob("*.md")}
    pages |= {path.with_suffix(".html") for path in NOTEBOOKS}
    listed = {Path(link["href"]) for link in soup(site / "index.html").select("nav.bd-links a")}
    assert pages - listed == {Path("index.html")}


def test_every_page_opens_without_complaint_and_without_a_network(site, tab):
    """Formulas are set, pictures are there, and nothing is wider than the window of a telephone."""
    wrong = {}
    tab.set_viewport_size({"width": 390, "height": 844})
    for page in html_pages(site):
        tab.goto(page.as_uri())
        tab.evaluate("() => window.MathJax?.startup?.promise")
        broken = tab.evaluate("[...document.images].filter(e => e.complete && !e.naturalWidth).map(e => e.src)")
        formulas = len(soup(page).select(".math"))
        unset = formulas - tab.locator("mjx-container").count()
        too_wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        found = [*tab.problems, *broken] + [f"{unset} formulas not set"] * (unset != 0)
        found += ["a formula in error"] * tab.locator("mjx-merror, [data-mjx-error]").count()
        found += [f"{too_wide} pixels too wide"] * (too_wide > 0)
        if found:
            wrong[str(page.relative_to(site))] = found
        tab.problems.clear()
    assert not wrong
    assert len(soup(html_of(site, Path("notebooks/06_musicvae.ipynb"))).select(".math")) > 20


def test_no_dead_link(site):
    """Inside the book: the file and the place in it exist. Outside: it is this repository, or stands in a source."""
    text = "".join(
        path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("book/**/*.md")]
    )
    text += "".join((ROOT / path).read_text() for path in NOTEBOOKS)
    ids = cache(lambda page: {tag["id"] for tag in soup(page).select("[id]")})
    dead = set()
    for page in html_pages(site):
        for tag in soup(page).select("[href], [src]"):
            link = tag.get("href", tag.get("src"))
            if link.startswith("data:"):
                continue
            if re.match(r"[a-z]+:", link):
                if not is_allowed(link, text):
                    dead.add((page.name, link))
                continue
            name, _, fragment = link.partition("#")
            target = Path(os.path.normpath(page.parent / unquote(name.partition("?")[0]))) if name else page
            if not target.is_file() or (fragment and unquote(fragment) not in ids(target)):
                dead.add((page.name, link))
    assert not dead


def is_allowed(link: str, sources: str) -> bool:
    """Whether a link to another host is one of this repository's, to a file that exists, or stands in a source."""
    ours = re.fullmatch(rf"(?:{GITHUB}|https://colab\.research\.google\.com/github/{badges.repository()})(.*)", link)
    if ours:
        path = re.fullmatch(r"(?:/(?:blob|tree)/main/([^#?]+).*|/?)", ours[1])
        return bool(path) and (ROOT / unquote(path[1] or "")).exists()
    return link.startswith("https://") and link in sources


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=str)
def test_colab_and_download(site, notebook):
    """The rocket opens what the README's badge opens; the download is the notebook as it is in the repository."""
    page = soup(html_of(site, notebook))
    colab = f"https://colab.research.google.com/github/{badges.repository()}/blob/main/{notebook}"
    assert [link["href"] for link in page.select('a[title="Launch on Colab"]')] == [colab]
    if "solutions" not in notebook.parts:
        assert f"]({colab})" in (ROOT / "README.md").read_text()
        assert page.select_one(f'article a[href="{colab}"] img')["src"].endswith("open-in-colab.svg")
    download = page.select_one("a.btn-download-source-button")["href"]
    file = html_of(site, notebook).parent / download
    assert file.suffix == ".ipynb"
    assert file.read_bytes() == (ROOT / notebook).read_bytes()


def test_every_picture_says_what_it_shows(site):
    """Each picture of an output has that output's own text, also where a cell has several."""
    silent = {}
    for page in html_pages(site):
        texts = [image.get("alt", "").strip() for image in soup(page).select("img")]
        count = sum(not alt or alt.endswith((".png", ".gif", ".svg")) for alt in texts)
        if count:
            silent[page.name] = count
    assert not silent
    for notebook in NOTEBOOKS:
        shown = [image["alt"] for image in soup(html_of(site, notebook)).select("div.cell_output > img")]
        assert shown == alternative_texts(ROOT / notebook), notebook


def alternative_texts(notebook: Path) -> list[str]:
    """Of the pictures that are an output's richest form, in order."""
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [
        output for cell in cells for output in cell.get("outputs", ()) if "text/html" not in output.get("data", ())
    ]
    found = [(output, mime) for output in outputs for mime in output.get("data", ()) if mime.startswith("image/")]
    return [output["metadata"][mime]["alt"] for output, mime in found]


def test_players_play(site, tab):
    """In every chapter that has one."""
    with_players = [path for path in NOTEBOOKS if soup(html_of(site, path)).select("[data-seconds]")]
    assert len(with_players) >= 15
    for notebook in with_players:
        tab.goto(html_of(site, notebook).as_uri())
        host = tab.locator("[data-seconds]").first
        tab.wait_for_function(f"host => ({IS_READY})(host)", arg=host.element_handle())
        host.get_by_role("button", name="play").click()
        tab.wait_for_function("host => host.audio.currentTime > 0.1", arg=host.element_handle())
        assert not tab.problems


def test_the_search_finds_a_chapter_from_disk(site, tab):
    tab.goto((site / "search.html").as_uri())
    box = tab.locator("main input[type=search]")
    box.fill("posterior collapse")
    box.press("Enter")
    results = tab.locator("#search-results li a")
    results.first.wait_for()
    assert any("06_musicvae.html" in link.get_attribute("href") for link in results.all())
    assert not tab.problems


def test_an_older_book_leaves_nothing_behind(site):
    """The fixture's folder had a page of a book before."""
    assert not (site / "stale.html").exists()


@pytest.mark.parametrize(
    ("link", "in_the_book"),
    [
        ("../README.md#licence", f"{GITHUB}/blob/main/README.md#licence"),
        ("../data", "../data/README.md"),
        ("../data/results", f"{GITHUB}/tree/main/data/results"),
        (f"{GITHUB}/blob/main/data/README.md", "../data/README.md"),
        ("solutions/02_musicslots.ipynb", "solutions/02_musicslots.ipynb"),
        ("solutions", "solutions/00_start_here.ipynb"),
        ("#exercises", "#exercises"),
        ("https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_are_mended(tmp_path, link, in_the_book):
    stage = runpy.run_path(str(ROOT / "book" / "build.py"))["Stage"](tmp_path)
    page = ROOT / "notebooks" / "02_musicslots.ipynb"
    assert stage.mended(f"a [link]({link}), a `[link]({link})`", page) == f"a [link]({in_the_book}), a `[link]({link})`"


def test_a_link_to_nothing_ends_the_build(tmp_path):
    stage = runpy.run_path(str(ROOT / "book" / "build.py"))["Stage"](tmp_path)
    with pytest.raises(SystemExit, match=r"notebooks/02_musicslots.ipynb links to gone.ipynb, which does not exist"):
        stage.mended("[gone](gone.ipynb)", ROOT / "notebooks" / "02_musicslots.ipynb")
