"""Ways through the latent space, and how even they are.

Two pieces are joined by an arc between their µ, decoded at equally many places of it. The baseline mixes the pieces
themselves, token by token. Both come evenly from A to B; they differ in whether what lies between is music, which a
model of its own has to say, such as `markov.MarkovChain.log_likelihood`.

Source: Roberts et al. 2018 (MusicVAE), section 4.1 and figure 4; White 2016, Sampling generative networks, for the arc.
Notebooks: 06 MusicVAE, 07 MusicVAE evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from musiclib.musicvae.data import Windows
from musiclib.musicvae.model import MusicVAE

NO_ARC = 1e-4  # sine of an angle below which there is none to speak of
BATCH = 256


def slerp(a: Tensor, b: Tensor, share: float | Tensor) -> Tensor:
    """sin((1 − s) θ) / sin θ · a + sin(s θ) / sin θ · b, θ the angle between them: along the arc, not the chord.

    A Gaussian of many dimensions lies close to a sphere, and a chord leaves it for places where no z ever was. Where
    a and b point the same way or opposite ways, or one is zero, there is no such arc: then it is the straight line.

    Args:
        a, b: (D,) or (B, D). share: s, of the way from a to b; a number, or (S,).

    Returns:
        As a; for (S,) shares (S, D) or (S, B, D).
    """
    share = torch.as_tensor(share, dtype=a.dtype, device=a.device)
    share = share.reshape(share.shape + (1,) * a.dim())  # (S, 1) or (S, 1, 1), the last for D
    unit_a, unit_b = (x / x.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny) for x in (a, b))
    apart, together = (x.norm(dim=-1, keepdim=True) for x in (unit_a - unit_b, unit_a + unit_b))
    angle = 2 * torch.atan2(apart, together)  # exact for small angles too, where an arc cosine is not
    defined = (angle.sin() > NO_ARC) & (a != 0).any(-1, keepdim=True) & (b != 0).any(-1, keepdim=True)
    angle = torch.where(defined, angle, torch.ones_like(angle))
    from_a = torch.where(defined, ((1 - share) * angle).sin() / angle.sin(), 1 - share)
    from_b = torch.where(defined, (share * angle).sin() / angle.sin(), share)
    return from_a * a + from_b * b


def average(z: Tensor) -> Tensor:
    """The middle of many latents (N, D) → (D,): their mean, as long as they are on average.

    Of two of one length it is the middle of their arc. A mean is shorter than what it is made of, and so, like a
    chord, lies where no z ever was.
    """
    mean = z.mean(0)
    return mean * z.norm(dim=1).mean() / mean.norm().clamp(min=torch.finfo(z.dtype).tiny)


@dataclass(frozen=True)
class Codes:
    """Where the z of real pieces lie, as a Gaussian: where β is small, the prior is not that place, and what is drawn
    from the prior is a z that no piece ever had.

    Attributes:
        mean: (D,). factor: (D, D), lower triangular; factor · factorᵀ is the covariance.
    """

    mean: Tensor
    factor: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Standard normal numbers (N, D) → z (N, D)."""
        return self.mean + noise @ self.factor.T


@torch.no_grad()
def fit_codes(model: MusicVAE, windows: Windows, limit: int = 2000) -> Codes:
    """The mean and covariance of z over windows, or over `limit` of them spread evenly: of µ, and σ² on top."""
    index = torch.linspace(0, len(windows) - 1, min(limit, len(windows))).round().long()
    device = next(model.parameters()).device
    codes = [model.encode(windows[part].to(device)) for part in index.split(BATCH)]
    mu, sigma = (torch.cat([getattr(q, name) for q in codes]) for name in ("mu", "sigma"))
    covariance = torch.cov(mu.T, correction=0) + sigma.square().mean(0).diag()
    return Codes(mu.mean(0), torch.linalg.cholesky(covariance))


def between(model: MusicVAE, x_a: Tensor, x_b: Tensor, steps: int, temperature: float = 0.0) -> Tensor:
    """One piece turned into another: equal steps along the arc between their µ, decoded.

    Args:
        x_a, x_b: tokens (T,) or bits (T, V).

    Returns:
        (S, T) or (S, T, V). The first and the last are the model's reconstructions.
    """
    return _along_the_arc(model, x_a[None], x_b[None], steps, temperature)[:, 0]


