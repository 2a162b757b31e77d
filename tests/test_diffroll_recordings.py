"""Folders of real recordings, made small: MAESTRO's and MAPS' layouts, overlap, the pedal, damaged files."""

import pytest
import soundfile
import symusic
import torch

from musiclib import audio
from musiclib.diffroll import recordings
from musiclib.diffroll.recordings import Recorded, RecordingsError, clips, find, pedalled
from musiclib.pianoroll import Note
from musiclib.scores import ScoreError, write_midi

NOTES = [Note(0.5, 0.5, 60), Note(1.5, 0.25, 64), Note(3.0, 1.0, 67)]


def record(folder, name, bank, seconds=4.5, rate_hz=16_000):
    """A recording of NOTES and its MIDI file."""
    folder.mkdir(parents=True, exist_ok=True)
    wave = bank.render(NOTES)[: round(seconds * 16_000)]
    soundfile.write(folder / f"{name}.wav", wave.numpy(), rate_hz)
    write_midi(NOTES, folder / f"{name}.mid")


@pytest.fixture
def maps(tmp_path, bank):
    for piano, piece in (
        ("AkPnBcht", "bach_1"), ("AkPnBcht", "liszt_2"), ("StbgTGd2", "bach_1"), ("StbgTGd2", "chopin_3"),
        ("ENSTDkCl", "liszt_2"), ("ENSTDkAm", "ravel_9"),
    ):  # fmt: skip
        record(tmp_path / piano / "MUS", f"MAPS_MUS-{piece}_{piano}", bank)
    return tmp_path


@pytest.fixture
def maestro(tmp_path, bank):
    rows = [
        ("train", "2004/a"),
        ("validation", "2004/b"),
        ("test", "2006/c"),
        ("train", "2006/not-there"),
    ]
    table = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for split, name in rows:
        table.append(f"Bach,{name},{split},2004,{name}.midi,{name}.wav,4.5")
        if "not" not in name:
            record(tmp_path / name.split("/")[0], name.split("/")[1], bank)
            (tmp_path / f"{name}.mid").rename(tmp_path / f"{name}.midi")
    (tmp_path / "maestro-v3.0.0.csv").write_text("\n".join(table) + "\n")
    return tmp_path


def test_maps_is_split_as_in_the_paper(maps):
    test = [pair.name for pair in find(maps, "test")]
    assert test == ["MAPS_MUS-ravel_9_ENSTDkAm", "MAPS_MUS-liszt_2_ENSTDkCl"]
    rest = [pair.name for split in ("train", "valid") for pair in find_or_none(maps, split)]
    assert sorted(rest) == ["MAPS_MUS-bach_1_AkPnBcht", "MAPS_MUS-bach_1_StbgTGd2", "MAPS_MUS-chopin_3_StbgTGd2"]


def find_or_none(folder, split):
    try:
        return find(folder, split)
    except RecordingsError:
        return []


def test_maestro_says_itself_what_is_what(maestro):
    assert [pair.name for pair in find(maestro, "train")] == ["2004/a.midi"]
    assert [pair.name for pair in find(maestro, "valid")] == ["2004/b.midi"]
    assert find(maestro, "test")[0].sound.name == "c.wav"


def test_a_clip_has_the_notes_of_its_part(maestro):
    pair = find(maestro, "train")[0]
    clip = recordings.clip(pair, 1.0, 2.5)
    assert len(clip.waveform) == 2.5 * 16_000
    assert [(note.pitch, round(note.onset_s, 2), round(note.end_s, 2)) for note in clip.notes] == [
        (64, 0.5, 0.75), (67, 2.0, 2.5),
    ]  # fmt: skip
    assert clip.waveform[:7000].abs().max() < clip.waveform[8000:9000].abs().max()
    assert [c.name for c in clips(maestro, "train")] == [c.name for c in clips(maestro, "train")]


def test_segments_are_drawn_with_their_rolls(maps):
    source = Recorded(find(maps, "test"), 60, planes=2)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(source.draw(2))
    (wave, roll), same, other = drawn
    assert wave.shape == (2, 60 * 512) and roll.shape == (2, 176, 60) and roll.sum() > 0
    assert torch.equal(wave, same[0]) and not torch.equal(wave, other[0])
    torch.manual_seed(1)
    assert torch.equal(source.rolls(2), roll)


def test_a_recording_shorter_than_a_segment_is_filled_with_silence(maps):
    wave, roll = Recorded(find(maps, "test"), 640).draw(1)
    assert wave.shape == (1, 640 * 512) and wave[0, -1000:].abs().max() == 0 and roll[..., 300:].sum() == 0


def test_the_pedal_lets_notes_ring():
    notes = [Note(0.0, 0.5, 60), Note(0.2, 0.1, 64), Note(1.0, 0.5, 60), Note(3.0, 0.5, 65)]
    rung = pedalled(notes, [(0.4, 2.0)])
    assert [(n.pitch, n.onset_s, round(n.end_s, 3)) for n in rung] == [
        (60, 0.0, 1.0), (64, 0.2, 0.3), (60, 1.0, 2.0), (65, 3.0, 3.5),
    ]  # fmt: skip
    dry = pedalled(notes, [])
    assert [n.duration_s for n in dry] == pytest.approx([n.duration_s for n in notes]) and pedalled([], []) == []


def test_pedal_spans_are_read_from_midi(tmp_path):
    score = symusic.Score(480)
    track = symusic.Track()
    track.notes.append(symusic.Note(0, 480, 60, 90))
    for tick, value in ((0, 127), (480, 0), (960, 64), (970, 100)):
        track.controls.append(symusic.ControlChange(tick, 64, value))
    track.controls.append(symusic.ControlChange(1000, 7, 0))
    score.tracks.append(track)
    score.dump_midi(tmp_path / "x.mid")
    (first, second) = recordings.pedal_spans(tmp_path / "x.mid")
    assert first == pytest.approx((0, 0.5)) and second[0] == pytest.approx(1.0) and second[1] == float("inf")


def test_bad_folders_and_files_are_named(tmp_path, maestro, bank):
    with pytest.raises(RecordingsError, match=r"empty holds no recordings of the train split: give MAESTRO"):
        (tmp_path / "empty").mkdir()
        find(tmp_path / "empty", "train")
    with pytest.raises(ValueError, match="'all' is no split"):
        find(maestro, "all")
    pair = find(maestro, "train")[0]
    pair.midi.write_bytes(b"MThd")
    with pytest.raises(ScoreError, match=r"a\.midi is cut off"):
        _ = pair.notes
    other = find(maestro, "valid")[0]
    other.sound.write_bytes(b"RIFF nothing")
    with pytest.raises(audio.AudioError, match=r"b\.wav is not audio"):
        recordings.clip(other, 0, 1)
