"""Imported once, by the process that children are forked from: all of musiclib, warm.

What every command does only the first time is done here, so that a child costs what its own work costs.
"""

import contextlib
import os
import tempfile
import threading
from functools import cache
from pathlib import Path

import music21  # noqa: F401 slow, and imported by musiclib only when it is needed
import torch
from children import command
from mutations import seeds
from tqdm import tqdm

import musiclib.project  # noqa: F401
from musiclib.improvise import runs as improvise_runs
from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.synth import NoteBank

torch.set_num_threads(1)
tqdm.set_lock(threading.RLock())  # its own one all children would share, and wait for one that was killed with it


@cache
def spread():
    """Where the latents of the chorales lie."""
    return improvise_runs.corpus_source(improvise_runs.load("improvise-chorales"), "chorales")


@cache
def chords():
    """A few of MusicSlots' single-instrument chords."""
    bank = NoteBank.load()
    return examples("JazzNet-single").map(lambda split: ChordSpectrograms(split[:40], bank, 16))


def warm() -> None:
    """Every command that makes something of a file, once."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, kind in (("a.wav", "WAV"), ("b.mid", "MIDI"), ("c.musicxml", "MusicXML")):
            Path(name).write_bytes(seeds(kind)[0])
        for line in (
            "decompose a.wav --output slots", "transcribe a.wav d.mid --model twin --threshold 0.05",
            "compose --between b.mid c.musicxml d.mid --steps 2", "improvise c.musicxml d.mid",
        ):  # fmt: skip
            with contextlib.redirect_stdout(None):
                assert command(*line.split(), "--quiet") == 0, line
        os.chdir(here)
    spread()
    chords()


warm()
