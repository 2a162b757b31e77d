"""Motifs, recombination and query matching."""

import json
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiclib.improvise import distances
from musiclib.improvise.motifs import Motif, jumps, matched, motifs, recombined
from musiclib.improvise.oracle import oracle

GOLDEN = json.loads((Path(__file__).parent / "golden" / "vmo.json").read_text())
words = st.text("abc", min_size=1, max_size=50)


def letters(word: str) -> np.ndarray:
    return np.array([-1, *(ord(letter) - ord("a") for letter in word)])


def apart(one: str, other: str) -> np.ndarray:
    return (np.array(list(one))[:, None] != np.array(list(other))).astype(float)


def test_by_hand():
    """abcd comes twice, and bc once more; ab alone says nothing new."""
    assert motifs(letters("abcdxabcdybcz"), least=2) == [Motif(4, (1, 6)), Motif(2, (2, 7, 11))]
    assert motifs(letters("abcdxabcdybcz"), least=4) == [Motif(4, (1, 6))]
    assert motifs(letters("aaaa"), least=2) == [Motif(2, (1, 3))]
    assert motifs(letters("abcd"), least=1) == []


@given(words, st.integers(1, 5))
def test_occurrences_are_equal_apart_and_maximal(word, least):
    for motif in motifs(letters(word), least):
        first = word[motif.starts[0] - 1 :][: motif.length]
        assert motif.length >= least and len(motif.starts) >= 2
        assert all(word[start - 1 :][: motif.length] == first for start in motif.starts)
        assert (np.diff(motif.starts) >= motif.length).all()
        for longer in [letter + first for letter in "abc"] + [first + letter for letter in "abc"]:
            assert word.count(longer) < len(motif.starts), "str.count does not count what overlaps"


@given(words)
def test_every_repetition_lies_in_a_motif(word):
    found = motifs(letters(word), 2)
    for length in range(2, len(word) // 2 + 1):
        for i in range(len(word) - length + 1):
            again = word.find(word[i : i + length], i + length)
            if again >= 0:
                assert any(word[i : i + length] in word[m.starts[0] - 1 :][: m.length] for m in found)


@given(words, st.permutations([0, 1, 2]))
def test_names_of_symbols_do_not_matter(word, names):
    renamed = np.array([-1, *(names[i] for i in letters(word)[1:])])
    assert motifs(letters(word), 2) == motifs(renamed, 2)


@pytest.mark.parametrize("golden", GOLDEN[:5], ids=[f"{i}-{g['distance']}" for i, g in enumerate(GOLDEN[:5])])
def test_beside_the_references_motifs(golden):
    """Another definition, the same repetitions: nearly every frame of the reference's motifs lies in one of ours."""
    distance = getattr(distances, golden["distance"])(np.array(golden["sequence"], float))
    built = oracle(distance, golden["best_threshold"])
    ours = {s + i for m in motifs(built.symbol, 4) for s in m.starts for i in range(m.length)}
    theirs = {end - i for ends, length in golden["motifs_at_best"] for end in ends for i in range(length)}
    assert len(ours & theirs) >= 0.8 * len(theirs)


@given(words, st.integers(0, 2**16), st.floats(0, 1))
def test_recombination_goes_on_or_to_a_place_with_the_same_past(word, seed, continuity):
    built = oracle(apart(word, word), 0.5)
    path = recombined(built, 40, continuity, seed=seed)
    assert len(path) == 40 and path[0] == 1
    for before, after in pairwise(path):
        shared = after - 1
        assert after == before + 1 or shared == 0 or word[shared - 1] == word[before - 1]
    assert path == recombined(built, 40, continuity, seed=seed)


def test_without_jumps_it_is_the_sequence():
    built = oracle(apart("abcabc", "abcabc"), 0.5)
    assert recombined(built, 6, continuity=1.0) == [1, 2, 3, 4, 5, 6]
    assert jumps([1, 2, 3, 3, 4]) == 1


def test_jumps_wait_for_enough_past():
    built = oracle(apart("abxab", "abxab"), 0.5)
    ways = [recombined(built, 5, continuity=0.0, least=3, seed=seed) for seed in range(5)]
    assert all(way == [1, 2, 3, 4, 5] for way in ways)


def test_a_query_finds_itself():
    word = "abcdbcda"
    assert matched(oracle(apart(word, word), 0.5), apart("bcd", word)) in ([2, 3, 4], [5, 6, 7])
    whole = matched(oracle(apart(word, word), 0.5), apart(word, word))
    assert [word[i - 1] for i in whole] == list(word)


@given(st.text("abc", min_size=1, max_size=6), st.text("abc", min_size=1, max_size=4))
def test_of_all_ways_along_the_links_it_is_the_nearest(word, query):
    built, distance = oracle(apart(word, word), 0.5), apart(query, word)
    links = [*built.forward[:-1], built.forward[max(0, built.sfx[-1])]]
    costs = {
        way: sum(distance[t, frame - 1] for t, frame in enumerate(way))
        for way in product(range(1, len(word) + 1), repeat=len(query))
        if all(after in links[before] for before, after in pairwise(way))
    }
    assert costs[tuple(matched(built, distance))] == min(costs.values())


def test_bad_input():
    built = oracle(np.zeros((3, 3)), 0.5)
    with pytest.raises(ValueError, match="at least one frame"):
        motifs(built.symbol, 0)
    with pytest.raises(ValueError, match=r"\(query, 3\)"):
        matched(built, np.zeros((2, 4)))
