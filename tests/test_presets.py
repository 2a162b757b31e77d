"""Which preset runs."""

import pytest
import torch

from musiclib.musicslots import experiments
from musiclib.presets import PRESETS, current_preset, default_device, preset


def test_unset_the_machine_chooses(monkeypatch):
    monkeypatch.delenv("MUSICLIB_PRESET", raising=False)
    assert current_preset().name == ("colab" if torch.cuda.is_available() else "quick")
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["quick", "colab", "paper"])
def test_the_environment_chooses(monkeypatch, name):
    monkeypatch.setenv("MUSICLIB_PRESET", name)
    assert current_preset() == PRESETS[name] == preset(name)


def test_an_empty_variable_is_unset(monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "")
    assert current_preset().name in ("quick", "colab")


def test_unknown_preset(monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "fast")
    with pytest.raises(ValueError, match="'fast' is no preset: set MUSICLIB_PRESET to quick, colab, paper"):
        current_preset()


def test_every_preset_has_a_model_and_a_schedule():
    for choice in PRESETS.values():
        assert all(choice.size in sizes for sizes in experiments.MODELS.values())
        assert all(choice.size in sizes for sizes in experiments.TRAINING.values())
        assert choice.meaning
