"""Progress bars, on stderr, and one switch for all of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm.auto import tqdm

_shown: ContextVar[bool | None] = ContextVar("shown", default=None)  # None: nobody has said


def progress_bar(*arguments: Any, disable: bool = False, **options: Any) -> tqdm:
    """A tqdm bar, written at most once a second."""
    return tqdm(*arguments, disable=disable or _shown.get() is False, mininterval=1.0, **options)


def scored(parts: Iterable) -> Iterable:
    """Parts of a data set that are scored one after the other, with a bar on the command line only: it goes when all
    are through, and a notebook would keep it."""
    return tqdm(parts, desc="scoring", leave=False, disable=not _shown.get(), mininterval=1.0)


@contextmanager
def shown(wanted: bool) -> Iterator[None]:
    """Whether bars are drawn inside the block."""
    before = _shown.set(wanted)
    try:
        yield
    finally:
        _shown.reset(before)
