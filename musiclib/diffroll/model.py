"""DiffRoll's network: a noisy piano roll, its noise level and a spectrogram in, the clean roll out.

    h = relu(conv1(x_t))
    in each layer:  y = conv_k(h + linear(e(t))) + conv1(mel);  y = conv1(sigmoid(y_a) · tanh(y_b))
                    h ← (h + y_a) / √2,  skip ← skip + y_b
    x̂_0 = conv1(relu(conv1(skip / √layers)))

What `conv1(mel)` gives never changes while x_t is denoised, so it is computed once for a clip: `condition` makes a
`Condition`, and `denoise` takes it. The same network with x_t = 0 and t = 0 is the discriminative baseline.

Deviations: none, but for the optional onset plane (the paper's future work), 88 further channels of the roll.

Source: Cheuk et al. 2023, DiffRoll, section 3 and figure 1; the layer is DiffWave's (Kong et al. 2020).
Notebooks: 10 transcription, 11 DiffRoll.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PITCHES = 88
BANDS = 229
MASKED = -1.0  # where nothing was heard; 0 would mean silence
STEP_FEATURES, STEP_WIDTH = 128, 512

Condition = list[Tensor]  # for each layer what the spectrogram adds, (B, 2C, T)


@dataclass(frozen=True)
class DiffRollConfig:
    """The paper's best network unless told otherwise.

    Attributes:
        width: channels C. layers: residual layers. kernel: frames that a layer sees, odd.
        dilation: base of its growth in cycles of four layers, 1 for none.
        planes: 1 for what sounds, 2 for that and the onsets. schedule, steps: see `diffusion.Diffusion`.
        discriminative: x_t and t are always 0.
    """

    width: int = 512
    layers: int = 15
    kernel: int = 9
    dilation: int = 1
    planes: int = 1
    schedule: str = "linear"
    steps: int = 200
    discriminative: bool = False


class StepEmbedding(nn.Module):
    """t (B,), from 0 → (B, 512)."""

    def __init__(self):
        super().__init__()
        self.projection1 = nn.Linear(STEP_FEATURES, STEP_WIDTH)
        self.projection2 = nn.Linear(STEP_WIDTH, STEP_WIDTH)

    def forward(self, t: Tensor) -> Tensor:
        half = STEP_FEATURES // 2
        frequencies = 10 ** (4 * torch.arange(half, device=t.device) / (half - 1))
        angles = t[:, None] * frequencies  # (B, 64)
        features = torch.cat([angles.sin(), angles.cos()], dim=1)
        return F.silu(self.projection2(F.silu(self.projection1(features))))


class ResidualLayer(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int):
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.dilated_conv = nn.Conv1d(width, 2 * width, kernel, padding=padding, dilation=dilation)
        self.diffusion_projection = nn.Linear(STEP_WIDTH, width)
        self.conditioner_projection = nn.Conv1d(BANDS, 2 * width, 1)
        self.output_projection = nn.Conv1d(width, 2 * width, 1)

    def forward(self, h: Tensor, step: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """h (B, C, T), step (B, 512), condition (B, 2C, T) → the next h, and the skip, (B, C, T) each."""
        y = self.dilated_conv(h + self.diffusion_projection(step)[..., None]) + condition
        gate, content = y.chunk(2, dim=1)
        residual, skip = self.output_projection(gate.sigmoid() * content.tanh()).chunk(2, dim=1)
        return (h + residual) / math.sqrt(2), skip


class DiffRoll(nn.Module):
    def __init__(self, config: DiffRollConfig):
        super().__init__()
        self.config = config
        channels = PITCHES * config.planes
        self.input_projection = nn.Conv1d(channels, config.width, 1)
        self.diffusion_embedding = StepEmbedding()
        self.residual_layers = nn.ModuleList(
            ResidualLayer(config.width, config.kernel, config.dilation ** (layer % 4)) for layer in range(config.layers)
        )
        self.skip_projection = nn.Conv1d(config.width, config.width, 1)
        self.output_projection = nn.Conv1d(config.width, channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.output_projection.weight)

    @property
    def channels(self) -> int:
        """Of the roll: 88, or 176 with an onset plane."""
        return self.output_projection.out_channels

    @property
    def receptive_frames(self) -> int:
        """How many frames of the noisy roll an output frame depends on. Of the spectrogram, which enters after a
        layer's convolution, it is one convolution less."""
        return 1 + sum(2 * layer.dilated_conv.padding[0] for layer in self.residual_layers)

    def condition(self, mel: Tensor) -> Condition:
        """Spectrogram (B, 229, T) → what it adds to each layer; constant over time, it may have T = 1."""
        return [layer.conditioner_projection(mel) for layer in self.residual_layers]

    def unconditional(self, batch: int) -> Condition:
        """What a fully masked spectrogram adds to each layer, (B, 2C, 1)."""
        weight = self.input_projection.weight
        return self.condition(torch.full((batch, BANDS, 1), MASKED, device=weight.device, dtype=weight.dtype))

    def denoise(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """A noisy roll (B, 88·planes, T) at step t (B,), and a condition → the clean roll, (B, 88·planes, T)."""
        h = F.relu(self.input_projection(x_t))
        step = self.diffusion_embedding(t)
        skips = 0
        for layer, heard in zip(self.residual_layers, condition, strict=True):
            h, skip = layer(h, step, heard)
            skips = skips + skip
        h = F.relu(self.skip_projection(skips / math.sqrt(len(self.residual_layers))))
        return self.output_projection(h)

    def forward(self, x_t: Tensor, t: Tensor, mel: Tensor) -> Tensor:
        """The same from the spectrogram (B, 229, T), or (B, 229, 1) where it is masked throughout."""
        return self.denoise(x_t, t, self.condition(mel))
