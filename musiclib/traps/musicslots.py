"""Traps of MusicSlots' published code. Notebooks: 02 MusicSlots, 03 note discovery."""

from functools import partial
from time import perf_counter

import numpy as np
import torch

from musiclib import ledger, training
from musiclib.musicslots import claims, evaluation, metrics, report, runs
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.experiments import find
from musiclib.musicslots.model import MusicSlots, reconstruction_loss
from musiclib.presets import default_device
from musiclib.spectrogram import MASK_THRESHOLD_DB
from musiclib.synth import NoteBank
from musiclib.traps.trap import Measured, Trap

SIZE = "small"
SHIPPED = "jazznet-multi-curriculum"
REFERENCE = "jazznet-single-reference"


def two_runs(published: str, ours: str, score: str) -> Measured | None:
    """Two experiments of the ledger that differ in one thing, on the test split."""
    found = [report.runs_of(find(name), SIZE) for name in (published, ours)]
    if not all(found):
        return None
    theirs, own = (report.figure(entries, "test", score) for entries in found)
    factor = 100 if score == "accuracy" else 1
    change = claims.difference(own, theirs)
    return Measured(
        f"test {score}" + (", %" if factor == 100 else ""), factor * theirs.value, factor * own.value,
        factor * change.interval,
    )  # fmt: skip


@torch.no_grad()
def scale_after_softmax() -> Measured:
    """The largest change of an attention weight by the scale, in an untrained model that hears 64 chords."""
    torch.manual_seed(0)
    model = MusicSlots(find(REFERENCE).model_config("paper")).to(default_device())
    attention = model.slot_attention
    k = attention.k(attention.norm_tokens(model.encoder(_some_chords(model.config.frames, 1.0))))  # (64, N, D)
    q = attention.q(attention.norm_slots(attention.mu)).expand(len(k), -1, -1)  # (64, K, D)
    without = (q @ k.transpose(1, 2)).softmax(dim=2)
    without = without / (without + attention.EPSILON).sum(dim=1, keepdim=True)
    change = (attention.attend(q, k) - without).abs().max().item()
    return Measured("largest change of an attention weight, of 1, by that scale", change, 0.0)


def new_normalisation() -> Measured:
    """What is learned; the words say what a layer that is kept would."""
    config = find(SHIPPED).model_config("paper")
    kept = 2 * config.bands * config.frames // 2**4 * config.width
    return Measured(f"learned scales and shifts (a kept layer: {kept:,})", 0, 0)


def _some_chords(frames: int, held_s: float, count: int = 64) -> torch.Tensor:
    bank = NoteBank.load().to(default_device())
    data = runs.datasets("JazzNet-multi", frames, bank).valid
    chords = [data.examples[i] for i in evaluation.spread(len(data), count)]
    return ChordSpectrograms(chords, bank, frames, held_s).batch(torch.arange(count))


def short_notes() -> Measured:
    """How much of the masks of the paper's 32 frames is left if notes are held for half a second."""
    whole, short = (_some_chords(32, held_s) >= MASK_THRESHOLD_DB for held_s in (1.0, 0.5))
    return Measured("bins of a mask that sound, %", 100 * (whole & short).sum().item() / whole.sum().item(), 100.0)


def matching_in_every_step() -> Measured:
    """Milliseconds of a training step of 32 chords with the matching that it does not need, and without."""
    model = MusicSlots(find(SHIPPED).model_config(SIZE)).to(default_device())
    data = runs.datasets("JazzNet-multi", model.config.frames).train
    alone_s, matching_s = [], []
    for index in torch.arange(32 * 8).split(32):
        started = perf_counter()
        x = data.batch(index)
        seen = model(x)
        loss = reconstruction_loss(x, seen)
        loss.backward()
        loss.item()
        middle = perf_counter()
        for notes, slots in zip(data.targets(index), seen.slot_db.detach(), strict=True):
            metrics.note_mse(notes, slots), metrics.note_iou(notes, slots)
        alone_s.append(middle - started)
        matching_s.append(perf_counter() - middle)
    return Measured("ms of a training step", 1e3 * (min(alone_s) + min(matching_s)), 1e3 * min(alone_s))


