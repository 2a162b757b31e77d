"""Recordings taken apart: the real model and note bank, and every way in which files can go wrong."""

import os
import re

import numpy as np
import pytest
import soundfile
import torch

from musiclib import paths
from musiclib.__main__ import main
from musiclib.audio import AudioError, load_audio
from musiclib.musicslots import decompose as decomposing
from musiclib.musicslots import runs
from musiclib.musicslots.data import chord_waveform
from musiclib.musicslots.decompose import Slots, check_folder, decompose, onsets, write
from musiclib.spectrogram import mel_power, stft
from musiclib.synth import FLUTE, PIANO, VIOLIN

CHORD = ((FLUTE, 73), (VIOLIN, 66), (PIANO, 71))
LATER = ((VIOLIN, 60), (FLUTE, 76))
NAMES = {"flute C♯5", "violin F♯4", "piano B4"}
SNR_DB = 8.0  # of every separated note of CHORD; the worst has 10 dB


@pytest.fixture(scope="module")
def model():
    return runs.load("musicslots-jazznet-multi-curriculum-small").cpu()


@pytest.fixture(scope="module")
def chord(bank):
    return chord_waveform(bank, CHORD)


@pytest.fixture(scope="module")
def slots(model, chord):
    return decompose(model, chord)


@pytest.fixture(scope="module")
def one(chord):
    """The least that can be written: pictures are what takes time."""
    return Slots(chord, chord[None], [[(VIOLIN, 66)]], [0.09])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    return tmp_path


# ---------------------------------------------------------------------------------------------------- decompose


def test_the_slots_sum_to_the_recording(slots, chord):
    assert slots.waveforms.shape == (5, len(chord))
    assert torch.allclose(slots.waveforms.sum(0), chord, atol=1e-5)


def test_the_slots_name_the_notes_of_a_chord(slots):
    assert set(slots.names) == NAMES | {"idle"}
    assert {note for notes in slots.notes for note in notes} == set(CHORD)
    assert [level > decomposing.IDLE_DB for level in slots.levels_db] == [bool(notes) for notes in slots.notes]


def test_each_note_is_in_the_slot_that_names_it(slots, bank):
    for note in CHORD:
        true = chord_waveform(bank, (note,))
        error = true - slots.waveforms[slots.notes.index([note])]
        assert 10 * (true.square().sum() / error.square().sum()).log10() > SNR_DB


@pytest.mark.parametrize("gain_db", [-60, -30, 20])
def test_the_level_of_a_recording_does_not_matter(model, slots, chord, gain_db):
    gain = 10 ** (gain_db / 20)
    louder = decompose(model, chord * gain)
    assert louder.notes == slots.notes
    assert torch.allclose(louder.waveforms / gain, slots.waveforms, atol=1e-3)


@pytest.mark.parametrize("samples", [5 * 512, 20_000])
def test_it_does_not_matter_when_the_chord_begins(model, slots, chord, samples):
    later = decompose(model, torch.nn.functional.pad(chord, (samples, 0)))
    assert set(later.names) == set(slots.names)
    assert later.begins_s[0] - slots.begins_s[0] == pytest.approx(samples / 16_000, abs=0.04)


def test_noise_and_clipping_leave_the_pitches(model, chord):
    noise = torch.randn(chord.shape) * chord.std() * 0.03
    for sound in (chord + noise, (2 * chord / chord.abs().max()).clamp(-1, 1)):
        assert {pitch for notes in decompose(model, sound).notes for _, pitch in notes} == {66, 71, 73}


def test_a_second_chord_is_heard_as_one(model, chord, bank):
    sound = torch.zeros(3 * 16_000)
    sound[: len(chord)] += chord
    sound[20_000:45_600] += chord_waveform(bank, LATER)
    slots = decompose(model, sound)
    assert slots.begins_s == pytest.approx([0.09, 1.34], abs=0.05)
    assert {note for notes in slots.notes for note in notes} >= set(LATER)
    assert torch.allclose(slots.waveforms.sum(0), sound, atol=1e-5)


def test_a_held_chord_and_a_click_begin_nothing(bank):
    sound = chord_waveform(bank, CHORD, 1.8, 2.4)
    sound[20_000] += 0.5
    assert len(onsets(mel_power(stft(sound)), 13)) == 1


def test_more_slots_and_iterations(model, chord):
    slots = decompose(model.resized(8, 5), chord)
    assert len(slots.names) == len(slots.waveforms) == 8
    assert torch.allclose(slots.waveforms.sum(0), chord, atol=1e-5)


@pytest.mark.parametrize("samples", [1024, 1025, 5000])
def test_the_shortest_recordings(model, chord, samples):
    sound = chord[2000 : 2000 + samples]
    slots = decompose(model, sound)
    assert torch.allclose(slots.waveforms.sum(0), sound, atol=1e-5)


@pytest.mark.parametrize(("samples", "why"), [(1023, "too short"), (30 * 16_000 + 1, "cut it to 30 s")])
def test_too_short_and_too_long(model, samples, why):
    with pytest.raises(AudioError, match=why):
        decompose(model, torch.ones(samples))


def test_silence_gives_numbers(model):
    assert torch.isfinite(decompose(model, torch.zeros(20_000)).waveforms).all()


def test_the_random_state_is_left_alone(model, chord):
    state = torch.get_rng_state()
    first = decompose(model, chord).waveforms
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(decompose(model, chord).waveforms, first)


# ------------------------------------------------------------------------------------------------- command line


def save(path, waveform, rate_hz=16_000, **options):
    soundfile.write(path, np.asarray(waveform), rate_hz, **options)
    return str(path)


