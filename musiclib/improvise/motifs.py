"""What comes back in a sequence: motifs, and ways through an oracle.

A motif is a word of at least L symbols that occurs at least twice without overlap and is MAXIMAL: no word with one more
symbol at either end occurs as often. So renaming symbols changes nothing, a motif's occurrences are equal throughout,
and a repetition is told once, at its full length.

Notebook: 09 music information dynamics.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from musiclib.improvise.oracle import NONE, Oracle


@dataclass(frozen=True)
class Motif:
    """length: in frames. starts: the first frame of each occurrence that does not overlap the one before, counted
    from 1."""

    length: int
    starts: tuple[int, ...]

    @property
    def saved(self) -> int:
        """The frames that need not be told again."""
        return self.length * (len(self.starts) - 1)


def motifs(symbol: np.ndarray, least: int = 4) -> list[Motif]:
    """All motifs of an oracle's symbols (n + 1,), the ones that save most first.

    Raises:
        ValueError: motifs of less than one frame are asked for.
    """
    if least < 1:
        raise ValueError(f"A motif has at least one frame, not {least}.")
    symbols = np.asarray(symbol)[1:]
    words, found = symbols, []  # at each place the number of the word of `length` symbols that begins there
    for length in range(1, len(symbols) // 2 + 1):
        if length > 1:
            words = _numbered(words[:-1], symbols[length - 1 :])
        order = np.argsort(words, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(words[order])) + 1)
        groups = [places for places in groups if len(places) > 1]
        if not groups:
            break
        for places in groups if length >= least else ():
            starts = _apart(places, length)
            longer = (_most(symbols, places, length, beside) for beside in (-1, length))
            if len(starts) > 1 and max(longer) < len(starts):
                found.append(Motif(length, tuple(start + 1 for start in starts)))
    return sorted(found, key=lambda motif: (-motif.saved, -motif.length, motif.starts))


def _numbered(words: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """A number for each pair of a word and the symbol after it."""
    return np.unique(words * (int(symbols.max(initial=0)) + 1) + symbols, return_inverse=True)[1]


def _most(symbols: np.ndarray, places: np.ndarray, length: int, beside: int) -> int:
    """How often a word with one more symbol occurs without overlap, the most frequent: the symbol that stands so many
    places beside the beginning."""
    places = places[(places + beside >= 0) & (places + beside < len(symbols))]
    added = symbols[places + beside]
    return max((len(_apart(places[added == symbol], length + 1)) for symbol in np.unique(added)), default=0)


def _apart(places: np.ndarray, length: int) -> list[int]:
    """The places, from the left, that do not overlap the one taken before."""
    taken: list[int] = []
    for place in places.tolist():
        if not taken or place >= taken[-1] + length:
            taken.append(place)
    return taken


def recombined(oracle: Oracle, frames: int, continuity: float = 0.7, least: int = 1, seed: int = 0) -> list[int]:
    """A new order of an oracle's frames: mostly the next one, now and then the one after another place with the same
    past, along suffix links.

    Args:
        frames: how many. continuity: the probability of going on where there is also somewhere else to go.
        least: how many frames of past two places must share.

    Returns:
        Frames, counted from 1.
    """
    elsewhere: list[list[int]] = [[] for _ in range(len(oracle) + 1)]
    for i in range(1, len(oracle) + 1):
        if oracle.lrs[i] >= least:
            elsewhere[i].append(int(oracle.sfx[i]))
            elsewhere[oracle.sfx[i]].append(i)
    generator, state, path = np.random.default_rng(seed), 0, []
    for _ in range(frames):
        places = [place for place in elsewhere[state] if place < len(oracle)]
        if state == len(oracle) or (places and generator.random() >= continuity):
            state = int(generator.choice(places)) if places else 0
        state += 1
        path.append(state)
    return path


def matched(oracle: Oracle, distance: np.ndarray) -> list[int]:
    """The way through an oracle, along its forward links, that stays nearest to a query: its frames in the query's
    order. Where the sequence ends it goes on after the suffix of its end.

    Source: Wang and Dubnov 2014, Guided music synthesis with Variable Markov Oracle; there greedy, here the best way
    of all, by dynamic programming.

    Args:
        distance: (m, n) of each frame of the query from each frame of the oracle.

    Returns:
        (m,) frames, counted from 1.

    Raises:
        ValueError: the distances are not of this oracle's frames.
    """
    if distance.ndim != 2 or distance.shape[1] != len(oracle) or not len(distance):
        raise ValueError(f"Distances are (query, {len(oracle)}) of at least one frame, not {distance.shape}.")
    links = [list(targets) for targets in oracle.forward]
    links[-1] = links[max(0, oracle.sfx[-1])]
    source, target = np.array([(i, j) for i, targets in enumerate(links) if i for j in targets]).reshape(-1, 2).T
    cost, came_from = distance[0].astype(float), []
    for now in distance[1:]:
        reached = cost[source - 1]
        order = np.lexsort((reached, target))
        first = np.unique(target[order], return_index=True)
        best, before = np.full(len(oracle), np.inf), np.full(len(oracle), NONE)
        best[first[0] - 1], before[first[0] - 1] = reached[order][first[1]], source[order][first[1]]
        cost = best + now
        came_from.append(before)
    path = [int(cost.argmin()) + 1]
    for before in reversed(came_from):
        path.append(int(before[path[-1] - 1]))
    return path[::-1]


def jumps(path: list[int]) -> int:
    """How often a way does not simply go on."""
    return sum(after != before + 1 for before, after in pairwise(path))