def last_weights() -> Measured | None:
    """Validation mIoU of a run's last weights and of its best ones, mean over all slot models of the ledger."""
    found = [
        [point["miou"] for point in entry["metrics"]["validation_curve"]]
        for entry in ledger.entries("musicslots")
        if entry["preset"] == SIZE and "miou" in next(iter(entry["metrics"].get("validation_curve", [])), {})
    ]
    if not found:
        return None
    last, best = np.array([curve[-1] for curve in found]), np.array([max(curve) for curve in found])
    reach = 1.96 * (best - last).std(ddof=1) / len(found) ** 0.5
    return Measured(f"validation mIoU, mean of {len(found)} runs", last.mean(), best.mean(), float(reach))


def one_seed() -> Measured | None:
    """The standard deviation over seeds, which the standard error of a single one leaves out."""
    scores = [entry["metrics"]["test"] for entry in report.runs_of(find(REFERENCE), SIZE)]
    if len(scores) < 3:
        return None
    alone, over = scores[0]["miou_standard_error"], np.std([s["miou"] for s in scores], ddof=1)
    words = f"test mIoU: standard error over chords of one run, and standard deviation over {len(scores)} runs"
    return Measured(words, alone, float(over))


def mixed_precision(chords: int = 256) -> Measured:
    """mIoU of the shipped model in single precision and in this machine's mixed one."""
    model = runs.load(find(SHIPPED).run_name(SIZE))
    data = runs.datasets("JazzNet-multi", model.config.frames).valid
    single = []
    with evaluation.repeatable(model):
        for index in evaluation.spread(len(data), chords).split(evaluation.BATCH):
            pairs = zip(data.targets(index), model(data.batch(index)).slot_db, strict=True)
            single += [metrics.note_iou(notes, slots).score for notes, slots in pairs]
    mixed = evaluation.note_discovery(model, data, chords)["miou"]
    precision = training.precision_of(default_device())
    return Measured(f"validation mIoU, single precision and {precision}", float(np.mean(single)), mixed)


TRAPS = (
    Trap("swapped-axes", "attention: softmax over tokens, weighted sum",
         "softmax over slots, weighted mean; both are offered", "02",
         partial(two_runs, REFERENCE, "jazznet-single-attention-paper", "miou"), from_ledger=True),
    Trap("start-without-gradient", "no gradient reaches the slots' first values", "it passes straight through", "02",
         partial(two_runs, REFERENCE, "jazznet-single-train-init", "miou"), from_ledger=True),
    Trap("scale-after-softmax", "1/√d after the softmax, where it cancels",
         "so in `reference`; before it in `paper`", "02",
         scale_after_softmax),
    Trap("new-normalisation", "a new LayerNorm at every call", "the plain function, which learns nothing and says so",
         "02", new_normalisation),
    Trap("short-notes", "notes held for 0.5 s", "1.0 s, as the paper says", "03", short_notes),
    Trap("time-stride", "time stride 1 by default", "2, as in the paper", "03",
         partial(two_runs, "jazznet-multi-ablation-default", "jazznet-multi-ablation-stride", "miou"),
         from_ledger=True),
    Trap("learning-rate", "learning rate 3e-4 by default",
         "1e-4 at the paper's size, as the paper says; 1e-3 at the small one", "03",
         partial(two_runs, "jazznet-single-rate-3e-4", "jazznet-single-rate-1e-4", "miou"), from_ledger=True),
    Trap("beta-unit", "KL divergence weighed with β·D/(F·T)",
         "so in all rows of the paper; with β alone, its equation, in one more", "04",
         partial(two_runs, "jazznet-multi-vae-probe", "jazznet-multi-vae-unconverted-probe", "accuracy"),
         from_ledger=True),
    Trap("matching-in-every-step", "Hungarian matching in every training step", "at intervals", "03",
         matching_in_every_step),
    Trap("last-weights", "easily taken for the last weights", "the best by validation mIoU, as in the paper", "03",
         last_weights, from_ledger=True),
    Trap("one-seed", "means of five seeds, without their spread", "intervals over chords for one seed, over seeds for "
         "several", "14", one_seed, from_ledger=True),
    Trap("mixed-precision", "trained in mixed precision", "mixed where the hardware has it", "03", mixed_precision),
)  # fmt: skip
