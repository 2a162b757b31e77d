"""The Variable Markov Oracle: which stretches of a sequence come back, if two frames nearer than θ count as the same.

    sfx[i]  the suffix link: where the longest repeated suffix of frames 1 … i ended before
    lrs[i]  the length of that suffix
    IR(θ) = Σ_i max(0, log2 A_i − log2 C_i / L_i)   A new frames, C words so far, L the length of the word of frame i

State 0 is the start, state i is frame i, counted from 1. The words are those of the Compror code: a frame that is new,
or as many frames as can be copied from earlier on.

Sources: Allauzen, Crochemore and Raffinot 1999 (factor oracle); Lefebvre and Lecroq 2002 (Compror); Wang and Dubnov
2015, Pattern discovery from audio recordings by Variable Markov Oracle (the oracle, the information rate).
Notebook: 09 music information dynamics.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

NONE = -1  # the suffix link of state 0


def _compiled(**options: bool) -> Callable[[Callable], Callable]:
    """`numba.njit`, whose work is kept for the next process where there is a folder that may be written to."""

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return numba.njit(nogil=True, **options)(function)

    return decorate


@dataclass(frozen=True, eq=False)
class Oracle:
    """The oracle of n frames at one threshold.

    Attributes:
        sfx, lrs: (n + 1,) suffix links and lengths of repeated suffixes; sfx[0] is NONE.
        symbol: (n + 1,) the number of each frame's cluster, in order of appearance; NONE for state 0.
        forward: for each state the states that its forward links lead to, in the order in which they were made.
        threshold: θ.
    """

    sfx: np.ndarray
    lrs: np.ndarray
    symbol: np.ndarray
    forward: list[list[int]]
    threshold: float

    def __len__(self) -> int:
        """n, how many frames it has read."""
        return len(self.sfx) - 1

    @property
    def clusters(self) -> list[list[int]]:
        """The frames of each symbol, counted from 1."""
        return [np.flatnonzero(self.symbol == s).tolist() for s in range(self.symbol.max(initial=NONE) + 1)]

    def code(self) -> list["Word"]:
        """The sequence as Compror writes it."""
        return code(self.sfx, self.lrs)

    def information_rate(self) -> np.ndarray:
        """(n,) bits of each frame."""
        return information_rate(self.code())


class Word(NamedTuple):
    """One word of a code: `length` frames copied from `source` on; or, with length 0, the frame `source`, new."""

    length: int
    source: int


def oracle(distance: np.ndarray, threshold: float) -> Oracle:
    """Reads a sequence frame by frame.

    Args:
        distance: (n, n) between its frames, symmetric. threshold: θ; frames STRICTLY nearer are the same.

    Raises:
        ValueError: there is no frame, a distance is negative or no number, or θ is.
    """
    _check(distance, threshold)
    n = len(distance)
    sfx, lrs, symbol = (np.full(n + 1, fill) for fill in (0, 0, NONE))
    forward: list[list[int]] = [[] for _ in range(n + 1)]
    sharing: list[list[int]] = [[] for _ in range(n + 1)]  # state → the states whose suffix link leads to it
    sfx[0], symbols = NONE, 0
    for i in range(1, n + 1):
        forward[i - 1].append(i)
        hit, before = _same_frame(distance, threshold, forward, sfx, i)
        if hit is None:
            symbol[i], symbols = symbols, symbols + 1
        else:
            sfx[i], symbol[i] = hit, symbol[hit]
            lrs[i] = _repeated(sfx, lrs, before, hit - 1)
            for j in sharing[hit]:  # a later occurrence that one more frame before it joins
                if lrs[j] == lrs[i] and symbol[j - lrs[i]] == symbol[i - lrs[i]] and j - lrs[i] > 0:
                    sfx[i] = j
                    lrs[i] += 1
                    break
        sharing[sfx[i]].append(i)
    return Oracle(sfx, lrs, symbol, forward, threshold)


def _same_frame(distance, threshold, forward, sfx, i) -> tuple[int | None, int]:
    """Follows suffix links from state i − 1 until one has a forward link to a frame like i; to those that have none,
    links to i are added.

    Returns:
        That frame, the nearest of several, and the state before the link was found; None if there is no such frame.
    """
    before, state = i - 1, sfx[i - 1]
    while state != NONE:
        nearest = min(forward[state], key=lambda j: distance[i - 1, j - 1])
        if distance[i - 1, nearest - 1] < threshold:
            return nearest, before
        forward[state].append(i)
        before, state = state, sfx[state]
    return None, before


def _repeated(sfx, lrs, before: int, source: int) -> int:
    """The length of the suffix that is repeated: what the frames before it have in common, and one more."""
    if source == sfx[before]:
        return lrs[before] + 1
    while sfx[source] != sfx[before] and source != 0:
        source = sfx[source]
    return min(lrs[before], lrs[source]) + 1


def code(sfx: np.ndarray, lrs: np.ndarray) -> list[Word]:
    """Suffix links and lengths (n + 1,) → the words of the Compror code."""
    words, i, n = [], 1, len(sfx) - 1
    while i <= n:
        length = 0
        while sfx[i] and i + length <= n and lrs[i + length] > length:
            length += 1
        words.append(Word(length, int(sfx[i + length - 1]) - length + 1) if length else Word(0, i))
        i += max(1, length)
    return words


def information_rate(words: list[Word]) -> np.ndarray:
    """The words of a code → (n,) bits of each frame: what it costs to say which frame it is, less what it costs as a
    part of its word."""
    new = np.cumsum([word.length == 0 for word in words])
    length = np.array([max(1, word.length) for word in words])
    bits = np.log2(new) - np.log2(np.arange(1, len(words) + 1)) / length
    return np.repeat(bits.clip(min=0), length)


# ------------------------------------------------------------------------------------------ all thresholds at once


@dataclass(frozen=True, eq=False)
class Search:
    """What each threshold finds.

    Attributes:
        thresholds, total: (N,) θ, and the information rate summed over frames.
    """

    thresholds: np.ndarray
    total: np.ndarray

    @property
    def best(self) -> float:
        """The θ with the largest total, of several the smallest."""
        return float(self.thresholds[self.total.argmax()])


def search(distance: np.ndarray, thresholds: np.ndarray | None = None) -> Search:
    """The information rate at each threshold, in compiled code that gives what `oracle` gives, on all cores.

    One distance matrix serves all. An oracle also knows in which interval of θ nothing would change: between the
    largest distance that was near enough and the smallest that was not. Thresholds in it are not built again.

    Args:
        distance: (n, n). thresholds: (N,) rising; unless given, 100 up to the largest distance.

    Raises:
        ValueError: as `oracle`, or the thresholds do not rise.
    """
    if thresholds is None:
        thresholds = np.linspace(0, distance.max(initial=0) or 1.0, 101)[1:]  # 0: all frames are the same
    thresholds = np.asarray(thresholds, float)
    _check(distance, thresholds[:1].sum())
    if thresholds.ndim != 1 or not len(thresholds) or not (np.diff(thresholds) > 0).all():
        raise ValueError("Thresholds are a rising list of at least one.")
    distance = np.ascontiguousarray(distance, float)
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:  # compiled code runs side by side; small thresholds take the longest
        found = list(threads.map(lambda first: _totals(distance, thresholds[first::cores]), range(cores)))
    total = np.empty(len(thresholds))
    for first, own in enumerate(found):
        total[first::cores] = own
    return Search(thresholds, total)


def _totals(distance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The information rate at rising thresholds."""
    total, valid_to = np.zeros(len(thresholds)), -np.inf
    for number, threshold in enumerate(thresholds):
        if threshold > valid_to:
            sfx, lrs, valid_to = _links(distance, threshold)
            total[number] = _total_rate(sfx, lrs)
        else:
            total[number] = total[number - 1]
    return total


