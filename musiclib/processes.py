"""Several processes that train one model: who speaks, and how they agree.

`fabric run` or torchrun starts them, `training.launch` joins them. What they tell each other here goes from CPU to
CPU, so that no GPU waits for it; and they wait for each other as long as it takes.

Page: scaling of the book.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # the first may score for hours while the others wait


def is_first() -> bool:
    """Whether this process is the first, or the only one; known before they are joined."""
    return int(os.environ.get("RANK", 0)) == 0


def of_first(compute: Callable[[], T]) -> T:
    """What the first process computes, in all of them. They go on together."""
    if not distributed.is_initialized():
        return compute()
    box = [compute() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0, group=_cpus())
    return box[0]


def agreed(*signs: bool) -> list[bool]:
    """Of each sign whether any process has it."""
    if not distributed.is_initialized():
        return list(signs)
    shown = torch.tensor(signs, dtype=torch.uint8)
    distributed.all_reduce(shown, distributed.ReduceOp.MAX, group=_cpus())
    return shown.bool().tolist()


@cache
def _cpus() -> distributed.ProcessGroup:
    return distributed.new_group(backend="gloo", timeout=PATIENCE)
