"""How long, and how many floating point operations: the ruler of the benchmarks."""

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wait() -> None:
    """Until the device has done what it was told."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def times_s(action: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each call, the fastest first."""
    times = []
    for _ in range(repeats):
        wait()
        started = time.perf_counter()
        action()
        wait()
        times.append(time.perf_counter() - started)
    return sorted(times)


def median_s(action: Callable[[], object], repeats: int, warm_up: int = 1) -> float:
    """Seconds of the median call."""
    for _ in range(warm_up):
        action()
    return times_s(action, repeats)[repeats // 2]


class OneModule:
    """Stands in for the counter's record of which module runs, which fails where gradients are switched off half way
    (implicit differentiation does that). Only the total is wanted here."""

    parents = ("Global",)

    def __enter__(self) -> None: ...
    def __exit__(self, *_) -> None: ...


def counted_flop(action: Callable[[], object]) -> int:
    """Floating point operations of one call."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = OneModule()
    with counter:
        action()
    return counter.get_total_flops()