def best_oracle(distance: np.ndarray, thresholds: np.ndarray | None = None) -> Oracle:
    """The oracle whose information rate is the largest; see `search`."""
    return oracle(distance, search(distance, thresholds).best)


@_compiled()
def _links(distance, threshold):
    """`oracle`, its lists kept as linked lists in arrays.

    Returns:
        sfx, lrs, and the smallest distance that was not near enough: up to there the oracle stays as it is.
    """
    n = len(distance)
    sfx, lrs, symbol = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64), np.full(n + 1, NONE)
    forward, sharing = _no_lists(n + 1, 4 * n), _no_lists(n + 1, n)
    sfx[0], symbols, nearest_miss = NONE, 0, np.inf
    for i in range(1, n + 1):
        forward = _append(forward, i - 1, i)
        hit, before, state = NONE, i - 1, sfx[i - 1]
        while state != NONE:
            nearest, apart = _nearest(forward, state, distance[i - 1], threshold)
            if apart < threshold:
                hit = nearest
                break
            nearest_miss = min(nearest_miss, apart)
            forward = _append(forward, state, i)
            before, state = state, sfx[state]
        if hit == NONE:
            symbol[i], symbols = symbols, symbols + 1
        else:
            sfx[i], symbol[i] = hit, symbol[hit]
            source = hit - 1
            if source == sfx[before]:
                lrs[i] = lrs[before] + 1
            else:
                while sfx[source] != sfx[before] and source != 0:
                    source = sfx[source]
                lrs[i] = min(lrs[before], lrs[source]) + 1
            link = sharing.first[hit]
            while link != NONE:
                j = sharing.value[link]
                if lrs[j] == lrs[i] and j - lrs[i] > 0 and symbol[j - lrs[i]] == symbol[i - lrs[i]]:
                    sfx[i] = j
                    lrs[i] += 1
                    break
                link = sharing.following[link]
        sharing = _append(sharing, sfx[i], i)
    return sfx, lrs, nearest_miss


