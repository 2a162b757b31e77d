"""How much of the course runs: quick, colab or paper. `MUSICLIB_PRESET` chooses; unset, the machine does."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Preset:
    """One experiment size.

    Attributes:
        size: which configuration of every model and schedule is used: "small", "short" (the papers' architecture,
            a shortened schedule) or "paper".
        live_steps: how long notebooks train before the reader's eyes.
        eval_chords: at most so many examples of a split are scored, None for all.
        meaning: what the numbers of a notebook run with it mean.
    """

    name: str
    size: str
    live_steps: int
    eval_chords: int | None
    meaning: str


QUICK = Preset(
    "quick", "small", 300, 256,
    "real data, small models. Live training stops early; results come from the shipped small checkpoint, which the "
    "same code trained.",
)  # fmt: skip
COLAB = Preset(
    "colab", "short", 1000, 2000,
    "the papers' architectures on a shortened schedule: expect results below the papers' own.",
)  # fmt: skip
PAPER = Preset("paper", "paper", 1000, None, "the papers' architectures, schedules and full test splits.")
PRESETS = {preset.name: preset for preset in (QUICK, COLAB, PAPER)}


def preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in PRESETS:
        raise ValueError(f"{name!r} is no preset: set MUSICLIB_PRESET to {', '.join(PRESETS)}, or unset it.")
    return PRESETS[name]


def current_preset() -> Preset:
    """The preset of this process: `MUSICLIB_PRESET`, else colab where there is a GPU and quick where there is none.

    Raises:
        ValueError: `MUSICLIB_PRESET` names no preset.
    """
    return preset(os.environ.get("MUSICLIB_PRESET") or ("colab" if torch.cuda.is_available() else "quick"))


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
