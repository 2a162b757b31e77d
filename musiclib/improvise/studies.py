"""What is asked of trained bar VAEs: what the channel's rate does, and how β sounds.

Notebooks: 08 query-based improvisation, 09 music information dynamics, 14 reproduction.
"""

import numpy as np
import torch
from torch import Tensor

from musiclib import corpora
from musiclib.improvise import dynamics
from musiclib.improvise.data import corpus_source
from musiclib.improvise.perform import Query
from musiclib.improvise.query import Channel, Source, free, improvise
from musiclib.improvise.vae import BarVAE
from musiclib.reproduction import save_bits

TUNE = "airdsAirs/book1-109"  # Soldier's Joy, of the test split
TUNES, SEEDS = 6, 3
RATES = (0, *dynamics.RATES)  # bits per bar
CHANNELS = {
    "piece": Channel(source="piece"),
    "corpus, made up": Channel(source="corpus", made_up=True),
    "bar (the paper's words)": Channel(source="bar"),
}


def queries() -> dict[str, Tensor]:
    """Held-out fiddle tunes of 32 bars, (B, 2496) each, the heard one first."""
    pieces = {piece.name: piece for piece in corpora.shipped("fiddle-tunes").split("test")}
    others = (name for name, piece in pieces.items() if 500 <= len(piece) <= 600 and name != TUNE)
    names = [TUNE, *others][:TUNES]
    return {name: Query.of_piece(pieces[name]).bars for name in names}


def rates(model: BarVAE, name: str) -> dict:
    """{channel: {score of `dynamics.measure`: [[of each tune, mean over seeds] of each rate]}}, and the heard tune as
    it arrives, kept as "channel: bits"."""
    corpus = corpus_source(model, "chorales")
    found, heard = {}, {}
    for label, channel in CHANNELS.items():
        swept = [dynamics.sweep(model, bars, RATES, range(SEEDS), channel, corpus) for bars in queries().values()]
        found[label] = {
            score: np.stack([one[score].mean(1) for one in swept], 1).round(4).tolist() for score in swept[0]
        }
        heard |= {f"{label}: {bits}": _heard(model, channel, bits, corpus) for bits in RATES}
    save_bits(name, heard)
    return found


def _heard(model: BarVAE, channel: Channel, bits: float, corpus: Source) -> Tensor:
    settings = Channel(bits, channel.source, made_up=channel.made_up)
    return improvise(model, queries()[TUNE], settings, corpus)


@torch.no_grad()
def beta(model: BarVAE, name: str) -> dict:
    """The heard tune given back from µ, and bars out of the prior, kept as "back" and "free"."""
    bars = queries()[TUNE]
    back = model.play(model.encode(bars.to(next(model.parameters()).device)).mu)
    out = free(model, len(bars))
    save_bits(name, {"back": back, "free": out})
    return {"bars": len(bars), "struck, back": int(back.sum()), "struck, free": int(out.sum())}


KINDS = {"rates": rates, "beta": beta}
