"""MusicVAE: a recurrent variational auto-encoder whose decoder plans in bars.

Roberts et al. 2018, "A Hierarchical Latent Vector Model for Learning Long-Term Structure in Music"; re-implemented on
Lakh piano rolls by Do, Maffa and Yamamoto.

    q(z | x) = N(µ, σ²),  µ = linear(h),  σ = softplus(linear(h)),  h the last states of a bidirectional LSTM
    flat:          p(x | z) = ∏ p(x_t | x_<t, z)
    hierarchical:  c_1 … c_U = conductor(z),  p(x | z) = ∏_u ∏_t p(x_t | x_<t, c_u)
    loss = −log p(x | z) + β_t · max(KL(q ‖ N(0, 1)) − τ ln 2, 0),  β_t = β_max (1 − rate^t),  τ the free bits

A flat decoder is a hierarchical one with a single bar and c_1 = z, so both are one `Decoder`. Two things are as in the
original and not as in the re-implementation's text: the conductor hears nothing but z, and the decoder's state starts
anew in every bar, so whatever holds a tune together must have gone through z.

Notebook: 06 MusicVAE.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musiclib.posterior import Posterior

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class MusicVAEConfig:
    """One model.

    Attributes:
        kind: "melody", one of `values` tokens per step; or "roll", `values` independent bits per step.
        bars, bar_steps: length of what is encoded. latent: D, the width of z.
        encoder_width: per direction.
        conductor_width: of the conductor, whose outputs are the bars' contexts; 0 for the flat decoder.
        free_bits: τ, of the whole z. beta_max, beta_rate: β_t = beta_max (1 − beta_rate^t).
        sampling_rate: k of scheduled sampling, see `teacher_share`; 0: the decoder always hears the truth.
    """

    kind: str = "melody"
    values: int = 130
    bars: int = 2
    bar_steps: int = 16
    latent: int = 256
    encoder_width: int = 512
    encoder_layers: int = 1
    decoder_width: int = 256
    decoder_layers: int = 2
    conductor_width: int = 0
    conductor_layers: int = 2
    free_bits: float = 0.0
    beta_max: float = 0.2
    beta_rate: float = 0.99999
    sampling_rate: float = 0.0

    @property
    def steps(self) -> int:
        return self.bars * self.bar_steps

    def beta(self, step: int) -> float:
        """The weight of the KL term at a training step."""
        return self.beta_max * (1 - self.beta_rate**step)

    def teacher_share(self, step: int) -> float:
        """How often the decoder hears the truth at a training step: k / (k + exp(t / k)), the inverse sigmoid of
        Bengio et al. 2015."""
        k = self.sampling_rate
        return k / (k + math.exp(min(step / k, 700.0))) if k else 1.0


class Loss(NamedTuple):
    """The parts of the loss in nats per example; all scalars."""

    reconstruction: Tensor
    kl: Tensor
    total: Tensor


class Encoder(nn.Module):
    """Bidirectional LSTM; its two last states → µ, σ."""

    def __init__(self, config: MusicVAEConfig):
        super().__init__()
        self.lstm = nn.LSTM(
            config.values, config.encoder_width, config.encoder_layers, batch_first=True, bidirectional=True
        )
        self.mu = nn.Linear(2 * config.encoder_width, config.latent)
        self.sigma = nn.Linear(2 * config.encoder_width, config.latent)

    def forward(self, x: Tensor) -> Posterior:
        """x: (B, T, V)."""
        _, (h, _) = self.lstm(x)
        last = torch.cat([h[-2], h[-1]], dim=-1)  # (B, 2 H): forwards after the end, backwards after the beginning
        return Posterior(self.mu(last), F.softplus(self.sigma(last)) + 1e-6)


class Conductor(nn.Module):
    """z → one context per bar, by an LSTM that hears nothing: its input is zero at every step."""

    def __init__(self, config: MusicVAEConfig):
        super().__init__()
        self.bars, self.layers = config.bars, config.conductor_layers
        self.start = nn.Linear(config.latent, 2 * config.conductor_layers * config.conductor_width)
        self.lstm = nn.LSTM(1, config.conductor_width, config.conductor_layers, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) → (B, U, C)."""
        silence = z.new_zeros(len(z), self.bars, 1)
        return self.lstm(silence, start_state(self.start(z), self.layers))[0]


