"""The benchmark compares like with like, and runs."""

import importlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from musiclib.musicslots.metrics import note_iou, note_mse
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig
from musiclib.pianoroll import Note
from musiclib.synth import VIOLIN

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """The benchmarks' modules, which are scripts beside each other and no package."""
    monkeypatch.syspath_prepend(FOLDER)
    return SimpleNamespace(
        **{name: importlib.import_module(name) for name in ("timing", "sounds", "slots", "musicvae", "diffroll")}
    )


@pytest.mark.parametrize("mask", ["none", "sigmoid"])
@pytest.mark.parametrize("stride", [(1, 1), (1, 2)])
def test_the_plain_model_is_the_same_model(bench, mask, stride):
    """With the same weights and noise, grids laid out as published give the same slots and the same chord."""
    config = MusicSlotsConfig(bands=32, frames=16, channels=8, width=8, slots=4, upsamplings=2)
    model = MusicSlots(replace(config, mask=mask, stride=stride)).eval()
    x, noise = torch.rand(2, 1, 32, 16) * 100 - 80, torch.randn(2, 4, 8)
    with torch.no_grad():
        ours, plain = model(x, noise), bench.slots.as_plain(model)(x, noise)
    torch.testing.assert_close(plain.slots, ours.slots, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(plain.reconstruction_db, ours.reconstruction_db, rtol=1e-3, atol=1e-3)


def test_the_midi_file_is_the_note(bench, tmp_path):
    """Read by music21: one violin note, the pitch, the velocity and the length asked for."""
    from music21 import converter

    (tmp_path / "note.mid").write_bytes(bench.sounds.one_note_midi(VIOLIN, 61, 2.0))
    score = converter.parse(tmp_path / "note.mid")
    (note,) = score.flatten().notes
    assert Note(0.0, float(note.quarterLength) * 0.5, note.pitch.midi, note.volume.velocity) == Note(0.0, 2.0, 61, 90)
    assert next(iter(score.flatten().getElementsByClass("Instrument"))).midiProgram == VIOLIN


def test_flop_by_hand(bench):
    """A 5×5 convolution 3 → 4 on an 8×6 grid: 2·3·4·25·8·6 forward, as much for its weights' gradient."""
    conv, x = torch.nn.Conv2d(3, 4, 5, padding=2), torch.randn(1, 3, 8, 6)
    assert bench.timing.counted_flop(lambda: conv(x)) == 2 * 3 * 4 * 25 * 48
    assert bench.timing.counted_flop(lambda: conv(x).sum().backward()) == 2 * 2 * 3 * 4 * 25 * 48


def test_plain_scores_are_the_same_scores(bench):
    notes, slots = torch.rand(3, 6, 5) * 100 - 70, torch.rand(4, 6, 5) * 100 - 70
    expected = note_mse(notes, slots).score, note_iou(notes, slots).score
    assert bench.slots.score_plainly(notes, slots) == pytest.approx(expected)


@pytest.mark.parametrize("decoder", ["flat", "hierarchical"])
def test_the_loop_computes_what_the_fused_call_computes(bench, decoder):
    """The same logits, and the same gradients of the weights, cell by cell."""
    model = bench.musicvae.model_of(decoder, quick=True).cpu()
    loop = bench.musicvae.Loop(model)
    x, z = torch.randint(130, (3, 256)), torch.randn(3, 16)
    ours, plain = model.logits(x, z), loop.logits(x, z)
    torch.testing.assert_close(plain, ours, atol=1e-4, rtol=1e-4)
    model.negative_log_likelihood(x, ours).mean().backward()
    model.negative_log_likelihood(x, plain).mean().backward()
    for layer, cell in enumerate(loop.cells):
        for name, weights in cell.named_parameters():
            expected = getattr(model.decoder.lstm, f"{name}_l{layer}").grad
            torch.testing.assert_close(weights.grad, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_a_quick_run():
    done = subprocess.run([sys.executable, FOLDER / "bench.py", "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hardware:" in done.stdout
    assert re.search(r"\| training step, paper's model \| .* × \| 2 × \|", done.stdout)
    assert "evaluated chords" in done.stdout
    assert re.search(r"\| teacher forcing, hierarchical, bf16 \| .* × \| 5 × \|", done.stdout)
    assert re.search(r"\| sampling, flat, 64 \| \d+ \|", done.stdout)
    assert re.search(r"\| ours, (bf16|fp32) \|", done.stdout)


@pytest.mark.slow
def test_a_measurement_of_its_own():
    """What a full run reads from each of its processes."""
    command = [sys.executable, FOLDER / "bench.py", "--quick", "--only", "evaluation_ours"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["seconds"] > 0 and found["mib"] > 100 and found["note"]


def test_the_published_diffroll_and_ours_start_from_the_same_network(bench):
    """Both build the same untrained weights; only the number of calls and what they share differs."""
    first, second = (bench.diffroll.paper_network(quick=True)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert (
        bench.diffroll.clip_ours(True)["flop"] > 0 and "200 steps of 2 calls" in bench.diffroll.clip_plain(True)["note"]
    )
