"""Thousands of files into one corpus: in parallel, restartable, with a report on every file.

Files are read in shards of 500, each stored when it is done, so a run that is killed goes on where it was and ends
with the same bytes. A file that ends the process that reads it, as damage can in a parser written in C++, costs that
file alone: it is read again in a process of its own, and if that ends too it is reported.

Notebook: 05 scores to piano rolls.
"""

import csv
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed, parallel_config

from musiclib.paths import atomic
from musiclib.pieces import Corpus, Piece, join_corpora, save_corpus
from musiclib.progress import progress_bar
from musiclib.sources import ENDINGS, MAESTRO_STEP_S, Found, Reading, Unusable, find, read_piece

SHARD = 500
LONGEST_READ_S = 300
LONGEST_WAIT_S = 300  # for the first worker of a cluster
VERDICTS = ("used", "empty", "corrupt", "skipped")
COLUMNS = ("file", "verdict", "cause", "notes")


class IngestionError(ValueError):
    """Ingestion cannot go on: the message names the folder or file, the cause and the remedy."""


@dataclass(frozen=True)
class Report:
    """What became of each file.

    Attributes:
        path: a CSV file with the columns file, verdict, cause and notes.
        corpus: the file of what is used.
        counts: files of each verdict. notes: of all used files together.
    """

    path: Path
    corpus: Path
    counts: dict[str, int]
    notes: int

    def rows(self, verdict: str | None = None) -> list[dict[str, str]]:
        """The report's rows, or those of one verdict."""
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if verdict in (None, row["verdict"])]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts[verdict]} {verdict}" for verdict in VERDICTS)
        size = self.corpus.stat().st_size
        return (
            f"{sum(self.counts.values())} files: {counts}. {self.notes} notes in {self.corpus}, {size / 1e6:.1f} MB. "
            f"File by file: {self.path}"
        )


@dataclass(frozen=True)
class Shard:
    """Some files to read, and where their pieces and rows of the report go."""

    path: Path
    folder: Path
    files: tuple[Found, ...]
    reading: Reading


def ingest(
    source: Path | str, output: Path | str, *, kind: str = "midi", steps_per_quarter: int = 4,
    step_s: float | None = None, monophonic: bool = False, jobs: int = -1, cluster=None,
) -> Report:  # fmt: skip
    """All files of one kind below a folder into a corpus, and beside it a report, its name ending in .csv.

    Args:
        kind: "midi" (Lakh's folders or your own), "maestro", "lpd" or "musicxml".
        step_s: seconds per step, for performances that follow no beat; unset, 0.032 for MAESTRO and else none.
        monophonic: keep the skyline, the highest note of each step.
        jobs: processes; -1 for one per core. With 1 a file that ends the process ends the run; start it again.
        cluster: address or client of a Dask cluster that sees the same files; `jobs` then counts for nothing.

    Raises:
        IngestionError: there is no such folder or kind, no file in it, or another process writes the same corpus.
    """
    source, output = Path(source), Path(output)
    if kind not in ENDINGS:
        raise IngestionError(f"{kind!r} is no kind of source: choose of {', '.join(ENDINGS)}.")
    if not 1 <= steps_per_quarter <= 96 or not (step_s is None or 0 <= step_s < 60):
        raise IngestionError("A grid has 1 to 96 steps per quarter, or steps of less than a minute.")
    if output.suffix == ".csv":
        raise IngestionError(f"{output} is where the report goes: name the corpus otherwise, such as music.corpus.")
    if not source.is_dir():
        raise IngestionError(f"There is no folder {source}: check its name, or unpack the archive first.")
    if step_s is None:
        step_s = MAESTRO_STEP_S if kind == "maestro" else 0.0
    files = find(source.resolve(), kind)
    if not any(file.path.lower().endswith(ENDINGS[kind]) for file in files):
        raise IngestionError(f"{source} holds no file that ends in {' or '.join(ENDINGS[kind])}: choose another kind.")
    reading = Reading(kind, steps_per_quarter, step_s, monophonic)
    with _work_folder(output) as work:
        shards = [
            _shard(work, source.resolve(), tuple(files[at : at + SHARD]), reading) for at in range(0, len(files), SHARD)
        ]
        _fill_all(shards, jobs, cluster)
        return _joined(shards, output, f"{kind} files of {source.resolve().name}")


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """Where shards wait for the others, for one process at a time; gone when all are joined."""
    from filelock import FileLock, Timeout

    work = output.resolve().with_name(output.name + ".parts")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / "lock", timeout=0):
            yield work
            shutil.rmtree(work)
    except Timeout as error:
        raise IngestionError(f"Another process writes {output}: wait for it, or name another output.") from error


