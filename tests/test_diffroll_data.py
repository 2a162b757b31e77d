"""From scores to pairs of sound and roll: performances, rooms, alignment, drawing; and the clips that ship."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib import corpora
from musiclib.diffroll import clips, performance, room
from musiclib.diffroll.data import Rendered, other_piano
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES, heard, log_mel, normalised
from musiclib.diffroll.model import BANDS, MASKED
from musiclib.diffroll.performance import Style, excerpt, notes_of, perform
from musiclib.diffroll.scoring import roll_of, tensor_of
from musiclib.pianoroll import Note, PianoRoll
from musiclib.pieces import GRID_NOTE, Piece

EXACT = Style((60.0, 60.0), (0, 0), (80.0, 80.0), 0.0, (1.0, 1.0), 0.0)


def piece_of(*notes: tuple[int, int, int], **fields) -> Piece:
    """Notes (onset, length, pitch) in 16ths."""
    return Piece("made", np.array([(*note, 90) for note in notes], GRID_NOTE), **fields)


@pytest.fixture(scope="module")
def chorales() -> list[Piece]:
    return corpora.shipped("chorales").split("valid")[:4]


# -------------------------------------------------------------------------------------------------- performances


def test_an_exact_performance_is_the_score():
    rows = perform(piece_of((0, 4, 60), (4, 2, 64), (4, 4, 67)), EXACT, np.random.default_rng(0))
    assert rows.tolist() == [[0, 1, 60, 80], [1, 0.5, 64, 80], [1, 1, 67, 80]]


def test_a_piece_in_seconds_keeps_its_pace():
    piece = piece_of((0, 10, 60), (20, 10, 62), step_s=0.05)
    rows = perform(piece, replace(EXACT, tempo=(100.0, 100.0)), np.random.default_rng(0))
    assert rows[:, :2].tolist() == [[0, 0.5], [1.0, 0.5]]


notes = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40), st.integers(0, 127)), min_size=1, max_size=30)


@given(notes, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_performance_can_be_played_on_a_piano(score, seed):
    rows = perform(piece_of(*sorted(score)), performance.HARD, np.random.default_rng(seed))
    onset, duration, pitch, velocity = rows.T
    assert (onset >= 0).all() and (np.diff(onset) >= 0).all() and (duration > 0).all()
    assert ((pitch >= 21) & (pitch <= 108) & (velocity >= 20) & (velocity <= 127)).all()
    for key in set(pitch):
        own = rows[pitch == key]
        assert (own[:-1, 0] + own[:-1, 1] <= own[1:, 0] + 1e-9).all()  # a key plays one note at a time


def test_a_seed_is_one_performance(chorales):
    first, same, other = (perform(chorales[0], performance.PRACTICE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_hard_playing_is_short_and_repeated(chorales):
    hard, clean = (perform(chorales[0], style, np.random.default_rng(0)) for style in (performance.HARD, EXACT))
    assert len(hard) > len(clean) and (hard[:, 1] < 0.12).mean() > 0.1


def test_a_transposition_stays_on_the_keyboard():
    high = replace(EXACT, semitones=(4, 6))
    rows = perform(piece_of((0, 1, 106)), high, np.random.default_rng(0))
    assert rows[0, 2] <= 108 or len(rows) == 0


def test_an_excerpt_begins_anew(chorales):
    part = excerpt(chorales[0], 5.0, EXACT, np.random.default_rng(3))
    assert part.notes["onset"].min(initial=99) < 16 and len(part.notes) < len(chorales[0].notes)


# -------------------------------------------------------------------------------------------- what is heard


def test_a_spectrogram_is_between_0_and_1():
    mel = heard(torch.randn(2, 40 * HOP_SAMPLES) * torch.tensor([[0.1], [3.0]]))
    assert mel.shape == (2, BANDS, 40)
    assert torch.equal(mel.amin((1, 2)), torch.zeros(2)) and torch.equal(mel.amax((1, 2)), torch.ones(2))


def test_silence_is_all_zero_and_not_masked():
    assert torch.equal(heard(torch.zeros(1, 10 * HOP_SAMPLES)), torch.zeros(1, BANDS, 10))


def test_a_mask_hides_frames_and_bands():
    mel = log_mel(torch.randn(1, 20 * HOP_SAMPLES))
    listen = torch.ones(1, BANDS, 20, dtype=torch.bool)
    listen[:, :, 5:9] = False
    listen[:, 200:] = False
    masked = normalised(mel, listen)
    assert (masked[~listen] == MASKED).all() and (masked[listen] >= 0).all() and masked[listen].max() == 1


def test_frame_and_label_mean_the_same_moment(bank):
    """A note that begins in the middle of frame i's window shows first in frame i, where its label is."""
    frames = 60
    for frame in (20, 33):
        wave = torch.zeros(frames * HOP_SAMPLES)
        note = Note(frame * FRAME_S, 0.5, 60)
        bank.add(wave, note)
        power = log_mel(wave[None]).exp().sum(1)[0]
        rise = int((power.diff() / power.diff().max() > 0.25).nonzero()[0]) + 1
        assert abs(rise - frame) <= 1
        assert int(tensor_of([note], frames).sum(0).nonzero()[0]) == frame


