"""Training steps and evaluation of MusicSlots: ours, and a plain version."""

import tempfile
import time
from pathlib import Path

import torch
from scipy.optimize import linear_sum_assignment
from timing import DEVICE, counted_flop, median_s, wait
from torch import Tensor, nn

from musiclib import training
from musiclib.musicslots import chords, evaluation, experiments
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, SoftPosition, reconstruction_loss
from musiclib.spectrogram import note_mask
from musiclib.synth import NoteBank

# ---------------------------------------------------------------------------------------- the model as it is published


class PlainPosition(SoftPosition):
    """The position of a (frequency, time) grid (B, D, F, T)."""

    def forward(self, grid: Tensor) -> Tensor:
        return super().forward(grid.transpose(2, 3)).transpose(2, 3)


class PlainEncoder(nn.Module):
    """The paper's encoder as it reads: convolutions over (frequency, time)."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        c = config.channels
        self.convs = nn.ModuleList(nn.Conv2d(i, c, 5, stride=config.stride, padding=2) for i in (1, c, c, c))
        self.position = PlainPosition(c)
        self.mlp = nn.Sequential(nn.Linear(c, config.width), nn.ReLU(), nn.Linear(config.width, config.width))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x).relu()  # B C F' T'
        tokens = self.position(x).flatten(2).transpose(1, 2)
        return self.mlp(nn.functional.layer_norm(tokens, tokens.shape[1:]))


class PlainDecoder(nn.Module):
    """The paper's decoder as it reads: a slot on an 8×2 grid, upsampled over (frequency, time)."""

    def __init__(self, config: MusicSlotsConfig, outputs: int):
        super().__init__()
        c, shrink = config.channels, 2**config.upsamplings
        self.grid = (config.bands // shrink, config.frames // shrink)
        self.position = PlainPosition(config.width)
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(i, c, 5, stride=2, padding=2, output_padding=1)
            for i in [config.width] + [c] * (config.upsamplings - 1)
        )
        self.smooth = nn.ConvTranspose2d(c, c, 5, padding=2)
        self.out = nn.ConvTranspose2d(c, outputs, 3, padding=1)

    def forward(self, slots: Tensor) -> Tensor:
        x = self.position(slots[:, :, None, None].expand(-1, -1, *self.grid))  # B' D F/16 T/16
        for deconv in self.upsample:
            x = deconv(x).relu()
        return self.out(self.smooth(x).relu())


class PlainMusicSlots(MusicSlots):
    """The same model, laid out as published."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__(config)
        self.encoder = PlainEncoder(config)
        self.decoder = PlainDecoder(config, outputs=1 if config.mask == "none" else 2)


def as_plain(model: MusicSlots) -> PlainMusicSlots:
    """The plain model with another's weights; kernels turned from (time, frequency)."""
    plain = PlainMusicSlots(model.config)
    state = {name: w.transpose(2, 3) if w.dim() == 4 else w for name, w in model.state_dict().items()}
    plain.load_state_dict(state)
    return plain


# ------------------------------------------------------------------------------------------------------ training steps


def paper_model(quick: bool) -> tuple[MusicSlots, Tensor]:
    torch.manual_seed(0)
    model = MusicSlots(experiments.MODELS["slots"]["paper"])
    data = ChordSpectrograms(chords.examples("JazzNet-single").train, NoteBank.load().to(DEVICE))
    return model.to(DEVICE), data.batch(torch.arange(1 if quick else 32))


def training_step(model: nn.Module, x: Tensor, autocast: torch.autocast, quick: bool) -> dict:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        with autocast:
            loss = reconstruction_loss(x, model(x))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    flop = counted_flop(step)
    seconds = median_s(step, repeats=1 if quick else 5, warm_up=0 if quick else 1)
    return {"seconds": seconds, "flop": flop, "note": f"batch {len(x)}"}


def step_ours(quick: bool) -> dict:
    model, x = paper_model(quick)
    return training_step(model.to(memory_format=torch.channels_last), x, training.autocast(DEVICE), quick)


