"""MusicXML in and out, by music21. Files are opened through `musiclib.scores`.

Notebook: 05 scores to piano rolls.
"""

import io
import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from musiclib.pianoroll import PianoRoll
from musiclib.scores import MOST_BYTES, SCORE_NOTE, Score, ScoreError, tempo_map

BAR_QUARTERS = 4
MIDDLE_C, WIDE = 60, 24  # a roll that goes more than two octaves around middle C takes two staves
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def parse(path: Path, data: bytes) -> Score:
    """Notes, tempi and metre of MusicXML, plain or zipped: ties joined, repeats played, at sounding pitch; grace notes
    and chord symbols are left out.

    Raises:
        ScoreError: it is damaged.
    """
    _load_music21()
    import music21

    try:
        with warnings.catch_warnings(action="ignore"):  # what music21 mends it also prints
            return _score(music21.converter.parseData(_unzipped(path, data), format="musicxml").toSoundingPitch())
    except ScoreError:
        raise
    except Exception as error:  # music21 and the XML parser raise whatever they stumble upon
        raise ScoreError(f"{path} is damaged MusicXML ({error}): export or download it again.") from error


def _score(score) -> Score:
    """music21's score as ours."""
    from music21.repeat import ExpanderException

    metre = _metre(score.parts.first())
    with suppress(ExpanderException):  # repeat signs that do not pair: as printed
        score = score.expandRepeats()
    rows = [row for part in score.parts for row in _part_rows(part)]
    tempi = [(float(start), 60 / mark.getQuarterBPM()) for start, _, mark in score.metronomeMarkBoundaries()]
    return Score(np.array(rows, SCORE_NOTE), tempo_map(tempi), float(score.highestTime), *metre)


def _load_music21() -> None:
    """Imports music21, which is slow and so not done above, without what it does to a notebook: a second after its
    import a timer of its own makes every later picture twice as large."""
    from music21 import ipython21

    ipython21.load_ipython_extension = lambda shell: None  # what the timer calls


def _unzipped(path: Path, data: bytes) -> bytes:
    """The score in an .mxl archive; what is not zipped as it is."""
    if data[:2] != b"PK":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        container = archive.read("META-INF/container.xml").decode()
        name = re.search(r'full-path="([^"]+)"', container)[1]
        if archive.getinfo(name).file_size > MOST_BYTES:
            raise ScoreError(f"{path} unzips to more than {MOST_BYTES >> 20} MiB, which no score has: export it again.")
        return archive.read(name)


def _metre(part) -> tuple[tuple[tuple[float, int, int], ...], float]:
    """Time signatures as printed, and the quarters of a pick-up."""
    bars = part.getElementsByClass("Measure") if part else ()
    if not bars:
        return (), 0.0
    signs = [(float(sign.getOffsetInHierarchy(part)), sign.numerator, sign.denominator)
             for sign in part.recurse().getElementsByClass("TimeSignature")]  # fmt: skip
    first = float(bars[0].duration.quarterLength)
    bar = 4 * signs[0][1] / signs[0][2] if signs else 4.0
    return tuple(signs), first if first < bar else 0.0


def _part_rows(part) -> list[tuple]:
    """(onset, end, pitch, velocity, program) of a part; a tied note is one, in whichever voices it is written."""
    instrument = part.getInstrument(returnDefault=True)
    if instrument.midiChannel == 9:
        return []
    rows, held = [], {}
    for element in part.flatten().notes:
        if element.quarterLength == 0 or "ChordSymbol" in element.classes:
            continue
        for note in getattr(element, "notes", [element]):
            if not hasattr(note, "pitch"):
                continue  # a drum among the notes
            onset, pitch = element.offset, note.pitch.midi
            end = onset + element.quarterLength
            if note.tie is not None and note.tie.type != "start" and held.get(pitch, (None, None))[0] == onset:
                number = held.pop(pitch)[1]
                rows[number] = (rows[number][0], end, *rows[number][2:])
            else:
                number = len(rows)
                rows.append((onset, end, pitch, note.volume.velocity or 90, instrument.midiProgram or 0))
            if note.tie is not None and note.tie.type != "stop":
                held[pitch] = (end, number)
    return rows


