"""A roll in staff notation, drawn by Verovio as SVG that stands in the page itself.

Notebooks: 05 scores to piano rolls, 07 MusicVAE evaluation and listening test.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from musiclib.musicxml import musicxml_of
from musiclib.pianoroll import PianoRoll
from musiclib.plots import pitch_name

OPTIONS = {
    "breaks": "auto",
    "pageWidth": 2000,
    "pageHeight": 60000,  # all systems on one page, which is then cut to what is drawn
    "adjustPageHeight": True,
    "adjustPageWidth": True,
    "pageMarginTop": 40,
    "pageMarginBottom": 40,
    "header": "none",
    "footer": "none",
    "scale": 40,
    "svgViewBox": True,
}


@dataclass(frozen=True)
class Notation:
    """A score that shows itself in a notebook. Made by `notation`.

    Attributes:
        svg: one <svg> element. alt: what a screen reader says.
    """

    svg: str
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        # Black on white paper, in dark pages too.
        return (
            f'<div role="img" aria-label="{escape(self.alt)}" style="background:#fff;color:#000;padding:4px 8px;'
            f'border-radius:4px;overflow-x:auto">{self.svg}</div>'
        )


def notation(roll: PianoRoll, steps_per_quarter: int = 4) -> Notation:
    """A roll as a score, to look at.

    Raises:
        ScoreError: the roll has no steps.
    """
    return Notation(score_svg({"": roll}, steps_per_quarter), _alt(roll, steps_per_quarter))


def notations(steps_per_quarter: int = 4, **rolls: PianoRoll) -> Notation:
    """Rolls of one length over each other as one score: `notations(improvisation=a, query=b)`.

    Raises:
        ScoreError: a roll has no steps, or their lengths differ.
    """
    alts = [f"{name}: {_alt(roll, steps_per_quarter)}" for name, roll in rolls.items()]
    return Notation(score_svg(rolls, steps_per_quarter), ". ".join(alts))


def score_svg(rolls: Mapping[str, PianoRoll], steps_per_quarter: int = 4) -> str:
    """Rolls by name as an <svg> element, cut to what is drawn; the same rolls give the same text.

    Raises:
        ScoreError: a roll has no steps, or their lengths differ.
    """
    import verovio  # not above: only a picture of a score needs it

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    # Ids from the music, so that two scores on one page do not share them.
    music = b"".join(plane.tobytes() for roll in rolls.values() for plane in (roll.sounding, roll.onset))
    toolkit.setOptions(OPTIONS | {"xmlIdSeed": zlib.crc32(music) >> 1 or 1})
    toolkit.loadData(musicxml_of(rolls, steps_per_quarter))
    svg = toolkit.renderToSVG(1)
    # As wide as drawn, and narrower where the page is.
    return re.sub(
        r'^.*?<svg viewBox="0 0 (\d+)', r'<svg style="width:100%;max-width:\1px" viewBox="0 0 \1', svg, flags=re.S
    )


def _alt(roll: PianoRoll, steps_per_quarter: int) -> str:
    _, _, pitch = roll.grid_notes()
    bars = -(-len(roll) // (4 * steps_per_quarter))
    extent = f", {pitch_name(pitch.min())} to {pitch_name(pitch.max())}" if len(pitch) else ""
    return f"Score of {bars} {'bar' if bars == 1 else 'bars'}: {len(pitch)} notes{extent}"
