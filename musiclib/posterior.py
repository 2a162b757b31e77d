"""What an encoder says of one example: the Gaussian that its latents are drawn from.

Notebooks: 06 MusicVAE, 08 query-based improvisation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """q(z | x): a Gaussian with diagonal covariance; mu, sigma (B, D)."""

    mu: Tensor
    sigma: Tensor

    def sample(self) -> Tensor:
        """z = µ + σ ε, (B, D)."""
        return self.mu + self.sigma * torch.randn_like(self.sigma)

    def kl(self) -> Tensor:
        """KL(q ‖ N(0, 1)) of every latent dimension in nats, (B, D)."""
        return (self.mu.square() + self.sigma.square() - 1) / 2 - self.sigma.log()
