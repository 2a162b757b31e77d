"""A Markov chain over melodies: what can be had by counting, for a listening test to compare with.

The chain draws one melody token per step, as MusicVAE does, so that their likelihoods compare. Of the past it knows

    the step within the bar,  how long the newest event has lasted,  the last `order` events

where an event is a note-on or a note-off. A plain chain over tokens would look back on holds, which fill half of all
steps, and forget the note. Pitches are absolute, not intervals: that keeps a tune in its key. Nothing of it knows
what happened a bar ago.

Contexts of fewer events stand in for what was never or seldom seen:

    p_j(x | c) = (n(c, x) + s · kinds(c) · p_{j-1}(x | c')) / (n(c) + s · kinds(c)),  p_{-1}(x) = n(x) / n

with n the counts, kinds(c) how many different tokens followed c, c' the context without its oldest event, and s the
smoothing: 1 is Witten and Bell's; 0 gives relative frequencies, backed off only where c was never seen. Windows want
more than 1: a bar is counted in up to 16 of them, and a tune repeats itself, so counts promise more than they know.
A millionth of p_{-1} goes to all 130 tokens alike, so that no tune is impossible and no sample leaves the fiddle.

Source: Witten and Bell 1991, The zero-frequency problem, method C; Chen and Goodman 1999, section 2.6.
Notebook: 07 MusicVAE evaluation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from musiclib.musicvae.data import BAR_STEPS, HOLD, TOKENS

START = TOKENS  # the event before the first one
EVENTS = TOKENS + 1
LONGEST = 16  # steps that an event's age is counted up to
# On validation tunes 0.03 nats per step from the best, order 6; but longer memories quote: 17 % of the bars it draws
# stand in the training tunes, 55 % of order 4's, and 11 % of held-out tunes' own.
ORDER, SMOOTHING = 2, 64.0
UNHEARD = 1e-6  # of p_{-1}, for tokens that never were
MOST_ORDER = 6  # what a 64 bit key has room for
PLACES = BAR_STEPS * (LONGEST + 1)  # contexts of no event: step within the bar and age


@dataclass(frozen=True)
class Counts:
    """What followed the contexts of one order. Keys are sorted, for look-ups.

    Attributes:
        pairs, times: (M,) a context and the token after it, as one key, and how often that was.
        contexts, totals, kinds: (C,) each context, how often it was, how many different tokens followed.
    """

    pairs: np.ndarray
    times: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray


@dataclass(frozen=True)
class MarkovChain:
    """A chain as `fit` makes it.

    Attributes:
        counts: of the orders 0, 1, … up to the chain's own. anywhere: (130,) p_{-1}. smoothing: see above.
    """

    counts: tuple[Counts, ...]
    anywhere: np.ndarray
    smoothing: float

    @property
    def order(self) -> int:
        return len(self.counts) - 1

    def sample(self, number: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """Melodies drawn from the chain, each from a bar line on.

        Returns:
            (number, steps) uint8, tokens.
        """
        drawn, past = np.empty((number, steps), np.int64), _Past(number, self.order)
        everything = np.broadcast_to(np.arange(TOKENS), (number, TOKENS))
        for t in range(steps):
            p = self._probability(past.context(t), everything)
            drawn[:, t] = torch.multinomial(torch.from_numpy(p), 1, generator=generator)[:, 0].numpy()
            past.add(drawn[:, t])
        return torch.from_numpy(drawn.astype(np.uint8))

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """log p of melodies.

        Args:
            tokens: (N, T) that begin at a bar line.

        Returns:
            (N,) float64, nats; −inf for what the chain cannot do, which only one without smoothing knows.
        """
        total = np.zeros(len(tokens))
        for context, token in _walk(tokens, self.order):
            with np.errstate(divide="ignore"):
                total += np.log(self._probability(context, token[:, None])[:, 0])
        return torch.from_numpy(total)

    def _probability(self, context: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """(N, M): p of tokens (N, M), each after the context (N,) of its row."""
        p = self.anywhere[tokens]
        for order, counts in enumerate(self.counts):
            shorter = context % _contexts(order)
            total, kinds = (_look_up(counts.contexts, x, shorter)[:, None] for x in (counts.totals, counts.kinds))
            times = _look_up(counts.pairs, counts.times, shorter[:, None] * TOKENS + tokens)
            p = np.where(
                total > 0, (times + self.smoothing * kinds * p) / np.maximum(total + self.smoothing * kinds, 1), p
            )
        return p


def fit(tokens: Tensor, order: int = ORDER, smoothing: float = SMOOTHING) -> MarkovChain:
    """A chain that has counted melodies.

    Args:
        tokens: (N, T) melody tokens; every row begins at a bar line. order: events looked back on, 0 to 6.
        smoothing: s, at least 0.

    Raises:
        ValueError: there is nothing to count, or the order or the smoothing is out of range.
    """
    if tokens.dim() != 2 or not tokens.numel() or int(tokens.max()) >= TOKENS:
        raise ValueError(
            f"A Markov chain counts melody tokens (N, T) from 0 to {TOKENS - 1}, not {tuple(tokens.shape)}."
        )
    if not 0 <= order <= MOST_ORDER or smoothing < 0:
        raise ValueError(f"A Markov chain has an order of 0 to {MOST_ORDER} and no negative smoothing.")
    keys = np.concatenate([context * TOKENS + token for context, token in _walk(tokens, order)])
    pairs, times = np.unique(keys, return_counts=True)
    counts = []
    for shorter in range(order, -1, -1):
        pairs, times = _summed(pairs % (_contexts(shorter) * TOKENS), times)
        contexts, totals = _summed(pairs // TOKENS, times)
        counts.append(Counts(pairs, times, contexts, totals, np.unique(pairs // TOKENS, return_counts=True)[1]))
    share = np.bincount(tokens.flatten().cpu().numpy(), minlength=TOKENS) / tokens.numel()
    return MarkovChain(tuple(reversed(counts)), (1 - UNHEARD) * share + UNHEARD / TOKENS, smoothing)


class _Past:
    """What the chain knows of the past of many melodies at once."""

    def __init__(self, number: int, order: int):
        self.events = np.full((number, order), START, np.int64)  # the newest first
        self.age = np.ones(number, np.int64)

    def context(self, t: int) -> np.ndarray:
        """(N,) the context before step t as one number; its remainder by `_contexts(j)` is that of order j."""
        key = np.zeros(len(self.age), np.int64)
        for event in self.events.T[::-1]:
            key = key * EVENTS + event
        return (key * (LONGEST + 1) + self.age) * BAR_STEPS + t % BAR_STEPS

    def add(self, token: np.ndarray) -> None:
        """One more step, (N,)."""
        struck = token != HOLD
        moved = np.concatenate([token[:, None], self.events], axis=1)[:, : self.events.shape[1]]
        self.events = np.where(struck[:, None], moved, self.events)
        self.age = np.where(struck, 1, np.minimum(self.age + 1, LONGEST))


def _walk(tokens: Tensor, order: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The context and the token (N,) of each step of melodies (N, T)."""
    steps = np.ascontiguousarray(tokens.cpu().numpy().T).astype(np.int64)
    past = _Past(len(tokens), order)
    for t, token in enumerate(steps):
        yield past.context(t), token
        past.add(token)


def _contexts(order: int) -> int:
    """How many contexts there could be."""
    return PLACES * EVENTS**order


def _summed(keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different keys in order, and the sum of the times of each."""
    different, place = np.unique(keys, return_inverse=True)
    return different, np.bincount(place, times).astype(np.int64)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values of wanted keys, 0 where there is none."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
