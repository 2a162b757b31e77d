"""Recordings of any length to notes: windows, seams, memory, and the command line on good and bad input."""

import itertools
import re
import resource

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib import audio, checkpoints, paths
from musiclib.__main__ import main
from musiclib.diffroll import clips, evaluation
from musiclib.diffroll.evaluation import Sampling
from musiclib.diffroll.mel import FRAME_S, HOP_SAMPLES, SEGMENT_FRAMES, heard
from musiclib.diffroll.model import DiffRoll, DiffRollConfig
from musiclib.diffroll.scoring import roll_of
from musiclib.diffroll.transcribe import OVERLAP_FRAMES, notes_of_stream, transcribe_stream
from musiclib.scores import read_notes

STEP = SEGMENT_FRAMES - OVERLAP_FRAMES


@pytest.fixture(scope="module")
def model() -> DiffRoll:
    """Untrained; what it says depends on what it hears."""
    torch.manual_seed(2)
    model = DiffRoll(DiffRollConfig(width=8, layers=2, kernel=3, planes=2))
    torch.nn.init.normal_(model.output_projection.weight, std=0.2)
    return model.eval()


@pytest.fixture
def long_wave() -> torch.Tensor:
    return torch.cat([clip.waveform for clip in clips.shipped("A")[:3]])