def files_of(count):
    return sorted([f"slot-{n}.{end}" for n in range(count) for end in ("wav", "png")] + ["decomposition.png"])


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def error_of(arguments, capsys):
    assert main(["decompose", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_one_sound_one_picture_and_one_line_for_every_slot(here, chord, capsys):
    assert main(["decompose", save(here / "chord.wav", chord, subtype="FLOAT")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert names_in(here) == ["chord-slots", "chord.wav"]
    assert names_in(here / "chord-slots") == files_of(5)
    named = [re.fullmatch(r"slot (\d): (.+), (-?\d+\.\d) dB of the recording, (\S+)", line) for line in lines[:5]]
    assert [line[1] for line in named] == list("01234")
    assert {line[2] for line in named} == NAMES | {"idle"}
    assert all((here / line[4]).is_file() for line in named)
    sounds = [soundfile.read(here / line[4], dtype="float32") for line in named]
    assert {rate_hz for _, rate_hz in sounds} == {16_000}
    assert np.allclose(sum(sound for sound, _ in sounds), chord, atol=1e-5)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in here.glob("chord-slots/*.png"))


def test_stereo_mp3_at_another_rate_and_other_slots(here, chord, capsys):
    wide = torch.from_numpy(np.repeat(chord.numpy(), 3))  # three times the rate
    recording = save(here / "chord.mp3", torch.stack([wide, wide], dim=1), 48_000)
    assert main(["decompose", recording, "--slots", "2", "--iterations", "4", "--output", "a/b"]) == 0
    assert names_in(here / "a" / "b") == files_of(2)
    total = sum(load_audio(here / f"a/b/slot-{n}.wav") for n in (0, 1))
    assert torch.allclose(total, load_audio(recording), atol=1e-5)


def test_an_earlier_result_is_replaced_and_nothing_else(tmp_path, one):
    two = Slots(one.mixture, one.waveforms.repeat(2, 1) / 2, one.notes * 2, one.begins_s)
    folder = tmp_path / "out"
    assert [path.name for path in write(two, folder)] == ["slot-0.wav", "slot-1.wav"]
    write(one, folder)
    assert names_in(folder) == files_of(1)
    (folder / "thesis.txt").write_text("mine")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="holds other files"):
        write(two, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert names_in(tmp_path) == ["out"]


def test_what_a_killed_run_left_is_removed(tmp_path, one):
    (tmp_path / ".out-abcd_123" / "new").mkdir(parents=True)
    write(one, tmp_path / "out")
    assert names_in(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path, one):
    (tmp_path / "out").mkdir()
    write(one, tmp_path / "out")
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out") == files_of(1)


def test_another_folder_stays(here, chord, capsys):
    (here / "chord-slots").mkdir()
    (here / "chord-slots" / "thesis.txt").write_text("mine")
    assert "holds other files" in error_of([save(here / "chord.wav", chord)], capsys)
    assert names_in(here / "chord-slots") == ["thesis.txt"]


def test_sounds_of_ones_own_that_are_named_like_slots_stay(tmp_path):
    (tmp_path / "slot-1.wav").write_text("mine")
    with pytest.raises(ValueError, match="other files"):
        check_folder(tmp_path)


def test_a_failure_half_way_leaves_the_old_result(tmp_path, one, monkeypatch):
    write(one, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(figure, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decomposing, "_save", full)
    with pytest.raises(ValueError, match=r"Cannot write .*out \(No space left on device\)"):
        write(one, tmp_path / "out")
    assert names_in(tmp_path) == ["out"]
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everyone may write everywhere here")
def test_a_folder_that_cannot_be_written(here, chord, capsys):
    recording, locked = save(here / "chord.wav", chord), here / "locked"
    locked.mkdir(mode=0o500)
    assert "choose another folder" in error_of([recording, "--output", locked / "out"], capsys)


@pytest.mark.parametrize("output", ["chord.wav", "chord.wav/out"])
def test_the_output_is_a_file(here, chord, capsys, output):
    recording = save(here / "chord.wav", chord)
    assert "choose another folder with --output" in error_of([recording, "--output", output], capsys)
    assert names_in(here) == ["chord.wav"]


@pytest.mark.parametrize(("sound", "why"), [
    (np.zeros(0), "holds no samples"),
    (np.zeros(16_000), "is silent"),
    (np.stack([np.ones(16_000) / 2, -np.ones(16_000) / 2], axis=1), "opposite phase"),
    (np.ones(320) / 2, "too short"),
    (np.ones(40 * 16_000) / 2, "longer than 30 s: cut it"),
], ids=["no samples", "silence", "cancelling", "20 ms", "40 s"])  # fmt: skip
def test_recordings_that_cannot_be_taken_apart(here, capsys, sound, why):
    assert why in error_of([save(here / "a.wav", sound)], capsys)
    assert names_in(here) == ["a.wav"]


def test_no_recording(here, capsys):
    (here / "words.wav").write_text("no sound")
    assert "words.wav is not audio" in error_of(["words.wav"], capsys)
    assert "There is no file none.wav" in error_of(["none.wav"], capsys)
    assert "is a folder" in error_of(["."], capsys)
    assert names_in(here) == ["words.wav"]


def test_without_a_large_model_the_small_one_is_used_and_nothing_is_trained(here, chord, capsys, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", here / "runs")
    assert main(["decompose", save(here / "chord.wav", chord), "--preset", "paper", "--slots", "1"]) == 0
    assert "No trained model musicslots-jazznet-multi-none-paper here: using musicslots" in capsys.readouterr().out
    assert names_in(here) == ["chord-slots", "chord.wav"]


@pytest.mark.parametrize("slots", ["0", "-1", "33", "many", "1.5"])
def test_numbers_of_slots_that_are_none(slots, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["decompose", "chord.wav", f"--slots={slots}"])
    assert caught.value.code == 2
    assert "no whole number from 1 to 32" in capsys.readouterr().err
