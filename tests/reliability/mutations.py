"""Short real files of every format that the course reads, and ways to damage them: the same number, the same file."""

import io
import random
import re
import struct
import zipfile
from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.io.wavfile
import soundfile
import symusic

from musiclib import corpora, musicxml
from musiclib.diffroll import clips
from musiclib.paths import DATA
from musiclib.synth import SAMPLE_RATE_HZ

ENDINGS = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3", "MIDI": "mid", "MusicXML": "musicxml",
           "mxl": "mxl"}  # fmt: skip
SOUNDS = ("WAV", "FLAC", "OGG", "MP3")
SUBTYPES = {"WAV": ("PCM_16", "PCM_24", "PCM_U8", "IMA_ADPCM"), "FLAC": ("PCM_16", "PCM_24"),
            "MP3": ("MPEG_LAYER_III",)}  # fmt: skip
LIES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
NUMBERS = ("", "0", "-1", "1", "3", "0.1", "1e9", "999999999", "99999999999999999999", "nan", "x", "½")
PLACES = rb"MTrk|MThd|data|fmt |RIFF|fact|OggS|fLaC|TAG|PK\x03\x04|PK\x01\x02|PK\x05\x06"


@cache
def seeds(kind: str) -> list[bytes]:
    """A few short files of one kind, undamaged: a third of a second of the shipped piano, or bars of a chorale."""
    if kind == "OGG":  # a new one has a random number in every page: the first pages of the one that ships
        data = (DATA / "piano.ogg").read_bytes()
        pages = [found.start() for found in re.finditer(b"OggS", data)]
        return [data[: pages[3]], data[: pages[4]]]
    if kind in SOUNDS:
        floats = [_floats()] if kind == "WAV" else []
        return [_sound(kind, subtype, channels) for subtype in SUBTYPES[kind] for channels in (1, 2)] + floats
    if kind == "MIDI":
        return [_midi(number) for number in range(4)]
    pages = [_page(number) for number in range(3)]
    return pages if kind == "MusicXML" else [_zipped(page) for page in pages]


def _wave() -> np.ndarray:
    return clips.shipped("A")[8].waveform[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ * 4 // 3].numpy()


def _sound(kind: str, subtype: str, channels: int) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.stack([_wave()] * channels, axis=1), SAMPLE_RATE_HZ, format=kind, subtype=subtype)
    return data.getvalue()


def _floats() -> bytes:
    data = io.BytesIO()
    scipy.io.wavfile.write(data, SAMPLE_RATE_HZ, _wave().astype(np.float32))
    return data.getvalue()


def _page(number: int) -> bytes:
    """Bars of a chorale, without the day on which it was written and the names that music21 makes up."""
    page = musicxml.musicxml(_chorale(number).roll()[: 16 * (2 + number)])
    names = {name: f"P{place}" for place, name in enumerate(dict.fromkeys(re.findall(r"P[0-9a-f]{32}", page)))}
    for name, short in names.items():
        page = page.replace(name, short)
    return re.sub(r"<encoding-date>.*?</encoding-date>", "", page).encode()


@cache
def _chorale(number: int):
    return corpora.shipped("chorales").split("train")[number]


def _midi(number: int) -> bytes:
    """Four bars of a chorale with all that MIDI holds beside notes, in one part or in three, one of them drums."""
    score = symusic.Score(480 if number < 2 else 96)
    tick = score.ticks_per_quarter // 4
    score.tempos.extend([symusic.Tempo(0, 100), symusic.Tempo(16 * tick, 80.5)])
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.key_signatures.append(symusic.KeySignature(0, -2, 0))
    score.markers.append(symusic.TextMeta(32 * tick, "second line"))
    notes = [note for note in _chorale(number).notes.tolist() if note[0] < 64]
    parts = 1 + 2 * (number % 2)
    for part in range(parts):
        track = symusic.Track(f"part {part}", program=19 + part, is_drum=part == 2)
        track.notes.extend(symusic.Note(onset * tick, length * tick, pitch, velocity)
                           for onset, length, pitch, velocity in notes[part::parts])  # fmt: skip
        track.controls.append(symusic.ControlChange(8 * tick, 64, 127))
        track.pitch_bends.append(symusic.PitchBend(12 * tick, 800))
        score.tracks.append(track)
    return score.dumps_midi()


