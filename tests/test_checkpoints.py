"""Files of weights: what is written reads back, and what does not belong to the model is refused."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from musiclib.checkpoints import CheckpointError, load_weights, read_metadata, save_weights
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig

MODEL = MusicSlotsConfig(frames=8, channels=4, width=8, slots=3, decoder="mlp", db_offset=-30.0, db_scale=30.0)


def fresh_model():
    torch.manual_seed(0)
    return MusicSlots(MODEL)


def test_weights_round_trip(tmp_path):
    model, path = fresh_model(), tmp_path / "model.safetensors"
    save_weights(path, model, {"scores": {"miou": 0.5}})
    restored = load_weights(path, MusicSlots(MODEL))
    for name, tensor in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], tensor), name
    config, about = read_metadata(path)
    assert MusicSlotsConfig(**config) == MODEL
    assert about == {"scores": {"miou": 0.5}}


def test_half_precision_round_trip(tmp_path):
    """fp16 is half the size, and gives back the weights rounded to fp16, as fp32."""
    model = fresh_model()
    save_weights(tmp_path / "32.safetensors", model, {})
    save_weights(tmp_path / "16.safetensors", model, {}, torch.float16)
    restored = load_weights(tmp_path / "16.safetensors", MusicSlots(MODEL))
    for name, tensor in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], tensor.half().float())
    sizes = [(tmp_path / f"{bits}.safetensors").stat().st_size for bits in (16, 32)]
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.1)


def test_weights_of_another_configuration(tmp_path):
    """The message says what differs, also where the shapes do not; the model keeps what it had."""
    path, other = tmp_path / "model.safetensors", MusicSlots(replace(MODEL, attention="paper"))
    save_weights(path, fresh_model(), {})
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match="attention='reference', not 'paper'") as caught:
        load_weights(path, other)
    assert str(path) in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


@dataclass(frozen=True)
class WidthConfig:
    width: int = 3


class Width(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.config = WidthConfig()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(layers))


def test_tensors_of_another_shape(tmp_path):
    save_weights(tmp_path / "w.safetensors", Width(1), {})
    with pytest.raises(CheckpointError, match=r"w\.safetensors holds tensors of other names or shapes"):
        load_weights(tmp_path / "w.safetensors", Width(2))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_weights_that_are_none(tmp_path, content):
    """Empty, junk, and a valid file without our metadata."""
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_weights(path, fresh_model())
    assert str(path) in str(caught.value)


def test_truncated_weights(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, fresh_model(), {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_weights(path, fresh_model())


def test_missing_weights(tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*none\.safetensors"):
        load_weights(tmp_path / "none.safetensors", fresh_model())


def test_metadata_is_json(tmp_path):
    """What stands in a file is data: paths and numbers, nothing that needs a pickle."""
    save_weights(tmp_path / "m.safetensors", fresh_model(), {"training": json.loads(json.dumps({"steps": 3}))})
    assert read_metadata(tmp_path / "m.safetensors")[1] == {"training": {"steps": 3}}
