"""Scores from and into files: nothing is lost where the grid allows, and no file crashes the reader."""

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from test_pianoroll import rolls

from musiclib.pianoroll import Note, PianoRoll, planes
from musiclib.scores import ScoreError, open_score, read_notes, read_score, tempo_map, write_midi

IN_ONE_FILE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
IN_FEW_FILES = settings(IN_ONE_FILE, max_examples=20)
END = b"\x00\xff\x2f\x00"
ONE_NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00" + END  # middle C for 96 ticks


def midi(*tracks: bytes, division=96, kind=1) -> bytes:
    """A MIDI file byte by byte; 96 ticks per quarter, so that 0x60 ticks are one."""
    header = b"MThd" + b"".join(n.to_bytes(size, "big") for n, size in ((6, 4), (kind, 2), (len(tracks), 2)))
    chunks = [b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks]
    return header + division.to_bytes(2, "big") + b"".join(chunks)


@pytest.fixture
def save(tmp_path):
    def save(data: bytes, name: str = "score.mid") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return save


# --- round trips ---


def sounds(roll):
    return bool(roll.sounding.any())


@IN_ONE_FILE
@given(roll=rolls().filter(sounds))
def test_roll_midi_roll(roll, tmp_path):
    roll.write_midi(tmp_path / "a.mid", program=40)
    assert read_score(tmp_path / "a.mid") == roll
    assert {note.program for note in read_notes(tmp_path / "a.mid")} == {40}


@pytest.mark.slow
@IN_FEW_FILES
@given(roll=rolls(lowest=21, highest=108).filter(sounds))
def test_roll_musicxml_roll(roll, tmp_path):
    roll.write_musicxml(tmp_path / "a.musicxml")
    assert read_score(tmp_path / "a.musicxml") == roll


def test_finer_grids_and_other_tempi(tmp_path):
    roll = PianoRoll(*planes([0, 7, 24], [5, 17, 1], [60, 60, 64]), step_s=1 / 48)
    roll.write_midi(tmp_path / "a.mid", steps_per_quarter=24)
    back = read_score(tmp_path / "a.mid", steps_per_quarter=24)
    assert np.array_equal(back.onset, roll.onset)
    assert np.array_equal(back.sounding, roll.sounding)
    roll.write_midi(tmp_path / "a.mid", tempo=60, steps_per_quarter=24)
    assert read_score(tmp_path / "a.mid", steps_per_quarter=24).step_s == pytest.approx(1 / 24)


def test_notes_in_seconds_to_the_millisecond(tmp_path):
    notes = [Note(0.1234, 1.0, 60, 50, 3), Note(0.5, 0.25, 60, 101, 40), Note(7.0, 2.0, 127, 1, 0)]
    write_midi(notes, tmp_path / "a.mid")
    assert read_notes(tmp_path / "a.mid") == [
        Note(0.123, pytest.approx(1.0), 60, 50, 3), Note(0.5, 0.25, 60, 101, 40), Note(7.0, 2.0, 127, 1, 0),
    ]  # fmt: skip


def test_of_two_overlapping_notes_on_a_pitch_the_later_cuts_the_earlier(tmp_path):
    write_midi([Note(0.0, 4.0, 60), Note(1.0, 1.0, 60), Note(1.0, 1.0, 60, 90, 7)], tmp_path / "a.mid")
    assert read_notes(tmp_path / "a.mid") == [Note(0.0, 1.0, 60), Note(1.0, 1.0, 60), Note(1.0, 1.0, 60, 90, 7)]


@pytest.mark.parametrize(("steps_per_quarter", "steps"), [(4, 37), (3, 14), (24, 5), (8, 33)])
def test_musicxml_on_other_grids(tmp_path, steps_per_quarter, steps):
    """Wide, so on two staves; the last note lies over a bar line or ends a short bar; the last step rests."""
    roll = PianoRoll(
        *planes([0, 0, 1, 3], [3, 2, 2, steps - 4], [36, 60, 84, 61], steps), step_s=0.5 / steps_per_quarter
    )
    roll.write_musicxml(tmp_path / "a.musicxml", steps_per_quarter)
    back = read_score(tmp_path / "a.musicxml", steps_per_quarter)
    assert np.array_equal(back.sounding, roll.sounding)
    assert np.array_equal(back.onset, roll.onset)