@torch.no_grad()
def _along_the_arc(model: MusicVAE, x_a: Tensor, x_b: Tensor, steps: int, temperature: float) -> Tensor:
    """Pairs (B, T[, V]) → (S, B, T[, V]), on the pairs' device."""
    device = next(model.parameters()).device
    mu_a, mu_b = (model.encode(x.to(device)).mu for x in (x_a, x_b))
    z = slerp(mu_a, mu_b, torch.linspace(0, 1, steps)).flatten(0, 1)  # (S B, D)
    drawn = torch.cat([model.sample(part, temperature) for part in z.split(BATCH)])
    return drawn.unflatten(0, (steps, -1)).to(x_a.device, x_a.dtype)


def crossfade(x_a: Tensor, x_b: Tensor, steps: int, generator: torch.Generator | None = None) -> Tensor:
    """The baseline in data space: at each step of the music the token, or the bits, of B with a probability that rises
    from 0 to 1. Each changes hands once on the way.

    Args, Returns: as `between`; the first is A and the last is B.
    """
    turn = torch.rand(len(x_a), generator=generator)  # (T,), below 1
    from_b = turn < torch.linspace(0, 1, steps)[:, None]  # (S, T)
    return torch.where(from_b.reshape(from_b.shape + (1,) * (x_a.dim() - 1)).to(x_a.device), x_b, x_a)


# ---------------------------------------------------------------------------------------------------- how even it is


def pairs(windows: Windows, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Windows to join, A and B (N, T[, V]): one from each piece, and each in one pair, so that pairs are independent.

    Raises:
        ValueError: there are fewer than two pieces.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(windows), generator=generator)
    pieces = windows.piece[shuffled]
    _, place = torch.unique(pieces, return_inverse=True)
    first = torch.full((int(place.max()) + 1,), len(windows)).scatter_reduce_(
        0, place, torch.arange(len(windows)), "amin"
    )  # where in the shuffled order each piece comes first
    chosen = shuffled[first.sort().values]
    if len(chosen) < 2:
        raise ValueError("One piece makes no pair: give the windows of at least two.")
    half = len(chosen) // 2
    return windows[chosen[:half]], windows[chosen[half : 2 * half]]


def ways(
    model: MusicVAE, x_a: Tensor, x_b: Tensor, steps: int, temperature: float = 0.0, seed: int = 0
) -> dict[str, Tensor]:
    """The arc and the baseline, "slerp" and "crossfade", of pairs (N, T[, V]) → (S, N, T[, V]) each."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        arc = _along_the_arc(model, x_a, x_b, steps, temperature)
    faded = [crossfade(a, b, steps, generator) for a, b in zip(x_a, x_b, strict=True)]
    return {"slerp": arc, "crossfade": torch.stack(faded, dim=1)}


def evenness(
    way: Tensor, x_a: Tensor, x_b: Tensor, log_likelihood: Callable[[Tensor], Tensor] | None = None
) -> dict[str, Tensor]:
    """What lies on the way from A to B.

    Args:
        way: (S, N, T[, V]) from `ways`. x_a, x_b: (N, T[, V]).
        log_likelihood: of melodies (N, T) in nats (N,), by a model that knows nothing of this one.

    Returns:
        Each (S, N): "to_a" and "to_b", normalised Hamming distances, the share of steps that differ; and, given a
        likelihood, "relative_log_likelihood", nats per step above what lies evenly between those of A and B. It is
        negative where the way leads through what the likelihood's model thinks no music.
    """
    found = {"to_a": hamming(way, x_a), "to_b": hamming(way, x_b)}
    if log_likelihood is not None:
        own, ends = (torch.stack([log_likelihood(x) for x in many]) for many in (way, (x_a, x_b)))  # (S, N), (2, N)
        share = torch.linspace(0, 1, len(way), dtype=ends.dtype)[:, None]
        found["relative_log_likelihood"] = (own - torch.lerp(ends[0], ends[1], share)) / way.shape[2]
    return found


def hamming(x: Tensor, y: Tensor) -> Tensor:
    """The share of steps that differ, in any bit if they are bits: (…, N, T[, V]) and (N, T[, V]) → (…, N)."""
    differ = x != y
    return (differ.any(-1) if y.dim() == 3 else differ).float().mean(-1)


def interval(values: Tensor) -> Tensor:
    """(S, N) of independent pairs → (2, S), the ends of the 95 % intervals of their means."""
    half = 1.96 * values.std(1) / values.shape[1] ** 0.5
    return torch.stack([values.mean(1) - half, values.mean(1) + half])
