"""classroom, votes: the course in a class, and what a class heard in the listening test."""

import argparse
from pathlib import Path

from musiclib import votes
from musiclib.commands.options import Result, command
from musiclib.paths import atomic, check_writable


def lay_out(options: argparse.Namespace) -> Result:
    try:
        from musiclib import classroom  # not above: only this command needs Jupyter
    except ImportError as error:
        raise ValueError(
            f"A class needs {error.name}, which is not installed: 'python -m pip install -e .[course,grading]'."
        ) from error
    assignments = classroom.lay_out(options.folder, options.only)
    some = "1 assignment" if len(assignments) == 1 else f"{len(assignments)} assignments"
    text = f"{some} in {options.folder}. There: nbgrader generate_assignment {assignments[0]}"
    return Result(text, {"folder": options.folder, "assignments": assignments})


def merge_votes(options: argparse.Namespace) -> Result:
    written = {kind: options.output / f"votes.{kind}" for kind in ("csv", "png")} if options.output else {}
    for path in written.values():
        check_writable(path)
    cast = votes.read_votes(options.folder)
    tallies = votes.summary(cast, per_listener=options.listeners)
    p_value = votes.against_baseline(cast)
    if written:
        votes.write_votes(written["csv"], cast)
        with atomic(written["png"]) as temporary:
            votes.figure(tallies).savefig(temporary, dpi=150, bbox_inches="tight")
    listeners = len({vote.listener for vote in cast})
    lines = [f"{len(cast)} votes of {listeners} listeners", "", votes.table(tallies), ""]
    lines.append(f"model against chain, Fisher's exact test: p = {p_value:.3f}")
    lines += [f"Written: {', '.join(map(str, written.values()))}"] if written else []
    rows = [
        {"pairs": x.name, "human": x.human, "machine": x.machine, "cannot_tell": x.cannot_tell, "interval": x.interval}
        for x in tallies
    ]
    return Result("\n".join(lines), {"listeners": listeners, "votes": rows, "p_value": p_value, **written})


def add(commands: argparse._SubParsersAction) -> None:
    room = command(commands, lay_out, "classroom",
                   "Lay out a course for nbgrader: exercises to release, collect and grade in bulk.",
                   "python -m musiclib classroom my-class --only 00 06")  # fmt: skip
    room.add_argument("folder", type=Path, help="a new one")
    room.add_argument("--only", nargs="+", default=(), metavar="NN", help="only chapters whose names begin so")

    merge = command(commands, merge_votes, "votes",
                    "Merge the votes of a listening test: all CSV files in a folder and the folders in it.",
                    "python -m musiclib votes collected --output result")  # fmt: skip
    merge.add_argument("folder", type=Path)
    merge.add_argument("--listeners", action="store_true", help="a row for each listener")
    merge.add_argument("--output", type=Path, metavar="FOLDER", help="for all votes in one CSV file, and the figure")
