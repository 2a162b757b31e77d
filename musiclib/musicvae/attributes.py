"""Musical attributes, and directions in the latent space that change one of them.

Conventions: a roll starts on a bar line, and its step t (counted from 0) is a 16th. An onset step is one where at least
one note begins, so a chord is one onset; o(t) says whether t is one. What an empty roll leaves undefined is 0.

- note density: notes that begin, per step.
- average interval: of the skyline, in semitones (see `features`).
- 16th-note syncopation: the share of onset steps t with t mod 2 = 1 and not o(t - 1).
- 8th-note syncopation: the share of onset steps t with t mod 4 = 2, not o(t - 1) and not o(t - 2).
- C diatonic: the share of notes in C major. It depends on the key, as the paper's does.
- diatonicity: the same for the major key that fits best; transposing changes nothing. A single note has 1.
- register: mean pitch of the notes, in semitones from middle C.

Source: Roberts et al. 2018 (MusicVAE): the first five attributes and the difference of quartiles. The last two, the
decorrelated vectors and the leakage matrix are ours. Notebook: 07 MusicVAE evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from musiclib.musicvae.distances import resampled
from musiclib.musicvae.features import average_interval
from musiclib.pianoroll import PianoRoll

MIDDLE_C = 60
MAJOR = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))


# ------------------------------------------------------------------------------------------------------ attributes


def note_density(roll: PianoRoll) -> float:
    """Notes that begin, per step."""
    return float(roll.onset.sum() / max(len(roll), 1))


def syncopation_16th(roll: PianoRoll) -> float:
    """The share of onset steps on an odd 16th, with no onset on the 16th before."""
    return _off_beat_share(roll, period=2, phase=1)


def syncopation_8th(roll: PianoRoll) -> float:
    """The share of onset steps on an odd 8th, with no onset on the two 16ths before."""
    return _off_beat_share(roll, period=4, phase=2)


def _off_beat_share(roll: PianoRoll, period: int, phase: int) -> float:
    """Share of onsets at t mod period = phase that follow `phase` steps without one: back to the stronger position."""
    onset = roll.onset.any(axis=1)
    steps = np.arange(phase, len(onset), period)
    silent_before = ~np.any([onset[steps - back] for back in range(1, phase + 1)], axis=0)
    return float((onset[steps] & silent_before).sum() / max(onset.sum(), 1))


def c_diatonic(roll: PianoRoll) -> float:
    """The share of notes in C major."""
    return float(_shares_in_major_keys(roll)[0])


def diatonicity(roll: PianoRoll) -> float:
    """The share of notes in the major key that fits best."""
    return float(_shares_in_major_keys(roll).max())


def _shares_in_major_keys(roll: PianoRoll) -> np.ndarray:
    pitch_classes = roll.onset.nonzero()[1] % 12
    notes = np.bincount(pitch_classes, minlength=12)
    return np.array([notes @ np.roll(MAJOR, tonic) for tonic in range(12)]) / max(len(pitch_classes), 1)


def register(roll: PianoRoll) -> float:
    """Mean pitch of the notes, in semitones from middle C."""
    pitches = roll.onset.nonzero()[1]
    return float(pitches.mean() - MIDDLE_C) if len(pitches) else 0.0


ATTRIBUTES: dict[str, Callable[[PianoRoll], float]] = {
    "note density": note_density,
    "average interval": average_interval,
    "16th-note syncopation": syncopation_16th,
    "8th-note syncopation": syncopation_8th,
    "C diatonic": c_diatonic,
    "diatonicity": diatonicity,
    "register": register,
}


def attribute_values(rolls: Sequence[PianoRoll], attributes: Mapping[str, Callable] = ATTRIBUTES) -> dict[str, Tensor]:
    """Every attribute of every roll: name → (N,) float32."""
    return {name: torch.tensor([f(roll) for roll in rolls], dtype=torch.float32) for name, f in attributes.items()}


# --------------------------------------------------------------------------------------------------------- vectors


def attribute_vectors(z: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The paper's vectors: mean z of the quarter with most of an attribute minus that of the quarter with least.

    Many pieces tie (no syncopation at all, say). Those at a quarter's edge share its last places equally, which is the
    average over every order they could be taken in.

    Args:
        z: (N, D) latents of N pieces. values: name → (N,), from `attribute_values`.

    Returns:
        name → (D,); zeros for an attribute that does not vary.

    Raises:
        ValueError: fewer than four pieces.
    """
    contrasts = _quartile_contrasts(z, values)
    return {name: weights @ z for name, weights in contrasts.items()}


