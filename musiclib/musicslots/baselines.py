"""The baselines of MusicSlots: auto-encoders with one latent for a whole chord, supervised classifiers, and a floor.

    auto-encoder        z = encoder(x), x̂ = decoder(z),             loss = mean (x̂ - x)²
    VAE, β-VAE          z ~ N(µ, σ²),                               loss = mean (x̂ - x)² + β · KL(N(µ, σ²) ‖ N(0, 1))
    classifiers         logits = MLP(encoder(x)), one per note,     loss = binary cross-entropy

The KL divergence is summed over latents, the squared error is a mean over the spectrogram's F·T bins. The published
code's β is another unit: there the KL divergence has weight β·D/(F·T). `beta_unit` names which is meant.

Source: MusicSlots, appendix A.2, tables 8 to 10 and 16. Notebook: 04 note properties.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from musiclib.musicslots.model import Decomposition, Deconvolutions, MlpDecoder, MusicSlotsConfig
from musiclib.spectrogram import db_to_power


@dataclass(frozen=True)
class AutoEncoderConfig:
    """Every choice of an auto-encoder; the defaults are the paper's.

    Attributes:
        bands, frames: F × T. channels: of the convolutions. width: D, of the latent.
        beta: of the KL divergence; None for a plain auto-encoder.
        beta_unit: "paper" (as in the equation above) or "released" (times D / (F·T)).
        decoder: "deconvolution" (paper) or "mlp", as in the small MusicSlots. upsamplings: of the former.
        db_offset, db_scale: bring decibels to about unit range inside the network.
    """

    bands: int = 128
    frames: int = 32
    channels: int = 128
    width: int = 128
    beta: float | None = None
    beta_unit: str = "paper"
    decoder: str = "deconvolution"
    upsamplings: int = 4
    db_offset: float = 0.0
    db_scale: float = 1.0

    def __post_init__(self):
        for name, allowed in {"beta_unit": ("paper", "released"), "decoder": ("deconvolution", "mlp")}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {', '.join(allowed)}.")

    @property
    def kl_weight(self) -> float:
        """What the KL divergence, summed over latents, is multiplied by."""
        if self.beta is None:
            return 0.0
        return self.beta * (self.width / (self.bands * self.frames) if self.beta_unit == "released" else 1.0)


class Encoded(NamedTuple):
    """What an auto-encoder makes of a batch.

    Attributes:
        reconstruction_db: (B, 1, F, T). mu, log_var: (B, D) of the posterior; a plain auto-encoder's z is mu.
    """

    reconstruction_db: Tensor
    mu: Tensor
    log_var: Tensor


class StridedEncoder(nn.Module):
    """Spectrogram (B, 1, F, T) → features (B, `features`): four convolutions that halve frequency and time."""

    LAYERS = 4

    def __init__(self, bands: int, frames: int, channels: int):
        super().__init__()
        inputs = [1] + [channels] * (self.LAYERS - 1)
        self.convs = nn.ModuleList(nn.Conv2d(i, channels, 5, stride=2, padding=2) for i in inputs)
        shrink = 2**self.LAYERS
        self.features = channels * math.ceil(bands / shrink) * math.ceil(frames / shrink)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(2, 3)  # oneDNN's bfloat16 convolution is wrong where the last axis shrinks to one point
        for conv in self.convs:
            x = conv(x).relu()
        return x.flatten(1)


class LatentDecoder(Deconvolutions):
    """Latents (B, D) → (B, 1, F, T): a linear layer makes the small grid, then it is upsampled."""

    def __init__(self, config: AutoEncoderConfig, outputs: int):
        super().__init__(config, outputs)
        self.project = nn.Linear(config.width, config.width * math.prod(self.grid))

    def forward(self, z: Tensor) -> Tensor:
        return self.deconvolve(self.project(z).unflatten(1, (-1, *self.grid)))


class AutoEncoder(nn.Module):
    """Auto-encoder, VAE or β-VAE, by `config.beta`. `forward` takes chords (B, 1, F, T) in dB."""

    def __init__(self, config: AutoEncoderConfig):
        super().__init__()
        self.config = config
        self.encoder = StridedEncoder(config.bands, config.frames, config.channels)
        self.posterior = nn.Linear(self.encoder.features, config.width * (1 if config.beta is None else 2))
        self.decoder = (MlpDecoder if config.decoder == "mlp" else LatentDecoder)(config, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Chords (B, 1, F, T) in dB → µ and log σ² of the latents, each (B, D); log σ² is -∞ without β."""
        posterior = self.posterior(self.encoder((x - self.config.db_offset) / self.config.db_scale)).float()
        if self.config.beta is None:
            return posterior, torch.full_like(posterior, -torch.inf)
        mu, log_var = posterior.chunk(2, dim=1)
        return mu, log_var

    def forward(self, x: Tensor) -> Encoded:
        mu, log_var = self.encode(x)
        z = mu + (log_var / 2).exp() * torch.randn_like(mu) if self.training and self.config.beta is not None else mu
        reconstruction_db = self.decoder(z).float() * self.config.db_scale + self.config.db_offset
        return Encoded(reconstruction_db, mu, log_var)


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """(B,) KL(N(µ, σ²) ‖ N(0, 1)), summed over latents, in nats."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(dim=1)


def autoencoder_loss(x: Tensor, encoded: Encoded, kl_weight: float) -> Tensor:
    """Mean squared error in dB² plus the weighted KL divergence."""
    error = F.mse_loss(encoded.reconstruction_db, x)
    return error + kl_weight * kl_divergence(encoded.mu, encoded.log_var).mean() if kl_weight else error


@dataclass(frozen=True)
class ClassifierConfig:
    """A supervised classifier of a chord's notes; the defaults are the paper's.

    Attributes:
        notes: P × I outputs. backbone: "cnn" (the auto-encoders' encoder) or "resnet18".
        The others are as in `AutoEncoderConfig`.
    """

    bands: int = 128
    frames: int = 32
    channels: int = 128
    width: int = 128
    notes: int = 183
    backbone: str = "cnn"
    db_offset: float = 0.0
    db_scale: float = 1.0

    def __post_init__(self):
        if self.backbone not in ("cnn", "resnet18"):
            raise ValueError(f"backbone={self.backbone!r} is neither cnn nor resnet18.")


class NoteClassifier(nn.Module):
    """Chords (B, 1, F, T) in dB → logits (B, P·I), one per pitch and instrument."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        if config.backbone == "resnet18":
            self.net = resnet18(num_classes=config.notes)
            self.net.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)  # one channel, not three colours
        else:
            encoder = StridedEncoder(config.bands, config.frames, config.channels)
            self.net = nn.Sequential(
                encoder, nn.Linear(encoder.features, config.width), nn.ReLU(), nn.Linear(config.width, config.notes)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - self.config.db_offset) / self.config.db_scale).float()


class WholeChord(nn.Module):
    """Separates nothing: every slot holds the whole chord. What it scores in note discovery is the floor."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        self.config = config

    def forward(self, x: Tensor) -> Decomposition:
        slot_power = db_to_power(x).expand(-1, self.config.slots, -1, -1)
        nothing = x.new_zeros(len(x), self.config.slots, 0)
        return Decomposition(x, slot_power, torch.ones_like(slot_power), nothing, nothing)
