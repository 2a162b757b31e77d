"""Scores as pictures: one SVG, the same each time, with words for who cannot see it."""

import re
import xml.etree.ElementTree as ET

import pytest

from musiclib.notation import notation, notations, score_svg
from musiclib.pianoroll import Note, PianoRoll
from musiclib.scores import ScoreError

ROLL = PianoRoll.from_notes([Note(0.0, 0.5, 36), Note(0.0, 2.5, 60), Note(2.5, 0.5, 66)], steps=32)


def count(svg, kind):
    return len(re.findall(rf'<g [^>]*class="{kind}[" ]', svg))


def test_what_is_drawn():
    """Two bars on two staves; C4 is tied over the bar line, so four heads for three notes; one sharp; one tie."""
    svg = score_svg({"": ROLL})
    ET.fromstring(svg)
    assert (count(svg, "measure"), count(svg, "staff"), count(svg, "tie")) == (2, 4, 1)
    assert count(svg, "note") >= 4
    assert "http" not in re.sub(r"http://www.w3.org/\S+", "", svg), "a picture asks nobody for anything"


def test_the_same_roll_gives_the_same_picture_and_another_other_ids():
    svg, other = score_svg({"": ROLL}), score_svg({"": ROLL.transposed(1)})
    assert svg == score_svg({"": ROLL})
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (svg, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_page_shows_it_with_words_on_white_paper():
    shown = notation(ROLL)
    assert repr(shown) == "Score of 2 bars: 3 notes, C2 to F♯4"
    html = shown._repr_html_()
    assert 'role="img" aria-label="Score of 2 bars: 3 notes, C2 to F♯4"' in html
    assert "background:#fff;color:#000" in html


def test_a_silent_roll_is_a_rest_and_an_empty_one_an_error():
    assert repr(notation(PianoRoll.from_notes([], steps=16))) == "Score of 1 bar: 0 notes"
    with pytest.raises(ScoreError, match="0 steps"):
        notation(PianoRoll.from_notes([]))


def test_rolls_over_each_other():
    """Two bars of three staves, named; what is above comes first."""
    above = PianoRoll.from_notes([Note(0.0, 4.0, 72)], steps=32)
    shown = notations(above=above, below=ROLL)
    assert (count(shown.svg, "measure"), count(shown.svg, "staff")) == (2, 6)
    assert "above" in shown.svg and "below" in shown.svg
    assert repr(shown) == "above: Score of 2 bars: 1 notes, C5 to C5. below: Score of 2 bars: 3 notes, C2 to F♯4"
    with pytest.raises(ScoreError, match="one length"):
        notations(above=above[:16], below=ROLL)
