"""What the commands have in common: types of arguments, shared options, and what a command gives back."""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from musiclib import presets

DONE, FAULT, STOPPED, INTERRUPTED = 0, 1, 3, 130  # exit codes; 2 is argparse's own
MOST_SEED = 2**31


@dataclass(frozen=True)
class Result:
    """What a command has to say at its end: to a reader, to a script (`--json`), and as its exit code."""

    text: str
    data: dict[str, Any] = field(default_factory=dict)
    code: int = DONE


def command(
    commands: argparse._SubParsersAction, function: Callable[[argparse.Namespace], Result], name: str, summary: str,
    example: str,
) -> argparse.ArgumentParser:  # fmt: skip
    """A new command, with what all have: an example in its help, `--quiet` and `--json`."""
    added = commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")
    added.add_argument("--quiet", action="store_true", help="no progress and no remarks: the result, or the error")
    added.add_argument("--json", action="store_true", help='the result as one JSON object, or {"error": why}')
    added.set_defaults(function=function)
    return added


def add_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset", choices=list(presets.PRESETS), help="unset: MUSICLIB_PRESET, else what the machine can do"
    )


def preset(options: argparse.Namespace) -> presets.Preset:
    """The preset asked for, or the one in force."""
    return presets.preset(options.preset) if options.preset else presets.current_preset()


def add_seed(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--seed", type=whole(0, MOST_SEED), default=0, metavar="N", help=f"{meaning}; unset: 0")


def add_budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget", type=seconds, default=float("inf"), metavar="TIME", help="stop, saved, after so long, such as 9m"
    )


def seconds(text: str) -> float:
    """90, 90s, 9m or 2h → seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 9m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def number(least: float, most: float) -> Callable[[str], float]:
    """Decimal numbers from least to most."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"-?\d{1,4}(\.\d{1,6})?", text) or not least <= float(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
        return float(text)

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers from least to most."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,10}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse
