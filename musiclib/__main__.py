"""python -m musiclib: the command line of the course."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator

from musiclib import progress

try:
    import torch

    from musiclib.commands import doctor, keeping, learning, music, teaching
    from musiclib.commands.options import FAULT, INTERRUPTED
except (ImportError, OSError) as error:  # an installation by halves, or torch and torchaudio of different releases
    sys.exit(
        f"error: musiclib cannot start ({error}): install it again with 'python -m pip install -e .[course]', "
        "in a new environment if that does not help."
    )

EPILOG = """\
Each command has an example in its own --help, and takes --quiet and --json.

exit codes:
  0    done
  1    the input, or the state of the machine, is at fault: one sentence on stderr
  2    the command line is wrong
  3    stopped before it was done, since the budget ran out: the same command goes on
  130  interrupted (Ctrl-C); a training run is saved first
"""


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m musiclib", description="Deep Music by Ear: the command line of the course.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = main.add_subparsers(required=True, metavar="command")
    for module in (doctor, learning, music, teaching, keeping):
        module.add(commands)
    return main


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        with _remarks(options), progress.shown(not options.quiet):
            result = options.function(options)
        _tell(json.dumps(result.data, default=str) if options.json else result.text)
        return result.code
    except KeyboardInterrupt as interrupt:
        return _failed(options, f"Interrupted: {str(interrupt) or 'nothing is left half-written'}.", INTERRUPTED)
    except (MemoryError, torch.OutOfMemoryError):
        return _failed(options, "Not enough memory: end other programs, or take a smaller preset.", FAULT)
    except (ValueError, OSError) as error:  # bad input or a machine at fault; all else is a bug and shows its traceback
        return _failed(options, _sentence(error), FAULT)


def _tell(text: str) -> None:
    """Prints the result, which nobody may be reading any more, as behind `head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end


@contextlib.contextmanager
def _remarks(options: argparse.Namespace) -> Iterator[None]:
    """Where goes what is printed before the result: to stdout, from JSON to stderr, quietly nowhere."""
    if options.quiet:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    else:
        with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
            yield


def _failed(options: argparse.Namespace, why: str, code: int) -> int:
    if options.json:
        _tell(json.dumps({"error": why}))
    else:
        print(f"error: {why}", file=sys.stderr)
    return code


def _sentence(error: ValueError | OSError) -> str:
    """What is wrong and what to do, on one line."""
    if isinstance(error, OSError) and error.strerror:  # the system's own, not one of musiclib's sentences
        where = f" {error.filename}" if error.filename else " a file"
        return f"Cannot read or write{where} ({error.strerror}): check its rights, and the free disk space."
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
