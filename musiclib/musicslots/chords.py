"""The chord tables of MusicSlots: which pitches sound together, who plays them, and how the tables are split.

A chord is a tuple of MIDI pitches, rising. An example is a chord with one General MIDI program for every pitch.

Source: MusicSlots, appendix A.1 and tables 3 to 5. Notebook: 01 from score to spectrogram.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from musiclib.synth import FLUTE, PIANO, VIOLIN

Chord = tuple[int, ...]
Example = tuple[tuple[int, int], ...]  # (program, pitch) of every note

INSTRUMENTS = (PIANO, VIOLIN, FLUTE)

# Successive intervals in semitones, bottom up, of JazzNet's 24 chord types.
DYADS = {
    "min2": (1,), "maj2": (2,), "min3": (3,), "maj3": (4,), "perf4": (5,), "tritone": (6,),
    "perf5": (7,), "min6": (8,), "maj6": (9,), "aug6": (10,), "maj7_2": (11,), "octave": (12,),
}  # fmt: skip
TRIADS = {"maj": (4, 3), "min": (3, 4), "dim": (3, 3), "aug": (4, 4), "sus2": (2, 5), "sus4": (5, 2)}
TETRADS = {
    "maj7": (4, 3, 4), "min7": (3, 4, 3), "seventh": (4, 3, 3),
    "sixth": (4, 3, 2), "dim7": (3, 3, 3), "min7b5": (3, 3, 4),
}  # fmt: skip
JAZZNET_ROOTS = range(24, 109)
JAZZNET_RANGE = range(36, 97)
PITCHES = JAZZNET_RANGE  # the classes of note properties, for both datasets: JSB's pitches lie within

# The shuffle is ours; its seed is the first whose JazzNet split has the paper's 530 dyads and 544 triads in training.
SPLIT_SEED = 15
JSB_ASSIGNMENTS = 9


@dataclass(frozen=True)
class Splits:
    """Three lists that share no chord. `test` is never trained on nor selected by."""

    train: list
    valid: list
    test: list

    def map(self, function) -> "Splits":
        return Splits(function(self.train), function(self.valid), function(self.test))


def jsb_chords(chorales: dict[str, list[list[list[int]]]]) -> list[Chord]:
    """Every different chord of at least two notes, sorted, from {split: [chorale: [quarter: [pitch]]]}."""
    quarters = itertools.chain.from_iterable(itertools.chain.from_iterable(chorales.values()))
    chords = {tuple(sorted(set(quarter))) for quarter in quarters}
    return sorted(chord for chord in chords if len(chord) >= 2)


def jazznet_all() -> list[Chord]:
    """All 5525 JazzNet chords: 24 types, every inversion, 85 roots, repeats and extremes included."""
    return [
        inversion
        for intervals in (DYADS | TRIADS | TETRADS).values()
        for root in JAZZNET_ROOTS
        for inversion in inversions(root, intervals)
    ]


def jazznet_chords() -> list[Chord]:
    """The 2227 different JazzNet chords wholly inside MIDI 36 to 96, sorted."""
    return sorted({chord for chord in jazznet_all() if all(pitch in JAZZNET_RANGE for pitch in chord)})


def inversions(root: int, intervals: tuple[int, ...]) -> list[Chord]:
    """Root position, then each inversion: the lowest note moves up an octave. The octave has the root position only."""
    chord = tuple(root + step for step in (0, *itertools.accumulate(intervals)))
    if intervals == (12,):
        return [chord]
    rotations = [chord]
    for _ in intervals:
        lowest, *rest = rotations[-1]
        rotations.append((*rest, lowest + 12))
    return rotations


def split_jsb(chords: list[Chord]) -> Splits:
    """Shuffled, 70/20/10: the test split holds unseen COMBINATIONS of known notes."""
    shuffled = _shuffle(chords)
    train, valid = int(0.7 * len(shuffled)), round(0.2 * len(shuffled))
    return Splits(shuffled[:train], shuffled[train : train + valid], shuffled[train + valid :])


def split_jazznet(chords: list[Chord]) -> Splits:
    """Dyads and triads shuffled 80/20 into train and validation; the test is all tetrads: an unseen NUMBER of notes."""
    known = _shuffle([chord for chord in chords if len(chord) < 4])
    train = int(0.8 * len(known))
    return Splits(known[:train], known[train:], [chord for chord in chords if len(chord) == 4])


def _shuffle(chords: list[Chord]) -> list[Chord]:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(chords))
    return [chords[i] for i in order]


def single_instrument(chords: list[Chord], program: int = PIANO) -> list[Example]:
    """One example per chord, all notes on one instrument."""
    return [tuple((program, pitch) for pitch in chord) for chord in chords]


def multi_instrument(chords: list[Chord], per_chord: int | None = None) -> list[Example]:
    """All 3ⁿ assignments of piano, violin and flute to chords, or `per_chord` of them, drawn without repeat."""
    rng = np.random.default_rng(SPLIT_SEED)
    examples = []
    for chord in chords:
        assignments = list(itertools.product(INSTRUMENTS, repeat=len(chord)))
        if per_chord is not None:
            drawn = rng.choice(len(assignments), size=per_chord, replace=False)
            assignments = [assignments[i] for i in sorted(drawn)]
        examples += [tuple(zip(programs, chord, strict=True)) for programs in assignments]
    return examples


def examples(name: str, chorales: dict | None = None) -> Splits:
    """The examples of one of the paper's four datasets: JSB-single, JSB-multi, JazzNet-single or JazzNet-multi.

    Args:
        chorales: for JSB, what `corpora.chorales` returns.

    Raises:
        ValueError: there is no dataset of that name.
    """
    if name == "JSB-single":
        return split_jsb(jsb_chords(chorales)).map(single_instrument)
    if name == "JSB-multi":
        return split_jsb(jsb_chords(chorales)).map(lambda chords: multi_instrument(chords, JSB_ASSIGNMENTS))
    if name == "JazzNet-single":
        return split_jazznet(jazznet_chords()).map(single_instrument)
    if name == "JazzNet-multi":
        return split_jazznet(jazznet_chords()).map(multi_instrument)
    raise ValueError(f"No dataset {name!r}: choose JSB-single, JSB-multi, JazzNet-single or JazzNet-multi.")