def decorrelated_vectors(z: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Vectors that change one attribute and hold the others: least squares of z on all standardised attributes at once.

    A difference of quartiles also points at whatever goes along with its attribute in the data (dense music leaps
    less); a regression coefficient is the change of z per standard deviation of one attribute at equal others. Each is
    stretched to the quartiles' difference in that attribute, so that 1 means the same amount as in `attribute_vectors`.
    Of attributes that say the same, each gets a half (least norm).

    Args, Returns, Raises: as `attribute_vectors`.
    """
    contrasts = torch.stack(list(_quartile_contrasts(z, values).values())).cpu().double()  # (A, N)
    standardised = torch.stack([_standardised(v.cpu().double()) for v in values.values()])  # (A, N)
    centred = z.cpu().double() - z.cpu().double().mean(dim=0)
    slopes = torch.linalg.pinv(standardised @ standardised.T, hermitian=True) @ (standardised @ centred)  # (A, D)
    lengths = (contrasts * standardised).sum(dim=1, keepdim=True)  # (A, 1) standard deviations between the quartiles
    return dict(zip(values, (lengths * slopes).to(z), strict=True))


def _standardised(values: Tensor) -> Tensor:
    if values.max() == values.min():  # exact, where a deviation would be rounding noise
        return torch.zeros_like(values)
    return (values - values.mean()) / values.std(correction=0)


def _quartile_contrasts(z: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """name → (N,) weights: those of the upper quarter sum to 1, those of the lower to -1."""
    if len(z) < 4:
        raise ValueError(f"{len(z)} pieces have no quartiles: give the latents of at least four.")
    return {name: (_largest(v, len(z) // 4) - _largest(-v, len(z) // 4)).to(z) for name, v in values.items()}


def _largest(values: Tensor, count: int) -> Tensor:
    """(N,) weights of a mean over the `count` largest, with ties at the edge sharing what is left."""
    edge = values.sort().values[-count]
    above, tied = (values > edge).double(), (values == edge).double()
    return (above + tied * (count - above.sum()) / tied.sum()) / count


# --------------------------------------------------------------------------------------------------------- leakage


@dataclass(frozen=True)
class Leakage:
    """What each vector does to each attribute.

    Attributes:
        vectors, attributes: names of rows and columns.
        change: (V, A) mean change of an attribute along a vector, in standard deviations of the attribute.
        draws: (R, V, A) the same in R bootstrap draws over pieces.
    """

    vectors: list[str]
    attributes: list[str]
    change: Tensor
    draws: Tensor

    @property
    def interval(self) -> Tensor:
        """(2, V, A) lower and upper end of the 95 % interval of `change`."""
        return torch.quantile(self.draws, torch.tensor([0.025, 0.975], dtype=self.draws.dtype), dim=0)


def leakage(
    decode: Callable[[Tensor], Sequence[PianoRoll]],
    z: Tensor,
    vectors: Mapping[str, Tensor],
    std: Mapping[str, float],
    alpha: float = 1.0,
    attributes: Mapping[str, Callable] = ATTRIBUTES,
    pieces: Sequence | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Leakage:
    """Decodes z and z + α·vector, and measures how every attribute changes.

    Args:
        decode: (N, D) → N rolls; sampling should use the same seed at each call, or its noise comes on top.
        z: (N, D). vectors: name → (D,). std: of each attribute in the data, in its own unit.
        pieces: for each z the piece it came from, for a bootstrap over pieces; unless given, each is its own.

    Raises:
        ValueError: an attribute has no positive standard deviation.
    """
    names = list(attributes)
    for name in names:
        if not float(std[name]) > 0:
            raise ValueError(
                f'The attribute "{name}" does not vary in the data, so its change has no unit: leave it out.'
            )

    def measure(latents: Tensor) -> Tensor:
        values = attribute_values(decode(latents), attributes)
        return torch.stack([values[name].double() / float(std[name]) for name in names], dim=1)  # (N, A)

    before = measure(z)
    changes = torch.stack([measure(z + alpha * vector.to(z)) - before for vector in vectors.values()], dim=1)  # N, V, A
    rng = np.random.default_rng(seed)
    pieces = np.arange(len(z)) if pieces is None else np.asarray(pieces)
    drawn = torch.stack([changes[resampled(pieces, rng)].mean(dim=0) for _ in range(draws)])
    return Leakage(list(vectors), names, changes.mean(dim=0), drawn)


def leaked_share(change: Tensor) -> Tensor:
    """How much of all absolute change falls on attributes other than the vector's own; vectors in attributes' order.

    0 where each vector changes its own attribute only, (A - 1)/A where it changes all alike. Noise counts as change, so
    compare vectors on the same z: given `Leakage.draws`, this returns draws, and those of two sets of vectors measured
    with one seed are paired.

    Args:
        change: (..., A, A).
    """
    total = change.abs().sum(dim=(-2, -1))
    own = change.diagonal(dim1=-2, dim2=-1).abs().sum(dim=-1)
    return torch.where(total > 0, 1 - own / total.clamp(min=torch.finfo(total.dtype).tiny), torch.zeros_like(total))
