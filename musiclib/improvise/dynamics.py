"""Music information dynamics: what the channel's rate does to an improvisation, and to what comes back in it.

Of every rate: how much of the query is left (its notes, its harmony), how wide and how clear the tonality is, what the
decoder's bars cost (distortion D), and how much the past of the latents tells of their next one (information rate IR).

Sources: Dubnov 2019, Query-based deep improvisation, sections 3.1, 3.2 and appendix B. The paper shows scores and
curves; harmony and tonality are measured here with `tonality`.
Notebooks: 08 query-based improvisation, 09 music information dynamics.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor
from torch.nn import functional as F

from musiclib.improvise import distances, tonality
from musiclib.improvise.oracle import best_oracle
from musiclib.improvise.query import Channel, Source, send
from musiclib.improvise.vae import BarVAE

RATES = tuple(5 * 2**k for k in range(10))  # bits per bar: 5 … 2560


@torch.no_grad()
def measure(
    model: BarVAE, query: Tensor, settings: Channel, corpus: Source | None = None, seed: int = 0
) -> dict[str, float]:
    """One improvisation over a query's bars (B, 2496), in numbers.

    Returns:
        note_f1, tonnetz: against the query, see `tonality`. entropy, clarity: of the output's pitch classes.
        distortion: bits per bar that the decoder needs for the query itself, given what arrives.
        information_rate: of the latents that arrive, cosine distance, bits per bar. threshold: where it is largest.
    """
    query = query.to(next(model.parameters()).device)
    received = send(model.encode(query), settings, corpus, seed).received
    output = model.play(received).cpu()
    nats = F.binary_cross_entropy_with_logits(model.decode(received), query.float(), reduction="none").sum(-1).mean()
    heard = best_oracle(distances.cosine(received.cpu().double().numpy()))
    return {
        "note_f1": tonality.note_f1(query.cpu(), output),
        "tonnetz": float(np.nanmean(tonality.tonnetz_distance(query.cpu(), output))),
        "entropy": tonality.pitch_class_entropy(output),
        "clarity": tonality.key_clarity(output)[1],
        "distortion": nats.item() / math.log(2),
        "information_rate": float(heard.information_rate().mean()),
        "threshold": heard.threshold,
    }


def sweep(
    model: BarVAE,
    query: Tensor,
    rates: Sequence[float],
    seeds: Sequence[int],
    settings: Channel | None = None,
    corpus: Source | None = None,
) -> dict[str, np.ndarray]:
    """`measure` at each rate, for each seed of the noise: {name: (rates, seeds)}."""
    settings = settings or Channel()
    found = [[measure(model, query, replace(settings, bits=bits), corpus, seed) for seed in seeds] for bits in rates]
    return {name: np.array([[one[name] for one in row] for row in found]) for name in found[0][0]}


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the last axis, seeds or pieces, and the half-width of its 95 % interval by Student's t: few values are
    many times less sure. NaNs are left out; where fewer than two values are left, the half-width is NaN."""
    values = np.ma.masked_invalid(values)
    number = values.count(-1)
    t = student.ppf(0.975, np.maximum(number - 1, 1))
    half = t * values.std(-1, ddof=1) / np.sqrt(np.maximum(number, 1))
    return np.ma.filled(values.mean(-1), np.nan), np.where(number > 1, np.ma.filled(half, np.nan), np.nan)