# ---------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("samples", [1, 5000, SEGMENT_FRAMES * HOP_SAMPLES, 700_000, 983_041])
def test_every_frame_comes_out_once(model, samples):
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    pieces = list(transcribe_stream(model, [wave], Sampling(1)))
    frames = sum(piece.shape[1] for piece in pieces)
    assert all(piece.shape[0] == 176 for piece in pieces) and frames == max(4, -(-samples // HOP_SAMPLES))


def test_blocks_of_any_size_give_the_same(model, long_wave):
    whole, parts = (
        torch.cat(list(transcribe_stream(model, long_wave.split(size), Sampling(2))), dim=1)
        for size in (len(long_wave), 70_001)
    )
    assert torch.equal(whole, parts)


def test_one_window_is_a_plain_transcription(model):
    wave = clips.shipped("A")[0].waveform
    (found,) = transcribe_stream(model, [wave], Sampling(3))
    assert torch.allclose(found, evaluation.transcribe(model, heard(wave[None]), Sampling(3))[0], atol=1e-5)


def test_a_seam_lies_between_its_two_windows(model, long_wave):
    """In the overlap each value lies between what both windows say, and moves from the first to the second."""
    found = torch.cat(list(transcribe_stream(model, [long_wave], Sampling(1))), dim=1)
    waves = [long_wave[k * STEP * HOP_SAMPLES :][: SEGMENT_FRAMES * HOP_SAMPLES] for k in (0, 1)]
    mels = [heard(wave[None]) for wave in waves]
    noise = [evaluation.noise(model, mel, seed) for seed, mel in enumerate(mels)]
    noise[1][..., :OVERLAP_FRAMES] = noise[0][..., STEP:]
    first, second = (evaluation.transcribe(model, m, Sampling(1), x)[0] for m, x in zip(mels, noise, strict=True))
    left, right = first[:, STEP:], second[:, :OVERLAP_FRAMES]
    seam = found[:, STEP:SEGMENT_FRAMES]
    low, high = torch.minimum(left, right) - 1e-5, torch.maximum(left, right) + 1e-5
    assert ((seam >= low) & (seam <= high)).all()
    assert (seam[:, 0] - left[:, 0]).abs().mean() < (seam[:, 0] - right[:, 0]).abs().mean() + 1e-6
    assert torch.allclose(found[:, SEGMENT_FRAMES : 2 * STEP], second[:, OVERLAP_FRAMES:STEP], atol=1e-5)


rolls = st.integers(0, 2**32 - 1).map(
    lambda seed: (torch.rand(176, 60, generator=torch.Generator().manual_seed(seed)) < 0.3).float()
)


@given(rolls, st.lists(st.integers(1, 59), max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_seam_neither_cuts_nor_doubles_a_note(x, cuts):
    """Notes of a roll that arrives in pieces are those of the whole roll."""
    edges = [0, *sorted(set(cuts)), 60]
    pieces = [x[:, a:b] for a, b in itertools.pairwise(edges)]
    whole = [(round(n.onset_s / FRAME_S), round(n.duration_s / FRAME_S), n.pitch) for n in roll_of(x).notes()]
    found = [
        (round(n.onset_s / FRAME_S), round(n.duration_s / FRAME_S), n.pitch) for n in sorted(notes_of_stream(pieces))
    ]
    assert found == sorted(whole)


def test_a_note_over_a_seam_is_one_note():
    """A network that hears: what is loud sounds. A tone over the seam between two windows is one long note."""

    class Ear(torch.nn.Module):
        config = DiffRollConfig(discriminative=True)
        channels = 88

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x_t, t, mel):
            out = torch.zeros(len(mel), 88, mel.shape[-1])
            out[:, 40] = mel.amax(1)
            return out

    seam_s = (STEP + OVERLAP_FRAMES / 2) * FRAME_S
    time_s = torch.arange(45 * 16_000) / 16_000
    tone = torch.sin(2 * torch.pi * 440 * time_s) * ((time_s > seam_s - 3) & (time_s < seam_s + 3)) * 0.5
    hiss = 1e-5 * torch.randn(len(time_s))
    notes = list(notes_of_stream(transcribe_stream(Ear(), (tone + hiss).split(50_000), Sampling(1)), 0.7))
    assert len(notes) == 1
    assert notes[0].onset_s == pytest.approx(seam_s - 3, abs=0.2) and notes[0].duration_s == pytest.approx(6, abs=0.3)


def test_a_window_of_hiss_beside_music_is_silent(model):
    music = clips.shipped("A")[0].waveform
    hiss = 1e-6 * torch.randn(45 * 16_000)
    heard_in_hiss = []

    class Listening(DiffRoll):
        def condition(self, mel):
            heard_in_hiss.append(float(mel.max()))
            return super().condition(mel)

    listening = Listening(model.config)
    list(transcribe_stream(listening.eval(), [torch.cat([music, hiss])], Sampling(1)))
    assert heard_in_hiss[0] == 1 and heard_in_hiss[2] == 0


@pytest.mark.slow
def test_an_hour_needs_no_more_memory_than_a_minute(model):
    """Peak memory of this process, after a minute and after an hour of sound in blocks."""
    twin = DiffRoll(DiffRollConfig(width=2, layers=1, kernel=1, discriminative=True)).eval()

    def blocks(minutes):
        generator = torch.Generator().manual_seed(0)
        for _ in range(6 * minutes):
            yield 0.1 * torch.randn(160_000, generator=generator)

    def peak_mib(minutes):
        for _ in notes_of_stream(transcribe_stream(twin, blocks(minutes))):
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    minute, hour = peak_mib(1), peak_mib(60)
    assert hour - minute < 20  # the hour's samples alone are 220 MiB


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000, 22_050, 44_099])
def test_a_stream_of_audio_is_the_audio(tmp_path, rate_hz, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 5000)
    wave = np.random.default_rng(0).normal(0, 0.1, (rate_hz * 2 + 77, 2)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", wave, rate_hz, subtype="FLOAT")
    blocks = list(audio.stream_audio(tmp_path / "x.wav"))
    whole = audio.resample(torch.from_numpy(wave.mean(1)), rate_hz)
    assert len(blocks) > 3 and torch.allclose(torch.cat(blocks), whole, atol=1e-6)


# ----------------------------------------------------------------------------------------- the command line


@pytest.fixture
def folder(model, monkeypatch, tmp_path):
    """An untrained network as the one that ships."""
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    checkpoints.save_weights(tmp_path / "checkpoints" / "diffroll-diffroll-best-small.safetensors", model, {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "rate_hz", "channels"), [
    ("x.wav", 44_100, 2), ("x.flac", 8000, 1), ("x.mp3", 48_000, 2), ("x.ogg", 22_050, 1),
])  # fmt: skip
def test_any_recording_becomes_midi(folder, capsys, name, rate_hz, channels):
    rng = np.random.default_rng(0)
    soundfile.write(folder / name, rng.normal(0, 0.1, (rate_hz, channels)), rate_hz)
    assert main(f"transcribe {name} out.mid --steps 2 --guidance 0.5 --seed 1".split()) == 0
    said = capsys.readouterr().out
    notes = read_notes(folder / "out.mid")
    assert f"{len(notes)} notes, " in said and notes
    assert max(note.end_s for note in notes) <= 1.1  # as long as the recording


def test_the_twin_answers_at_once(folder, capsys):
    twin = DiffRoll(DiffRollConfig(width=8, layers=2, kernel=3, planes=2, discriminative=True))
    torch.nn.init.normal_(twin.output_projection.weight)
    checkpoints.save_weights(folder / "checkpoints" / "diffroll-twin-best-small.safetensors", twin, {})
    soundfile.write(folder / "x.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    made = []
    for seed in (1, 2):
        assert main(f"transcribe x.wav {seed}.mid --model twin --seed {seed}".split()) == 0
        made.append((folder / f"{seed}.mid").read_bytes())
    assert made[0] == made[1]


def test_a_seed_is_one_file(folder):
    soundfile.write(folder / "x.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    made = []
    for number, seed in enumerate((1, 1, 2)):
        assert main(f"transcribe x.wav {number}.mid --steps 3 --seed {seed}".split()) == 0
        made.append((folder / f"{number}.mid").read_bytes())
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(("name", "content", "cause"), [
    ("no.wav", None, "There is no file no.wav"),
    ("empty.wav", b"", "empty.wav is empty"),
    ("text.mp3", b"this is no music at all" * 100, "text.mp3 is not audio"),
    ("silent.wav", np.zeros(16_000), "silent.wav is silent"),
    ("nothing.wav", np.zeros(0), "nothing.wav holds no samples"),
    ("nan.wav", np.full(16_000, np.nan), "nan.wav holds samples that are no numbers"),
])  # fmt: skip
def test_what_is_no_recording_is_told_in_one_sentence(folder, capsys, name, content, cause):
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    elif content is not None:
        soundfile.write(folder / name, content, 16_000, subtype="FLOAT")
    assert main(["transcribe", name, "out.mid", "--steps", "1"]) == 1
    told = capsys.readouterr().err
    lines = [line for line in told.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and cause in lines[0] and "Traceback" not in told
    assert not list(folder.glob("*.mid")) and not list(folder.glob(".*"))


def test_where_nothing_is_heard_nothing_is_written(folder, capsys):
    soundfile.write(folder / "x.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    quiet = DiffRoll(DiffRollConfig(width=8, layers=2, kernel=3, planes=2))
    torch.nn.init.constant_(quiet.output_projection.bias, -1.0)
    checkpoints.save_weights(folder / "checkpoints" / "diffroll-diffroll-best-small.safetensors", quiet, {})
    assert main(["transcribe", "x.wav", "out.mid", "--steps", "1"]) == 1
    assert "x.wav holds no notes that the model hears" in capsys.readouterr().err
    assert not (folder / "out.mid").exists()


@pytest.mark.parametrize("options", [
    "x.wav out.wav", "x.mid x.mid", "x.wav out.mid --steps 0", "x.wav out.mid --steps 201",
    "x.wav out.mid --guidance -1", "x.wav out.mid --guidance much", "x.wav out.mid --threshold 1", "x.wav",
])  # fmt: skip
def test_bad_options_are_refused(folder, options):
    soundfile.write(folder / "x.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    try:
        assert main(["transcribe", *options.split()]) == 1
    except SystemExit as refused:
        assert refused.code == 2
    assert not (folder / "out.mid").exists() and not (folder / "out.wav").exists()


def test_a_place_that_cannot_be_written_is_told(folder, capsys):
    soundfile.write(folder / "x.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    (folder / "file").write_text("")
    assert main(["transcribe", "x.wav", "file/out.mid", "--steps", "1"]) == 1
    assert re.search(r"error: Cannot write file/out\.mid", capsys.readouterr().err)
