"""A variational auto-encoder of single bars, of two small networks.

    q(z | x) = N(µ, σ²),  h = relu(linear(x)),  µ = linear(h),  log σ² = linear(h)
    p(x | z) = ∏ Bernoulli(sigmoid(linear(relu(linear(z)))))
    loss = D + β R,  D = −log p(x | z),  R = KL(q ‖ N(0, 1)), per bar
    H − D ≤ I(x; z) ≤ R,  H the entropy of the bars

Sources: Dubnov 2019, Query-based deep improvisation, section 3; the bounds: Alemi et al. 2018, Fixing a broken ELBO.
Notebook: 08 query-based improvisation.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musiclib.improvise.bars import INPUTS
from musiclib.posterior import Posterior


@dataclass(frozen=True)
class BarVAEConfig:
    """hidden, latent: widths; beta: the price of a nat of R in nats of D."""

    inputs: int = INPUTS
    hidden: int = 500
    latent: int = 500
    beta: float = 1.0


class RateDistortion(NamedTuple):
    """D and R in nats per bar, (B,) each."""

    distortion: Tensor
    rate: Tensor


class BarVAE(nn.Module):
    def __init__(self, config: BarVAEConfig):
        super().__init__()
        self.config = config
        self.hidden = nn.Linear(config.inputs, config.hidden)
        self.mu = nn.Linear(config.hidden, config.latent)
        self.log_variance = nn.Linear(config.hidden, config.latent)
        self.decoder = nn.Sequential(
            nn.Linear(config.latent, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.inputs)
        )

    def encode(self, x: Tensor) -> Posterior:
        """Bars (B, 2496) of bits → q(z | x), (B, D)."""
        hidden = F.relu(self.hidden(x.float()))
        return Posterior(self.mu(hidden), (self.log_variance(hidden) / 2).exp())

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) → logits (B, 2496)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> RateDistortion:
        """Both parts of the loss for bars (B, 2496)."""
        posterior = self.encode(x)
        logits = self.decode(posterior.sample())
        distortion = F.binary_cross_entropy_with_logits(logits.float(), x.float(), reduction="none").sum(-1)
        return RateDistortion(distortion, posterior.kl().sum(-1))

    @torch.no_grad()
    def play(self, z: Tensor, threshold: float = 0.5) -> Tensor:
        """(B, D) → bars (B, 2496) of bits: those whose probability is above the threshold."""
        return (self.decode(z).sigmoid() > threshold).to(torch.uint8)
