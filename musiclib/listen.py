"""Players: a sound, the picture of what is heard, and a playhead that moves over it.

A player is one self-contained piece of HTML, without a request to anywhere: the sound as MP3, the picture as SVG, and
a few kilobytes of script (`player.js`). In layers, so that every front end shows what it can:

- a picture and the browser's own audio element, which need no script. They are what an untrusted notebook in
  JupyterLab shows, a page with scripts off, and ipywidgets' HTML; GitHub, which removes sound, shows the picture.
- where scripts run (JupyterLab, Notebook 7, VS Code, Colab, pages by nbconvert), a custom element makes the two one
  widget inside its shadow tree, where the page's styles do not reach. No iframe: untrusted notebooks lose it whole.

Keys: space plays, arrows move by 1 s (with shift 0.1 s), Home, End, L loops, [ and ] set its ends, Escape clears it.
Mouse: click or drag to seek; shift-drag, or drag along the seconds, to loop; double-click clears.

Notebooks: all.
"""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import soundfile
from torch import Tensor

from musiclib import timeline
from musiclib.pianoroll import Note, PianoRoll
from musiclib.synth import SAMPLE_RATE_HZ, NoteBank

WIDEST_PX, NARROWEST_PX = 680, 250


@dataclass(frozen=True, eq=False)
class Track:
    """What one player plays and shows.

    Attributes:
        sound: (samples,) at 16 kHz. roll: the notes heard, None for no piano roll. reference: the notes that should
        be heard, overlaid. spectrogram: whether there is one.
    """

    sound: Tensor
    roll: Sequence[Note] | None = None
    reference: Sequence[Note] | None = None
    spectrogram: bool = True


class Players:
    """Sounds side by side, at their true relative loudness. Made by `player`, `players` and their kin.

    Args:
        tracks: label → a `Track`, or a waveform (samples,) at 16 kHz.
        gain: of all of them; unless given, the loudest peaks at 0.9.

    Raises:
        ValueError: there is no sound, one without samples, or nothing to see.
    """

    def __init__(self, tracks: Mapping[str, Tensor | Track], gain: float | None = None):
        self.tracks = {label: x if isinstance(x, Track) else Track(x) for label, x in tracks.items()}
        self.sounds = {label: track.sound.detach().cpu().float().flatten() for label, track in self.tracks.items()}
        if not self.sounds or not all(map(len, self.sounds.values())):
            raise ValueError("Nothing to play: a player needs at least one waveform with at least one sample.")
        rollless = [track for track in self.tracks.values() if track.roll is None]
        if any(track.reference is not None or not track.spectrogram for track in rollless):
            raise ValueError(
                "Nothing to see: a player without a roll needs its spectrogram, and can have no reference."
            )
        loudest = max(float(sound.abs().max()) for sound in self.sounds.values())
        self.gain = gain if gain is not None else 0.9 / loudest if loudest > 0 else 1.0

    def __repr__(self) -> str:
        return "Players: " + ", ".join(f"{k} ({len(v) / SAMPLE_RATE_HZ:.1f} s)" for k, v in self.sounds.items())

    def _repr_html_(self) -> str:
        figures = "".join(self._figure(label) for label in self.tracks)
        beside = "display:flex;flex-wrap:wrap;gap:12px;align-items:start" if len(self.tracks) > 1 else ""
        return f'<div style="{beside}">{figures}</div>{_script()[1]}'

    def _figure(self, label: str) -> str:
        track, sound = self.tracks[label], self.sounds[label]
        notes, reference = (None if x is None else notes_of(x) for x in (track.roll, track.reference))
        seconds = len(sound) / SAMPLE_RATE_HZ
        svg, top_px, height_px = timeline.draw(sound, notes, reference, track.spectrogram)
        shown = ["piano roll"] * (notes is not None) + ["spectrogram"] * track.spectrogram
        alt = f"{' and '.join(shown).capitalize()} of {label}, {seconds:.1f} seconds"
        if notes is not None:
            alt += f": {timeline.in_words(notes, reference)}"
        tag = _script()[0]
        return (
            f'<{tag} data-seconds="{seconds:.4f}" data-top="{top_px}" style="display:block;flex:1 1 {NARROWEST_PX}px;'
            f'min-width:0;max-width:{WIDEST_PX}px"><figure style="margin:0;max-width:{WIDEST_PX}px">'
            f'<figcaption style="font-weight:bold">{escape(label)}</figcaption>'
            f'<img alt="{escape(alt)}" width="100%" height="{height_px}" '
            f'src="data:image/svg+xml;base64,{_base64(svg.encode())}">'
            f"{audio_tag(sound * self.gain, label, 'width:100%')}</figure></{tag}>"
        )


