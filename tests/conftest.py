"""What all tests share. One thread per process: `pytest -n` runs one worker per core."""

import os

os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import torch

from musiclib.synth import NoteBank, SoundfontError, Synthesizer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bank() -> NoteBank:
    """The note bank that ships."""
    return NoteBank.load()


@pytest.fixture(scope="session")
def fluidsynth_missing() -> str:
    """Why nothing can be rendered with FluidSynth here; empty where it can."""
    try:
        with Synthesizer():
            return ""
    except SoundfontError as error:
        return str(error)


@pytest.fixture(scope="session")
def has_fluidsynth(fluidsynth_missing) -> bool:
    return not fluidsynth_missing


@pytest.fixture
def synthesizer(fluidsynth_missing):
    """A fresh FluidSynth with the real soundfont; the test is skipped where there is none."""
    if fluidsynth_missing:
        pytest.skip(fluidsynth_missing)
    with Synthesizer() as synth:
        yield synth


@pytest.fixture(autouse=True)
def _own_random_state():
    """Every test starts from the same random state, whatever ran before it in this process."""
    torch.manual_seed(0)
