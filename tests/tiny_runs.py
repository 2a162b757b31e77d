"""Commands of the command line on models that train in a second, for processes of their own.

    python tests/tiny_runs.py FOLDER STEPS COMMAND … [, COMMAND …]

All is written to FOLDER. Under `fabric run` or torchrun every process runs the same.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch

from musiclib import corpora, paths
from musiclib.__main__ import main
from musiclib.diffroll import clips
from musiclib.diffroll import experiments as diffroll
from musiclib.diffroll import runs as diffroll_runs
from musiclib.diffroll.clips import Clip
from musiclib.improvise import experiments as improvise
from musiclib.improvise import runs as improvise_runs
from musiclib.improvise.bars import INPUTS
from musiclib.improvise.vae import BarVAEConfig
from musiclib.musicslots import experiments as musicslots
from musiclib.musicslots import runs as musicslots_runs
from musiclib.musicvae import experiments as musicvae
from musiclib.musicvae import runs as musicvae_runs
from musiclib.musicvae.data import Windows


def shrink(folder: Path, steps: int) -> None:
    """Every system's small size, and all that it is scored on."""
    for name in ("RUNS", "CHECKPOINTS", "RESULTS", "DATA"):
        setattr(paths, name, folder / name.lower())
    short = {"steps": steps, "batch": 4, "evaluate_every": max(1, steps // 2)}

    for sizes in musicslots.MODELS.values():
        sizes["small"] = replace(sizes["small"], channels=8, width=8)
    for sizes in musicslots.TRAINING.values():
        sizes["small"] = replace(sizes["small"], **short)
    for name, experiment in musicslots.EXPERIMENTS.items():
        adjusted = replace(experiment.small, training={}, test_chords=40)
        musicslots.EXPERIMENTS[name] = replace(experiment, small=adjusted)
    musicslots_runs.VALIDATION_CHORDS = 8

    for name, experiment in musicvae.EXPERIMENTS.items():
        small = experiment.small | {"latent": 4, "encoder_width": 4, "decoder_width": 6, "decoder_layers": 1}
        musicvae.EXPERIMENTS[name] = replace(experiment, small=small, training=short)
    few = corpora.shipped("fiddle-tunes").split("valid")[:3]
    musicvae_runs.windows = lambda corpus, split, kind, bars: Windows(few, kind, bars)
    musicvae_runs.VALIDATION_WINDOWS = 8

    improvise.Experiment.model_config = lambda self: BarVAEConfig(hidden=8, latent=4, beta=self.beta)
    improvise.TRAINING = replace(improvise.TRAINING, **short)
    for name, experiment in improvise.EXPERIMENTS.items():
        improvise.EXPERIMENTS[name] = replace(experiment, steps=steps)
    bars = (torch.rand(60, INPUTS, generator=torch.Generator().manual_seed(0)) < 0.03).to(torch.uint8)
    improvise_runs.data = lambda corpus, split: bars

    diffroll.SMALL = {"width": 4, "layers": 1, "kernel": 3}
    for name, experiment in diffroll.EXPERIMENTS.items():
        diffroll.EXPERIMENTS[name] = replace(experiment, training={})
    diffroll.FRAMES["small"] = 20
    diffroll.TRAINING["small"] = replace(diffroll.TRAINING["small"], **short)
    own = [Clip(clip.name, clip.waveform[:20_480], clip.notes[:5]) for clip in clips.shipped("A")[:2]]
    clips.shipped = lambda name: own
    diffroll_runs.validation_clips = lambda corpora_, varied=False: own


if __name__ == "__main__":
    shrink(Path(sys.argv[1]), int(sys.argv[2]))
    code = 0
    for end, arguments in groupby(sys.argv[3:], lambda argument: argument == ","):
        if not end:
            with suppress(SystemExit):  # of a process that is not the first
                code = code or main(list(arguments))
    sys.exit(code)
