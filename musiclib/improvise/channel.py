"""A channel of limited rate between encoder and decoder.

A latent z_i that is spread with variance σ_i² around µ_i is sent with R_i bits. The best Gaussian channel gives

    D(R) = σ² 2^(−2R)                                               what is lost, at rate R
    y_i ~ N(µ_i 2^(−2R_i) + z_i (1 − 2^(−2R_i)),  σ_i² 2^(−4R_i) (2^(2R_i) − 1))

so nothing but µ_i arrives with 0 bits, and z_i itself with many. Bits go where the variance is largest: reverse
water-filling, either bit by bit, or by the water level D to which every larger variance is brought down.

Sources: Dubnov 2019, Query-based deep improvisation, section 2.1; Berger 1971; Cover and Thomas, Elements of
information theory, section 10.3.3.
Notebook: 08 query-based improvisation.
"""

import heapq
import math

import torch
from torch import Tensor


def allocate(variance: Tensor, bits: int) -> Tensor:
    """Whole bits: one at a time to the largest variance, of several the first, which is then divided by four.

    Args:
        variance: (D,), from 0. bits: to spend on all of them.

    Returns:
        (D,) bits of each, float.

    Raises:
        ValueError: a variance is negative or no number, or `bits` is.
    """
    _check(variance, bits)
    given = [0] * len(variance)
    heap = [(-value, i) for i, value in enumerate(variance.tolist())]
    heapq.heapify(heap)
    for _ in range(bits):
        value, i = heap[0]
        given[i] += 1
        heapq.heapreplace(heap, (value / 4, i))
    return torch.tensor(given, dtype=variance.dtype, device=variance.device)


def fill(variance: Tensor, bits: float) -> Tensor:
    """The same with parts of bits: R_i = max(0, ½ log2(σ_i² / D)) with the level D at which they add up to `bits`.

    Args:
        variance: (…, D), from 0; each row is spent `bits` on.

    Returns:
        (…, D) bits of each.

    Raises:
        ValueError: a variance is negative or no number, or `bits` is, or there are bits and no variance to spend them.
    """
    _check(variance, bits)
    height = variance.double().clamp(min=1e-300).log2() / 2  # of each latent above D = 1, in bits
    ordered = height.sort(-1, descending=True).values
    number = torch.arange(1, height.shape[-1] + 1, device=height.device)
    level = (ordered.cumsum(-1) - bits) / number  # if the first 1, 2, … D latents were under water
    filled = (ordered > level).sum(-1, keepdim=True).clamp(min=1)  # those that stand out are
    return (height - level.gather(-1, filled - 1)).clamp(min=0).to(variance.dtype)


def _check(variance: Tensor, bits: float) -> None:
    if not (torch.isfinite(variance).all() and (variance >= 0).all()):
        raise ValueError("A variance is a number from 0: these have others among them.")
    if not (math.isfinite(bits) and bits >= 0):
        raise ValueError(f"A rate is a number of bits from 0, not {bits}.")
    if bits and not (variance.amax(-1) > 0).all():
        raise ValueError("Without any variance there is nothing to spend bits on: choose 0 bits.")


def distortion(variance: Tensor, rate: Tensor) -> Tensor:
    """D(R): the variance that is lost."""
    return variance * torch.exp2(-2 * rate)


def moments(z: Tensor, mean: Tensor, variance: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of what arrives.

    Args:
        z: (…, D) what is sent. mean, variance: µ and σ² of what may be sent. rate: R, bits of each; ∞ is allowed.
    """
    kept = 1 - torch.exp2(-2 * rate)
    return mean * (1 - kept) + z * kept, variance * (1 - kept) * kept


def transmit(
    z: Tensor, mean: Tensor, variance: Tensor, rate: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """What arrives of z; see `moments`. The noise has the SQUARE ROOT of the variance as its standard deviation."""
    expected, spread = moments(z, mean, variance, rate)
    noise = torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device)
    return expected + spread.sqrt() * noise
