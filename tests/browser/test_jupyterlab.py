"""Every notebook in JupyterLab in a real browser: its cells run, what can be turned changes the picture, players play.

One server for each worker, one kernel for each notebook. The pictures land in build/screenshots, to be looked at.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest

from musiclib.listening import FASTEST_VOTE_S
from musiclib.paths import ROOT
from musiclib.votes import read_votes

playwright = pytest.importorskip("playwright.sync_api")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SCREENSHOTS = ROOT / "build" / "screenshots"
VOTES = 'CACHE / "listening-test-07"'  # where chapter 07 keeps them; the copy has another place
# The one picture that chapters load: JupyterLab shows its alternative text where there is no network.
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
TOKEN = "a token of these tests"
START_S, RUN_S, TURN_S = 120, 600, 30
SHOW_S = 1  # what a busy kernel may still take for the rest of a pair whose beginning is in the page
SETTINGS = {
    # all cells stay in the page, also those far from what is seen
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
# An instructor's tool. No part of the course, but of the tests' environment.
GRADER = [f"nbgrader.server_extensions.{name}" for name in
          ("formgrader", "validate_assignment", "assignment_list", "course_list")]  # fmt: skip

CONTROLS = (
    ".widget-slider .noUi-handle, .widget-dropdown select, .widget-checkbox input, .widget-play button:first-child,"
    " .widget-toggle-buttons button:not(.mod-active), .widget-button:not(.widget-upload, .widget-toggle-button)"
)
KIND = """x => x.matches(".noUi-handle") ? "slider" : x.tagName == "SELECT" ? "choice" :
    x.closest(".widget-play") ? "play" : x.matches(".widget-button") ? "vote" : "switch"
