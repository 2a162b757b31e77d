"""The picture of a player: spectrogram and piano roll over one axis of seconds, as one SVG.

Places along time are fractions (--x, --w) of what the margins leave, and all else is in pixels, so the picture is as
wide as its page and the letters keep their size. It knows light and dark itself. Colours are Okabe and Ito's, and no
meaning rests on colour alone.

Notebook: 05 scores to piano rolls.
"""

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from musiclib.pianoroll import Note
from musiclib.plots import HIGHEST_DB, LOWEST_DB, pitch_name
from musiclib.spectrogram import HOP_SAMPLES, mel_power, power_to_db, stft
from musiclib.synth import PROGRAM_NAMES, SAMPLE_RATE_HZ

LEFT_PX, RIGHT_PX = 42, 10  # the margins; player.css knows them too
LEGEND_PX, SPECTROGRAM_PX, GAP_PX, RULER_PX = 20, 128, 8, 20
MOST_COLUMNS, COLOURS = 320, 16  # more would cost more than the sound
HIGHEST_HZ = SAMPLE_RATE_HZ / 2
ONSET_TOLERANCE_S = 0.05  # mir_eval's
BLACK_KEYS = {1, 3, 6, 8, 10}
INSTRUMENT_CLASSES = ("hit", "second", "third")
INSIDE = f"(100% - {LEFT_PX + RIGHT_PX}px)"
STYLE = f"""
rect[style],image[style]{{x:calc(var(--x)*{INSIDE} + {LEFT_PX}px);width:calc(var(--w)*{INSIDE})}}
text[style],.tick{{transform:translateX(calc(var(--x)*{INSIDE} + {LEFT_PX}px))}}
:root{{color-scheme:light dark}}
"""
STYLE += """
text{fill:light-dark(#555,#bbb);font:10px system-ui,sans-serif}
.paper{fill:light-dark(#fff,#181818)}
.black{fill:light-dark(#f2f2f2,#222)}
.line{stroke:light-dark(#ddd,#3a3a3a)}
.tick{stroke:gray}
.hit,.second,.third{stroke:light-dark(#fff,#181818);stroke-width:.8}
.hit{fill:light-dark(#0072b2,#56b4e9)}
.second{fill:light-dark(#d55e00,#e69f00)}
.third{fill:light-dark(#009e73,#2fc796)}
.truth,.missed{fill:none;stroke:light-dark(#222,#eee)}
.missed{stroke-dasharray:3 2}
.extra{fill:url(#hatch);stroke:light-dark(#d55e00,#e69f00)}
.hatch{stroke:light-dark(#d55e00,#e69f00);stroke-width:3}
image{image-rendering:pixelated}
"""
WHOLE = 'style="--x:0;--w:1"'
DEFINITIONS = (
    f'<clipPath id="plot"><rect {WHOLE} height="100%"/></clipPath>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="hatch" d="M0 0V5"/></pattern>'
)


def draw(
    sound: Tensor, notes: Sequence[Note] | None, reference: Sequence[Note] | None, spectrogram: bool
) -> tuple[str, int, int]:
    """The picture, where its plot begins below the legend, and its height, both in pixels.

    Args:
        sound: (samples,) at 16 kHz. notes: what is heard; None for no piano roll. reference: what should be heard.
        spectrogram: whether there is one.
    """
    seconds = len(sound) / SAMPLE_RATE_HZ
    y, plot, margin, legend = 0, [], [], []
    if notes is not None:
        marked = _marked(notes, reference)
        legend = _legend(marked, reference is not None)
        y += LEGEND_PX if legend else 0
    top = y
    if spectrogram:
        plot.append(_spectrogram(sound, y))
        margin += [_label(y + SPECTROGRAM_PX * (1 - _mel(hz)), name) for hz, name in _FREQUENCIES.items()]
        y += SPECTROGRAM_PX + GAP_PX
    if notes is not None:
        bars, names, height = _roll(marked, seconds, y)
        plot.append(bars)
        margin += names
        y += height
    ruler = _ruler(seconds, y)
    height = y + RULER_PX
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}"><style>{STYLE}</style>{DEFINITIONS}'
        f'<rect class="paper" width="100%" height="100%"/>{"".join(margin)}{"".join(legend)}{ruler}'
        f'<g clip-path="url(#plot)">{"".join(plot)}</g></svg>'
    )
    return svg, top, height


