"""FluidSynth and the note bank that replaces it.

Tolerances. FluidSynth 2.3.1 repeats a note within 2 LSB of 16 bit (7e-5). Other versions differ by more, so what is
compared with FluidSynth here is the log-mel spectrogram, ln(power + 1e-4): its floor is the level of the dither. Sample
by sample, the limit is 1e-3: 30 LSB, some 2 % of a note's peak.
"""

import json

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib import synth
from musiclib.corpora import BACH_CHORALES
from musiclib.pianoroll import Note, notes_from_grid
from musiclib.spectrogram import mel_power, stft
from musiclib.synth import (
    BANK_FLAC,
    BANK_INDEX,
    BANK_LENGTHS_S,
    BANK_PITCHES,
    BANK_VERSION,
    FLUTE,
    PIANO,
    SAMPLE_RATE_HZ,
    VELOCITY,
    VIOLIN,
    NoteBank,
    NoteBankError,
    SoundfontError,
    Synthesizer,
    build_bank,
    find_soundfont,
    to_sample_rate,
)

CHORDS = {
    "piano triad": [(PIANO, 60), (PIANO, 64), (PIANO, 67)],
    "wide dyad": [(PIANO, 36), (PIANO, 96)],
    "three instruments": [(PIANO, 48), (VIOLIN, 60), (FLUTE, 67), (PIANO, 76)],
    "violin and flute in unison": [(VIOLIN, 60), (FLUTE, 60)],
}


def log_mel(waveform):
    return torch.log(mel_power(stft(waveform)) + 1e-4)


def mean_distance(a, b):
    """Mean difference of log-mel spectrograms, in nepers of power."""
    length = min(len(a), len(b))
    return (log_mel(a[:length]) - log_mel(b[:length])).abs().mean().item()


def correlation(a, b):
    length = min(len(a), len(b))
    return np.corrcoef(log_mel(a[:length]).flatten(), log_mel(b[:length]).flatten())[0, 1]


# ------------------------------------------------------------------------------------------- against FluidSynth


@pytest.mark.parametrize("program", BANK_PITCHES, ids=synth.PROGRAM_NAMES.get)
def test_bank_notes_equal_fluidsynth(bank, synthesizer, program):
    """Every twelfth note of the shipped bank is what FluidSynth renders now."""
    for pitch in list(BANK_PITCHES[program])[::12]:
        fresh = to_sample_rate(
            synthesizer.render([Note(0.0, BANK_LENGTHS_S[program], pitch, VELOCITY, program)], tail_s=0.0)
        )
        shipped = bank.waveforms[bank.row(program, pitch)][: len(fresh)]
        assert (fresh - shipped).abs().max() < 1e-3
        assert mean_distance(fresh, shipped) < 0.1