# --------------------------------------------------------------------------------------------------- drawing


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("limited", [False, True])
def test_pairs_are_drawn_from_a_seed(bank, chorales, planes, limited):
    source = Rendered(chorales, bank, 40, planes, limited=limited)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(source.draw(3))
    (wave, roll), same, other = drawn
    assert wave.shape == (3, 40 * HOP_SAMPLES) and roll.shape == (3, 88 * planes, 40)
    assert set(roll.unique().tolist()) <= {0.0, 1.0} and roll.sum() > 0
    assert torch.equal(wave, same[0]) and torch.equal(roll, same[1]) and not torch.equal(roll, other[1])


def test_rolls_alone_are_those_of_the_pairs(bank, chorales):
    source = Rendered(chorales, bank, 40, recording=None)
    torch.manual_seed(4)
    _, roll = source.draw(2)
    torch.manual_seed(4)
    assert torch.equal(source.rolls(2), roll)


def test_what_began_before_a_segment_sounds_in_it_without_an_onset(bank):
    """Notes of 2 s with 2 s between them: a segment of 0.64 s begins within one, or in silence."""
    source = Rendered([piece_of(*((16 * k, 8, 60) for k in range(20)))], bank, 20, 2, style=EXACT, recording=None)
    cut = 0
    for seed in range(20):
        torch.manual_seed(seed)
        wave, roll = source.draw(1)
        sounding, onset = roll[0, 39], roll[0, 88 + 39]
        if sounding[:5].all() and not onset[:5].any():
            cut += 1
            assert wave[0, :HOP_SAMPLES].abs().max() > 1e-3
        elif not sounding.any():
            assert wave[0, 15 * HOP_SAMPLES :].abs().max() < 1e-2
    assert cut > 0


def test_the_sound_is_where_the_roll_is(bank, chorales):
    """Energy over the frames of a segment goes with the number of notes that sound."""
    torch.manual_seed(0)
    wave, roll = Rendered(chorales, bank, 200, style=EXACT, recording=None).draw(4)
    loud = wave.reshape(4, 200, HOP_SAMPLES).square().mean(-1) > 1e-8
    sounding = roll.sum(1) > 0
    assert (loud[sounding]).float().mean() > 0.95


def test_limited_pieces_have_one_performance(bank, chorales):
    source = Rendered(chorales[:1], bank, 3000, style=performance.PRACTICE, limited=True)
    counts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        counts.add(len(source.clips(1)[0].notes))
    assert len(counts) == 1


@pytest.mark.parametrize("semitones", [-9, 6])
def test_a_made_up_piano_plays_the_right_pitches_otherwise(bank, semitones):
    other = other_piano(bank, semitones)
    for pitch in (40, 60, 80):
        row = bank.row(0, pitch)
        ours, theirs = (torch.fft.rfft(piano.waveforms[row, 2000:18_000]).abs() for piano in (bank, other))
        fundamental = 440 * 2 ** ((pitch - 69) / 12)
        for spectrum in (ours, theirs):  # one bin is 1 Hz
            near = spectrum[round(0.97 * fundamental) : round(1.03 * fundamental) + 1]
            assert near.max() > 20 * spectrum[round(1.04 * fundamental) : round(1.4 * fundamental)].median()
        assert not torch.allclose(ours / ours.max(), theirs / theirs.max(), atol=0.1)
    assert torch.equal(other.waveforms[bank.row(40, 60)], bank.waveforms[bank.row(40, 60)])  # the violin stays
    assert torch.equal(other.waveforms, other_piano(bank, semitones).waveforms)
    assert not torch.allclose(other.waveforms, other_piano(bank, semitones, seed=1).waveforms, atol=1e-3)


def test_each_segment_gets_one_of_the_pianos(bank, chorales):
    silent = replace(bank, waveforms=torch.zeros_like(bank.waveforms))
    torch.manual_seed(0)
    wave, _ = Rendered(chorales, bank, 40, recording=None, pianos=(silent,)).draw(24)
    assert 4 < int((wave.abs().amax(1) == 0).sum()) < 20


def test_clips_know_their_notes(bank, chorales):
    torch.manual_seed(0)
    source = Rendered(chorales, bank, 100, recording=None)
    clip = source.clips(1)[0]
    torch.manual_seed(0)
    wave, roll = source.draw(1)
    assert torch.equal(wave[0], clip.waveform)
    ours = tensor_of(clip.notes, 100)
    assert (ours != roll[0]).float().mean() < 0.002  # notes of less than a frame at the edges
    assert all(note.onset_s >= 0 and note.end_s <= 3.2 + 1e-6 for note in clip.notes)