def compare(notes: Sequence[Note], reference: Sequence[Note]) -> list[tuple[Note | None, Note | None]]:
    """Pairs (heard, true): both where pitch and onset agree to 50 ms, None for the partner of an extra or missed note.

    Within one pitch, pairing the earliest that fit gives as many pairs as there can be.
    """
    pairs = []
    for pitch in sorted({note.pitch for note in (*notes, *reference)}):
        heard, true = (sorted(note for note in side if note.pitch == pitch) for side in (notes, reference))
        while heard and true:
            late_s = heard[0].onset_s - true[0].onset_s
            if abs(late_s) <= ONSET_TOLERANCE_S:
                pairs.append((heard.pop(0), true.pop(0)))
            else:
                pairs.append((heard.pop(0), None) if late_s < 0 else (None, true.pop(0)))
        pairs += [(note, None) for note in heard] + [(None, note) for note in true]
    return pairs


def in_words(notes: Sequence[Note], reference: Sequence[Note] | None) -> str:
    """What the piano roll shows, for those who cannot see it."""
    words = f"{len(notes)} notes"
    if notes:
        low, high = min(note.pitch for note in notes), max(note.pitch for note in notes)
        words += f" from {pitch_name(low)} to {pitch_name(high)}"
    if reference is None:
        return words
    kinds = [kind for kind, _ in _marked(notes, reference)]
    return f"{words}; against the reference {', '.join(f'{kinds.count(k)} {k}' for k in ('hit', 'missed', 'extra'))}"


# ------------------------------------------------------------------------------------------------- piano roll


def _marked(notes: Sequence[Note], reference: Sequence[Note] | None) -> list[tuple[str, Note]]:
    """Notes with their class: by instrument, or by what the reference says of them."""
    if reference is None:
        programs = sorted({note.program for note in notes})
        return [(INSTRUMENT_CLASSES[min(programs.index(n.program), 2)], n) for n in sorted(notes)]
    marked = []
    for heard, true in compare(notes, reference):
        if heard and true:
            marked += [("hit", heard), ("truth", true)]
        else:
            marked.append(("extra", heard) if heard else ("missed", true))
    return marked


def _legend(marked: list[tuple[str, Note]], compared: bool) -> list[str]:
    if compared:
        kinds = [kind for kind, _ in marked]
        entries = {kind: f"{kinds.count(kind)} {kind}" for kind in ("hit", "missed", "extra")}
        entries["truth"] = "reference"
    else:
        programs = sorted({note.program for _, note in marked})
        if len(programs) < 2:
            return []
        names = [PROGRAM_NAMES.get(program, f"program {program}") for program in programs]
        names[2:] = [", ".join(names[2:])] if names[2:] else []
        entries = dict(zip(INSTRUMENT_CLASSES, names, strict=False))
    parts, x = [], LEFT_PX
    for kind, words in entries.items():
        parts.append(f'<rect class="{kind}" x="{x}.5" y="4.5" width="16" height="8" rx="1"/>')
        parts.append(f'<text x="{x + 22}" y="12">{escape(words)}</text>')
        x += 36 + 6 * len(words)
    return parts