@pytest.mark.parametrize("notes", CHORDS.values(), ids=CHORDS)
def test_bank_chord_equals_fluidsynth(bank, synthesizer, notes):
    """Superposition: the sum of bank rows is FluidSynth's own chord while the keys are down, and near it after."""
    theirs = to_sample_rate(synthesizer.render([Note(0.0, 1.0, pitch, VELOCITY, p) for p, pitch in notes], tail_s=0.5))
    ours = bank.chord([bank.row(*note) for note in notes], duration_s=1.0, total_s=1.5)
    held, release = slice(0, SAMPLE_RATE_HZ - 100), slice(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 5 // 4)
    assert (theirs[held] - ours[held]).abs().max() < 1e-3
    assert mean_distance(theirs[held], ours[held]) < 0.1
    assert (theirs[release] - ours[release]).abs().max() < 5e-3  # a straight line in dB, not FluidSynth's own curve
    assert mean_distance(theirs[release], ours[release]) < 0.5
    assert correlation(theirs[release], ours[release]) > 0.97


def test_bank_piece_correlates_with_fluidsynth(bank, synthesizer):
    """A real chorale from the bank sounds like FluidSynth's: correlation and mean error of the log-mels."""
    notes = notes_from_grid(json.loads(BACH_CHORALES.read_text())["test"][0], step_s=0.5)
    assert len(notes) > 50
    theirs, ours = to_sample_rate(synthesizer.render(notes)), bank.render(notes)
    assert abs(len(theirs) - len(ours)) < 100
    assert correlation(theirs, ours) > 0.98
    assert mean_distance(theirs, ours) < 0.25


def test_velocity_curve_is_fluidsynths(bank, synthesizer):
    """A soft note from the bank is as loud as FluidSynth's, within 1 dB."""
    for velocity in (45, 64, 110):
        note = Note(0.0, 1.0, 60, velocity, PIANO)
        theirs, ours = to_sample_rate(synthesizer.render([note])), bank.render([note])
        held = slice(0, SAMPLE_RATE_HZ)
        ratio_db = 20 * torch.log10(theirs[held].norm() / ours[held].norm())
        assert abs(ratio_db) < 1.0


def test_building_a_bank_twice_gives_the_same_bytes(synthesizer, monkeypatch, tmp_path):
    """The bank is a function of soundfont and synthesizer. (Here of six notes; all of them: the slow test below.)"""
    monkeypatch.setattr(synth, "BANK_PITCHES", {PIANO: [60, 72], VIOLIN: [60, 61], FLUTE: [95, 96]})
    for name in ("a", "b"):
        build_bank(flac=tmp_path / f"{name}.flac", index=tmp_path / f"{name}.json")
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    small = NoteBank.load(tmp_path / "a.flac", tmp_path / "a.json")
    assert list(zip(small.programs.tolist(), small.pitches.tolist(), strict=True)) == [
        (PIANO, 60), (PIANO, 72), (VIOLIN, 60), (VIOLIN, 61), (FLUTE, 95), (FLUTE, 96),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_whole_bank_equals_a_fresh_rendering(bank, synthesizer, tmp_path):
    """All 210 notes, and the measured releases."""
    paths = [{"flac": tmp_path / f"{name}.flac", "index": tmp_path / f"{name}.json"} for name in ("a", "b")]
    for path in paths:
        build_bank(**path)
    assert paths[0]["flac"].read_bytes() == paths[1]["flac"].read_bytes()
    fresh = NoteBank.load(*paths[0].values())
    assert torch.equal(fresh.programs, bank.programs)
    assert torch.equal(fresh.pitches, bank.pitches)
    assert (fresh.waveforms - bank.waveforms).abs().max() < 1e-3
    for a, b in zip(fresh.waveforms, bank.waveforms, strict=True):
        assert mean_distance(a, b) < 0.1
    for program, rate in bank.release_db_per_s.items():
        assert fresh.release_db_per_s[program] == pytest.approx(rate, rel=0.05)


# ------------------------------------------------------------------------------------------------ the bank's laws


def test_the_bank_holds_what_it_says(bank):
    """88 piano notes, 61 of violin and of flute; none clipped; shorter rows padded with silence.

    One note is silent: FluidR3's violin has no sample for MIDI 94.
    """
    assert len(bank.waveforms) == 88 + 61 + 61
    peaks = bank.waveforms.abs().amax(1)
    silent = [(int(bank.programs[row]), int(bank.pitches[row])) for row in torch.nonzero(peaks < 1e-3)]
    assert silent == [(VIOLIN, 94)]
    assert peaks.max() < 0.5
    assert bank.waveforms.shape[1] == pytest.approx(4.0 * SAMPLE_RATE_HZ, abs=64)
    assert bank.waveforms[bank.row(FLUTE, 60), int(2.01 * SAMPLE_RATE_HZ) :].abs().max() == 0
    assert set(bank.release_db_per_s) == {PIANO, VIOLIN, FLUTE}


def test_a_note_is_silence_then_its_row_then_a_fade(bank):
    """Hand-computed: 0.1 s after the key is let go the gain is 10^(-rate · 0.1 / 20)."""
    row, silence = bank.row(PIANO, 60), 1600
    note = bank.note(row, duration_s=0.5, silence_s=0.1, total_s=1.5)
    assert note.shape == (24000,)
    assert note[:silence].abs().max() == 0
    held = bank.waveforms[row]
    torch.testing.assert_close(note[silence : silence + 8000], held[:8000])
    after = silence + 8000 + 1600
    gain = 10 ** (-bank.release_db_per_s[PIANO] * 0.1 / 20)
    torch.testing.assert_close(note[after], gain * held[after - silence])


@st.composite
def pieces(draw):
    note = st.builds(
        Note,
        onset_s=st.floats(0, 1),
        duration_s=st.floats(0.05, 0.8),
        pitch=st.integers(36, 96),
        velocity=st.integers(1, 127),
        program=st.sampled_from([PIANO, VIOLIN, FLUTE]),
    )
    return draw(st.lists(note, min_size=1, max_size=4))


@settings(max_examples=25, deadline=None)
@given(a=pieces(), b=pieces())
def test_superposition(bank, a, b):
    """A piece of two halves is the sum of the halves, wherever in time they lie."""
    both, first, second = bank.render(a + b), bank.render(a), bank.render(b)
    total = torch.zeros_like(both)
    total[: len(first)] += first
    total[: len(second)] += second
    torch.testing.assert_close(both, total, rtol=1e-4, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(velocity=st.integers(1, 127), pitch=st.integers(36, 96))
def test_velocity_scales_amplitude_by_its_square(bank, velocity, pitch):
    reference, scaled = (bank.render([Note(0.0, 0.3, pitch, v)], tail_s=0.1) for v in (VELOCITY, velocity))
    torch.testing.assert_close(scaled, reference * (velocity / 90) ** 2, rtol=1e-4, atol=1e-7)


def test_delay_moves_a_piece(bank):
    """Starting 1000 samples later is the same sound behind 1000 samples of silence."""
    now = bank.render([Note(0.0, 0.5, 60), Note(0.25, 0.5, 64)])
    later = bank.render([Note(0.0625, 0.5, 60), Note(0.3125, 0.5, 64)])
    assert later[:1000].abs().max() == 0
    torch.testing.assert_close(later[1000:], now)


def test_an_empty_piece_is_silence(bank):
    assert torch.equal(bank.render([], tail_s=0.5), torch.zeros(8000))


@pytest.mark.parametrize(("program", "pitch"), [(PIANO, 20), (PIANO, 109), (VIOLIN, 35), (FLUTE, 97), (1, 60)])
def test_a_note_the_bank_lacks(bank, program, pitch):
    """Transposing out of range, or an instrument that is not there, says what there is."""
    with pytest.raises(ValueError, match=f"no pitch {pitch} for program {program}: it holds programs"):
        bank.render([Note(0.0, 1.0, pitch, program=program)])


# ---------------------------------------------------------------------------------------------------------- faults


def test_missing_soundfont(monkeypatch, tmp_path):
    missing = tmp_path / "nowhere.sf2"
    monkeypatch.setenv("MUSICLIB_SOUNDFONT", str(missing))
    for action in (find_soundfont, Synthesizer, build_bank):
        with pytest.raises(SoundfontError) as caught:
            action()
        assert str(missing) in str(caught.value)
        assert "fluid-soundfont-gm" in str(caught.value)


def test_a_text_file_is_no_soundfont(monkeypatch, tmp_path):
    wrong = tmp_path / "wrong.sf2"
    wrong.write_text("this is not a soundfont")
    monkeypatch.setenv("MUSICLIB_SOUNDFONT", str(wrong))
    with pytest.raises(SoundfontError, match="is not a SoundFont 2 file") as caught:
        Synthesizer()
    assert str(wrong) in str(caught.value)


def test_a_soundfont_with_nothing_behind_its_header(synthesizer, tmp_path):
    """FluidSynth itself answers -1 and goes on; we do not."""
    hollow = tmp_path / "hollow.sf2"
    hollow.write_bytes(b"RIFF\x04\x00\x00\x00sfbk" + bytes(100))
    with pytest.raises(SoundfontError, match=r"cannot read .*hollow\.sf2"):
        Synthesizer(hollow)


@pytest.fixture
def copied_bank(tmp_path):
    """A copy of the shipped bank to damage."""
    flac, index = tmp_path / "bank.flac", tmp_path / "bank.json"
    flac.write_bytes(BANK_FLAC.read_bytes())
    index.write_bytes(BANK_INDEX.read_bytes())
    return flac, index


def message_of_loading(flac, index):
    with pytest.raises(NoteBankError) as caught:
        NoteBank.load(flac, index)
    message = str(caught.value)
    assert "restore it" in message  # the remedy
    return message


@pytest.mark.parametrize("which", [0, 1], ids=["flac", "index"])
def test_bank_file_missing(copied_bank, which):
    copied_bank[which].unlink()
    message = message_of_loading(*copied_bank)
    assert str(copied_bank[which]) in message
    assert "missing" in message


def test_bank_of_another_version(copied_bank):
    flac, index = copied_bank
    description = json.loads(index.read_text())
    index.write_text(json.dumps(description | {"version": BANK_VERSION + 1}))
    message = message_of_loading(flac, index)
    assert str(index) in message
    assert f"version {BANK_VERSION + 1}" in message


@pytest.mark.parametrize("kept", [0, 100, 1_000_000], ids=["empty", "header only", "cut"])
def test_truncated_bank(copied_bank, kept):
    flac, index = copied_bank
    flac.write_bytes(flac.read_bytes()[:kept])
    assert str(flac) in message_of_loading(flac, index)


def test_overwritten_bank(copied_bank):
    """Junk in the middle of the FLAC is noticed, not played."""
    flac, index = copied_bank
    content = bytearray(flac.read_bytes())
    content[2_000_000:2_200_000] = np.random.default_rng(0).bytes(200_000)
    flac.write_bytes(content)
    assert str(flac) in message_of_loading(flac, index)


def test_bank_at_another_sample_rate(copied_bank):
    flac, index = copied_bank
    audio, _ = soundfile.read(flac, dtype="float32")
    soundfile.write(flac, audio[:: len(audio) // 1000], 44100)
    message = message_of_loading(flac, index)
    assert str(flac) in message
    assert "44100 Hz" in message


@pytest.mark.parametrize("text", ["{", "", "{}", "[]", '{"version": 1}'])
def test_index_that_is_no_index(copied_bank, text):
    flac, index = copied_bank
    index.write_text(text)
    assert str(index) in message_of_loading(flac, index)
