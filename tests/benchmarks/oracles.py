"""The oracle at 100 thresholds: ours, and the PyPI package `vmo`, which builds each anew from the features."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
from timing import median_s

from musiclib.improvise import distances
from musiclib.improvise.oracle import Search, search

FRAMES, LENGTHS = 2000, (200, 500, 1000, 2000, 5000)
FEATURES = {"euclidean_12": 12, "euclidean_500": 500, "cosine_12": 12, "cosine_500": 500, "tonnetz_12": 12}
THRESHOLDS = 100


def features(name: str, frames: int) -> np.ndarray:
    """(n, d) frames that come back eight times each, on average, with a little noise."""
    generator = np.random.default_rng(0)
    kinds = generator.random((frames // 8, FEATURES[name]))
    return kinds[generator.integers(0, len(kinds), frames)] + 0.1 * generator.random((frames, FEATURES[name]))


def ours(name: str, frames: int, quick: bool) -> dict:
    """From features to the information rate at every threshold, distances included; compiled before."""
    x = features(name, frames := 100 if quick else frames)
    measure = getattr(distances, name.split("_")[0])
    found: list[Search] = []

    def analyse() -> None:
        matrix = measure(x)
        found.append(search(matrix, thresholds(matrix.max())))

    seconds = median_s(analyse, 1 if quick else 3)
    return {"seconds": seconds, "note": _note(x, found[-1].total.max())}


def package(name: str, frames: int, quick: bool) -> dict:
    """The same by `vmo`. It has no Tonnetz: it is given the tonal centroids and measures them as it likes best."""
    from vmo.VMO.oracle import find_threshold

    warnings.simplefilter("ignore")
    x = features(name, frames := 100 if quick else frames)
    range_ = thresholds(getattr(distances, name.split("_")[0])(x).max())
    given = distances.tonal_centroid(x) if name.startswith("tonnetz") else x
    metric, step = "cosine" if name.startswith("cosine") else "euclidean", range_[0]
    found = []

    def analyse() -> None:
        found.append(find_threshold(given, r=(step, range_[-1] + step / 2, step), dfunc=metric, dim=given.shape[1]))

    seconds = median_s(analyse, 1, warm_up=0)
    (total, _), _ = found[-1]
    return {"seconds": seconds, "note": _note(x, total)}


def thresholds(largest: float) -> np.ndarray:
    return largest / THRESHOLDS * np.arange(1, THRESHOLDS + 1)


def _note(x: np.ndarray, total: float) -> str:
    """What both must agree on is part of it. (Not the threshold: several may reach the same total, up to rounding.)"""
    return f"{len(x)} × {x.shape[1]}, at best {total:.6f} bits"


def check(one: dict, other: dict) -> None:
    if one["note"] != other["note"]:
        raise AssertionError(f"The oracles differ: {one['note']}; {other['note']}.")


def picture(seconds: dict[str, dict[int, float]], path: Path) -> None:
    """How both grow with the number of frames."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name, mark in zip(seconds, "os", strict=True):
        axes.plot(*zip(*seconds[name].items(), strict=True), f"{mark}-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="frames", ylabel="seconds for 100 thresholds")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


MEASUREMENTS = {
    f"oracle_{who.__name__}_{name}": partial(who, name, FRAMES) for name in FEATURES for who in (ours, package)
}
GROWTH = {
    f"growth_{who.__name__}_{frames}": partial(who, "euclidean_12", frames)
    for frames in LENGTHS
    for who in (ours, package)
}
COMPARISONS = tuple(
    (f"oracle, 100 thresholds, {name.replace('_', ' × ')}", f"oracle_ours_{name}", f"oracle_package_{name}", 30)
    for name in FEATURES
)
