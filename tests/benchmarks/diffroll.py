"""DiffRoll: how long a clip of 20.48 s takes, ours against the published way; the paper's network, untrained.

That few calls transcribe as well is measured elsewhere, on the trained small network: the ledger's `samplers-diffroll`
and `published-diffroll`.
"""

import torch
from timing import DEVICE, counted_flop, median_s
from torch import Tensor

from musiclib.diffroll.diffusion import Diffusion
from musiclib.diffroll.evaluation import PUBLISHED, TEN_CALLS, transcribe
from musiclib.diffroll.mel import HOP_SAMPLES, SEGMENT_FRAMES, heard
from musiclib.diffroll.model import MASKED, DiffRoll, DiffRollConfig

MEASURED_STEPS = 5  # of the published 200, which are all alike: the rest is multiplied


def paper_network(quick: bool) -> tuple[DiffRoll, Tensor]:
    """The network of 86.8 million weights, and a waveform (1, samples)."""
    torch.manual_seed(0)
    config = DiffRollConfig(width=8, layers=2) if quick else DiffRollConfig()
    frames = 40 if quick else SEGMENT_FRAMES
    return DiffRoll(config).to(DEVICE).eval(), 0.1 * torch.randn(1, frames * HOP_SAMPLES, device=DEVICE)


@torch.no_grad()
def clip_plain(quick: bool) -> dict:
    """DDPM at w = 0.5 as published: in fp32, each step two calls, each from the waveform on."""
    model, waveform = paper_network(quick)
    diffusion = Diffusion()
    steps = [(t, t - 1) for t in range(PUBLISHED.calls - 1, 0, -1)][:MEASURED_STEPS]

    def some_steps() -> Tensor:
        x_t = torch.randn(1, model.channels, waveform.shape[1] // HOP_SAMPLES, device=DEVICE)
        for t, s in steps:
            at = torch.full((1,), t, device=DEVICE)
            conditional = model(x_t, at, heard(waveform))
            unconditional = model(x_t, at, torch.full_like(heard(waveform), MASKED))
            x0 = (1 + PUBLISHED.weight) * conditional - PUBLISHED.weight * unconditional
            x_t = diffusion.step(x_t, x0, t, s, torch.randn_like(x_t))
        return x_t

    seconds = median_s(some_steps, 1) / len(steps)
    note = f"{PUBLISHED.calls} steps of 2 calls, {1e3 * seconds:.0f} ms a step ({len(steps)} were measured)"
    return {"seconds": seconds * PUBLISHED.calls, "note": note}


@torch.no_grad()
def clip_ours(quick: bool) -> dict:
    """What `python -m musiclib transcribe` does with one window."""
    model, waveform = paper_network(quick)

    def clip() -> Tensor:
        return transcribe(model, heard(waveform), TEN_CALLS)

    seconds, flop = median_s(clip, 3), counted_flop(clip)
    clip_s = waveform.shape[1] / 16_000
    rate = f"{flop / seconds / 1e9:.0f} GFLOP/s of {flop / 1e9:.0f} GFLOP"
    note = f"{TEN_CALLS.calls} steps of 2 calls, {1e3 * seconds / TEN_CALLS.calls:.0f} ms a step, {rate}, "
    return {"seconds": seconds, "flop": flop, "note": note + f"{clip_s / seconds:.1f} times as fast as it plays"}


@torch.no_grad()
def convolution_limit(quick: bool) -> dict:
    """GFLOP/s of the network's own largest part alone: what it can reach at best here, in fp32."""
    width, frames = (8, 40) if quick else (512, SEGMENT_FRAMES)
    x, weight = torch.randn(1, width, frames, device=DEVICE), torch.randn(2 * width, width, 9, device=DEVICE)
    seconds = median_s(lambda: torch.nn.functional.conv1d(x, weight, padding=4), 10)
    return {"seconds": seconds, "flop": 2 * weight.numel() * frames}


def share(ours: dict, limit: dict) -> str:
    """How much of what its largest convolution reaches alone the whole of a clip reaches."""
    rate, most = (result["flop"] / result["seconds"] / 1e9 for result in (ours, limit))
    return f"DiffRoll: {rate:.0f} GFLOP/s, {rate / most:.0%} of the {most:.0f} that its own convolution reaches alone."


MEASUREMENTS = {function.__name__: function for function in (clip_plain, clip_ours, convolution_limit)}
COMPARISONS = (("transcribe 20.48 s, paper's DiffRoll", "clip_ours", "clip_plain", 40),)
