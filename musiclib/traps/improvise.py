"""Traps of the improvisation's published code. Notebooks: 08 improvisation, 09 music information dynamics."""

from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from musiclib import corpora
from musiclib.improvise import channel, distances, runs, studies, tonality
from musiclib.improvise.experiments import find
from musiclib.improvise.oracle import Oracle, oracle, search
from musiclib.improvise.query import Channel, Source, send
from musiclib.improvise.vae import BarVAE
from musiclib.posterior import Posterior
from musiclib.traps.trap import Measured, Trap

BITS = 1280
HABIT, ASKED = 0.5, 0.7  # the published thresholds of training and of queries
THRESHOLDS, BARS = 100, 300  # of the oracle search, and of a piece for it


def _model() -> BarVAE:
    return runs.load(find("chorales").run_name("paper"))


def without_roots(posterior: Posterior, bits: int, seed: int = 0) -> Tensor:
    """What the published channel receives: σ² ε and the channel's variance, where standard deviations belong."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(posterior.mu.shape, generator=generator).to(posterior.mu) for _ in range(2))
    sent = posterior.mu + posterior.sigma.square() * first
    source = Source(posterior.mu, posterior.sigma.square().mean(0, keepdim=True))
    mean, variance = channel.moments(sent, source.mean, source.variance, channel.allocate(source.variance[0], bits))
    return mean + variance * second


@torch.no_grad()
def missing_roots() -> Measured:
    """Note F1 with the query, mean over tunes, at one rate."""
    model, left = _model(), []
    for bars in studies.queries().values():
        posterior = model.encode(bars)
        received = without_roots(posterior, BITS), send(posterior, Channel(BITS, "bar")).received
        left.append([tonality.note_f1(bars, model.play(z).cpu()) for z in received])
    published, ours = np.array(left).T
    reach = studies.dynamics.interval(ours - published)[1]
    return Measured(f"note F1 with the query at {BITS} bits", published.mean(), ours.mean(), float(reach))


def first_bar() -> Measured:
    """How much of the training corpus is heard."""
    pieces = [piece for piece in corpora.shipped("chorales").split("train") if len(piece)]
    bars = len(runs.data("chorales", "train"))
    return Measured("bars of the training pieces that are learned, %", 100 * (1 - len(pieces) / bars), 100.0)


@torch.no_grad()
def two_thresholds() -> Measured:
    """Note F1 of the test bars, given back from µ."""
    model, bars = _model(), runs.data("chorales", "test")
    z = model.encode(bars).mu
    published, ours = (tonality.note_f1(bars.cpu(), model.play(z, at).cpu()) for at in (ASKED, HABIT))
    return Measured("note F1 of held-out bars", published, ours)


@torch.no_grad()
def rebuilt_oracles() -> Measured:
    """Milliseconds for the best of 100 thresholds: every oracle anew with its distances, and one matrix for all."""
    latents = _model().encode(runs.data("chorales", "train")[:BARS]).mu.cpu().double().numpy()
    thresholds = np.linspace(0, distances.cosine(latents).max(), THRESHOLDS + 1)[1:]

    def plain() -> list[Oracle]:
        return [oracle(distances.cosine(latents), threshold) for threshold in thresholds]

    search(distances.cosine(latents[:20]))  # compiled on its first call
    seconds = []
    for way in (plain, lambda: search(distances.cosine(latents), thresholds)):
        started = perf_counter()
        way()
        seconds.append(perf_counter() - started)
    return Measured(f"ms for {THRESHOLDS} thresholds, {BARS} bars", 1e3 * seconds[0], 1e3 * seconds[1])


TRAPS = (
    Trap("missing-roots", "noise multiplied by variances", "by standard deviations, their roots", "08", missing_roots),
    Trap("first-bar", "the first bar of every clip is dropped in training", "all bars are learned", "08", first_bar),
    Trap("two-thresholds", "decoded at 0.5 in training, at 0.7 for queries", "at 0.5 everywhere", "08", two_thresholds),
    Trap("rebuilt-oracles", "oracle and distances anew for each threshold",
         "one matrix of distances, oracles only where they change", "09", rebuilt_oracles),
)  # fmt: skip