class Decoder(nn.Module):
    """An LSTM that knows its context: as its first state, and beside each of its inputs."""

    def __init__(self, config: MusicVAEConfig):
        super().__init__()
        context = config.conductor_width or config.latent
        self.layers = config.decoder_layers
        self.start = nn.Linear(context, 2 * config.decoder_layers * config.decoder_width)
        self.lstm = nn.LSTM(config.values + context, config.decoder_width, config.decoder_layers, batch_first=True)
        self.logits = nn.Linear(config.decoder_width, config.values)

    def first_state(self, context: Tensor) -> State:
        return start_state(self.start(context), self.layers)

    def forward(self, previous: Tensor, context: Tensor, state: State) -> tuple[Tensor, State]:
        """previous: (N, S, V), what was heard before each step; context: (N, C) → logits (N, S, V), state."""
        beside = context[:, None].expand(-1, previous.shape[1], -1)
        hidden, state = self.lstm(torch.cat([previous, beside], dim=-1), state)
        return self.logits(hidden), state


def start_state(values: Tensor, layers: int) -> State:
    """(N, 2 · layers · H) → tanh of it as an LSTM's h and c, each (layers, N, H)."""
    h, c = torch.tanh(values).unflatten(1, (2, layers, -1)).permute(1, 2, 0, 3).contiguous()
    return h, c


@torch.no_grad()
def start_weights(module: nn.Module) -> None:
    """How our LSTMs begin: orthogonal recurrent weights and open forget gates; both let gradients reach far back."""
    if not isinstance(module, nn.LSTM):
        return
    for name, weights in module.named_parameters():
        if name.startswith("weight_hh"):
            for gate in weights.chunk(4):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weights)
        else:  # two biases are added up
            weights.zero_().chunk(4)[1].fill_(0.5)


@torch.no_grad()
def start_memory(lstm: nn.LSTM, steps: int) -> None:
    """How the encoder's memory begins: its units forget at rates spread from one step to all it reads. With open gates
    alone the first bar is forgotten before the second is over.

    Source: Tallec and Ollivier 2018, Can recurrent neural networks warp time?, equation 16: forget biases ln u,
    input biases −ln u, u uniform from 1 to the longest memory.
    """
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            log_u = torch.empty(lstm.hidden_size).uniform_(1, max(1, steps - 1)).log()
            bias.chunk(4)[0].copy_(-log_u)  # the input gate's
            bias.chunk(4)[1].copy_(log_u)  # the forget gate's
        elif name.startswith("bias_hh"):
            bias.zero_()


