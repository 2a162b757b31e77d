"""How well a MusicVAE gives back what it was given.

Everything is decoded from z = µ. "Teacher-forced" hears the true past at every step, "sampled" only its own; the
share of steps that agree flatters both, since half of all melody tokens are holds, so note F1 stands beside it: a
note counts if one of the same pitch begins at the same step.

Notebooks: 06 MusicVAE, 07 MusicVAE evaluation.
"""

import torch
from torch import Tensor

from musiclib.musicvae.data import HOLD, KEYS, PITCHES, Windows
from musiclib.musicvae.model import MusicVAE
from musiclib.progress import scored as in_parts

SEED = 1
BATCH = 256


@torch.no_grad()
def reconstruction(model: MusicVAE, windows: Windows, limit: int | None = None) -> dict[str, float]:
    """Scores over windows, or over `limit` of them spread evenly.

    Returns:
        For each way of decoding ("teacher_forced", "sampled", "drawn": at temperature 1) the share of steps, or of
        bits, that agree and the note F1; their standard errors over pieces, since windows of one piece are alike; what
        an answer without a single note would score ("unchanged": all holds, or all silent); the likelihood's and the
        KL divergence's nats.
    """
    index = torch.linspace(0, len(windows) - 1, min(limit or len(windows), len(windows))).round().long()
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(SEED)
        parts = [_scores(model, windows[part].to(device)) for part in in_parts(index.split(BATCH))]
    model.train(was_training)
    scores = {name: torch.cat([part[name] for part in parts]).double().cpu() for name in parts[0]}
    result = {name: values.mean().item() for name, values in scores.items() if values.dim() == 1}
    for name, counts in scores.items():
        if counts.dim() == 2:  # hits, true notes, notes found
            hits, true, found = counts.sum(0).tolist()
            result[name] = 2 * hits / max(1.0, true + found)
    for name in ("teacher_forced", "sampled"):
        result[f"{name}_standard_error"] = standard_error(scores[name], windows.piece[index])
    return result | {"windows": len(index)}


def _scores(model: MusicVAE, x: Tensor) -> dict[str, Tensor]:
    posterior = model.encode(x)
    logits = model.logits(x, posterior.mu)
    decoded = {
        "teacher_forced": model.draw(logits, 0.0),
        "sampled": model.sample(posterior.mu, 0.0),
        "drawn": model.sample(posterior.mu, 1.0),
    }
    scores = {name: (found == x).flatten(1).double().mean(1) for name, found in decoded.items()}
    scores |= {f"{name}_note_f1": _notes(x, found) for name, found in decoded.items()}
    unchanged = torch.full_like(x, HOLD if x.dim() == 2 else 0)
    return scores | {
        "unchanged": (unchanged == x).flatten(1).double().mean(1),
        "negative_log_likelihood": model.negative_log_likelihood(x, logits),
        "kl": posterior.kl().sum(1),
    }


def _notes(x: Tensor, found: Tensor) -> Tensor:
    """(B, 3): notes in both, in x, and in what was found; a note is its pitch and the step where it begins."""
    if x.dim() == 2:  # tokens
        true, claimed, both = x < PITCHES, found < PITCHES, (x < PITCHES) & (x == found)
    else:
        true, claimed = x[..., KEYS:] > 0, found[..., KEYS:] > 0
        both = true & claimed
    return torch.stack([both, true, claimed], -1).flatten(1, -2).sum(1)


@torch.no_grad()
def gain(model: MusicVAE, other: MusicVAE, windows: Windows) -> dict[str, float]:
    """How many more steps one model gets right than another on the same windows, as a share, teacher-forced and
    sampled; with the standard errors of these differences over pieces, much less than those of the scores."""
    differences: dict[str, list[Tensor]] = {"teacher_forced": [], "sampled": []}
    for index in in_parts(torch.arange(len(windows)).split(BATCH)):
        x = windows[index].to(next(model.parameters()).device)
        mine, others = (_scores(m, x) for m in (model, other))
        for name, found in differences.items():
            found.append((mine[name] - others[name]).cpu())
    gained = {name: torch.cat(found) for name, found in differences.items()}
    errors = {f"{name}_standard_error": standard_error(x, windows.piece) for name, x in gained.items()}
    return {name: x.mean().item() for name, x in gained.items()} | errors


def standard_error(values: Tensor, group: Tensor) -> float:
    """Of the mean of values (N,) that are alike within their group (N,)."""
    sums = torch.zeros(int(group.max()) + 1, dtype=values.dtype).index_add_(0, group, values - values.mean())
    return (sums.square().sum().sqrt() / len(values)).item()


@torch.no_grad()
def active_dimensions(model: MusicVAE, windows: Windows, limit: int = 2000, threshold: float = 0.01) -> int:
    """How many dimensions of z say anything: those where µ varies over the data by more than `threshold`.

    Source: Burda et al. 2016, Importance weighted autoencoders, section 5.1.
    """
    index = torch.linspace(0, len(windows) - 1, min(limit, len(windows))).round().long()
    device = next(model.parameters()).device
    mu = torch.cat([model.encode(windows[part].to(device)).mu for part in index.split(BATCH)])
    return int((mu.var(dim=0) > threshold).sum())
