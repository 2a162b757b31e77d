"""MusicSlots: an auto-encoder whose bottleneck is a set of slots, one for each note it hears in a chord.

    tokens = encoder(x)                                   a grid of features, with position
    slots  = slot attention(tokens)                       K vectors that compete for, or share, the tokens
    x_k, m_k = decoder(slot k)                            a note's spectrogram in dB, and its mask
    x̂ = 10·log10 Σ_k m_k · 10^(x_k / 10)                  equation 1: sounds add in power
    loss = mean (x̂ - x)²                                  in dB²

Source: Gha, Herrmann, Grewe, Schmidhuber, Gopalakrishnan, "Unsupervised Musical Object Discovery from Audio"
(2023), section 2 and appendix A.2; Locatello et al., "Object-Centric Learning with Slot Attention" (2020),
algorithm 1; Chang et al., "Object Representations as Fixed Points" (2022) for implicit differentiation.

Ours: `dilation`, with which a token sees the overtones that belong to it; `decoder="mlp"`, which two CPU cores can
train; `db_offset` and `db_scale`, which bring decibels to about unit
range inside the network; the defaults leave the paper's model. `attention` offers both published meanings, see below.

Inside encoder and decoder a grid is (time, frequency): frequency is the long axis, and CPU convolutions that run along
the long axis train four times as fast. Everywhere else it is (frequency, time), as in the paper.

Notebook: 02 MusicSlots.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musiclib.spectrogram import db_to_power, power_to_db


@dataclass(frozen=True)
class MusicSlotsConfig:
    """Every choice of the model; the defaults are the paper's.

    Attributes:
        bands, frames: F × T of the spectrogram.
        channels: of the convolutions. width: D, of tokens and slots.
        slots: K. iterations: of slot attention.
        stride: of the encoder's convolutions along (frequency, time). dilation: of each of them along frequency.
        mask: how slots are composed: "none", "sigmoid" or "softmax" over slots.
        implicit: differentiate the last iteration only (first-order Neumann) instead of unrolling all.
        attention: "paper" (a softmax over slots, weighted means of tokens) or "reference" (the published code's:
            a softmax over tokens, then weights that sum to one over slots).
        init: "default", or "spread": He initialisation of the encoder, slots that start apart and with little noise.
        shared_init: one µ and σ for all slots, which then differ by their noise alone, instead of one per slot.
        train_init: let the gradient pass straight from the last iteration's slots to their first values, to which
            implicit differentiation gives none (Jia et al., "Query Optimization", 2023).
        decoder: "broadcast" (paper) or "mlp". upsamplings: how often the broadcast decoder doubles its grid.
    """

    bands: int = 128
    frames: int = 32
    channels: int = 128
    width: int = 128
    slots: int = 7
    iterations: int = 3
    stride: tuple[int, int] = (1, 2)
    dilation: tuple[int, ...] = (1, 1, 1, 1)
    mask: str = "none"
    implicit: bool = True
    attention: str = "reference"
    init: str = "default"
    shared_init: bool = False
    train_init: bool = False
    decoder: str = "broadcast"
    upsamplings: int = 4
    db_offset: float = 0.0
    db_scale: float = 1.0

    def __post_init__(self):
        choices = {
            "mask": ("none", "sigmoid", "softmax"),
            "attention": ("paper", "reference"),
            "init": ("default", "spread"),
            "decoder": ("broadcast", "mlp"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {', '.join(allowed)}.")
        for name in ("stride", "dilation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON gives lists


class Decomposition(NamedTuple):
    """What the model makes of a batch of chords.

    Attributes:
        reconstruction_db: (B, 1, F, T) the chord as the slots add up to it.
        slot_power: (B, K, F, T) p_k, before masking.
        mask: (B, K, F, T) m_k, all ones for "none".
        slots: (B, K, D). attention: (B, K, N) of the last iteration.
    """

    reconstruction_db: Tensor
    slot_power: Tensor
    mask: Tensor
    slots: Tensor
    attention: Tensor

    @property
    def slot_db(self) -> Tensor:
        """(B, K, F, T) 10·log10(m_k p_k): each slot's note, floored at -100 dB."""
        return power_to_db(self.mask * self.slot_power, dynamic_range_db=None)