class MusicVAE(nn.Module):
    """Encoder, and a flat or a hierarchical decoder."""

    def __init__(self, config: MusicVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.conductor = Conductor(config) if config.conductor_width else None
        self.decoder = Decoder(config)
        self.apply(start_weights)
        start_memory(self.encoder.lstm, config.steps)

    def forward(self, x: Tensor, step: int) -> Loss:
        """The loss of a batch at a training step; the equation above."""
        config, posterior = self.config, self.encode(x)
        z, teacher_share = posterior.sample(), self.config.teacher_share(step)
        logits = self.logits(x, z) if teacher_share == 1 else self.scheduled(z, x, teacher_share)[0]
        reconstruction = self.negative_log_likelihood(x, logits).mean()
        kl = posterior.kl().sum(-1)  # (B,)
        excess = (kl - config.free_bits * math.log(2)).clamp(min=0).mean()
        return Loss(reconstruction, kl.mean(), reconstruction + config.beta(step) * excess)

    def encode(self, x: Tensor) -> Posterior:
        """x: (B, T) tokens, or (B, T, V) bits."""
        return self.encoder(self.vectors(x))

    def vectors(self, x: Tensor) -> Tensor:
        """Tokens (B, T) or bits (B, T, V) as what an LSTM hears, (B, T, V) float."""
        return F.one_hot(x.long(), self.config.values).float() if self.config.kind == "melody" else x.float()

    def contexts(self, z: Tensor) -> Tensor:
        """The bars' contexts (B, U, C): the conductor's, or z itself as the context of a single long bar."""
        return self.conductor(z) if self.conductor else z[:, None]

    def logits(self, x: Tensor, z: Tensor) -> Tensor:
        """Teacher-forced logits (B, T, V): all bars of all examples in one call of the LSTM."""
        contexts = self.contexts(z)  # (B, U, C)
        bars = contexts.shape[1]
        previous = F.pad(self.vectors(x)[:, :-1], (0, 0, 1, 0))  # (B, T, V): silence, then x a step late
        previous = previous.unflatten(1, (bars, -1)).flatten(0, 1)  # (B U, T / U, V)
        contexts = contexts.flatten(0, 1)  # (B U, C)
        logits, _ = self.decoder(previous, contexts, self.decoder.first_state(contexts))
        return logits.unflatten(0, (-1, bars)).flatten(1, 2)

    @torch.no_grad()
    def sample(self, z: Tensor, temperature: float = 1.0, steps: int | None = None) -> Tensor:
        """Decodes step by step, each hearing what was drawn before.

        Args:
            z: (B, D). temperature: 0 takes the most probable.
            steps: the flat decoder may go on beyond what it was trained on.

        Returns:
            Tokens (B, T), or bits (B, T, V).

        Raises:
            ValueError: a hierarchical decoder was asked for more bars than its conductor was trained to lead.
        """
        return self.scheduled(z, None, 0.0, temperature, steps)[1]

    def scheduled(
        self, z: Tensor, x: Tensor | None, teacher_share: float, temperature: float = 1.0, steps: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Step by step, each hearing the truth with probability `teacher_share` and else what was drawn before.

        Returns:
            Logits (B, T, V), and what was drawn.
        """
        contexts, steps = self.contexts(z), steps or self.config.steps
        bar_steps = self.config.bar_steps if self.conductor else steps
        if steps > len(contexts[0]) * bar_steps:
            raise ValueError(f"The conductor leads {self.config.bars} bars, not {steps} steps: ask for fewer.")
        truth = None if x is None else self.vectors(x)
        previous, logits, drawn = z.new_zeros(len(z), self.config.values), [], []
        for t in range(steps):
            context = contexts[:, t // bar_steps]
            if t % bar_steps == 0:
                state = self.decoder.first_state(context)
            scores, state = self.decoder(previous[:, None], context, state)
            logits.append(scores[:, 0])
            drawn.append(self.draw(scores[:, 0].detach(), temperature))
            previous = self.vectors(drawn[-1][:, None])[:, 0]
            if truth is not None:
                previous = torch.where(torch.rand(len(z), 1, device=z.device) < teacher_share, truth[:, t], previous)
        return torch.stack(logits, 1), torch.stack(drawn, 1)

    def draw(self, logits: Tensor, temperature: float) -> Tensor:
        """Logits (…, V) → tokens (…) or bits (…, V)."""
        if self.config.kind == "melody":
            if not temperature:
                return logits.argmax(-1)
            return torch.distributions.Categorical(logits=logits / temperature).sample()
        return torch.bernoulli((logits / temperature).sigmoid()) if temperature else (logits > 0).float()

    def negative_log_likelihood(self, x: Tensor, logits: Tensor) -> Tensor:
        """−log p(x | logits) in nats per example, (B,)."""
        if self.config.kind == "melody":
            return F.cross_entropy(logits.transpose(1, 2), x.long(), reduction="none").sum(1)
        return F.binary_cross_entropy_with_logits(logits, x.float(), reduction="none").sum((1, 2))
