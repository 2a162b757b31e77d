"""What is asked of a trained MusicVAE: how near its tunes come to human ones, feature by feature.

Notebooks: 07 MusicVAE evaluation, 14 reproduction.
"""

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from musiclib.musicvae import distances, features, latent, markov
from musiclib.musicvae.data import Windows, to_roll, windows
from musiclib.musicvae.experiments import find
from musiclib.musicvae.model import MusicVAE

TUNES, SEED = 300, 7  # of each set, about


def sets(model: MusicVAE, corpus: str) -> tuple[dict[str, Tensor], np.ndarray]:
    """Tunes (N, T) each: human ones of two halves of the test pieces, the model's from the fitted codes and from the
    prior, a Markov chain's; and the piece of each of the first."""
    test, train = (windows(corpus, split, "melody", model.config.bars) for split in ("test", "train"))
    first, second = _halves(test)
    noise = torch.randn(TUNES, model.config.latent, generator=torch.Generator().manual_seed(SEED))
    noise = noise.to(next(model.parameters()).device)
    codes = {"model, fitted": latent.fit_codes(model, train).draw(noise), "model, prior": noise}
    torch.manual_seed(SEED)
    machine = {name: model.sample(z, 1.0).cpu() for name, z in codes.items()}
    chain = markov.fit(train[:]).sample(TUNES, model.config.steps, torch.Generator().manual_seed(SEED))
    human = {"human": test[first].cpu(), "human, other tunes": test[second].cpu()}
    return human | machine | {"Markov chain": chain}, test.piece[first].numpy()


def _halves(test: Windows) -> tuple[Tensor, Tensor]:
    """Windows spread evenly, divided by piece."""
    chosen = torch.linspace(0, len(test) - 1, min(2 * TUNES, len(test))).round().long()
    pieces = test.piece.unique()
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(SEED))
    in_first = torch.isin(test.piece[chosen], pieces[order[: len(pieces) // 2]])
    return chosen[in_first], chosen[~in_first]


def feature_distances(model: MusicVAE, name: str) -> dict:
    """{set: [comparison with the human set, of each feature]}."""
    tunes, piece = sets(model, find("melody-2").corpus)
    values = {label: features.feature_values([to_roll(x) for x in own]) for label, own in tunes.items()}
    human = values.pop("human")
    return {
        label: [asdict(one) for one in distances.compare(human, other, piece, seed=SEED)]
        for label, other in values.items()
    }


KINDS = {"features": feature_distances}
