"""What is left of a query's harmony in an improvisation, in numbers.

Notebook: 08 query-based improvisation.
"""

import numpy as np

from musiclib.improvise.bars import KEYS, LOWEST, STEPS
from musiclib.improvise.distances import tonal_centroid

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
KEY_PROFILES = {  # how well each pitch class fits into C, heard by listeners (Krumhansl and Kessler 1982)
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


def chroma(bars) -> np.ndarray:
    """Frames (B, 2496) → (B, 12): how many steps each pitch class sounds in a bar, over all octaves."""
    sounding = np.asarray(bars, float).reshape(-1, STEPS, 2, KEYS)[:, :, 0].sum(1)
    classes = (LOWEST + np.arange(KEYS)) % 12
    return sounding @ np.eye(12)[classes]


def tonnetz_distance(one, other) -> np.ndarray:
    """Frames (B, 2496) and (B, 2496) → (B,) the Tonnetz distance between their bars; NaN where one is silent."""
    both = chroma(one), chroma(other)
    apart = np.linalg.norm(tonal_centroid(both[0]) - tonal_centroid(both[1]), axis=1)
    return np.where(both[0].any(1) & both[1].any(1), apart, np.nan)


def note_f1(query, output) -> float:
    """How many of the notes struck in a query are struck in the output, and the other way round: F1, pitch and step
    exact."""
    a, b = (np.asarray(x, bool).reshape(-1, STEPS, 2, KEYS)[:, :, 1] for x in (query, output))
    return 2 * float((a & b).sum()) / max(1, int(a.sum() + b.sum()))


def pitch_class_entropy(bars) -> float:
    """Bits of the pitch classes of frames taken together: 0 for a single one, log2(12) = 3.58 for all alike. NaN of
    silence."""
    share = chroma(bars).sum(0)
    share = share[share > 0] / max(1.0, share.sum())
    return float(-(share * np.log2(share)).sum()) if len(share) else float("nan")


def key_clarity(bars) -> tuple[str, float]:
    """The key that fits frames best, and how well: the correlation of their pitch classes with the key's profile.

    Source: Krumhansl 1990, Cognitive foundations of musical pitch, chapter 4. NaN of silence.
    """
    heard = chroma(bars).sum(0)
    fits = {
        f"{PITCH_CLASSES[tonic]} {mode}": np.corrcoef(heard, np.roll(profile, tonic))[0, 1]
        for mode, profile in KEY_PROFILES.items()
        for tonic in range(12)
        if heard.std() > 0
    }
    return max(fits.items(), key=lambda fit: fit[1]) if fits else ("none", float("nan"))