def test_a_roll_without_steps_is_not_printed(tmp_path):
    with pytest.raises(ScoreError, match="0 steps"):
        PianoRoll.from_notes([]).write_musicxml(tmp_path / "a.musicxml")
    assert not list(tmp_path.iterdir())


def test_a_tempo_that_midi_cannot_hold(tmp_path):
    with pytest.raises(ScoreError, match="a quarter of 40 s"):
        PianoRoll.from_notes([], step_s=10.0, steps=4).write_midi(tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())


# --- a score by hand ---


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """Pick-up bar, repeated notes, a tie over the bar line, a triplet; two voices that overlap; 60, then 120.

    Quarters:  0   1   2   3   4 | 5   6      7   8
    melody     G4| C5  C5  D5 -  - | -  E F G  rest
    voices         C3 -  -   -          (E3 from 2 to 4)
    """
    from music21 import chord, instrument, metadata, meter, note, stream, tempo, tie

    def named(name, quarters, tied=None):
        made = note.Note(name, quarterLength=quarters)
        made.tie = tie.Tie(tied) if tied else None
        return made

    def bar(number, *contents, **signs):
        made = stream.Measure(number=number)
        for at, sign in ((0, sign) for sign in signs.values()):
            made.insert(at, sign)
        for content in contents:
            made.append(content) if not isinstance(content, stream.Voice) else made.insert(0, content)
        return made

    def voice(*contents):
        made = stream.Voice()
        for content in contents:
            made.append(content)
        return made

    melody = stream.Part([instrument.Violin()])
    pickup = bar(0, named("G4", 1), time=meter.TimeSignature("4/4"), tempo=tempo.MetronomeMark(number=60))
    pickup.paddingLeft = 3
    melody.append(pickup)
    melody.append(bar(1, named("C5", 1), named("C5", 1), named("D5", 2, "start")))
    triplet = [named(name, 1 / 3) for name in ("E5", "F5", "G5")]
    faster = tempo.MetronomeMark(number=120)
    melody.append(bar(2, named("D5", 1, "stop"), *triplet, note.Rest(quarterLength=2), tempo=faster))
    lower = stream.Part([instrument.Piano()])
    rest = bar(0, note.Rest(quarterLength=1), time=meter.TimeSignature("4/4"))
    rest.paddingLeft = 3
    lower.append(rest)
    second = voice(note.Rest(quarterLength=1), named("E3", 2), note.Rest(quarterLength=1))
    lower.append(bar(1, voice(named("C3", 4)), second))
    lower.append(bar(2, chord.Chord(["C3", "G3"], quarterLength=1), note.Rest(quarterLength=3)))
    score = stream.Score([melody, lower])
    score.metadata = metadata.Metadata(title="by hand")
    folder = tmp_path_factory.mktemp("by_hand")
    score.write("musicxml", folder / "score.musicxml")
    score.write("midi", folder / "score.mid")
    with zipfile.ZipFile(folder / "score.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", '<container><rootfile full-path="a.xml"/></container>')
        archive.write(folder / "score.musicxml", "a.xml")
    return folder


BY_HAND = [  # onset, length in 16ths, pitch; of a triplet's 24, 25.33, 26.67 and 28 the nearest
    (0, 4, 67), (4, 16, 48), (4, 4, 72), (8, 8, 52), (8, 4, 72), (12, 12, 74),
    (20, 4, 48), (20, 4, 55), (24, 1, 76), (25, 2, 77), (27, 1, 79),
]  # fmt: skip


@pytest.mark.parametrize(("name", "steps"), [("score.musicxml", 36), ("score.mxl", 36), ("score.mid", 28)])
def test_planes_of_the_score_by_hand(by_hand, name, steps):
    """MusicXML keeps the rests of the last bar; MIDI has no rests, so its last note-off is the end."""
    roll = read_score(by_hand / name)
    assert list(zip(*(values.tolist() for values in roll.grid_notes()), strict=True)) == BY_HAND
    assert len(roll) == steps
    assert roll.step_s == 0.25


def test_a_triplet_has_its_own_grid(by_hand):
    onset, length, pitch = read_score(by_hand / "score.mid", steps_per_quarter=12).grid_notes()
    triplet = [(72, 4, 76), (76, 4, 77), (80, 4, 79)]
    assert list(zip(onset.tolist(), length.tolist(), pitch.tolist(), strict=True))[-3:] == triplet


