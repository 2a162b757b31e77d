"""The model and the metrics against answers of the public reference implementation (tests/golden)."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from musiclib.musicslots.metrics import note_iou, note_mse
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, reconstruction_loss

GOLDEN = Path(__file__).parent / "golden"
VARIANTS = ["none_implicit", "none_unrolled", "sigmoid_implicit", "softmax_implicit"]
OURS_TO_REFERENCE = {
    "encoder.convs.0": "encoder_cnn.net.0.0",
    "encoder.convs.1": "encoder_cnn.net.1.0",
    "encoder.convs.2": "encoder_cnn.net.2.0",
    "encoder.convs.3": "encoder_cnn.net.3.0",
    "encoder.position.project": "encoder_pos.embedding",
    "encoder.mlp.0": "fc1",
    "encoder.mlp.2": "fc2",
    "slot_attention.norm_tokens": "slot_attention.norm_inputs",
    "slot_attention.q": "slot_attention.proj_q",
    "slot_attention.k": "slot_attention.proj_k",
    "slot_attention.v": "slot_attention.proj_v",
    "slot_attention.gru": "slot_attention.rnn",
    "slot_attention.mu": "slot_attention.slots_mu",
    "slot_attention.log_sigma": "slot_attention.slots_logsigma",
    "decoder.position.project": "decoder_pos.embedding",
    "decoder.upsample.0": "decoder_cnn.net.0",
    "decoder.upsample.1": "decoder_cnn.net.2",
    "decoder.smooth": "decoder_cnn.net.4.0",
    "decoder.out": "decoder_cnn.net.5",
}


def reference_name(name: str) -> str:
    for ours, reference in OURS_TO_REFERENCE.items():
        if name == ours or name.startswith(ours + "."):
            return reference + name.removeprefix(ours)
    return name


def as_ours(tensor, parameter):
    """The reference convolves (frequency, time), ours (time, frequency); its slots carry a leading axis of one."""
    return tensor.transpose(2, 3) if tensor.dim() == 4 else tensor.view_as(parameter)


def assert_close(actual, expected, what):
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error < 1e-4, f"{what}: {error:.1e} of its largest value"


@pytest.fixture(params=VARIANTS)
def golden(request):
    mask, gradient = request.param.split("_")
    tensors = load_file(GOLDEN / f"musicslots_{request.param}.safetensors")
    config = MusicSlotsConfig(
        bands=32, frames=16, channels=8, width=8, slots=5, upsamplings=2,
        mask=mask, implicit=gradient == "implicit", attention="reference",
    )  # fmt: skip
    model = MusicSlots(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(as_ours(tensors[f"weight.{reference_name(name)}"], parameter))
    return model, tensors


def test_outputs_and_loss(golden):
    model, tensors = golden
    out = model(tensors["input"], tensors["slot_noise"])
    assert_close(out.slots, tensors["slots"], "slots")
    assert_close(out.slot_power, tensors["slot_power"][..., 0], "slot power")
    if "alpha" in tensors:
        assert_close(out.mask, tensors["alpha"][..., 0], "mask")
    assert_close(out.reconstruction_db, tensors["reconstruction_db"], "reconstruction")
    assert_close(reconstruction_loss(tensors["input"], out), tensors["loss"], "loss")


def test_gradients(golden):
    model, tensors = golden
    reconstruction_loss(tensors["input"], model(tensors["input"], tensors["slot_noise"])).backward()
    largest = max(tensor.abs().max() for name, tensor in tensors.items() if name.startswith("grad."))
    for name, parameter in model.named_parameters():
        expected = tensors.get(f"grad.{reference_name(name)}")
        if expected is None:
            assert parameter.grad is None, f"{name} should get no gradient"
        elif expected.abs().max() > 1e-5 * largest:  # below that a tensor is rounding noise
            assert_close(parameter.grad, as_ours(expected, parameter), name)


@pytest.mark.parametrize("chord", range(4))
def test_note_discovery_metrics(chord):
    tensors = load_file(GOLDEN / "note_discovery_metrics.safetensors")
    notes, slots = tensors[f"notes.{chord}"], tensors["slots"][chord]
    mse, iou = note_mse(notes, slots), note_iou(notes, slots)
    assert mse.score == pytest.approx(tensors["mse"][chord].item(), rel=1e-4)
    assert iou.score == pytest.approx(tensors["iou"][chord].item(), rel=1e-4)
    assert mse.slot_of_note == tensors[f"mse_match.{chord}"].tolist()
    assert iou.slot_of_note == tensors[f"iou_match.{chord}"].tolist()