class Lists(NamedTuple):
    """One list of numbers for each state, in arrays. State 0's, by far the longest and most often read, is one itself.

    Attributes:
        of_start: the list of state 0.
        first, last: (states,) places in `value`, or NONE. following: for each place the next of its list, or NONE.
        used: (2,) how many places are, of `value` and of `of_start`.
    """

    of_start: np.ndarray
    first: np.ndarray
    last: np.ndarray
    value: np.ndarray
    following: np.ndarray
    used: np.ndarray


@_compiled()
def _no_lists(states, room):
    empty = np.full(states, NONE)
    of_start, value, following = np.empty(states, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    return Lists(of_start, empty, empty.copy(), value, following, np.zeros(2, np.int64))


@_compiled()
def _append(lists, state, value):
    if state == 0:
        lists.of_start[lists.used[1]] = value
        lists.used[1] += 1
        return lists
    place = lists.used[0]
    if place == len(lists.value):
        more, then = np.append(lists.value, lists.value), np.append(lists.following, lists.following)
        lists = Lists(lists.of_start, lists.first, lists.last, more, then, lists.used)
    lists.value[place], lists.following[place] = value, NONE
    if lists.first[state] == NONE:
        lists.first[state] = place
    else:
        lists.following[lists.last[state]] = place
    lists.last[state] = place
    lists.used[0] += 1
    return lists


@_compiled(fastmath=True)
def _least(frames, distances):
    """The smallest distance: a loop that processors run several steps of at once."""
    least = distances[frames[0] - 1]
    for j in frames[1:]:
        apart = distances[j - 1]
        least = apart if apart < least else least
    return least


@_compiled()
def _nearest(lists, state, distances, threshold):
    """The nearest frame of a list, of several the first, and its distance."""
    nearest, apart = NONE, np.inf
    if state == 0:
        of_start = lists.of_start[: lists.used[1]]
        apart = _least(of_start, distances)
        for j in of_start if apart < threshold else of_start[:0]:
            if distances[j - 1] == apart:
                return j, apart
        return nearest, apart
    place = lists.first[state]
    while place != NONE:
        j = lists.value[place]
        if distances[j - 1] < apart:
            nearest, apart = j, distances[j - 1]
        place = lists.following[place]
    return nearest, apart


@_compiled()
def _total_rate(sfx, lrs):
    """The sum of `information_rate(code(sfx, lrs))`."""
    total, new, words, i, n = 0.0, 0, 0, 1, len(sfx) - 1
    while i <= n:
        length = 0
        while sfx[i] and i + length <= n and lrs[i + length] > length:
            length += 1
        new, words, length = new + (length == 0), words + 1, max(1, length)
        total += length * max(0.0, np.log2(new) - np.log2(words) / length)
        i += length
    return total


def _check(distance: np.ndarray, threshold: float) -> None:
    if distance.ndim != 2 or len(distance) != distance.shape[1] or not len(distance):
        raise ValueError(f"Distances are (frames, frames) of at least one frame, not {distance.shape}.")
    if not (np.isfinite(distance).all() and distance.min() >= 0):
        raise ValueError("A distance is a number from 0: these have others among them.")
    if not threshold >= 0:
        raise ValueError(f"A threshold is a number from 0, not {threshold}.")
