"""Diffusion of piano rolls: noise in, step by step a roll out, whatever network predicts it.

    q(x_t | x_0):  x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε                                             (1)
    guidance:      x̂_0 = (1 + w) f(x_t, t, mel) − w f(x_t, t, masked)                     (algorithm 1, line 3)
    a step t → s:  ε̂ = (x_t − √ᾱ_t x̂_0) / √(1 − ᾱ_t)
                   x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂ + σ z,
                   σ = √((1 − ᾱ_s) / (1 − ᾱ_t)) √(1 − ᾱ_t / ᾱ_s) for DDPM, 0 for DDIM         (lines 4 to 8)
    at the end:    x̂_0 / √ᾱ_0

A sampler knows no network: it asks a function `predict(x_t, t)` for x̂_0. `Guided` is such a function.

Sources: Cheuk et al. 2023, DiffRoll, section 3; Ho and Salimans 2022 (guidance), Kynkäänniemi et al. 2024 (guidance
on a part of the schedule), Lu et al. 2022 (DPM-Solver++), Lin et al. 2023 (zero terminal SNR), Nichol and Dhariwal
2021 (cosine).
Notebooks: 11 DiffRoll, 12 DiffRoll evaluation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from musiclib.diffroll.model import MASKED, Condition, DiffRoll

SCHEDULES = ("linear", "zero-snr", "cosine")
SAMPLERS = ("ddpm", "ddim", "dpm++")
Predict = Callable[[Tensor, int], Tensor]  # (x_t, t) → x̂_0


def cumulative_alphas(schedule: str, steps: int) -> Tensor:
    """ᾱ_t, (T,), decreasing; in single precision, whose rounding the reference's steps at t = 1 show.

    Args:
        schedule: "linear", β from 1e-4 to 0.02, the paper's; "zero-snr", the same stretched so that nothing of the
            roll is left at the last step; "cosine".

    Raises:
        ValueError: there is no such schedule.
    """
    linear = torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps), 0)
    if schedule == "linear":
        return linear
    if schedule == "zero-snr":
        root = linear.sqrt()
        return ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()
    if schedule == "cosine":
        angle = (torch.arange(steps + 1) / steps + 0.008) / 1.008 * math.pi / 2
        return (angle.cos().square() / angle[0].cos().square())[1:].clamp(0, 1)
    raise ValueError(f"{schedule!r} is no noise schedule: choose of {', '.join(SCHEDULES)}.")


def dropped(mel: Tensor, share: float) -> Tensor:
    """Spectrograms (B, 229, T), each wholly masked with a probability: the condition dropout p."""
    return torch.where(torch.rand(len(mel), 1, 1, device=mel.device) < share, MASKED, mel)


def discriminate(model: Callable[[Tensor, Tensor, Tensor], Tensor], mel: Tensor, channels: int) -> Tensor:
    """The baseline's answer: spectrograms (B, 229, T) → rolls (B, channels, T) in one call, starting from no noise."""
    nothing = mel.new_zeros(len(mel), channels, mel.shape[-1])
    return model(nothing, torch.zeros(len(mel), dtype=torch.long, device=mel.device), mel)


@dataclass(frozen=True)
class Moment:
    """A point on the way down, as a sampler passes it: the step, the noisy roll, and the clean roll predicted there."""

    t: int
    x_t: Tensor
    x0: Tensor


