"""Traps of MusicVAE's sources. Notebooks: 06 MusicVAE, 07 MusicVAE evaluation."""

import numpy as np
import torch

from musiclib.musicvae import distances, features, runs, studies
from musiclib.musicvae.data import to_roll
from musiclib.musicvae.experiments import find
from musiclib.traps.trap import Measured, Trap


def densities_on_their_own_grids() -> Measured:
    """KL divergence between the distances within human tunes and those to the model's, mean of nine features."""
    experiment = find("melody-2")
    tunes, _ = studies.sets(runs.load(experiment.run_name("small")), experiment.corpus)
    human, machine = (features.feature_values([to_roll(x) for x in tunes[name]]) for name in ("human", "model, fitted"))
    pairs = [(distances.intra_distances(x), distances.inter_distances(x, machine[name])) for name, x in human.items()]
    own = np.mean([distances.kl_on_own_grids(*pair) for pair in pairs])
    one = np.mean([distances.kl_divergence(*distances.densities(*pair)[1:]) for pair in pairs])
    return Measured("KL in nats, mean of nine features", float(own), float(one))


@torch.no_grad()
def conductor_hears_tokens() -> Measured:
    """How far the bars' contexts, of values within ±1, move when all tokens to be decoded become other ones."""
    experiment = find("melody-16-hierarchical")
    model = runs.load(experiment.run_name("small"))
    test = runs.windows(experiment.corpus, "test", "melody", model.config.bars)
    z, heard = model.encode(test[:32]).mu, []
    hook = model.conductor.register_forward_hook(lambda module, given, contexts: heard.append(contexts))
    for x in (test[:32], test[32:64]):
        model.logits(x, z)
    hook.remove()
    return Measured("change of a bar's context with the tokens", None, (heard[0] - heard[1]).abs().max().item())


TRAPS = (
    Trap("conductor-hears-tokens", "the source feeds the bars' tokens to the conductor (as its text says; not built)",
         "it hears z alone, as in the original", "06", conductor_hears_tokens),
    Trap("own-grids", "the toolkit evaluates the two densities on different grids", "one common grid", "07",
         densities_on_their_own_grids),
)  # fmt: skip