# ----------------------------------------------------------------------------------------------------- rooms


def test_a_room_leaves_length_and_silence_alone():
    torch.manual_seed(0)
    wave = torch.randn(3, 16_000) * 0.1
    assert room.recorded(wave, room.PRACTICE).shape == wave.shape
    assert torch.equal(room.recorded(torch.zeros(2, 4000), room.HARD), torch.zeros(2, 4000))


def test_a_room_is_as_noisy_and_as_loud_as_told():
    wave = torch.sin(torch.arange(32_000) * 0.3)[None] * 0.1
    told = room.Room((0.1, 0.1), (-200.0, -200.0), 0.0, (-20.0, -20.0), (6.0, 6.0))
    torch.manual_seed(0)
    noise = room.recorded(wave, told) / 10 ** (6 / 20) - wave
    assert 10 * torch.log10(noise.square().mean() / wave.square().mean()) == pytest.approx(-20, abs=3)


# ------------------------------------------------------------------------------------------- clips that ship


@pytest.mark.parametrize("name", ["A", "B"])
def test_sixteen_clips_of_held_out_pieces(name):
    own = clips.shipped(name)
    assert [clip.name for clip in own] == [piece.name for piece in clips.test_pieces()] and len(own) == 16
    for clip in own:
        assert 15 < len(clip.waveform) / 16_000 <= 20.48 and clip.waveform.abs().max() < 1
        assert all(note.onset_s >= 0 and note.end_s <= 20.5 and 21 <= note.pitch <= 108 for note in clip.notes)
        assert clip.waveform.square().mean().sqrt() > 1e-4 and len(clip.notes) > 10


def test_the_hard_room_is_always_the_same():
    clips.shipped.cache_clear()
    first = clips.shipped("B")
    clips.shipped.cache_clear()
    assert all(torch.equal(a.waveform, b.waveform) for a, b in zip(first, clips.shipped("B"), strict=True))


def test_no_piece_of_the_tests_is_trained_on():
    for name in clips.WORKS:
        corpus = corpora.shipped(name)
        groups = [{piece.group or piece.name for piece in corpus.split(split)} for split in ("train", "valid", "test")]
        assert not groups[0] & groups[2] and not groups[0] & groups[1] and not groups[1] & groups[2]


def test_damaged_clips_are_named(monkeypatch, tmp_path):
    clips.shipped.cache_clear()
    monkeypatch.setattr(clips, "INDEX", tmp_path / "piano-clips.json")
    for content in (None, "{", "{}", json.dumps({"A": [{"piece": "x"}], "B": []})):
        if content is not None:
            clips.INDEX.write_text(content)
        with pytest.raises(clips.ClipsError, match=r"piano-clips\.json are missing or damaged.*rebuild piano-clips"):
            clips.shipped("A")
    with pytest.raises(ValueError, match="'C' is no test set: choose of A, B"):
        clips.shipped("C")
    clips.shipped.cache_clear()


def test_the_shipped_clips_are_what_the_soundfonts_give(synthesizer):
    shipped = clips.shipped("A")[2]
    fresh = clips.rendered("A", clips.test_pieces()[2], clips.CLIP_S, 2)
    assert [note.pitch for note in fresh.notes] == [note.pitch for note in shipped.notes]
    assert [note.onset_s for note in fresh.notes] == pytest.approx([n.onset_s for n in shipped.notes], abs=1e-4)
    error = (fresh.waveform - shipped.waveform).square().mean().sqrt()
    assert error < 0.05 * shipped.waveform.square().mean().sqrt()


@pytest.mark.skipif(not clips.TIMGM.exists(), reason="TimGM6mb is not installed")
def test_set_b_is_another_piano(synthesizer):
    piece = clips.test_pieces()[10]
    b = clips.rendered("B", piece, 5.0, 10)
    with type(synthesizer)() as fluid:
        same_notes_on_a = clips.to_sample_rate(fluid.render(b.notes))[: len(b.waveform)]
    ours, theirs = heard(b.waveform[None]), heard(same_notes_on_a[None])
    assert (ours[..., : theirs.shape[-1]] - theirs[..., : ours.shape[-1]]).abs().mean() > 0.05


def test_rolls_and_notes_turn_into_each_other():
    played = notes_of(perform(piece_of((0, 4, 60), (4, 4, 60), (8, 4, 64)), EXACT, np.random.default_rng(0)))
    frames = round(4 / FRAME_S)
    assert len(roll_of(tensor_of(played, frames, planes=2)).notes()) == 3
    merged = roll_of(tensor_of(played, frames, planes=1))
    assert len(merged.notes()) == 2  # without an onset plane a repeated note is one
    assert np.array_equal(merged.sounding, PianoRoll.from_notes(played, FRAME_S, frames).sounding)
