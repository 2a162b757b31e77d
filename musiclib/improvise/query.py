"""A query through the encoder, the channel and the decoder; and free improvisation, without a query.

A channel has to be told what may be sent through it: for each latent a mean, and how far from it the latents lie.

    "piece"   µ(x), spread over the bars of the query. With 0 bits every bar arrives as the query's average bar, and
              each bit lets more of what is particular to a bar come through.
    "corpus"  µ(x), spread as over the bars that the model was trained on. With 0 bits nothing arrives of the query.
    "bar"     z ~ N(µ(x), σ²(x)), spread as each bar's own posterior: the paper's formula, word by word. All that the
              channel can lose, then, is the encoder's noise: with 0 bits µ(x) arrives, which tells most of a bar.

What was lost can be made up: of what may have been sent, with N(0, D) added, it draws one that fits what arrived.

Source: Dubnov 2019, Query-based deep improvisation, section 2.1.
Notebook: 08 query-based improvisation.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from musiclib.improvise import channel
from musiclib.improvise.vae import BarVAE
from musiclib.posterior import Posterior

SOURCES = ("piece", "corpus", "bar")
ALLOCATIONS = ("average", "frame")


@dataclass(frozen=True)
class Channel:
    """How a query is sent.

    Attributes:
        bits: per bar; infinity sends everything.
        source: what may be sent: "piece", "corpus" or "bar", see above.
        allocation: "average", bits by the variance over all bars, the same for each; or "frame", for each bar by its
            own distance from the mean.
        whole: whole bits, one at a time; else parts of bits.
        made_up: whether the decoder makes up what was lost.

    Raises:
        ValueError: there is no such source or allocation, or fewer than 0 bits.
    """

    bits: float = math.inf
    source: str = "piece"
    allocation: str = "average"
    whole: bool = True
    made_up: bool = False

    def __post_init__(self):
        for name, value, known in (("source", self.source, SOURCES), ("allocation", self.allocation, ALLOCATIONS)):
            if value not in known:
                raise ValueError(f"No {name} {value!r}: choose of {', '.join(known)}.")
        if not self.bits >= 0:
            raise ValueError(f"A bar is sent with bits from 0, not {self.bits}.")


@dataclass(frozen=True)
class Source:
    """What may be sent: mean and variance of each latent, for each bar (B, D) or for all (1, D)."""

    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> "Source":
        """Mean and variance over bars (B, D)."""
        return cls(latents.mean(0, keepdim=True), latents.var(0, correction=0, keepdim=True))


@dataclass(frozen=True)
class Sent:
    """What the channel did.

    Attributes:
        sent, received: (B, D). source: what the channel expected. rate: bits of each latent, (B, D).
    """

    sent: Tensor
    received: Tensor
    source: Source
    rate: Tensor


def send(posterior: Posterior, settings: Channel, corpus: Source | None = None, seed: int = 0) -> Sent:
    """The latents of a query through the channel. The same seed gives the same noise at every rate.

    Args:
        corpus: for the source "corpus", `Source.of` the latents of its bars.

    Raises:
        ValueError: the source is "corpus", and it is not given.
    """
    generator = torch.Generator().manual_seed(seed)
    sent = posterior.mu
    if settings.source == "bar":
        sent = sent + posterior.sigma * _noise(sent, generator)
    source = _source(posterior, settings, corpus)
    rate = _rates(source, settings)
    received = channel.transmit(sent, source.mean, source.variance, rate, generator)
    if settings.made_up:
        received = received + channel.distortion(source.variance, rate).sqrt() * _noise(sent, generator)
    return Sent(sent, received, source, rate.expand_as(sent))


def _source(posterior: Posterior, settings: Channel, corpus: Source | None) -> Source:
    if settings.source == "bar":
        own, variance = posterior.mu, posterior.sigma.square()
        return Source(own, variance if settings.allocation == "frame" else variance.mean(0, keepdim=True))
    if settings.source == "corpus" and corpus is None:
        raise ValueError('The source "corpus" needs to know the corpus: give `Source.of` the latents of its bars.')
    known = corpus if settings.source == "corpus" else Source.of(posterior.mu)
    return known if settings.allocation == "average" else Source(known.mean, (posterior.mu - known.mean).square())


def _rates(source: Source, settings: Channel) -> Tensor:
    """Bits of each latent, as many rows as variances."""
    if math.isinf(settings.bits):
        return torch.full_like(source.variance, math.inf)
    if settings.whole:
        return torch.stack([channel.allocate(row, round(settings.bits)) for row in source.variance])
    return channel.fill(source.variance, settings.bits)


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


@torch.no_grad()
def improvise(
    model: BarVAE, query: Tensor, settings: Channel, corpus: Source | None = None, seed: int = 0, threshold: float = 0.5
) -> Tensor:
    """Bars (B, 2496) of a query → the bars that the decoder makes of what arrives; arguments as of `send`."""
    posterior = model.encode(query.to(next(model.parameters()).device))
    return model.play(send(posterior, settings, corpus, seed).received, threshold).cpu()


def free(model: BarVAE, bars: int, seed: int = 0, threshold: float = 0.5) -> Tensor:
    """Bars (B, 2496) without a query: each from its own z ~ N(0, 1)."""
    z = torch.randn(bars, model.config.latent, generator=torch.Generator().manual_seed(seed))
    return model.play(z.to(next(model.parameters()).device), threshold).cpu()