class SoftPosition(nn.Module):
    """Adds a learned linear map of [f, t, 1-f, 1-t] to a grid of features (B, D, T, F)."""

    def __init__(self, width: int):
        super().__init__()
        self.project = nn.Linear(4, width)

    def forward(self, grid: Tensor) -> Tensor:
        t, f = (torch.linspace(0, 1, size, device=grid.device) for size in grid.shape[-2:])
        t, f = torch.meshgrid(t, f, indexing="ij")
        position = self.project(torch.stack([f, t, 1 - f, 1 - t], dim=-1))  # T' F' D
        return grid + position.permute(2, 0, 1)


class Encoder(nn.Module):
    """Spectrogram (B, 1, F, T) → tokens (B, N, D)."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        stride = config.stride[::-1]
        inputs = [1] + [config.channels] * (len(config.dilation) - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(i, config.channels, 5, stride=stride, padding=(2, 2 * d), dilation=(1, d))
            for i, d in zip(inputs, config.dilation, strict=True)
        )
        if config.init == "spread":
            for conv in self.convs:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
        self.position = SoftPosition(config.channels)
        self.mlp = nn.Sequential(
            nn.Linear(config.channels, config.width), nn.ReLU(), nn.Linear(config.width, config.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(2, 3)  # B 1 T F
        for conv in self.convs:
            x = conv(x).relu()  # B C T' F'
        tokens = self.position(x).permute(0, 3, 2, 1).flatten(1, 2)  # B N C, the tokens of a band side by side
        return self.mlp(F.layer_norm(tokens, tokens.shape[1:]))  # over tokens and channels, no learned scale


class SlotAttention(nn.Module):
    """Tokens (B, N, D) → slots (B, K, D) and attention (B, K, N)."""

    EPSILON = 1e-8

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        width = config.width
        self.config = config
        starts = 1 if config.shared_init else config.slots
        self.mu = nn.Parameter(torch.empty(starts, width))
        self.log_sigma = nn.Parameter(torch.empty(starts, width))
        if config.init == "spread":
            nn.init.normal_(self.mu)
            nn.init.constant_(self.log_sigma, 0.0 if config.shared_init else -3.0)
        else:
            nn.init.xavier_uniform_(self.mu)
            nn.init.xavier_uniform_(self.log_sigma)
        if config.implicit and not config.train_init:  # no gradient comes; several GPUs would wait for it for ever
            self.mu.requires_grad_(False)
            self.log_sigma.requires_grad_(False)
        self.norm_tokens, self.norm_slots, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.gru = nn.GRUCell(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, tokens: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        tokens = self.norm_tokens(tokens)
        k, v = self.k(tokens), self.v(tokens)  # B N D
        if noise is None:
            noise = torch.randn(len(tokens), self.config.slots, self.config.width, device=tokens.device)
        start = slots = self.mu + self.log_sigma.exp() * noise  # B K D
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.implicit):
            for _ in range(self.config.iterations - 1):
                slots, _ = self.step(slots, k, v)
        if self.config.implicit:
            slots = slots.detach()
        if self.config.train_init:
            slots = slots + start - start.detach()  # the same numbers, with a way back to µ and σ
        return self.step(slots, k, v)

    def step(self, slots: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """One iteration: slots (B, K, D), keys and values (B, N, D) → better slots, attention (B, K, N)."""
        attention = self.attend(self.q(self.norm_slots(slots)), k)
        update = attention @ v  # B K D
        slots = self.gru(update.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
        return slots + self.mlp(self.norm_mlp(slots)), attention

    def attend(self, q: Tensor, k: Tensor) -> Tensor:
        """Queries (B, K, D), keys (B, N, D) → weights (B, K, N)."""
        logits, scale = q @ k.transpose(1, 2), k.shape[-1] ** -0.5
        if self.config.attention == "paper":  # slots compete for tokens; every slot takes a mean
            weights = (logits * scale).softmax(dim=1) + self.EPSILON
            return weights / weights.sum(dim=2, keepdim=True)
        weights = logits.softmax(dim=2) * scale  # the published code: axes swapped, scale after the softmax
        return weights / (weights + self.EPSILON).sum(dim=1, keepdim=True)


class Deconvolutions(nn.Module):
    """A small grid (B', D, T', F') → (B', outputs, F, T), doubled `upsamplings` times."""

    def __init__(self, config, outputs: int):
        super().__init__()
        shrink = 2**config.upsamplings
        self.grid = (config.frames // shrink, config.bands // shrink)
        sizes = [config.width] + [config.channels] * config.upsamplings
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 5, stride=2, padding=2, output_padding=1) for i, o in pairwise(sizes)
        )
        self.smooth = nn.ConvTranspose2d(config.channels, config.channels, 5, padding=2)
        self.out = nn.ConvTranspose2d(config.channels, outputs, 3, padding=1)

    def deconvolve(self, x: Tensor) -> Tensor:
        for deconv in self.upsample:
            x = deconv(x).relu()
        return self.out(self.smooth(x).relu()).transpose(2, 3)


class BroadcastDecoder(Deconvolutions):
    """Slots (B', D) → (B', outputs, F, T): a slot on every point of a small grid, then upsampled."""

    def __init__(self, config: MusicSlotsConfig, outputs: int):
        super().__init__(config, outputs)
        self.position = SoftPosition(config.width)

    def forward(self, slots: Tensor) -> Tensor:
        grid = slots[:, :, None, None].expand(-1, -1, *self.grid)  # B' D T/16 F/16
        return self.deconvolve(self.position(grid))


class MlpDecoder(nn.Sequential):
    """Slots (B', D) → (B', outputs, F, T) through two hidden layers."""

    def __init__(self, config: MusicSlotsConfig, outputs: int):
        shape = (outputs, config.bands, config.frames)
        super().__init__(
            nn.Linear(config.width, 256),
            nn.ReLU(),
            nn.Linear(256, 512),
            nn.ReLU(),
            nn.Linear(512, outputs * config.bands * config.frames),
            nn.Unflatten(1, shape),
        )


class MusicSlots(nn.Module):
    """The whole model. `forward` takes chords (B, 1, F, T) in dB and, for repeatable slots, their noise (B, K, D)."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        self.config = config
        outputs = 1 if config.mask == "none" else 2
        self.encoder = Encoder(config)
        self.slot_attention = SlotAttention(config)
        self.decoder = (MlpDecoder if config.decoder == "mlp" else BroadcastDecoder)(config, outputs)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Decomposition:
        tokens = self.encoder((x - self.config.db_offset) / self.config.db_scale)
        with torch.autocast(x.device.type, enabled=False):  # the fixed point wants full precision, and costs little
            slots, attention = self.slot_attention(tokens.float(), noise)
        slot_power, mask = self.decode(slots)
        reconstruction_db = power_to_db((mask * slot_power).sum(dim=1, keepdim=True))
        return Decomposition(reconstruction_db, slot_power, mask, slots, attention)

    def decode(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Slots (B, K, D) → power p_k and mask m_k, each (B, K, F, T)."""
        decoded = self.decoder(slots.flatten(0, 1)).float().unflatten(0, slots.shape[:2])  # B K 1|2 F T
        slot_power = db_to_power(decoded[:, :, 0] * self.config.db_scale + self.config.db_offset)
        if self.config.mask == "none":
            return slot_power, torch.ones_like(slot_power)
        logits = decoded[:, :, 1]
        return slot_power, logits.sigmoid() if self.config.mask == "sigmoid" else logits.softmax(dim=1)

    def resized(self, slots: int, iterations: int | None = None) -> "MusicSlots":
        """The same weights with another number of slots or iterations: slot k starts where slot k mod K started."""
        iterations = self.config.iterations if iterations is None else iterations
        with torch.random.fork_rng(devices=[]):  # the fresh weights are thrown away, so must their randomness be
            model = MusicSlots(replace(self.config, slots=slots, iterations=iterations))
        weights = self.state_dict()
        if not self.config.shared_init:
            for name in ("slot_attention.mu", "slot_attention.log_sigma"):
                weights[name] = weights[name][torch.arange(slots) % self.config.slots]
        model.load_state_dict(weights)
        return model.to(next(self.parameters()).device).train(self.training)


def reconstruction_loss(x: Tensor, decomposition: Decomposition) -> Tensor:
    """Mean squared error between chord and reconstruction, in dB²."""
    return F.mse_loss(decomposition.reconstruction_db, x)
