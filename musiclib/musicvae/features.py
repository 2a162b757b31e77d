"""Yang & Lerch's features of a piece, and how far a generated set of pieces lies from a set of human ones.

Conventions (MIDI toolboxes differ in most of them):

- Time is counted in steps of the roll, 16ths. A NOTE is an onset; it lasts until its pitch falls silent, is struck
  again, or the roll ends. What sounds without an onset (tied over the window's edge) counts where a feature looks at
  the sounding plane: pitch count, range and pitch-class histogram, which is weighted by duration as the authors' is.
- The AVERAGE INTERVAL is the mean absolute interval between successive notes of the skyline: the notes that are the
  highest sounding pitch when they begin. The authors' toolkit walks through note events in file order, so that a chord
  counts as a run of its own notes; for a melody the two agree.
- TRANSITIONS, of pitch classes and of note lengths, are counts: a note is followed by all notes that begin at the first
  onset at or after its end. The toolkit drops pitch-class pairs with a rest in between, and takes lengths in file order;
  for a melody without rests all agree.
- NOTE LENGTHS fall into eight classes, 16th to whole note with dotted values in between: the nearest, ties to the
  shorter, everything above 14 steps a whole note. The toolkit's four others (triplets, dotted 16th) are lengths that a
  grid of 16ths does not have.
- INTER-ONSET INTERVALS are between different onset steps, so a chord is one onset; the toolkit counts zeros in chords.
- What too few notes leave undefined is 0; no feature is ever NaN.
- INTRA-SET distances are from each sample to all others of its set, INTER-SET ones from each of one set to all of the
  other; Euclidean, as in the paper. Their densities are Gaussian kernel estimates with Scott's bandwidth, as
  scipy.stats.gaussian_kde makes them, but counted into the cells of ONE grid for both first, so that a quarter of a
  million distances take milliseconds.
- The kernel is never narrower than one cell (1/1024 of the grid). This is the whole rule for the degenerate case, where
  all distances are equal and gaussian_kde fails.
- KL is KL(intra ‖ inter) in nats; a cell's probability is at least 1e-12, so KL is finite, at most 28. The overlap is 0
  to 1. The toolkit evaluates the two densities of its KL on different grids: `kl_on_own_grids` shows the effect.

Source: Yang & Lerch 2020, On the evaluation of generative models in music, sections 3.1 to 3.3. Notebook: 07 MusicVAE
evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist

from musiclib.pianoroll import PianoRoll

NOTE_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16)  # in 16ths
CELLS = 1024
LEAST_PROBABILITY = 1e-12


# -------------------------------------------------------------------------------------------------------- features


class Notes(NamedTuple):
    """The notes of a roll, by onset, then pitch: three (n,) integer arrays; starts and ends in steps."""

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray


def notes_of(roll: PianoRoll) -> Notes:
    """The notes that begin in a roll."""
    steps = np.arange(len(roll) + 1)[:, None]
    stops = np.vstack([~roll.sounding | roll.onset, np.ones((1, roll.onset.shape[1]), bool)])  # (T + 1, 128)
    next_stop = np.minimum.accumulate(np.where(stops, steps, len(roll))[::-1])[::-1]
    starts, pitches = roll.onset.nonzero()
    return Notes(starts, next_stop[starts + 1, pitches], pitches)


def pitch_count(roll: PianoRoll) -> int:
    """How many different pitches sound."""
    return int(roll.sounding.any(axis=0).sum())


def pitch_range(roll: PianoRoll) -> int:
    """Highest minus lowest sounding pitch, in semitones."""
    used = roll.sounding.any(axis=0).nonzero()[0]
    return int(used[-1] - used[0]) if len(used) else 0


def pitch_class_histogram(roll: PianoRoll) -> np.ndarray:
    """(12,) share of the sounding time that each pitch class has, C first."""
    steps = roll.sounding.sum(axis=0)
    return np.bincount(np.arange(len(steps)) % 12, steps, 12) / max(steps.sum(), 1)


def pitch_class_transitions(roll: PianoRoll) -> np.ndarray:
    """(12, 12) counts: pitch class of a note × pitch class of a note that follows it."""
    notes = notes_of(roll)
    return _transitions(notes, notes.pitches % 12, 12)


def average_interval(roll: PianoRoll) -> float:
    """Mean absolute interval between successive notes of the skyline, in semitones."""
    steps, pitches = roll.onset.nonzero()
    covered = np.cumsum(roll.sounding[:, ::-1], axis=1)[:, ::-1]  # (T, 128) how many sound at this pitch or above
    skyline = pitches[covered[steps, pitches] == 1]
    return float(np.abs(np.diff(skyline)).mean()) if len(skyline) > 1 else 0.0


def note_count(roll: PianoRoll) -> int:
    """How many notes begin."""
    return int(roll.onset.sum())


def average_inter_onset_interval(roll: PianoRoll) -> float:
    """Mean time from one onset step to the next, in steps."""
    onsets = roll.onset.any(axis=1).nonzero()[0]
    return float(np.diff(onsets).mean()) if len(onsets) > 1 else 0.0


def note_length_histogram(roll: PianoRoll) -> np.ndarray:
    """(8,) share of the notes that each length of NOTE_LENGTHS has."""
    classes = _length_classes(notes_of(roll))
    return np.bincount(classes, minlength=len(NOTE_LENGTHS)) / max(len(classes), 1)


def note_length_transitions(roll: PianoRoll) -> np.ndarray:
    """(8, 8) counts: length class of a note × length class of a note that follows it."""
    notes = notes_of(roll)
    return _transitions(notes, _length_classes(notes), len(NOTE_LENGTHS))


def _length_classes(notes: Notes) -> np.ndarray:
    halfway = np.add(NOTE_LENGTHS[:-1], NOTE_LENGTHS[1:]) / 2
    return np.searchsorted(halfway, notes.ends - notes.starts)


def _transitions(notes: Notes, classes: np.ndarray, count: int) -> np.ndarray:
    onsets, begins = np.unique(notes.starts, return_inverse=True)
    followed_at = np.searchsorted(onsets, notes.ends)  # the first onset at or after the end; len(onsets): none
    begun, ended = np.zeros((2, len(onsets) + 1, count))
    np.add.at(begun, (begins, classes), 1)
    np.add.at(ended, (followed_at, classes), 1)
    return ended.T @ begun


FEATURES: dict[str, Callable[[PianoRoll], float | np.ndarray]] = {
    "pitch count": pitch_count,
    "pitch-class histogram": pitch_class_histogram,
    "pitch-class transitions": pitch_class_transitions,
    "pitch range": pitch_range,
    "average interval": average_interval,
    "note count": note_count,
    "inter-onset interval": average_inter_onset_interval,
    "note-length histogram": note_length_histogram,
    "note-length transitions": note_length_transitions,
}


def feature_values(rolls: Sequence[PianoRoll]) -> dict[str, np.ndarray]:
    """Every feature of every roll, flattened: name → (N, D), D = 1 for a number and 144 for a 12 × 12 matrix."""
    return {name: np.array([np.ravel(f(roll)) for roll in rolls], float) for name, f in FEATURES.items()}


# ------------------------------------------------------------------------------------------- distances and densities


class Spread(NamedTuple):
    """Mean and standard deviation; of features (D,) each, of distances numbers."""

    mean: np.ndarray | float
    std: np.ndarray | float


def absolute(values: Mapping[str, np.ndarray]) -> dict[str, Spread]:
    """Mean and deviation over a set of what `feature_values` returned: name → two (D,)."""
    return {name: Spread(own.mean(axis=0), own.std(axis=0)) for name, own in values.items()}


def intra_distances(values: np.ndarray) -> np.ndarray:
    """(N, D) feature values → (N·(N − 1),) distances from each sample to all others."""
    return cdist(values, values)[~np.eye(len(values), dtype=bool)]


def inter_distances(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) feature values → (N·M,) distances from each sample of one set to all of the other."""
    return cdist(values, others).ravel()