def _roll(marked: list[tuple[str, Note]], seconds: float, top: int) -> tuple[str, list[str], int]:
    """The bars of a piano roll, the names of pitches beside them, and its height in pixels."""
    pitches = [note.pitch for _, note in marked] or [60]
    low, high = min(pitches) - 2, max(pitches) + 2
    low -= max(0, 14 - (high - low + 1))
    rows = high - low + 1
    row_px = max(3, min(8, 208 // rows))
    bottom = top + rows * row_px

    def y(pitch: int) -> int:
        return bottom - (pitch - low + 1) * row_px

    keys = [
        f'<rect class="black" {WHOLE} y="{y(pitch)}" height="{row_px}"/>'
        for pitch in range(low, high + 1)
        if pitch % 12 in BLACK_KEYS
    ]
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0 or (rows <= 26 and pitch % 12 == 7)]
    lines = [f'<path class="line" d="M0 {y(p) + row_px}h9999"/>' for p in named if p % 12 == 0]
    bars = [
        f'<rect class="{kind}" {_span(note.onset_s / seconds, note.duration_s / seconds)} y="{y(note.pitch)}" '
        f'height="{row_px}" rx="1"/>'
        for kind, note in sorted(marked, key=lambda pair: pair[0] == "truth")
    ]
    names = [_label(y(pitch) + row_px / 2, pitch_name(pitch)) for pitch in named]
    return "".join(keys + lines + bars), names, rows * row_px


# ------------------------------------------------------------------------------------- spectrogram and axes


def _mel(hz: float) -> float:
    """Where a frequency lies among the mel bands: 0 at the bottom, 1 at the top."""
    return math.log1p(hz / 700) / math.log1p(HIGHEST_HZ / 700)


_FREQUENCIES = {250: "250 Hz", 1000: "1 kHz", 2000: "2 kHz", 4000: "4 kHz"}


def _spectrogram(sound: Tensor, y: int) -> str:
    """The mel spectrogram as a picture of few colours, each column centred on its frame's time."""
    padded = torch.nn.functional.pad(sound, (0, max(0, 2 * HOP_SAMPLES - len(sound))))
    power = mel_power(stft(padded))
    hop_s = HOP_SAMPLES / SAMPLE_RATE_HZ
    wide_s = power.shape[1] * hop_s
    if power.shape[1] > MOST_COLUMNS:
        power = torch.nn.functional.adaptive_avg_pool1d(power, MOST_COLUMNS)
    level = (power_to_db(power) - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB)
    index = (level.clamp(0, 1) * (COLOURS - 1)).round().byte().flip(0).numpy()
    picture = Image.fromarray(index, "P")
    picture.putpalette(
        (matplotlib.colormaps["magma"](np.linspace(0, 1, COLOURS))[:, :3] * 255).astype("uint8").tobytes()
    )
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    seconds = len(sound) / SAMPLE_RATE_HZ
    return (
        f'<rect {WHOLE} y="{y}" height="{SPECTROGRAM_PX}"/>'
        f'<image {_span(-0.5 * hop_s / seconds, wide_s / seconds)} y="{y}" '
        f'height="{SPECTROGRAM_PX}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"/>'
    )


def _span(start: float, length: float) -> str:
    """Where something lies along time, as fractions of the whole."""
    return f'style="--x:{start:.5g};--w:{length:.5g}"'


def _label(y: float, words: str) -> str:
    return f'<text x="{LEFT_PX - 5}" y="{y + 3.5:.1f}" text-anchor="end">{words}</text>'


def _ruler(seconds: float, y: int) -> str:
    """Ticks at round seconds, eight at most."""
    step_s = next(
        step * 10.0**power for power in range(-3, 5) for step in (1, 2, 5) if seconds / (step * 10.0**power) <= 8
    )
    ticks = []
    for k in range(int(seconds / step_s) + 1):
        at = f'style="--x:{k * step_s / seconds:.5g}"'
        ticks.append(
            f'<path class="tick" {at} d="M0 {y}v4"/><text {at} y="{y + 15}">{k * step_s:g}{"" if k else " s"}</text>'
        )
    return f'<g text-anchor="middle">{"".join(ticks)}</g>'
