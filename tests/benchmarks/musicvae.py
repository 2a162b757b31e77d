"""MusicVAE: teacher forcing in one call against a loop over steps, and how fast it composes."""

from collections.abc import Callable
from functools import partial

import torch
from timing import DEVICE, median_s
from torch import Tensor, nn
from torch.nn import functional as F

from musiclib.musicvae.model import MusicVAE, MusicVAEConfig

WIDTH, BATCH, BARS = 512, 32, 16
DECODERS = {"flat": 0, "hierarchical": WIDTH}  # width of the conductor


class Loop(nn.Module):
    """A model's decoder as it is often written: a cell per layer, called step after step."""

    def __init__(self, model: MusicVAE):
        super().__init__()
        lstm, self.model = model.decoder.lstm, model
        widths = [lstm.input_size] + [lstm.hidden_size] * (lstm.num_layers - 1)
        self.cells = nn.ModuleList(nn.LSTMCell(width, lstm.hidden_size) for width in widths)
        for layer, cell in enumerate(self.cells):
            cell.load_state_dict({name: getattr(lstm, f"{name}_l{layer}") for name in cell.state_dict()})

    def logits(self, x: Tensor, z: Tensor) -> Tensor:
        """What `MusicVAE.logits` gives, (B, T, V)."""
        contexts, decoder = self.model.contexts(z), self.model.decoder
        previous = F.pad(self.model.vectors(x)[:, :-1], (0, 0, 1, 0))
        bar_steps, logits = x.shape[1] // contexts.shape[1], []
        for t in range(x.shape[1]):
            context = contexts[:, t // bar_steps]
            if t % bar_steps == 0:
                h, c = (list(state) for state in decoder.first_state(context))
            heard = torch.cat([previous[:, t], context], dim=-1)
            for layer, cell in enumerate(self.cells):
                h[layer], c[layer] = cell(heard, (h[layer], c[layer]))
                heard = h[layer]
            logits.append(decoder.logits(heard))
        return torch.stack(logits, dim=1)


def model_of(decoder: str, quick: bool) -> MusicVAE:
    """A decoder of 2 × 512 for 16 bars, behind an encoder too small to matter."""
    torch.manual_seed(0)
    width = 16 if quick else WIDTH
    conductor = min(DECODERS[decoder], width)
    config = MusicVAEConfig(
        bars=BARS, latent=width, encoder_width=1, decoder_width=width, decoder_layers=2, conductor_width=conductor
    )
    return MusicVAE(config).to(DEVICE)


def teacher_forcing(decoder: str, way: str, quick: bool) -> dict:
    """Logits of 32 pieces of 256 steps and their gradients; the loop first shows that it computes the same."""
    model = model_of(decoder, quick)
    x = torch.randint(model.config.values, (2 if quick else BATCH, model.config.steps), device=DEVICE)
    z = torch.randn(len(x), model.config.latent, device=DEVICE)
    decodes = Loop(model).to(DEVICE) if way == "loop" else model
    if way == "loop":
        with torch.no_grad():
            torch.testing.assert_close(decodes.logits(x, z), model.logits(x, z), atol=1e-4, rtol=1e-4)

    def step() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=way == "bf16"):
            loss = model.negative_log_likelihood(x, decodes.logits(x, z)).mean()
        loss.backward()
        decodes.zero_grad()

    seconds = median_s(step, repeats=1 if quick else 5, warm_up=0 if quick else 1)
    precision = "bf16" if way == "bf16" else "fp32"
    return {"seconds": seconds, "note": f"batch {len(x)}, 2 × {model.config.decoder_width}, {precision}"}


def sampling(decoder: str, batch: int, quick: bool) -> dict:
    """Tokens of 16 bars drawn one after the other, fp32."""
    model = model_of(decoder, quick).eval()
    z, steps = torch.randn(batch, model.config.latent, device=DEVICE), 32 if quick else model.config.steps
    with torch.no_grad():
        seconds = median_s(lambda: model.sample(z, 1.0, steps), repeats=1 if quick else 5, warm_up=0 if quick else 1)
    return {"seconds": seconds, "tokens": batch * steps, "steps": steps}


MEASUREMENTS: dict[str, Callable[[bool], dict]] = {
    f"{decoder}_{way}": partial(teacher_forcing, decoder, way)
    for decoder in DECODERS
    for way in ("loop", "fp32", "bf16")
}
SAMPLING = {
    f"sampling_{decoder}_{batch}": partial(sampling, decoder, batch) for decoder in DECODERS for batch in (1, 64)
}
COMPARISONS = tuple(
    (f"teacher forcing, {decoder}, {way}", f"{decoder}_{way}", f"{decoder}_loop", 5 if way == "bf16" else None)
    for decoder in DECODERS
    for way in ("fp32", "bf16")
)


def sampling_rows(measured: dict[str, dict]) -> list[list[str]]:
    """Rows of text under SAMPLING_HEADER."""
    return [
        [name.replace("_", ", "), f"{m['tokens'] / m['seconds']:.0f}", f"{m['seconds'] / m['steps'] * 1e3:.3g} ms",
         f"{m['mib']:.0f} MiB"]
        for name, m in measured.items()
    ]  # fmt: skip


SAMPLING_HEADER = ["decoder, batch", "tokens per second", "one step", "peak memory"]