@pytest.mark.parametrize("name", ["score.musicxml", "score.mid"])
def test_seconds_of_the_score_by_hand(by_hand, name):
    """Five quarters of a second each, then half a second each: quarter 6 is at 5.5 s."""
    notes = {(note.pitch, round(note.onset_s, 3)): note for note in read_notes(by_hand / name)}
    assert notes[74, 3.0].end_s == pytest.approx(5.5)
    assert notes[77, 5.667].duration_s == pytest.approx(1 / 6)
    assert {note.program for note in notes.values() if note.pitch > 60} == {40}
    assert {note.program for note in notes.values() if note.pitch < 60} == {0}


def test_repeats_are_played(tmp_path):
    from music21 import bar, converter

    score = converter.parse("tinyNotation: 4/4 c1 d1 e1")
    score.getElementsByClass("Measure")[1].rightBarline = bar.Repeat(direction="end")
    score.write("musicxml", tmp_path / "a.musicxml")
    assert [note.pitch for note in read_score(tmp_path / "a.musicxml").notes()] == [60, 62, 60, 62, 64]


# --- MIDI, byte by byte ---


@pytest.mark.parametrize(
    ("track", "notes"),
    [
        (b"\x00\x90\x3c\x40\x60\x3c\x00\x00\x3e\x40\x60\x3e\x00", [(0, 4, 60), (4, 4, 62)]),  # running status
        (b"\x00\x80\x3c\x40\x60\x90\x3e\x40\x60\x3e\x00", [(4, 4, 62)]),  # a note-off without a note-on
        (b"\x00\x90\x3c\x40\x60\x90\x3e\x40\x60\x3e\x00", [(4, 4, 62)]),  # a note-on without a note-off
        (b"\x00\x90\x3c\x40\x00\x3c\x00\x60\x3e\x40\x60\x3e\x00", [(0, 1, 60), (4, 4, 62)]),  # no length
        (b"\x00\x99\x24\x40\x60\x24\x00\x00\x90\x3e\x40\x60\x3e\x00", [(4, 4, 62)]),  # a drum
        (b"\x60\x90\x3c\x40\x60\x3c\x00\x60\xff\x06\x03end", [(4, 4, 60)]),  # a marker after the last note
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [0, 1])
def test_midi_by_hand(save, track, notes, kind):
    roll = read_score(save(midi(track + END, kind=kind)))
    assert list(zip(*(values.tolist() for values in roll.grid_notes()), strict=True)) == notes
    assert len(roll) == (12 if b"end" in track else max(onset + length for onset, length, _ in notes))


def test_a_tempo_of_zero_is_ignored(save):
    assert read_score(save(midi(b"\x00\xff\x51\x03\x00\x00\x00" + ONE_NOTE))).step_s == 0.125


def test_all_tracks_and_channels_are_read(save):
    other = b"\x00\xc1\x28\x00\x91\x43\x40\x60\x81\x43\x00" + END
    assert open_score(save(midi(ONE_NOTE, other))).notes.tolist() == [(0.0, 1.0, 60, 64, 0), (0.0, 1.0, 67, 64, 40)]


LATE = b"\xff\xff\xff\x7f\x90\x3c\x40\x60\x80\x3c\x00"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: export or download"),
        (b"MThd\x00\x00", "cut off within its first 14 bytes"),
        (midi(), "holds no notes"),
        (midi(END), "holds no notes"),
        (midi(b"\x00\x99\x24\x40\x60\x24\x00" + END), "apart perhaps from drums"),
        (midi(ONE_NOTE)[:-6], "is damaged MIDI"),
        (midi(ONE_NOTE, division=0), "0 ticks per quarter"),
        (midi(ONE_NOTE, division=0xE728), "film frames"),
        (midi(ONE_NOTE, kind=2), "format 2"),
        (midi(LATE + END), "lasts over 16384 quarters"),
        (midi(LATE * 9 + END), "lasts over 16384 quarters"),  # more ticks than 32 bits hold
        (b"\x89PNG\r\n\x1a\n", "neither MIDI nor MusicXML"),
        (b"X:1\nK:C\nCDEF|", "neither MIDI nor MusicXML"),
        (b"<score-partwise><part", "is damaged MusicXML"),
        (b"<score-partwise></score-partwise>", "holds no notes"),
        (b"PK\x03\x04 and no more", "is damaged MusicXML"),
    ],
)
def test_files_that_are_no_score(save, data, message):
    path = save(data)
    with pytest.raises(ScoreError, match=message) as error:
        read_score(path)
    assert str(path) in str(error.value)
    with pytest.raises(ScoreError):
        read_notes(path)


