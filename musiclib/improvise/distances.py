"""How far apart the frames of a sequence are, each with each: one matrix (n, n) that serves every threshold.

Notebook: 09 music information dynamics.
"""

import numpy as np

CIRCLES = ((7, 1.0), (3, 1.0), (4, 0.5))  # steps of fifths, minor and major thirds, and the radius of each circle


def euclidean(x: np.ndarray) -> np.ndarray:
    """‖a − b‖ between frames (n, d)."""
    squared = _squared(np.asarray(x, float))
    return np.sqrt(squared, out=squared)


def cosine(x: np.ndarray) -> np.ndarray:
    """1 − the cosine of the angle between frames (n, d), which is half the squared distance of unit vectors. A frame of
    zeros is 1 from every other, as if at right angles."""
    x = np.asarray(x, float)
    unit = _divided(x, np.linalg.norm(x, axis=1, keepdims=True))
    apart = _squared(unit)
    apart /= 2
    silent = ~unit.any(1)
    if silent.any():
        apart[silent ^ silent[:, None]] = 1
    return apart


def _squared(x: np.ndarray) -> np.ndarray:
    """‖a − b‖² by one product of matrices, ‖a‖² + ‖b‖² − 2 a·b. Where little is left of that difference, and rounding
    would be seen, from the frames themselves."""
    norms = np.square(x).sum(1)
    sums = norms + norms[:, None]
    squared = x @ x.T
    squared *= -2
    squared += sums
    sums *= 1e-6
    i, j = np.nonzero(squared < sums)
    for pairs in np.array_split(np.stack([i, j])[:, i != j], 1 + len(i) // 4096, axis=1):
        squared[tuple(pairs)] = np.square(x[pairs[0]] - x[pairs[1]]).sum(1)
    np.fill_diagonal(squared, 0)
    return np.maximum(squared, 0, out=squared)


def tonnetz(chroma: np.ndarray) -> np.ndarray:
    """Between chroma vectors (n, 12), C first: Euclidean in `tonal_centroid`."""
    return euclidean(tonal_centroid(chroma))


def tonal_centroid(chroma: np.ndarray) -> np.ndarray:
    """Where chroma vectors (n, 12) lie on the circles of fifths, of minor and of major thirds, (n, 6); silence in the
    middle, at 0.

    Source: Harte, Sandler and Gasser 2006, Detecting harmonic change in musical audio; here each six numbers are
    divided by the sum of their absolute values, as in Wang and Dubnov's code. That sum changes as a chord turns on the
    circles, so two chords moved to another key are not quite as far apart as before.
    """
    angle = 2 * np.pi * np.array([steps * np.arange(12) / 12 for steps, _ in CIRCLES])  # (3, 12)
    radius = np.array([[r] for _, r in CIRCLES])
    basis = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1).reshape(6, 12)
    place = np.asarray(chroma, float) @ basis.T
    return _divided(place, np.abs(place).sum(1, keepdims=True))


def symmetric_kl(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """(KL(p ‖ q) + KL(q ‖ p)) / 2 in nats between the Gaussians N(µ, σ²) of frames, mu and sigma (n, d).

    Their logarithms cancel, and what is left is a sum over dimensions of
    (σ_p² / σ_q² + σ_q² / σ_p² − 2) / 4 + (µ_p − µ_q)² (1 / σ_p² + 1 / σ_q²) / 4.
    """
    mu, variance = np.asarray(mu, float), np.square(np.asarray(sigma, float))
    weight = 1 / variance
    far = np.square(mu) @ weight.T + (np.square(mu) * weight).sum(1)[None] - 2 * mu @ (mu * weight).T
    both = (variance @ weight.T - mu.shape[1] + far) / 4  # (p, q): the part with q's weights
    both = both + both.T
    np.fill_diagonal(both, 0)
    return both.clip(min=0)


def _divided(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.divide(x, by, out=np.zeros_like(x), where=by > 1e-12)