def player(
    sound: Tensor,
    label: str = "sound",
    roll: PianoRoll | Sequence[Note] | None = None,
    reference: PianoRoll | Sequence[Note] | None = None,
    spectrogram: bool = True,
) -> Players:
    """A player for one waveform.

    Args:
        sound: (samples,) at 16 kHz. label: its name.
        roll: the notes heard, as a piano roll below the spectrogram.
        reference: the notes that should be heard; then the roll tells hits (onset within 50 ms), missed and extra.
        spectrogram: False for the piano roll alone.
    """
    return Players({label: Track(sound, roll, reference, spectrogram)})


def players(**sounds: Tensor | Track) -> Players:
    """Players side by side, one per keyword: `players(chord=a, sum_of_slots=b)`; underscores show as spaces."""
    return Players({label.replace("_", " "): sound for label, sound in sounds.items()})


def roll_player(
    roll: PianoRoll | Sequence[Note],
    bank: NoteBank | None = None,
    program: int = 0,
    label: str = "piano roll",
    reference: PianoRoll | Sequence[Note] | None = None,
    spectrogram: bool = False,
) -> Players:
    """A player for notes, rendered by the note bank.

    Args:
        roll: what to play. bank: the one that ships, if none is given. program: of a `PianoRoll`; notes know theirs.
        label, reference, spectrogram: see `player`.
    """
    return Players({label: roll_track(roll, bank, program, reference, spectrogram)})


def roll_players(bank: NoteBank | None = None, program: int = 0, **rolls: PianoRoll | Sequence[Note]) -> Players:
    """Piano rolls side by side, one per keyword: `roll_players(written=notes, sampled=roll)`."""
    return players(**{label: roll_track(roll, bank, program) for label, roll in rolls.items()})


def roll_track(
    roll: PianoRoll | Sequence[Note],
    bank: NoteBank | None = None,
    program: int = 0,
    reference: PianoRoll | Sequence[Note] | None = None,
    spectrogram: bool = False,
) -> Track:
    """Notes rendered by the note bank, for `players(original=roll_track(a), model=roll_track(b, reference=a))`."""
    notes = notes_of(roll, program)
    return Track((bank or _shipped_bank()).render(notes), notes, reference, spectrogram)


def notes_of(roll: PianoRoll | Sequence[Note], program: int = 0) -> list[Note]:
    """The notes of a roll, or a list of notes as it is."""
    return roll.notes(program=program) if isinstance(roll, PianoRoll) else list(roll)


def audio_tag(sound: Tensor, label: str, style: str) -> str:
    """HTML: the browser's own player of one waveform, as MP3 inside; `label` is what a screen reader says."""
    return (
        f'<audio controls preload="metadata" style="{style};height:32px" aria-label="{escape(label)}" '
        f'src="data:audio/mpeg;base64,{_base64(_mp3(sound))}"></audio>'
    )


def picture_tag(png: bytes, alt: str, style: str) -> str:
    """HTML: a picture, inside as PNG."""
    return f'<img alt="{escape(alt)}" style="{style}" src="data:image/png;base64,{_base64(png)}">'


@cache
def _shipped_bank() -> NoteBank:
    return NoteBank.load()


@cache
def _script() -> tuple[str, str]:
    """The name of the custom element, and the script that defines it.

    The name carries the code's hash: a page may hold an older player, saved with its notebook, beside a fresh one.
    """
    here = Path(__file__).parent
    code, css = (_dense((here / name).read_text(encoding="utf-8")) for name in ("player.js", "player.css"))
    code = code.replace("PLAYER_CSS", css)
    tag = f"music-player-{hashlib.sha256(code.encode()).hexdigest()[:8]}"
    return tag, f"<script>{code.replace('PLAYER_NAME', tag)}</script>"


def _dense(code: str) -> str:
    """Without indentation and lines that are only a comment: a page carries the code once for each output."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def _mp3(sound: Tensor) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound.clamp(-1, 1).numpy(), SAMPLE_RATE_HZ, format="MP3")
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