def test_places_that_are_no_file(tmp_path):
    with pytest.raises(ScoreError, match="There is no file"):
        read_score(tmp_path / "none.mid")
    with pytest.raises(ScoreError, match="is a folder"):
        read_score(tmp_path)
    with pytest.raises(ScoreError, match="device or a pipe"):
        read_score("/dev/null")


def test_a_grid_too_fine_for_the_score(save):
    late = b"\x9f\xa0\x00\x90\x3c\x40\x60\x80\x3c\x00"  # 5461 quarters
    assert len(read_score(save(midi(late + END)))) == (0x1F * 128 * 128 + 0x20 * 128 + 96) // 24
    with pytest.raises(ScoreError, match=r"score.mid does not fit a grid of 480 steps per quarter"):
        read_score(save(midi(late + END)), steps_per_quarter=480)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One of the ways in which files are damaged."""
    data = bytearray(data)
    at = chance.randrange(len(data))
    match chance.randrange(8):
        case 0:
            for _ in range(chance.choice([1, 2, 5, 20])):
                data[chance.randrange(len(data))] = chance.randrange(256)
        case 1:  # only within bytes that stay data: more of these still are MIDI
            data[at] &= 0x7F
        case 2:
            del data[at:]
        case 3:
            del data[at : at + chance.randrange(1, 30)]
        case 4:
            data[at:at] = chance.randbytes(chance.randrange(1, 30))
        case 5:
            data[at : at + 4] = b"\xff\xff\xff\x7f"
        case 6:  # division, number of tracks, format or length of a chunk
            first, last = chance.choice([(12, 14), (10, 12), (8, 10), (18, 22)])
            data[first:last] = chance.choice([bytes(last - first), chance.randbytes(last - first)])
        case 7:
            data = chance.choice([data[:14], bytearray(b"\x89PNG" + data[4:]), bytearray(chance.randbytes(200))])
    return bytes(data)


READ_ALL = """
import json, resource, sys
from pathlib import Path
from musiclib.scores import ScoreError, read_notes, read_score
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
outcomes = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        outcomes[path.name] = [len(read_score(path)), len(read_notes(path))]
    except ScoreError as error:
        outcomes[path.name] = str(error)
print(json.dumps(outcomes))
"""


def test_500_mutated_files(tmp_path):
    """Each gives notes or a ScoreError, in a process of its own with little memory, which the parser must not crash."""
    write_midi([Note(i / 4, 0.3, 50 + i * 7 % 30, 80, i % 3) for i in range(60)], tmp_path / "a.mid")
    others = b"\x00\xff\x03\x04name\x00\xb0\x40\x7f\x00\xe0\x00\x40\x00\xf0\x03\x01\x02\xf7"
    originals = [
        (tmp_path / "a.mid").read_bytes(),
        midi(others + ONE_NOTE, ONE_NOTE, b"\x00\x99\x24\x40\x60\x24\x00" + END),
    ]
    chance = random.Random(0)
    (tmp_path / "mutated").mkdir()
    for number in range(500):
        (tmp_path / "mutated" / f"{number:03}.mid").write_bytes(mutated(originals[number % 2], chance))
    command = [sys.executable, "-c", READ_ALL, tmp_path / "mutated"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert finished.returncode == 0, finished.stderr
    outcomes = json.loads(finished.stdout)
    assert len(outcomes) == 500
    errors = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, str)}
    assert all(name in error and ": " in error for name, error in errors.items())
    assert 50 < len(errors) < 450, "both outcomes should be common"


def test_a_tempo_that_midi_cannot_hold_is_left_out():
    """As a damaged file may have it; written out again it would be none."""
    assert tempo_map([(0, 1e-9), (2, 0.25), (4, 60.0), (8, float("nan"))]).tolist() == [[0, 0.25], [2, 0.25]]