def _zipped(page: bytes) -> bytes:
    data = io.BytesIO()
    container = '<container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("META-INF/container.xml", container), ("score.xml", page)):
            archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


# ------------------------------------------------------------------------------------------------------- damage


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwritten(data: bytes, rng: random.Random) -> bytes:
    at, new = rng.randrange(len(data)), rng.choice([b"\xff", b"\0", b"\x80", rng.randbytes(1)]) * rng.randint(1, 40)
    return data[:at] + new + data[at + len(new) :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice([rng.randrange(64), rng.randrange(len(data))])]


def beheaded(data: bytes, rng: random.Random) -> bytes:
    return data[rng.choice([rng.randrange(64), rng.randrange(len(data))]) :]


def doubled(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:last] + data[first:last] * rng.choice([1, 2, 10]) + data[last:]


def inserted(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice([1, 3, 100, 5000])) + data[at:]


def dropped(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:first] + data[last:]


def header_changed(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(min(64, len(data)))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def lied(data: bytes, rng: random.Random) -> bytes:
    """A number in a header, or after the name of a chunk, is another; of two or four bytes, either end first."""
    places = [found.end() for found in re.finditer(PLACES, data)] or [0]
    at = rng.choice([rng.choice(places), rng.randrange(min(64, len(data)))])
    form = rng.choice(["<I", ">I", "<H", ">H"])
    number = struct.pack(form, rng.choice(LIES) & (0xFFFFFFFF if form[1] == "I" else 0xFFFF))
    return data[:at] + number + data[at + len(number) :]


def swapped(data: bytes, rng: random.Random) -> bytes:
    """Two stretches take each other's place."""
    a, b, c, d = sorted(rng.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def numbers_changed(data: bytes, rng: random.Random) -> bytes:
    """What stands between two marks of XML is another number; one to three times."""
    for _ in range(rng.choice([1, 1, 3])):
        found = list(re.finditer(rb'(?<=>)[^<>\s]+(?=<)|(?<=")[^"<>]+(?=")', data))
        if not found:
            return data
        place = rng.choice(found)
        data = data[: place.start()] + rng.choice(NUMBERS).encode() + data[place.end() :]
    return data


def marks_changed(data: bytes, rng: random.Random) -> bytes:
    """An element is gone, or there twice, or stands elsewhere."""
    found = list(re.finditer(rb"<([a-z-]+)[^<>/]*>(?:(?!<\1).)*?</\1>", data, re.DOTALL))
    if not found:
        return data
    place, other = rng.choice(found), rng.choice(found)
    element = place[0]
    rest = data[: place.start()] + data[place.end() :]
    at = min(other.start(), len(rest))
    return rng.choice([rest, data[: place.end()] + element * 3 + data[place.end() :], rest[:at] + element + rest[at:]])


BYTES: list[Callable[[bytes, random.Random], bytes]] = [
    flipped, overwritten, cut, beheaded, doubled, inserted, dropped, header_changed, lied, lied, swapped,
]  # fmt: skip
MARKS = [numbers_changed, numbers_changed, marks_changed]
MOSTLY = {"MIDI": [flipped] * 12, "MusicXML": MARKS * 3}  # what a reader does not refuse at once


def mutated(kind: str, number: int) -> tuple[str, bytes]:
    """One damaged file, and how it was made."""
    rng = random.Random(f"{kind} {number}")
    own = seeds(kind)
    which = rng.randrange(len(own))
    data, done = own[which], [f"{kind} {number}: seed {which}"]
    if kind == "mxl" and rng.random() < 0.5:  # inside the archive
        damage = rng.choice(BYTES + MARKS)
        return f"{done[0]}, {damage.__name__} inside", _zipped(damage(seeds("MusicXML")[which], rng))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        damage = rng.choice(BYTES + MOSTLY.get(kind, []))
        if not data:
            break
        data = damage(data, rng)
        done.append(damage.__name__)
    return ", ".join(done), data
