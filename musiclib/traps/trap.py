"""What a trap is, and what was measured of it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One number, as the published code has it and as ours has it.

    Attributes:
        what: the number in words, with its unit. published: None where that code was not built here.
        interval: half-width of the difference's 95 % interval, if there is one.
    """

    what: str
    published: float | None
    ours: float
    interval: float | None = None


@dataclass(frozen=True)
class Trap:
    """A departure of published code from its paper, or from sense.

    Attributes:
        published, ours: what each does, in words. measure: the number, None where a run that it needs is missing.
        from_ledger: `measure` only reads other runs of the ledger.
        notebook: the number of the one that shows it.
    """

    name: str
    published: str
    ours: str
    notebook: str
    measure: Callable[[], Measured | None]
    from_ledger: bool = False
    table: str = "traps"
    sizes: tuple[str, ...] = ("small",)
    ships: bool = False

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"trap-{self.name}"

    def needs(self, size: str) -> None:
        """What it asks has shipped."""
