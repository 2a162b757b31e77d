"""The player in a real browser: it plays, is seeked and looped by mouse and keys, and asks nobody for anything."""

import math
import re

import pytest
import torch

from musiclib.listen import player, players
from musiclib.pianoroll import Note

SECONDS = 4.0
TONE = 0.5 * torch.sin(2 * math.pi * 440 * torch.arange(round(SECONDS * 16000)) / 16000)
ROLL = [Note(k * 0.5, 0.5, 69 + k) for k in range(8)]
READY = "el => el.shadowRoot && el.audio.readyState > 0"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page as nbconvert makes it, with scripts that run while it is being read: two outputs, three players."""
    outputs = [player(TONE, "one", roll=ROLL, reference=ROLL[:6]), players(two=TONE, three=TONE / 2)]
    body = "".join(f"<section>{shown._repr_html_()}</section>" for shown in outputs)
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Players</title><body>{body}')
    return path


@pytest.fixture
def open_page(chromium, page_file):
    """Opens the page with some of the browser's options; at the end nothing was complained of or asked for."""
    contexts, complaints, requests = [], [], []

    def opened(**options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(page_file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()] * len(contexts)


class Driver:
    """One player of a page."""

    def __init__(self, page, number=0):
        self.page = page
        self.host = page.locator("[data-seconds]").nth(number)
        self.plot = self.host.get_by_role("slider")
        page.wait_for_function(f"number => ({READY})(document.querySelectorAll('[data-seconds]')[number])", arg=number)

    def get(self, expression):
        return self.host.evaluate(f"player => {expression}")

    @property
    def time_s(self):
        return self.get("player.audio.currentTime")

    @property
    def head(self):
        """Where the playhead is, from 0 at the left of the plot to 1 at its right."""
        box, head = self.plot.bounding_box(), self.host.locator(".head").bounding_box()
        return (head["x"] + head["width"] / 2 - box["x"]) / box["width"]

    @property
    def region(self):
        return self.get("player.region")

    def until(self, condition):
        self.page.wait_for_function(f"player => {condition}", arg=self.host.element_handle())

    def point(self, time_s, ruler=False):
        box = self.plot.bounding_box()
        down = box["height"] - 5 if ruler else box["height"] / 2
        return box["x"] + box["width"] * time_s / SECONDS, box["y"] + down

    def drag(self, start_s, end_s, ruler=False):
        self.page.mouse.move(*self.point(start_s, ruler))
        self.page.mouse.down()
        self.page.mouse.move(*self.point((start_s + end_s) / 2, ruler))
        self.page.mouse.move(*self.point(end_s, ruler))
        self.page.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.plot.press(key)


def test_it_plays_to_its_end(open_page):
    """The button starts and stops it; while it plays the playhead is where the sound is."""
    one = Driver(open_page())
    assert one.head == pytest.approx(0, abs=0.01)
    one.host.get_by_role("button", name="play").click()
    one.until("player.audio.currentTime > 0.5")
    one.host.get_by_role("button", name="pause").click()
    one.until("player.audio.paused")
    stopped = one.time_s
    assert 0.5 < stopped < SECONDS
    assert one.head == pytest.approx(stopped / SECONDS, abs=0.01)
    one.press("End", "ArrowLeft", "Space")
    one.until("player.audio.ended")
    assert one.host.get_by_role("button", name="play").is_visible()
    assert one.head == pytest.approx(1, abs=0.01)


def test_click_and_drag_seek(open_page):
    one = Driver(open_page())
    one.page.mouse.click(*one.point(3.0))
    assert one.time_s == pytest.approx(3.0, abs=0.05)
    assert one.head == pytest.approx(0.75, abs=0.01)
    one.drag(2.0, 1.0)
    assert one.time_s == pytest.approx(1.0, abs=0.05)
    assert one.region is None


def test_the_playhead_stands_on_the_note_that_sounds(open_page):
    """The picture's axis and the player's are the same: seeking to an onset puts the line on the note's left edge."""
    one = Driver(open_page(viewport={"width": 400, "height": 700}))
    one.press("Home", "ArrowRight", "ArrowRight")
    head = one.host.locator(".head").bounding_box()
    edges = [note.bounding_box()["x"] for note in one.host.locator("g > rect.hit").all()]
    assert min(abs(head["x"] + head["width"] / 2 - edge) for edge in edges) < 2


@pytest.mark.parametrize("ruler", [True, False], ids=["along the seconds", "shift"])
def test_a_region_loops(open_page, ruler):
    """Chosen by dragging; playing past its end returns to its start; a double click clears it."""
    one = Driver(open_page())
    if not ruler:
        one.page.keyboard.down("Shift")
    one.drag(2.0, 1.5, ruler)
    one.page.keyboard.up("Shift")
    assert one.region == pytest.approx([1.5, 2.0], abs=0.05)
    one.press("Home", "ArrowRight", "Space")
    one.get("(player.wraps = 0, player.audio.addEventListener('seeked', () => player.wraps++), 0)")
    one.until("player.wraps >= 2")
    assert 1.4 < one.time_s < 2.3
    assert not one.get("player.audio.paused")
    one.page.mouse.dblclick(*one.point(3.0))
    assert one.region is None
    assert not one.get("player.isLooping")


def test_the_whole_loops(open_page):
    one = Driver(open_page())
    one.host.get_by_role("button", name="loop").click()
    assert one.region == [0, SECONDS]
    one.press("End", "Shift+ArrowLeft", "Space")
    one.until("player.audio.currentTime > 0.1 && player.audio.currentTime < 2")


def test_keys(open_page):
    one = Driver(open_page())
    one.press("ArrowRight", "ArrowRight", "Shift+ArrowRight")
    assert one.time_s == pytest.approx(2.1)
    assert (one.plot.get_attribute("aria-valuenow"), one.plot.get_attribute("aria-valuetext")) == ("2.1", "2.1 / 4.0 s")
    one.press("ArrowLeft", "[", "ArrowRight", "]")
    assert one.region == pytest.approx([1.1, 2.1])
    assert one.get("player.isLooping")
    one.press("l")
    assert not one.get("player.isLooping")
    one.press("L")
    assert one.get("player.isLooping")
    one.press("Escape")
    assert one.region is None
    one.press("End", "ArrowRight")
    assert one.time_s == pytest.approx(SECONDS)
    one.press("Home", "ArrowLeft")
    assert one.time_s == 0
    one.press("Space")
    one.until("!player.audio.paused")
    one.press("Space")
    one.until("player.audio.paused")


def test_tab_reaches_every_control(open_page):
    """In the order seen, each with a name, and visibly."""
    page = open_page()
    Driver(page, 2)
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.shadowRoot.activeElement.ariaLabel || 'loop'"))
        outline = "getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
    assert seen == [name for label in ("one", "two", "three") for name in (f"position in {label}", "play", "loop")]


def test_one_at_a_time(open_page):
    """Starting one pauses the other, which keeps its place; seeking one leaves the other alone."""
    page = open_page()
    one, two = Driver(page), Driver(page, 1)
    one.press("Space")
    one.until("player.audio.currentTime > 0.2")
    two.press("ArrowRight", "Space")
    one.until("player.audio.paused")
    two.until("player.audio.currentTime > 1.2")
    assert 0.2 < one.time_s < SECONDS
    assert one.region is two.region is None


def test_a_player_that_comes_later_wakes_up(open_page):
    """As from ipywidgets, which sets HTML and runs no script in it; one that is taken away falls silent."""
    page = open_page()
    page.evaluate("document.body.append(document.querySelector('section').cloneNode(true))")
    last = Driver(page, 3)
    last.press("Space")
    last.until("player.audio.currentTime > 0.1")
    gone = last.host.element_handle()
    gone.evaluate("player => player.remove()")
    page.wait_for_function("player => player.audio.paused", arg=gone)


def test_without_scripts_the_picture_stays(open_page):
    page = open_page(java_script_enabled=False)
    for number, picture in enumerate(page.locator("img").all()):
        box = picture.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 100
        assert page.locator("audio").nth(number).is_visible()
    assert page.get_by_alt_text(re.compile("Piano roll and spectrogram of one.*6 hit, 0 missed, 2 extra")).is_visible()


COLOURS = """player => [".card", "g > rect.hit", "svg text"].map(name => {
    const style = getComputedStyle(player.shadowRoot.querySelector(name));
    return name == ".card" ? style.backgroundColor : style.fill})"""


def brightness(colour):
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 765


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(open_page, scheme):
    """The reader's preference, unless the page has a colour of its own: then that."""
    one = Driver(open_page(color_scheme=scheme))
    paper, note, ink = map(brightness, one.host.evaluate(COLOURS))
    assert (paper > 0.9, ink < 0.5) == (scheme == "light",) * 2
    assert abs(paper - note) > 0.3
    for background, is_light in (("#111111", False), ("white", True)):
        one.page.evaluate("colour => document.body.style.background = colour", background)
        one.until(f"(getComputedStyle(player).colorScheme == 'light') == {str(is_light).lower()}")
        assert (brightness(one.host.evaluate(COLOURS)[0]) > 0.9) == is_light


def test_the_styles_of_the_page_stay_outside(open_page):
    one = Driver(open_page())
    one.page.add_style_tag(content="* { color: red; font-size: 40px; border: 9px solid red } rect { fill: red }")
    style = "getComputedStyle(player.shadowRoot.querySelector('.time'))"
    assert one.get(f"[{style}.fontSize, {style}.borderTopWidth]") == ["13px", "0px"]


@pytest.mark.parametrize("width_px", [320, 1200])
def test_it_is_as_wide_as_there_is_room(open_page, width_px):
    """Nothing sticks out of a narrow page; a wide one is not filled by a single player; the height is the same."""
    page = open_page(viewport={"width": width_px, "height": 700})
    box = Driver(page).host.bounding_box()
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert box["width"] == (width_px - 16 if width_px < 680 else 680)
    assert Driver(page).host.locator("svg").first.bounding_box()["height"] > 250