class Grid(NamedTuple):
    """CELLS cells, `step` wide, from `low` on."""

    low: float
    step: float

    @property
    def centres(self) -> np.ndarray:
        return self.low + (np.arange(CELLS) + 0.5) * self.step

    def cells(self, distances: np.ndarray) -> np.ndarray:
        return ((distances - self.low) / self.step).astype(np.uint16)


def common_grid(*distances: np.ndarray) -> Grid:
    """A grid that holds all the distances, with room for the tails of their kernels."""
    low, high = min(d.min() for d in distances), max(d.max() for d in distances)
    span = high - low if high - low > 1e-9 * max(high, 1) else 1.0  # below, the differences are rounding
    margin = max(0.02 * span, *(4 * d.std() * d.size**-0.2 for d in distances))
    return Grid(low - margin, (span + 2 * margin) / CELLS)


def density(counts: np.ndarray) -> np.ndarray:
    """(CELLS,) counts of distances → probability of each cell: a Gaussian kernel with Scott's bandwidth, sum 1."""
    total, cells = counts.sum(), np.arange(CELLS)
    mean = counts @ cells / total
    std = np.sqrt(counts @ (cells - mean) ** 2 / total)
    smooth = gaussian_filter1d(counts / total, max(std * total**-0.2, 1.0), mode="constant", truncate=7.0)
    return smooth / smooth.sum()


def densities(intra: np.ndarray, inter: np.ndarray) -> tuple[Grid, np.ndarray, np.ndarray]:
    """Two sets of distances → their common grid, and the probability of each of its cells under either."""
    grid = common_grid(intra, inter)
    p, q = (density(np.bincount(grid.cells(d), minlength=CELLS)) for d in (intra, inter))
    return grid, p, q