"""
SHOWN = "JSON.stringify([...area.querySelectorAll(kinds)].map(x => x.currentSrc || x.src || x.outerHTML))"
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab's address and the folder that it serves. It keeps everything in temporary folders and calls nobody."""
    home = tmp_path_factory.mktemp("jupyter")
    folders = {name: home / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    for folder in (*folders.values(), home / "settings", home / "root"):
        folder.mkdir()
    options = {"ip": "127.0.0.1", "port": 0, "open_browser": False, "allow_root": True, "token": TOKEN,
               "root_dir": str(home / "root"), "jpserver_extensions": dict.fromkeys(GRADER, False)}  # fmt: skip
    lab = {"app_settings_dir": str(home / "settings"), "user_settings_dir": str(home / "user"),
           "workspaces_dir": str(home / "workspaces"), "extension_manager": "readonly"}  # fmt: skip
    (folders["CONFIG"] / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": options, "LabApp": lab}))
    (home / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
    (home / "settings" / "page_config.json").write_text('{"disabledExtensions": {"@jupyter/nbgrader": true}}')
    environment = os.environ | {f"JUPYTER_{name}_DIR": str(folder) for name, folder in folders.items()}
    environment |= {"IPYTHONDIR": str(home / "ipython"), "MUSICLIB_PRESET": "quick", "OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)  # of the tests; a kernel has its own
    with (home / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "jupyterlab"], env=environment, stdout=log, stderr=log)
    try:
        yield address(folders["RUNTIME"], process, home / "log"), home / "root"
    finally:
        process.terminate()
        process.wait(START_S)


def address(runtime: Path, process: subprocess.Popen, log: Path) -> str:
    """Where the server is, as soon as it has said so."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            if text := path.read_text():
                return json.loads(text)["url"]
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab does not start:\n{log.read_text()}")


@pytest.fixture
def lab(chromium, server):
    """Opens a notebook; at the end nothing was complained of, and nobody but the server was asked for anything."""
    url, root = server
    complaints, strangers = [], []
    context = chromium.new_context(viewport={"width": 1400, "height": 1800})

    def guard(route):
        if route.request.url == BADGE:
            return route.fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')
        strangers.append(route.request.url)
        route.abort()

    context.route(lambda asked: not asked.startswith((url, "data:", "blob:")), guard)
    page = context.new_page()
    page.set_default_timeout(1000 * TURN_S)
    page.on("console", lambda message: message.type == "error" and complaints.append((message.text, message.location)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("websocket", lambda socket: url[4:] in socket.url or strangers.append(socket.url))

    def opened(notebook, name):
        nbformat.write(notebook, root / f"{name}.ipynb")
        page.goto(f"{url}lab/workspaces/{name}/tree/{name}.ipynb?token={TOKEN}", timeout=1000 * START_S)
        return Lab(page, notebook)

    yield opened
    headers = {"Authorization": f"token {TOKEN}"}
    for kernel in context.request.get(f"{url}api/kernels", headers=headers).json():
        context.request.delete(f"{url}api/kernels/{kernel['id']}", headers=headers)
    context.close()
    assert not complaints
    assert not strangers


class Lab:
    """A notebook in JupyterLab, run from its first cell to its last."""

    def __init__(self, page, notebook):
        self.page = page
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=1000 * START_S)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(".jp-InputPrompt", has_text="[*]").first.wait_for(state="attached")
        page.wait_for_function(f"!{PROMPTS}.includes('[*]:')", timeout=1000 * RUN_S)
        code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        tracebacks = page.locator(".jp-OutputArea-output", has_text="Traceback (most recent call last)")
        ran = [prompt for prompt in page.evaluate(PROMPTS) if prompt.strip("[]: ").isdecimal()]
        assert len(ran) == len(code) and not tracebacks.count(), tracebacks.all_inner_texts()
        page.locator(IDLE).wait_for()
        self.players = page.locator("[data-seconds]")

    @property
    def turned_cells(self):
        """The outputs with something to turn."""
        return self.page.locator(".jp-CodeCell .jp-Cell-outputArea", has=self.page.locator(CONTROLS)).all()

    def controls(self, area):
        """What is turned, in the order of what each needs, so that none has a reason to change nothing.

        First the choices, from the last to the first: who plays stands after what is played. Then the rest as it
        stands: how often to jump before the seed of the jumps.
        """
        handles = [handle for handle in area.locator(CONTROLS).element_handles() if handle.is_visible()]
        controls = [Control(self.page, handle, area.element_handle()) for handle in handles]
        rest = [control for control in controls if control.kind != "choice"]
        return [control for control in reversed(controls) if control.kind == "choice"] + rest


class Control:
    """Something to turn, and what it should change: pictures, or in a listening test the sounds of the next pair."""

    def __init__(self, page, handle, area):
        self.page, self.handle = page, handle
        self.kind = handle.evaluate(KIND)
        self.label = handle.evaluate("x => x.closest('.widget-inline-hbox')?.innerText || x.innerText || x.title")
        self.arg = {"area": area, "kinds": "audio" if self.kind == "vote" else "img, svg"}

    def turn(self):
        """Whether there is something else to see or hear then, when the kernel rests."""
        before = self.page.evaluate(f"({{area, kinds}}) => {SHOWN}", self.arg)
        self._move()
        rests = "true" if self.kind == "play" else f"document.querySelector('{IDLE}')"
        changed = f"({{area, kinds, before}}) => {rests} && ![before, '[]'].includes({SHOWN})"
        try:
            self.page.wait_for_function(changed, arg=self.arg | {"before": before})
        except playwright.TimeoutError:
            return False
        if self.kind == "play":
            self.handle.click()
        return True

    def _move(self):
        if self.kind == "slider":
            now, most = (float(self.handle.get_attribute(f"aria-value{end}")) for end in ("now", "max"))
            self.handle.press("ArrowRight" if now < most else "ArrowLeft")
        elif self.kind == "choice":
            here, count = self.handle.evaluate("x => [x.selectedIndex, x.options.length]")
            self.handle.select_option(index=here + 1 if 0 <= here < count - 1 else (here - 1) % count)
        else:
            if self.kind == "vote":  # sooner it would count as a second click on the pair before
                self.page.wait_for_timeout(1000 * (FASTEST_VOTE_S + SHOW_S))
            self.handle.click()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(lab, path, tmp_path):
    """All cells run, all that can be turned changes what is shown, every click of the listening test is a vote."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(VOTES, f'CACHE / "{tmp_path}"')
    shown = lab(notebook, path.stem)
    turned, idle = Counter(), []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for number, area in enumerate(shown.turned_cells, start=1):
        for control in shown.controls(area):
            turned[control.kind] += 1
            if not control.turn():
                idle.append((number, control.kind, control.label))
        area.screenshot(path=SCREENSHOTS / f"{path.stem[:2]}_{number}.png")
    print(dict(turned))
    assert turned
    assert not idle, "what was turned, and nothing changed"
    assert sum(len(read_votes(file)) for file in tmp_path.glob("*.csv")) == turned["vote"]
    assert shown.page.get_by_text("<Figure size").count() == 0, "pictures, not their names"
    player = shown.players.first
    player.get_by_role("button", name="play").click()
    shown.page.wait_for_function("player => player.audio.currentTime > 0.2", arg=player.element_handle())


@pytest.mark.slow
def test_a_player_by_keyboard(lab):
    """Tab goes from a slider to the player after it; its keys are not JupyterLab's, where L numbers the lines."""
    code = """
        import torch, ipywidgets
        from IPython.display import display
        from musiclib.listen import player
        display(ipywidgets.IntSlider(), player(0.1 * torch.randn(64000), "noise"))"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(dedent(code))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    shown = lab(notebook, "keyboard")
    player = shown.players.first.element_handle()
    shown.page.locator(".noUi-handle").focus()
    for _ in range(3):
        shown.page.keyboard.press("Tab")
        if player.evaluate("player => document.activeElement == player"):
            break
    for key in ("Space", "ArrowRight", "l"):
        shown.page.keyboard.press(key)
    shown.page.wait_for_function("player => player.audio.currentTime > 1.2", arg=player)
    assert player.evaluate("player => player.isLooping")
    assert shown.page.locator(".cm-lineNumbers").count() == 0
    shown.page.keyboard.press("Space")
    shown.page.wait_for_function("player => player.audio.paused", arg=player)
    assert shown.page.locator(".jp-CodeCell").count() == 1
