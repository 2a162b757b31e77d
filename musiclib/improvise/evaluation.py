"""How well a bar VAE knows bars.

Notebook: 08 query-based improvisation.
"""

import torch
from torch import Tensor

from musiclib.improvise.tonality import note_f1
from musiclib.improvise.vae import BarVAE

BATCH = 1024
ACTIVE = 0.01  # variance of µ over bars above which a latent tells something (Burda et al. 2016)


@torch.no_grad()
def reconstruction(model: BarVAE, bars: Tensor) -> dict[str, float]:
    """Mean over bars (N, 2496): `distortion` D and `rate` R in nats per bar and `loss` D + β R, with the standard
    errors of the first two over bars; `note_f1` of what is decoded from µ; and how many latents are `active`."""
    torch.manual_seed(0)
    distortion, rate = (torch.cat(parts) for parts in zip(*map(model, bars.split(BATCH)), strict=True))
    mu = torch.cat([model.encode(part).mu for part in bars.split(BATCH)])
    decoded = torch.cat([model.play(part) for part in mu.split(BATCH)])
    return {
        "distortion": distortion.mean().item(),
        "rate": rate.mean().item(),
        "loss": (distortion + model.config.beta * rate).mean().item(),
        "distortion_standard_error": distortion.std().item() / len(bars) ** 0.5,
        "rate_standard_error": rate.std().item() / len(bars) ** 0.5,
        "note_f1": note_f1(bars.cpu(), decoded.cpu()),
        "active": int((mu.var(0) > ACTIVE).sum()),
        "bars": len(bars),
    }
