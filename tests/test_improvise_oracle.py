"""The Variable Markov Oracle: golden answers, laws, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiclib.improvise import distances
from musiclib.improvise.oracle import NONE, Word, best_oracle, code, information_rate, oracle, search

GOLDEN = json.loads((Path(__file__).parent / "golden" / "vmo.json").read_text())
SEQUENCES = pytest.mark.parametrize("golden", GOLDEN, ids=[f"{i}-{g['distance']}" for i, g in enumerate(GOLDEN)])


def matrix(golden: dict) -> np.ndarray:
    return getattr(distances, golden["distance"])(np.array(golden["sequence"], float))


def apart(words: str) -> np.ndarray:
    """Distances between letters: 0 of the same, 1 of others."""
    letters = np.array(list(words))
    return (letters[:, None] != letters).astype(float)


@SEQUENCES
def test_links_and_symbols_are_the_references(golden):
    built = oracle(matrix(golden), golden["threshold"])
    assert built.sfx.tolist() == golden["suffix_link"]
    assert built.lrs.tolist() == golden["longest_repeated_suffix"]
    assert built.forward == golden["forward_links"]
    assert built.clusters == golden["clusters"]
    assert [None, *built.symbol[1:].tolist()] == golden["symbol"]


@SEQUENCES
def test_code_and_information_rate_are_the_references(golden):
    built = oracle(matrix(golden), golden["threshold"])
    assert [list(word) for word in built.code()] == golden["compror_code"]
    np.testing.assert_allclose(built.information_rate(), golden["information_rate"], atol=1e-9)


@SEQUENCES
def test_search_finds_the_references_threshold(golden):
    thresholds, total = np.array(golden["total_ir_by_threshold"]).T
    found = search(matrix(golden), thresholds)
    np.testing.assert_allclose(found.total, total, atol=1e-9)
    assert found.best == pytest.approx(golden["best_threshold"], abs=1e-9)
    assert found.total.max() == pytest.approx(golden["best_total_ir"], abs=1e-9)


def test_by_hand():
    """a b a b c: at the third frame a returns; 'ab' is copied as one word; c is new."""
    built = oracle(apart("ababc"), 0.5)
    assert built.sfx.tolist() == [NONE, 0, 0, 1, 2, 0]
    assert built.lrs.tolist() == [0, 0, 0, 1, 2, 0]
    assert built.clusters == [[1, 3], [2, 4], [5]]
    assert built.code() == [Word(0, 1), Word(0, 2), Word(2, 1), Word(0, 5)]
    # of the copied word: log2 2 new frames, less log2 3 words shared by its 2 frames
    assert built.information_rate()[2] == pytest.approx(1 - np.log2(3) / 2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 2**16), st.floats(0, 3))
def test_compiled_and_readable_give_the_same(letters, seed, threshold):
    """Ties among them: distances are sums of few whole numbers, or real ones."""
    x = np.array(letters, float)[:, None]
    x = x + (seed % 2) * np.random.default_rng(seed).normal(size=(len(x), 1))
    distance = np.abs(x - x.T)
    expected = oracle(distance, threshold).information_rate().sum()
    assert search(distance, np.array([threshold])).total[0] == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 2**16), st.integers(2, 40))
def test_thresholds_that_are_not_built_again_would_have_given_the_same(seed, frames):
    x = np.random.default_rng(seed).integers(0, 4, (frames, 2)).astype(float)
    distance = distances.euclidean(x)
    thresholds = np.linspace(0.05, 5, 60)
    found = search(distance, thresholds)
    alone = [oracle(distance, threshold).information_rate().sum() for threshold in thresholds]
    np.testing.assert_allclose(found.total, alone, atol=1e-9)


@given(st.text("abc", min_size=1, max_size=40))
def test_every_factor_is_accepted(word):
    """The defining property of a factor oracle: from state 0 each stretch of the sequence can be read."""
    built = oracle(apart(word), 0.5)
    for start in range(len(word)):
        state = 0
        for letter in word[start:]:
            state = next((target for target in built.forward[state] if word[target - 1] == letter), None)
            assert state is not None
    for i in range(1, len(word) + 1):
        lrs, sfx = built.lrs[i], built.sfx[i]
        assert word[i - lrs : i] == word[sfx - lrs : sfx], "a repeated suffix is what it says"


@given(st.integers(0, 2**16), st.integers(1, 60), st.floats(0, 4))
def test_bounds(seed, frames, threshold):
    distance = distances.euclidean(np.random.default_rng(seed).normal(size=(frames, 3)))
    built = oracle(distance, threshold)
    i = np.arange(frames + 1)
    assert (built.lrs >= 0).all() and (built.lrs[1:] < i[1:]).all()
    assert (built.sfx[1:] < i[1:]).all() and (built.lrs <= np.maximum(built.sfx, 0)).all()
    assert sum(max(1, word.length) for word in built.code()) == frames
    assert (built.information_rate() >= 0).all()
    assert sorted(frame for cluster in built.clusters for frame in cluster) == list(range(1, frames + 1))


def test_no_threshold_makes_every_frame_new():
    distance = distances.euclidean(np.random.default_rng(0).normal(size=(30, 4)))
    built = oracle(distance, 0.0)
    assert not built.sfx[1:].any() and len(built.clusters) == 30 and not built.information_rate().any()


@given(st.integers(0, 2**16), st.sampled_from([0.25, 0.5, 2.0, 1024.0]))
def test_scaling_features_and_threshold_together_changes_nothing(seed, scale):
    x = np.random.default_rng(seed).normal(size=(40, 3))
    one, other = oracle(distances.euclidean(x), 0.8), oracle(distances.euclidean(scale * x), 0.8 * scale)
    assert one.sfx.tolist() == other.sfx.tolist() and one.lrs.tolist() == other.lrs.tolist()


def test_best_oracle_has_the_best_threshold():
    distance = apart("abcabcabcabd")
    assert best_oracle(distance).threshold == search(distance).best
    assert len(search(distance).thresholds) == 100


def test_code_of_one_frame():
    assert code(np.array([NONE, 0]), np.array([0, 0])) == [Word(0, 1)]
    assert information_rate([Word(0, 1)]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("distance", "threshold", "message"),
    [
        (np.zeros((0, 0)), 1.0, "at least one frame"),
        (np.zeros((3, 2)), 1.0, r"not \(3, 2\)"),
        (np.array([[0.0, np.nan], [np.nan, 0.0]]), 1.0, "others among them"),
        (np.zeros((2, 2)) - 1, 1.0, "from 0"),
        (np.zeros((2, 2)), -1.0, "threshold"),
        (np.zeros((2, 2)), float("nan"), "threshold"),
    ],
)
def test_bad_input(distance, threshold, message):
    with pytest.raises(ValueError, match=message):
        oracle(distance, threshold)
    with pytest.raises(ValueError):
        search(distance, np.array([threshold]))


@pytest.mark.parametrize("thresholds", [[], [2.0, 1.0], [1.0, 1.0]])
def test_thresholds_must_rise(thresholds):
    with pytest.raises(ValueError, match="rising"):
        search(np.zeros((2, 2)), np.array(thresholds))