def musicxml(roll: PianoRoll, steps_per_quarter: int = 4) -> str:
    """A roll as MusicXML to print: bars of 4/4, ties over bar lines, two staves if it is wide; voices where notes
    overlap. The last bar ends with the roll.

    Raises:
        ScoreError: the roll has no steps.
    """
    return musicxml_of({"": roll}, steps_per_quarter)


def musicxml_of(rolls: Mapping[str, PianoRoll], steps_per_quarter: int = 4) -> str:
    """Rolls of one length by name, the first uppermost, each with staves of its own; see `musicxml`.

    Raises:
        ScoreError: a roll has no steps, or their lengths or steps differ.
    """
    _load_music21()
    import music21

    if len({(len(roll), roll.step_s) for roll in rolls.values()}) != 1:
        raise ScoreError("Rolls that are printed over each other have one length and one step: cut them alike.")
    if not all(map(len, rolls.values())):
        raise ScoreError("A roll of 0 steps cannot be printed: give it at least one.")
    score = _printed(rolls, steps_per_quarter)
    score.metadata = music21.metadata.Metadata(title="", composer="")
    text = music21.musicxml.m21ToXml.GeneralObjectExporter(score).parse().decode()
    # Which way stems go depends on the voices, and music21 overlooks them.
    return re.sub(r"\s*<stem>.*?</stem>", "", text)


def _printed(rolls: Mapping[str, PianoRoll], steps_per_quarter: int):
    """Rolls as a music21 score."""
    import music21

    score = music21.stream.Score(id="score")
    notes = {name: roll.grid_notes() for name, roll in rolls.items()}
    fifths = _fifths(*(np.concatenate([own[field] for own in notes.values()]) for field in (2, 1)))
    steps = len(next(iter(rolls.values())))
    for name, (onset, length, pitch) in notes.items():
        staves = [
            _staff(clef, _voices(onset[own], length[own], pitch[own]), steps, steps_per_quarter, fifths)
            for clef, own in _staves(pitch)
        ]
        staves[0].partName = name or None
        for staff in staves:
            staff.id = f"staff-{len(score.parts) + 1}"
            score.insert(0, staff)
        if len(staves) > 1:
            score.insert(0, music21.layout.StaffGroup(staves, symbol="brace"))
    tempo = music21.tempo.MetronomeMark(number=60 / (next(iter(rolls.values())).step_s * steps_per_quarter))
    score.parts[0].getElementsByClass("Measure")[0].insert(0, tempo)
    return score


def _staff(clef, voices: list[list[tuple]], steps: int, steps_per_quarter: int, fifths: int):
    import music21

    staff, bar_steps = music21.stream.PartStaff(), BAR_QUARTERS * steps_per_quarter
    for start in range(0, steps, bar_steps):
        measure = _measure(voices, start, min(start + bar_steps, steps), steps_per_quarter, fifths)
        measure.number = start // bar_steps + 1
        staff.append(measure)
    bars = staff.getElementsByClass("Measure")
    bars[0].insert(0, clef)
    bars[0].insert(0, music21.key.KeySignature(fifths))
    if steps >= bar_steps:
        bars[0].insert(0, music21.meter.TimeSignature(f"{BAR_QUARTERS}/4"))
    if steps % bar_steps:
        bars[-1].insert(0, _short_bar(steps % bar_steps, steps_per_quarter))
    return staff


def _short_bar(steps: int, steps_per_quarter: int):
    """The time signature of a bar of so many steps, not printed: without it a reader fills the bar up."""
    from music21.meter import TimeSignature

    length = Fraction(steps, BAR_QUARTERS * steps_per_quarter)
    sign = TimeSignature(f"{length.numerator}/{length.denominator}")
    sign.style.hideObjectOnPrint = True
    return sign


