"""Distances between frames: the golden Tonnetz, plain formulas, and laws."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch.distributions import Normal, kl_divergence

from musiclib.improvise import distances

GOLDEN = json.loads((Path(__file__).parent / "golden" / "tonnetz.json").read_text())
ALL = pytest.mark.parametrize("name", ["euclidean", "cosine", "tonnetz"])


def frames(seed: int, number: int = 30, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).random((number, width))


def test_tonnetz_is_the_references():
    np.testing.assert_allclose(distances.tonnetz(np.array(GOLDEN["chroma"])), GOLDEN["distance"], atol=1e-12)


@given(st.integers(0, 2**16), st.integers(1, 40), st.integers(1, 60))
def test_against_plain_formulas(seed, number, width):
    x = frames(seed, number, width)
    np.testing.assert_allclose(distances.euclidean(x), cdist(x, x), atol=1e-12)
    np.testing.assert_allclose(distances.cosine(x), cdist(x, x, "cosine").clip(0), atol=1e-12)


@ALL
@given(seed=st.integers(0, 2**16))
def test_symmetric_zero_to_itself_and_in_any_order(name, seed):
    x, order = frames(seed), np.random.default_rng(seed).permutation(30)
    x[3] = x[7]
    matrix = getattr(distances, name)(x)
    assert np.array_equal(matrix, matrix.T) and not matrix.diagonal().any() and matrix[3, 7] < 1e-15
    np.testing.assert_allclose(getattr(distances, name)(x[order]), matrix[np.ix_(order, order)], atol=1e-14)


def test_frames_that_nearly_agree_are_told_apart():
    """A product of matrices loses these digits."""
    x = 1e3 + frames(0)
    x[1] = x[0] + 1e-7
    assert distances.euclidean(x)[0, 1] == pytest.approx(np.linalg.norm(x[1] - x[0]), rel=1e-9)
    assert distances.cosine(x)[0, 1] < 1e-12


def test_tonnetz_knows_fifths():
    """C is nearer to G than to F sharp, and octaves and loudness do not matter."""
    c, g, f_sharp = np.eye(12)[[0, 7, 6]]
    matrix = distances.tonnetz(np.stack([c, g, f_sharp, 3 * c]))
    assert matrix[0, 1] < matrix[0, 2] and matrix[0, 3] == 0
    turned = distances.tonnetz(np.roll(np.stack([c, g, f_sharp]), 5, 1))
    assert turned[0, 1] < turned[0, 2]


def test_silence():
    x = np.stack([np.zeros(12), np.eye(12)[0], np.zeros(12)])
    assert distances.cosine(x)[0].tolist() == [0, 1, 0]
    assert distances.tonnetz(x)[0, 2] == 0 and distances.tonal_centroid(x)[0].tolist() == [0] * 6


@given(st.integers(0, 2**16))
def test_symmetric_kl_is_torchs(seed):
    generator = torch.Generator().manual_seed(seed)
    mu, sigma = torch.randn(9, 7, generator=generator).double(), torch.rand(9, 7, generator=generator).double() + 0.1
    p, q = Normal(mu[:, None], sigma[:, None]), Normal(mu[None], sigma[None])
    expected = (kl_divergence(p, q) + kl_divergence(q, p)).sum(-1) / 2
    np.testing.assert_allclose(distances.symmetric_kl(mu.numpy(), sigma.numpy()), expected, atol=1e-9, rtol=1e-9)
