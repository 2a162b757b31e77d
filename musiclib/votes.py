"""The votes of a listening test: one CSV file per listener, and what they say together.

Two sounds, one of them a human's; which? A vote is "A", "B" or "cannot tell". The share is that of votes for the
machine among those that decide: 0 if it is always found out, 1/2 if nobody hears a difference. "Cannot tell" is
counted beside it and enters neither share, interval nor test. The interval is Clopper and Pearson's, 95 %, two-sided;
the test is the exact binomial one against 1/2. Both take votes as independent, which several votes of one listener or
about one excerpt are not quite: with few listeners look at each of them too.

Source: Clopper and Pearson 1934; targets of Do, Maffa and Yamamoto: 20 % of votes for the machine, at best 50 %.
Notebook: 07 MusicVAE evaluation.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from matplotlib.figure import Figure
from scipy import stats

from musiclib import plots
from musiclib.paths import atomic

HUMAN, MODEL, MARKOV = "human", "model", "markov"
MACHINES = (MODEL, MARKOV)
A, B, CANNOT_TELL = VOTES = ("A", "B", "cannot tell")
COLUMNS = ("listener", "trial", "kind", "a", "b", "vote", "seconds", "time", "seed", "stimuli")
TARGETS = {"target": 0.2, "stretch": 0.5}
FOLDER = Path("votes")  # beside the notebook
SIMULATED = "simulated: "  # what the name of a listener who is none begins with


class VotesError(ValueError):
    """Votes cannot be used: the message names the file, and says why and what helps."""


@dataclass(frozen=True)
class Vote:
    """One vote, as in one line of a file.

    Attributes:
        listener: a name. trial: the pair's. a, b: what A and B were, "human" and "model" or "markov".
        vote: "A", "B" or "cannot tell". seconds: from seeing the pair to the vote. time: of the vote, with its zone.
        seed: of order and sides. stimuli: the version of all sounds of the test.

    Raises:
        ValueError: it is no such vote.
    """

    listener: str
    trial: str
    a: str
    b: str
    vote: str
    seconds: float
    time: datetime
    seed: str
    stimuli: str

    def __post_init__(self):
        if self.vote not in VOTES:
            raise ValueError(f"a vote is one of {', '.join(VOTES)}, not {self.vote!r}")
        if sorted([self.a, self.b]) not in [sorted([HUMAN, machine]) for machine in MACHINES]:
            raise ValueError(f"a pair is {HUMAN} and one of {', '.join(MACHINES)}, not {self.a!r} and {self.b!r}")
        if not (self.listener and self.trial and self.stimuli):
            raise ValueError("listener, trial or stimuli is empty")
        if not (math.isfinite(self.seconds) and self.seconds >= 0 and self.time.tzinfo):
            raise ValueError("seconds or time is not one")

    @property
    def kind(self) -> str:
        """Of the pair: "human/model" or "human/markov"."""
        return kind_of(self.a, self.b)

    @property
    def taken_for_human(self) -> str | None:
        """The source that was voted for; None for "cannot tell"."""
        return {A: self.a, B: self.b}.get(self.vote)


def kind_of(a: str, b: str) -> str:
    """What a pair of sources is called, on whichever side the human stands."""
    return f"{HUMAN}/{b if a == HUMAN else a}"


# ------------------------------------------------------------------------------------------------------- files


def votes_path(listener: str, folder: Path | str = FOLDER) -> Path:
    """The file of one listener: a name safe on every system, and another for every listener."""
    safe = re.sub(r"[^a-z0-9]+", "-", listener.lower())[:40].strip("-")
    other = "" if safe == listener else f"-{hashlib.sha256(listener.encode()).hexdigest()[:8]}"
    return Path(folder) / f"votes-{safe}{other}.csv"


def append_vote(path: Path, vote: Vote) -> None:
    """Adds one line to a file, or makes it. The file is whole at any moment, with the vote or without.

    Raises:
        ValueError: nobody cast the vote, it was simulated.
    """
    if vote.listener.startswith(SIMULATED):
        raise ValueError(f"{vote.listener!r} is no listener: simulated votes are not written among real ones.")
    path = Path(path)
    lines = path.read_bytes().decode("utf-8") if path.exists() else _line(COLUMNS)
    if not lines.endswith("\n"):
        lines += "\n"  # as some editors leave a file
    with atomic(path) as temporary:
        temporary.write_text(lines + _row(vote), encoding="utf-8", newline="")


def write_votes(path: Path, votes: Iterable[Vote]) -> None:
    """Writes a file anew, with the votes of any number of listeners; `read_votes` reads it like one of theirs."""
    with atomic(path) as temporary:
        temporary.write_text(_line(COLUMNS) + "".join(map(_row, votes)), encoding="utf-8", newline="")


def _row(vote: Vote) -> str:
    values = {column: getattr(vote, column) for column in COLUMNS}
    return _line((values | {"time": vote.time.isoformat(), "seconds": f"{vote.seconds:.1f}"}).values())


def _line(values: Iterable) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def read_votes(source: Path | str | Iterable[Path | str]) -> list[Vote]:
    """The votes of many files, in order of time. Of several by one listener about one pair the last counts.

    A name is one listener. A file that was copied, or handed in again with more votes, counts once. Two files of one
    name that tell of different votes about one pair may be two people's, or one's who began anew: that is asked.

    Args:
        source: a folder, of which all CSV files are read, also those in folders in it; or a file; or files.

    Raises:
        VotesError: there are none, a line is damaged, two files are about different sounds, or two files of one name
            contradict each other.
    """
    files = {path: list(_read(path)) for path in _files(source)}
    _refuse_namesakes(files)
    latest: dict[tuple[str, str], Vote] = {}
    first: tuple[Path, str] | None = None
    found = [(path, vote) for path, votes in files.items() for vote in votes]
    for path, vote in sorted(found, key=lambda pair: pair[1].time):
        first = first or (path, vote.stimuli)
        if vote.stimuli != first[1]:
            raise VotesError(
                f"{path} has votes about other sounds ({vote.stimuli}) than {first[0]} ({first[1]}): "
                "such votes do not add up, so keep each version's files in a folder of their own."
            )
        latest.pop((vote.listener, vote.trial), None)
        latest[vote.listener, vote.trial] = vote
    return list(latest.values())


def _refuse_namesakes(files: dict[Path, list[Vote]]) -> None:
    by_listener: dict[str, list[tuple[Path, set[Vote]]]] = {}
    for path, votes in files.items():
        for listener in {vote.listener for vote in votes}:
            own = {vote for vote in votes if vote.listener == listener}
            for other, theirs in by_listener.setdefault(listener, []):
                both = {vote.trial for vote in own} & {vote.trial for vote in theirs}
                if both and not (own <= theirs or theirs <= own):
                    raise VotesError(
                        f"{other} and {path} are both by {listener!r} and differ about {min(both)}: if these are two "
                        "people, give one another name in the file; if it is one, keep the file that counts."
                    )
            by_listener[listener].append((path, own))


def _files(source: Path | str | Iterable[Path | str]) -> list[Path]:
    if not isinstance(source, Path | str):
        return [Path(path) for path in source]
    if not Path(source).is_dir():
        return [Path(source)]
    found = (path for path in Path(source).rglob("*.csv") if path.is_file())
    files = sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(source).parts))
    if not files:
        raise VotesError(f"The folder {source} has no CSV file: collect the listeners' files in it.")
    return files


def _read(path: Path) -> Iterator[Vote]:
    try:
        text = path.read_bytes().decode("utf-8-sig")  # a spreadsheet writes a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        raise VotesError(f"{path} cannot be read as votes ({error}): check its name, or save it as UTF-8.") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if tuple(next(rows, ())) != COLUMNS:
            raise ValueError(f"the first line is not {','.join(COLUMNS)}")
        for row in rows:
            if row:
                yield _vote(row)
    except (csv.Error, ValueError) as error:
        raise VotesError(f"{path}, line {max(rows.line_num, 1)} is no vote ({error}): correct or delete it.") from error


def _vote(row: list[str]) -> Vote:
    if len(row) != len(COLUMNS):
        raise ValueError(f"it has {len(row)} columns of {len(COLUMNS)}")
    values: dict = dict(zip(COLUMNS, row, strict=True))
    kind = values.pop("kind")
    values |= {"seconds": float(values["seconds"]), "time": datetime.fromisoformat(values["time"])}
    vote = Vote(**values)
    if vote.kind != kind:
        raise ValueError(f"the kind is {kind!r} and the pair {vote.kind!r}")
    return vote


# --------------------------------------------------------------------------------------------------- statistics


@dataclass(frozen=True)
class Tally:
    """The votes about one kind of pair, of all listeners or of one.

    Attributes:
        name: what was counted. human, machine, cannot_tell: numbers of votes.
    """

    name: str
    human: int
    machine: int
    cannot_tell: int

    @property
    def share(self) -> float:
        """Of votes for the machine among those that decide; not a number if there are none."""
        return self.machine / (self.human + self.machine) if self.human + self.machine else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """See the function `interval`."""
        return interval(self.machine, self.human + self.machine)

    @property
    def p_value(self) -> float:
        """Of the two-sided exact binomial test against 1/2: how often guesses would be at least as far from it."""
        decided = self.human + self.machine
        return float(stats.binomtest(self.machine, decided, 0.5).pvalue) if decided else 1.0

    def in_words(self) -> str:
        """One line, for those who see no table."""
        if not self.human + self.machine:
            return f"{self.name}: no vote decides, {self.cannot_tell} cannot tell."
        return (
            f"{self.name}: {self.machine} of {self.human + self.machine} votes for the machine, {self.share:.0%} "
            f"(95 % interval {_range(self.interval)}); {self.cannot_tell} cannot tell."
        )


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.0%} to {interval[1]:.0%}"


def interval(machine: int, decided: int) -> tuple[float, float]:
    """The two-sided 95 % Clopper-Pearson interval of a share; of no votes at all, from 0 to 1.

    Args:
        machine: votes for the machine. decided: all votes but "cannot tell".
    """
    if not decided:
        return 0.0, 1.0
    low, high = stats.binomtest(machine, decided).proportion_ci(0.95, method="exact")
    return float(low), float(high)


def summary(votes: Sequence[Vote], per_listener: bool = False) -> list[Tally]:
    """What votes say of each kind of pair, the model first.

    Args:
        per_listener: a row for every listener and kind, instead of one for every kind.

    Raises:
        ValueError: real votes and simulated ones are mixed.
    """
    if len({vote.listener.startswith(SIMULATED) for vote in votes}) > 1:
        raise ValueError("Some of these votes are simulated and some are not: count them apart.")
    tallies = []
    for listener in sorted({vote.listener for vote in votes}) if per_listener else [None]:
        for kind in (kind_of(HUMAN, machine) for machine in MACHINES):
            own = [vote for vote in votes if vote.kind == kind and listener in (None, vote.listener)]
            if own:
                tallies.append(_tally(_name(own, kind, listener), own))
    return tallies


def _name(votes: Sequence[Vote], kind: str, listener: str | None) -> str:
    if listener is not None:
        return f"{listener}, {kind}"
    return f"{kind} (simulated)" if votes[0].listener.startswith(SIMULATED) else kind


def _tally(name: str, votes: Sequence[Vote]) -> Tally:
    taken = [vote.taken_for_human for vote in votes]
    human, cannot_tell = taken.count(HUMAN), taken.count(None)
    return Tally(name, human, len(taken) - human - cannot_tell, cannot_tell)


def against_baseline(votes: Sequence[Vote]) -> float:
    """p of Fisher's exact test, two-sided, that the model is taken for human as often as the Markov chain."""
    rows = []
    for machine in MACHINES:
        taken = [vote.taken_for_human for vote in votes if vote.kind == kind_of(HUMAN, machine)]
        rows.append([taken.count(machine), taken.count(HUMAN)])
    return float(stats.fisher_exact(rows).pvalue)


def table(tallies: Iterable[Tally]) -> str:
    """Tallies as a Markdown table."""
    lines = [
        "| pairs | human | machine | cannot tell | share for the machine | 95 % interval | p against 1/2 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for x in tallies:
        share = "–" if math.isnan(x.share) else f"{x.share:.0%}"
        cells = (x.name.replace("|", "\\|"), x.human, x.machine, x.cannot_tell, share)
        lines.append(f"| {' | '.join(map(str, cells))} | {_range(x.interval)} | {x.p_value:.3f} |")
    return "\n".join(lines)


def figure(tallies: Sequence[Tally]) -> Figure:
    """The shares with their intervals, and the source's targets as lines."""
    points = {x.name: (x.share, *x.interval) for x in tallies}
    return plots.shares(points, TARGETS, "share of votes for the machine, 95 % interval")
