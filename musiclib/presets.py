"""How much of the course runs: quick, colab or paper. `MUSICLIB_PRESET` chooses; unset, the machine does."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Preset:
    """One experiment size.

    Attributes:
        size: which configuration of every model is used, "small" or "paper".
        live_steps: how long notebooks train before the reader's eyes.
        eval_chords: at most so many examples of a split are scored, None for all.
        meaning: what the numbers of a notebook run with it mean.
    """

    name: str
    size: str
    live_steps: int
    eval_chords: int | None
    meaning: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("quick", "small", 150, 256, "real data, small models; live training stops early and the shipped "
               "checkpoint, trained by the same code, gives the results"),
        Preset("colab", "paper", 10_000, 2000, "the papers' architectures on a shortened schedule: expect results "
               "under the papers' own"),
        Preset("paper", "paper", 100_000, None, "the papers' architectures, schedules and full test splits"),
    )
}  # fmt: skip


def current_preset() -> Preset:
    """The preset of this process: `MUSICLIB_PRESET`, else colab where there is a GPU and quick where there is none.

    Raises:
        ValueError: `MUSICLIB_PRESET` names no preset.
    """
    name = os.environ.get("MUSICLIB_PRESET") or ("colab" if torch.cuda.is_available() else "quick")
    if name not in PRESETS:
        raise ValueError(f"MUSICLIB_PRESET={name!r} is no preset: set it to {', '.join(PRESETS)}, or unset it.")
    return PRESETS[name]


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
