"""Scores over whole splits: chords are made, taken apart and matched in batches, and nothing is written to disk.

Notebooks: 03 note discovery, 04 note properties.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from musiclib import training
from musiclib.musicslots import metrics
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import MusicSlots
from musiclib.musicslots.probes import LatentFeatures, SlotFeatures
from musiclib.progress import scored

SEED = 1
BATCH = 64


def spread(examples: int, limit: int | None) -> Tensor:
    """The indices of all examples, or of `limit` spread evenly over them."""
    return torch.linspace(0, examples - 1, min(limit or examples, examples)).round().long()


@contextmanager
def repeatable(model: nn.Module) -> Iterator[torch.device]:
    """Evaluation mode, no gradients, the slots' noise from a fixed seed; the caller's random state is left alone."""
    device, was_training = next(model.parameters(), torch.empty(0)).device, model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(SEED)
        yield device
    model.train(was_training)


def note_discovery(model: MusicSlots, data: ChordSpectrograms, limit: int | None = None) -> dict[str, float]:
    """Note MSE and mIoU with standard errors, over a split or `limit` examples spread evenly over it."""
    mse, iou = [], []
    with repeatable(model) as device:
        for index in scored(spread(len(data), limit).split(BATCH)):
            with training.autocast(device):
                slots = model(data.batch(index)).slot_db
            notes, present = data.padded_targets(index)
            counts = present.sum(dim=1).tolist()
            by_mse, by_iou = (
                metrics.pairwise_mse(notes, slots),
                metrics.pairwise_iou(notes, slots, data.front_end.mask_threshold_db),
            )
            mse += [match.score for match in metrics.matches(by_mse, counts, maximize=False)]
            iou += [match.score for match in metrics.matches(by_iou, counts, maximize=True)]
    mses, ious, root = torch.tensor(mse), torch.tensor(iou), math.sqrt(len(iou))
    return {
        "note_mse": mses.mean().item(),
        "note_mse_standard_error": (mses.std() / root).item(),
        "miou": ious.mean().item(),
        "miou_standard_error": (ious.std() / root).item(),
        "chords": len(ious),
    }


def reconstruction(model: nn.Module, data: ChordSpectrograms, limit: int | None = None) -> dict[str, float]:
    """Mean squared error of an auto-encoder's chords, in dB²."""
    index, total = spread(len(data), limit), 0.0
    with repeatable(model) as device:
        for part in scored(index.split(BATCH)):
            x = data.batch(part)
            with training.autocast(device):
                error = (model(x).reconstruction_db - x).square().mean(dim=(1, 2, 3))
            total += error.double().sum().item()
    return {"reconstruction_mse": total / len(index), "chords": len(index)}


def outputs(model: nn.Module, data: ChordSpectrograms, limit: int | None = None) -> tuple[Tensor, Tensor]:
    """A classifier's logits (E, P·I), and the index (E,) of the examples they are for."""
    index = spread(len(data), limit)
    with repeatable(model) as device, training.autocast(device):
        return torch.cat([model(data.batch(part)).float() for part in scored(index.split(BATCH))]), index


def features(model: nn.Module, data: ChordSpectrograms, limit: int | None = None) -> SlotFeatures | LatentFeatures:
    """A split as a frozen model sees it, for the probes."""
    index = spread(len(data), limit)
    with repeatable(model) as device:
        if isinstance(model, MusicSlots):
            return _slot_features(model, data, index, device)
        with training.autocast(device):
            z = torch.cat([model.encode(data.batch(part))[0].float() for part in scored(index.split(BATCH))])
    return LatentFeatures(z, data.multi_hot[index.to(data.device)])


def _slot_features(model: MusicSlots, data: ChordSpectrograms, index: Tensor, device: torch.device) -> SlotFeatures:
    slots, slot_of_note, sounding = [], [], []
    for part in scored(index.split(BATCH)):
        with training.autocast(device):
            heard = model(data.batch(part))
        notes, present = data.padded_targets(part)
        found = metrics.matches(metrics.pairwise_mse(notes, heard.slot_db), present.sum(dim=1).tolist(), maximize=False)
        most = present.shape[1]
        slot_of_note += [match.slot_of_note + [-1] * (most - len(match.slot_of_note)) for match in found]
        slots.append(heard.slots.float())
        sounding.append(heard.slot_db.amax(dim=(2, 3)) >= data.front_end.mask_threshold_db)
    pitch, instrument = (classes[index.to(data.device)] for classes in data.classes)
    matched = torch.tensor(slot_of_note, device=data.device)
    return SlotFeatures(torch.cat(slots), matched, torch.cat(sounding), pitch, instrument)