class Diffusion:
    """A noise schedule, and all that can be computed from it."""

    def __init__(self, schedule: str = "linear", steps: int = 200):
        self.alpha_bar = cumulative_alphas(schedule, steps)

    def __len__(self) -> int:
        return len(self.alpha_bar)

    def at(self, t: int | None) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1 − ᾱ_t), numbers; None is the clean end."""
        alpha_bar = torch.ones(()) if t is None else self.alpha_bar[t]
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Rolls (B, 88, T), made noisy as at steps t (B,): equation 1."""
        alpha_bar = self.alpha_bar.to(t.device)[t][:, None, None]
        return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise

    def noise_in(self, x_t: Tensor, t: int, x0: Tensor) -> Tensor:
        """The noise that x_t holds if x0 is the clean roll."""
        signal, noise = self.at(t)
        return (x_t - signal * x0) / noise

    def loss(self, model: Callable[[Tensor, Tensor, Tensor], Tensor], x0: Tensor, mel: Tensor) -> Tensor:
        """Mean squared error to clean rolls (B, 88, T) from random steps, hearing mel (B, 229, T): equation 3."""
        t = torch.randint(len(self), (len(x0),), device=x0.device)
        return (model(self.q_sample(x0, t, torch.randn_like(x0)), t, mel) - x0).square().mean()

    def step(self, x_t: Tensor, x0: Tensor, t: int, s: int | None, z: Tensor | None = None) -> Tensor:
        """From step t down to step s, or to the clean end if s is None; with fresh noise z it is DDPM, else DDIM."""
        if s is None:
            return x0 / self.at(0)[0]
        signal, noise = self.at(s)
        if z is None:
            return signal * x0 + noise * self.noise_in(x_t, t, x0)
        sigma = noise / self.at(t)[1] * (1 - self.alpha_bar[t] / self.alpha_bar[s]).sqrt()
        kept = (1 - self.alpha_bar[s] - sigma**2).clamp(min=0).sqrt()
        return signal * x0 + kept * self.noise_in(x_t, t, x0) + sigma * z

    def log_snr(self, t: int | None) -> float:
        """λ_t = log(√ᾱ_t / √(1 − ᾱ_t)); infinite at both clean and pure noise."""
        signal, noise = map(float, self.at(t))
        return math.inf if noise == 0 else -math.inf if signal == 0 else math.log(signal / noise)

    def times(self, calls: int) -> list[int]:
        """The steps that a sampler visits, equally far apart, from the noisiest down.

        Raises:
            ValueError: there are fewer steps than calls, or no call.
        """
        if not 1 <= calls <= len(self):
            raise ValueError(f"A sampler takes 1 to {len(self)} steps, not {calls}.")
        return [round(len(self) * (calls - k) / calls) - 1 for k in range(calls)]

    def moments(
        self, predict: Predict, x_t: Tensor, calls: int, sampler: str, generator: torch.Generator | None = None
    ) -> Iterator[Moment]:
        """The way from noise to a roll; the last moment has t = −1 and the result as x_t.

        Args:
            predict: see `Guided`. x_t: (B, 88, T), noise. calls: of `predict`. sampler: "ddpm", "ddim", or "dpm++",
                DPM-Solver++(2M), which also uses the prediction before and so needs fewer calls.

        Raises:
            ValueError: there is no such sampler, or not so many steps.
        """
        if sampler not in SAMPLERS:
            raise ValueError(f"{sampler!r} is no sampler: choose of {', '.join(SAMPLERS)}.")
        times = self.times(calls)
        before: tuple[Tensor, float] | None = None
        for t, s in zip(times, [*times[1:], None], strict=True):
            x0 = predict(x_t, t)
            yield Moment(t, x_t, x0)
            h = self.log_snr(s) - self.log_snr(t)
            seen = x0
            if sampler == "dpm++" and before is not None and s is not None:
                seen = x0 + (x0 - before[0]) * h / (2 * before[1])
            fresh = sampler == "ddpm" and s is not None
            z = torch.randn(x_t.shape, generator=generator, device=x_t.device) if fresh else None
            x_t, before = self.step(x_t, seen, t, s, z), (x0, h)
        yield Moment(-1, x_t, x0)

    def sample(
        self, predict: Predict, x_t: Tensor, calls: int, sampler: str, generator: torch.Generator | None = None
    ) -> Tensor:
        """The roll at the end of `moments`, (B, 88, T), not yet binary."""
        for moment in self.moments(predict, x_t, calls, sampler, generator):
            last = moment
        return last.x_t


@dataclass(frozen=True)
class Guided:
    """The clean roll that a network predicts, pushed by w from what it would play unheard to what it hears.

    Attributes:
        heard: the clip's condition, computed once.
        weight: w: 0 is the conditional network alone, −1 the unconditional one alone, which ignores the audio.
        interval: guidance acts at steps t within it, both ends included; elsewhere w is 0. None is everywhere.
    """

    model: DiffRoll
    heard: Condition
    weight: float = 0.0
    interval: tuple[int, int] | None = None

    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        low, high = self.interval or (0, t)
        w = self.weight if low <= t <= high else 0.0
        if w == 0:
            return self._network(x_t, t, self.heard)
        unheard = self.model.unconditional(len(x_t))
        if w == -1:
            return self._network(x_t, t, unheard)
        both = [torch.cat([a, b.expand_as(a)]) for a, b in zip(self.heard, unheard, strict=True)]
        conditional, unconditional = self._network(torch.cat([x_t, x_t]), t, both).chunk(2)
        return (1 + w) * conditional - w * unconditional

    def _network(self, x_t: Tensor, t: int, condition: Condition) -> Tensor:
        return self.model.denoise(x_t, torch.full((len(x_t),), t, device=x_t.device), condition).float()