def step_plain(quick: bool) -> dict:
    model, x = paper_model(quick)
    return training_step(as_plain(model), x, torch.autocast(DEVICE.type, enabled=False), quick)


def limits(quick: bool) -> dict:
    """GFLOP/s of a large convolution of the model's own kind, forward and backward, per precision."""
    batch = 1 if quick else 32
    reached = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        conv = nn.Conv2d(128, 128, 5, padding=2).to(DEVICE, dtype, memory_format=torch.channels_last)
        x = torch.randn(batch, 128, 32, 128).to(DEVICE, dtype, memory_format=torch.channels_last).requires_grad_()
        seconds = median_s(lambda conv=conv, x=x: conv(x).sum().backward(), repeats=1 if quick else 5)
        reached[name] = 3 * 2 * batch * 128 * 128 * 25 * 32 * 128 / seconds / 1e9  # forward, and two gradients
    return reached


def synchronisations(quick: bool) -> dict:
    """How often a step of `training.fit` makes the host wait for the GPU; -1 where there is none."""
    if DEVICE.type != "cuda":
        return {"count": -1}
    import warnings

    from musiclib.training import TrainingConfig, fit

    model, _ = paper_model(quick)
    data = ChordSpectrograms(chords.examples("JazzNet-single").train, NoteBank.load().to(DEVICE))

    def loss(model: nn.Module, index: Tensor, step: int) -> Tensor:
        x = data.batch(index)
        return reconstruction_loss(x, model(x))

    def count(steps: int) -> int:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            fit(model, loss, len(data), TrainingConfig(steps), progress=False)
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(warning.message) for warning in caught)

    few, many = count(2), count(12)  # what a run costs once is in both
    return {"count": (many - few) / 10}


# ---------------------------------------------------------------------------------------------------------- evaluation


def small_model() -> MusicSlots:
    torch.manual_seed(0)
    return MusicSlots(experiments.SMALL).to(DEVICE).eval()


def evaluation_ours(quick: bool) -> dict:
    """`evaluation.note_discovery` on JazzNet-multi's test split: chords made, taken apart, matched, in batches."""
    split, count = chords.examples("JazzNet-multi").test, 64 if quick else 8192
    data, model = ChordSpectrograms(split, NoteBank.load().to(DEVICE), frames=16), small_model()
    seconds = median_s(lambda: evaluation.note_discovery(model, data, count), repeats=1, warm_up=0 if quick else 1)
    return {"seconds": seconds / count, "note": f"{count} chords in batches of {evaluation.BATCH}, nothing stored"}


def evaluation_plain(quick: bool) -> dict:
    """Chord and note spectrograms from a file a chord, one forward pass and two assignments a chord, in fp32."""
    count = 4 if quick else 256
    split = chords.examples("JazzNet-multi").test
    data = ChordSpectrograms([split[i * (len(split) // count)] for i in range(count)], NoteBank.load(), frames=16)
    model = small_model()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for i in range(count):
            index = torch.tensor([i])
            torch.save((data.batch(index), data.targets(index)[0]), Path(folder, f"{i}.pt"))
        started = time.perf_counter()
        for i in range(count):
            x, notes = torch.load(Path(folder, f"{i}.pt"), weights_only=True)
            slots = model(x.to(DEVICE)).slot_db[0]
            score_plainly(notes.to(DEVICE), slots)
        wait()
        seconds = (time.perf_counter() - started) / count
    return {"seconds": seconds, "note": f"{count} chords, one at a time, one file each (made before)"}


def score_plainly(notes: Tensor, slots: Tensor) -> tuple[float, float]:
    """Note MSE and mIoU of one chord, pair by pair."""
    mse = torch.tensor([[float((note - slot).square().mean()) for slot in slots] for note in notes])
    iou = torch.tensor([[float(plain_iou(note_mask(note), note_mask(slot))) for slot in slots] for note in notes])
    lowest, highest = linear_sum_assignment(mse), linear_sum_assignment(iou, maximize=True)
    return float(mse[lowest].mean()), float(iou[highest].mean())


def plain_iou(a: Tensor, b: Tensor) -> Tensor:
    return (a & b).sum() / (a | b).sum().clamp(min=1)