def _shard(work: Path, folder: Path, files: tuple[Found, ...], reading: Reading) -> Shard:
    """Its name changes with the files and with how they are read, so what is stored is never out of date."""
    digest = hashlib.sha256(repr((folder, files, reading)).encode(errors="surrogateescape")).hexdigest()
    return Shard(work / f"{digest[:32]}.safetensors", folder, files, reading)


def _fill_all(shards: list[Shard], jobs: int, cluster) -> None:
    """Until every shard is stored; when a worker dies the others' work is kept and the rest starts again."""
    before = None
    while missing := [shard for shard in shards if not shard.path.exists()]:
        progress = progress_bar(
            total=len(shards), initial=len(shards) - len(missing), unit="shard", disable=len(shards) == 1
        )
        try:
            with _backend(cluster), progress:
                for _ in Parallel(n_jobs=jobs, return_as="generator")(map(delayed(fill), missing)):
                    progress.update()
        except Exception as error:
            if not isinstance(error, BrokenExecutor) and type(error).__name__ != "KilledWorker":
                raise
            # Each death leaves one more suspect; without one it is not a file that kills.
            if (state := [(shard.path.exists(), _suspects(shard)) for shard in shards]) == before:
                raise IngestionError("Workers die before they read a file: try fewer jobs, or free memory.") from error
            before = state


@contextmanager
def _backend(cluster) -> Iterator[None]:
    """Where shards are read: here, or by a cluster."""
    if cluster is None:
        yield
        return
    from distributed import Client  # not above: only a cluster needs it

    with Client(cluster) if isinstance(cluster, str) else nullcontext(cluster) as client:
        try:
            client.wait_for_workers(1, timeout=LONGEST_WAIT_S)
        except TimeoutError as error:
            raise IngestionError(f"The Dask cluster has had no worker for {LONGEST_WAIT_S} s: start some.") from error
        with parallel_config(backend="dask", client=client):
            yield


def fill(shard: Shard) -> None:
    """Reads a shard's files and stores it, what is used as a corpus, the report on all as its description."""
    if shard.path.exists():
        return
    suspects, now = _suspects(shard), shard.path.with_suffix(".reading")
    shard.path.with_suffix(".suspects").write_text(json.dumps(suspects))
    pieces, rows = [], []
    with now.open("w") as begun:  # opened once: some file systems take a millisecond to open a file for rewriting
        for file in shard.files:
            if file.name in suspects:
                outcome = _read_alone(shard.folder, file, shard.reading)
            else:
                print(json.dumps(file.name), file=begun, flush=True)
                outcome = _outcome(shard.folder, file, shard.reading)
            if isinstance(outcome, Piece):
                pieces.append(outcome)
                rows.append((file.name, "used", "", len(outcome.notes)))
            else:
                rows.append((file.name, *outcome, 0))
    save_corpus(shard.path, pieces, json.dumps(rows))
    now.unlink(missing_ok=True)


def _suspects(shard: Shard) -> list[str]:
    """The files that were being read when an earlier process ended: one of them may have ended it."""
    names = []
    for ending in (".suspects", ".reading"):
        try:
            read = json.loads(shard.path.with_suffix(ending).read_text().splitlines()[-1])
        except (FileNotFoundError, IndexError, json.JSONDecodeError):  # killed while it was written
            continue
        names += read if isinstance(read, list) else [read]
    return sorted(set(names))


def _outcome(folder: Path, file: Found, reading: Reading) -> Piece | tuple[str, str]:
    """The piece, or verdict and cause."""
    try:
        return read_piece(folder, file, reading)
    except Unusable as error:
        return error.verdict, str(error)


def _read_alone(folder: Path, file: Found, reading: Reading) -> Piece | tuple[str, str]:
    """`_outcome` in a process of its own, which may end as it will."""
    code = "import pickle, sys; from musiclib import ingestion; ingestion.answer(sys.stdin.buffer, sys.stdout.buffer)"
    question = pickle.dumps((folder, file, reading))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], input=question, capture_output=True, timeout=LONGEST_READ_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "corrupt", f"reading it takes more than {LONGEST_READ_S} s"
    if done.returncode:
        return "corrupt", f"reading it ends the process (code {done.returncode})"
    return pickle.loads(done.stdout)


def answer(question, reply) -> None:
    """Reads one file for `_read_alone`."""
    pickle.dump(_outcome(*pickle.load(question)), reply)


def _joined(shards: list[Shard], output: Path, about: str) -> Report:
    parts = [Corpus(shard.path) for shard in shards]
    counts, notes = Counter(dict.fromkeys(VERDICTS, 0)), 0
    path = output.with_suffix(".csv")
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for part in parts:
            rows = json.loads(part.about)
            table.writerows(rows)
            counts.update(verdict for _, verdict, _, _ in rows)
            notes += sum(row[-1] for row in rows)
    join_corpora(output, parts, about)
    return Report(path, output, dict(counts), notes)