def _staves(pitch: np.ndarray) -> list[tuple]:
    """Clefs, and which notes they are for."""
    from music21.clef import BassClef, TrebleClef

    if len(pitch) and pitch.max() - pitch.min() > WIDE and pitch.min() < MIDDLE_C <= pitch.max():
        return [(TrebleClef(), pitch >= MIDDLE_C), (BassClef(), pitch < MIDDLE_C)]
    low = len(pitch) and np.median(pitch) < MIDDLE_C - 3
    return [(BassClef() if low else TrebleClef(), np.full(len(pitch), True))]


def _voices(onset: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> list[list[tuple]]:
    """Chords (start, end, pitches), each in the first voice that is free."""
    chords = defaultdict(list)
    for start, steps, note in zip(onset.tolist(), length.tolist(), pitch.tolist(), strict=True):
        chords[start, start + steps].append(note)
    voices: list[list[tuple]] = [[]]
    for (start, end), pitches in sorted(chords.items(), key=lambda item: (item[0][0], -max(item[1]))):
        free = next((voice for voice in voices if not voice or voice[-1][1] <= start), None)
        if free is None:
            voices.append(free := [])
        free.append((start, end, pitches))
    return voices


def _measure(voices: list[list[tuple]], start: int, end: int, steps_per_quarter: int, fifths: int):
    """One bar: in each voice what sounds between two steps, with rests between; no voice that only rests, but one."""
    import music21

    measure = music21.stream.Measure()
    sounding = [[chord for chord in voice if chord[0] < end and chord[1] > start] for voice in voices]
    for number, chords in enumerate(filter(None, sounding) if any(sounding) else [[]]):
        voice = music21.stream.Voice(id=str(number + 1))
        at = start
        for first, last, pitches in [*chords, (end, end, None)]:
            if first > at:
                rest = music21.note.Rest(quarterLength=_quarters(first - at, steps_per_quarter))
                rest.style.hideObjectOnPrint = number > 0
                voice.append(rest)
            if pitches is None:
                break
            shown = (max(first, start), min(last, end))
            chord = _chord(pitches, _quarters(shown[1] - shown[0], steps_per_quarter), fifths)
            if shown != (first, last):
                chord.tie = music21.tie.Tie("start" if first >= start else "continue" if last > end else "stop")
            voice.append(chord)
            at = shown[1]
        measure.insert(0, voice)
    return measure


def _quarters(steps: int, steps_per_quarter: int):
    from music21.common import opFrac

    return opFrac(steps / steps_per_quarter)


def _chord(pitches: list[int], quarters, fifths: int):
    import music21

    spelled = [music21.pitch.Pitch(_spelling(pitch, fifths)) for pitch in pitches]
    made = music21.chord.Chord(spelled) if len(spelled) > 1 else music21.note.Note(spelled[0])
    made.quarterLength = quarters
    return made


def _fifths(pitch: np.ndarray, length: np.ndarray) -> int:
    """The key signature, sharps upwards and flats downwards from 0, that the fewest steps of the notes leave."""
    weight = np.bincount(pitch % 12, length, 12)
    inside = {fifths: sum(weight[(7 * fifths + degree) % 12] for degree in MAJOR) for fifths in range(-5, 7)}
    return max(inside, key=lambda fifths: (inside[fifths], -abs(fifths)))


def _spelling(pitch: int, fifths: int) -> str:
    """MIDI pitch → a name such as E-4, taken from the twelve fifths around a key signature, four down and seven up."""
    place = (pitch * 7 - (fifths - 4)) % 12 + fifths - 4  # on the line of fifths, C at 0
    alteration = (place + 1) // 7
    octave = (pitch - alteration) // 12 - 1
    return f"{'FCGDAEB'[(place + 1) % 7]}{'#' * alteration}{'-' * -alteration}{octave}"
