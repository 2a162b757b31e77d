"""DiffRoll against the reference implementation: `tests/golden/diffroll.safetensors`, each tensor to 1e-4."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from musiclib.diffroll.diffusion import Diffusion, Guided
from musiclib.diffroll.mel import heard
from musiclib.diffroll.model import DiffRoll, DiffRollConfig
from musiclib.diffroll.scoring import roll_of

GOLDEN = Path(__file__).parent / "golden"
TENSORS = load_file(GOLDEN / "diffroll.safetensors")


@pytest.fixture(scope="module")
def model() -> DiffRoll:
    model = DiffRoll(DiffRollConfig(width=8, layers=2, kernel=9))
    prefix = "weight."
    model.load_state_dict({name.removeprefix(prefix): x for name, x in TENSORS.items() if name.startswith(prefix)})
    return model.eval()


def channels_first(roll: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, 88), the reference's layout → (B, 88, T), ours."""
    return roll[:, 0].mT


def close(ours: torch.Tensor, reference: torch.Tensor) -> bool:
    return bool((ours - reference).abs().max() <= 1e-4 * reference.abs().max())


X_T = channels_first(TENSORS["x_t"])


def test_spectrogram():
    assert close(heard(TENSORS["waveform"]), TENSORS["log_mel_normalised"])


@torch.no_grad()
def test_both_outputs(model):
    conditional = model(X_T, TENSORS["t"], TENSORS["log_mel_normalised"])
    assert close(conditional, channels_first(TENSORS["x0_conditional"]))
    assert close(model.denoise(X_T, TENSORS["t"], model.unconditional(2)), channels_first(TENSORS["x0_unconditional"]))


@pytest.mark.parametrize("t", [199, 100, 1, 0])
@pytest.mark.parametrize(
    ("name", "weight", "fresh_noise"),
    [("guided_ddpm_w0.5", 0.5, True), ("ddim", 0.0, False), ("generation", -1.0, True)],
)
@torch.no_grad()
def test_one_step(model, t, name, weight, fresh_noise):
    predict = Guided(model, model.condition(TENSORS["log_mel_normalised"]), weight)
    noise = channels_first(TENSORS[f"step{t}.noise"]) if fresh_noise else None
    ours = Diffusion().step(X_T, predict(X_T, t), t, t - 1 if t else None, noise)
    assert close(ours, channels_first(TENSORS[f"step{t}.{name}"]))


def test_note_extraction():
    tensors = load_file(GOLDEN / "note_extraction.safetensors")
    onset, length, pitch = roll_of(tensors["roll"].mT).grid_notes()
    assert torch.equal(torch.from_numpy(pitch) - 21, tensors["pitch_index"])
    intervals = torch.stack([torch.from_numpy(onset), torch.from_numpy(onset + length)], dim=1)
    assert torch.equal(intervals, tensors["interval_frames"])