def kl_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p ‖ q) of two discrete densities on the same grid, in nats."""
    p, q = (np.maximum(x / x.sum(), LEAST_PROBABILITY) for x in (p, q))
    p, q = p / p.sum(), q / q.sum()
    return float(max(p @ np.log(p / q), 0.0))


def overlap(p: np.ndarray, q: np.ndarray) -> float:
    """The area under both of two discrete densities on the same grid: 0 apart, 1 equal."""
    return float(np.minimum(p, q).sum())


def kl_on_own_grids(intra: np.ndarray, inter: np.ndarray, points: int = 1000) -> float:
    """The toolkit's KL, to show an erratum: each density is evaluated from its own least to its own largest distance.

    The quotient then compares densities at different distances, so that two sets that differ only in scale come out
    equal. The toolkit's overlap does use one grid.
    """
    grid, p, q = densities(intra, inter)
    own = (np.linspace(d.min(), d.max(), points) for d in (intra, inter))
    return kl_divergence(*(np.interp(x, grid.centres, y) for x, y in zip(own, (p, q), strict=True)))


# ------------------------------------------------------------------------------------------------------ comparison


@dataclass(frozen=True)
class Comparison:
    """One feature of two sets.

    Attributes:
        intra, intra_generated: distances within the reference and within the generated set. inter: between the two.
        kl, overlap: of the densities of `intra` and `inter`. kl_interval, overlap_interval: 95 %, bootstrap.
    """

    feature: str
    intra: Spread
    intra_generated: Spread
    inter: Spread
    kl: float
    kl_interval: tuple[float, float]
    overlap: float
    overlap_interval: tuple[float, float]


def compare(
    reference: Mapping[str, np.ndarray],
    generated: Mapping[str, np.ndarray],
    pieces: Sequence | None = None,
    at_most: int = 1000,
    draws: int = 200,
    seed: int = 0,
) -> list[Comparison]:
    """How far a generated set lies from a reference set, feature by feature.

    Args:
        reference, generated: name → (N, D) and (M, D), from `feature_values`.
        pieces: for each reference sample the piece it was cut from. Windows of one piece resemble each other, so the
            bootstrap draws pieces, not windows; unless given, every sample is its own piece.
        at_most: samples of a set that are used, drawn at random from a larger one; bounds memory, 8·at_most² bytes
            for each of two distance matrices. draws: of the bootstrap.

    Raises:
        ValueError: a set has fewer than two samples, or `pieces` has another length than the reference set.
    """
    rng = np.random.default_rng(seed)
    n, m = (len(next(iter(values.values()))) for values in (reference, generated))
    if min(n, m) < 2:
        raise ValueError(f"Sets of {n} and {m} samples have no distances within: give each at least two.")
    pieces = np.arange(n) if pieces is None else np.asarray(pieces)
    if len(pieces) != n:
        raise ValueError(f"{len(pieces)} pieces are named for {n} reference samples: name one for each.")
    ours, theirs = (np.sort(rng.permutation(size)[:at_most]) for size in (n, m))
    samples = [(resampled(pieces[ours], rng), resampled(np.arange(len(theirs)), rng)) for _ in range(draws)]
    return [_compare(name, reference[name][ours], generated[name][theirs], samples) for name in reference]


def _compare(name: str, values: np.ndarray, generated: np.ndarray, samples: list) -> Comparison:
    intra, inter = intra_distances(values), inter_distances(values, generated)
    grid, p, q = densities(intra, inter)
    within, between = grid.cells(cdist(values, values)), grid.cells(cdist(values, generated))
    np.fill_diagonal(within, CELLS)  # a sample, or a copy of it in the same draw, is no distance of the set
    drawn = []
    for ours, theirs in samples:
        counts = np.bincount(within[np.ix_(ours, ours)].ravel(), minlength=CELLS + 1)[:CELLS]
        if counts.any():
            p_drawn = density(counts)
            q_drawn = density(np.bincount(between[np.ix_(ours, theirs)].ravel(), minlength=CELLS))
            drawn.append((kl_divergence(p_drawn, q_drawn), overlap(p_drawn, q_drawn)))
    kl_interval, overlap_interval = (tuple(map(float, x)) for x in np.quantile(drawn, (0.025, 0.975), axis=0).T)
    spreads = [Spread(float(d.mean()), float(d.std())) for d in (intra, intra_distances(generated), inter)]
    return Comparison(name, *spreads, kl_divergence(p, q), kl_interval, overlap(p, q), overlap_interval)


def resampled(pieces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One bootstrap draw: indices of all samples of as many pieces as there are, drawn with replacement."""
    names, piece_of = np.unique(pieces, return_inverse=True)
    times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
    return np.repeat(np.arange(len(pieces)), times[piece_of])


HEADER = ["feature", "intra-set", "intra-set, generated", "inter-set", "KL in nats", "overlap"]


def table_rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Rows of text under HEADER: distances as mean ± deviation, KL and overlap with their intervals."""
    return [
        [c.feature, *(f"{s.mean:.3g} ± {s.std:.2g}" for s in (c.intra, c.intra_generated, c.inter)),
         f"{c.kl:.3f} [{c.kl_interval[0]:.3f}, {c.kl_interval[1]:.3f}]",
         f"{c.overlap:.3f} [{c.overlap_interval[0]:.3f}, {c.overlap_interval[1]:.3f}]"]
        for c in comparisons
    ]  # fmt: skip
