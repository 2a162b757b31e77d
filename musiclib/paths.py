"""Where things are: what ships with the repository, and what can always be made again."""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CHECKPOINTS = DATA / "checkpoints"
RESULTS = DATA / "results"
CACHE = DATA / "cache"
RUNS = CACHE / "runs"


@contextmanager
def atomic(path: Path, folder: bool = False) -> Iterator[Path]:
    """Yields a temporary file, or folder, that takes the place of `path` only if the block ends without an error.

    A reader, or a run that is killed half way, sees the old file or the new one and never a torn one.
    """
    path = Path(path)
    with hidden_folder(path) as hidden:
        temporary = hidden / path.name
        temporary.mkdir() if folder else temporary.touch()
        yield temporary
        temporary.chmod(0o755 if folder else 0o644)
        os.replace(temporary, path)


@contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """Yields a new hidden folder beside `path`, for what will take its place; it goes with the block. What a killed run
    left is removed by the next that writes `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    hidden, lock = _locked_folder(path)
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """A new folder beside `path`, locked; one that another process took for abandoned before it was locked is given
    up."""
    while True:
        hidden = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        lock = _lock(hidden, wait=True)
        if hidden.exists():
            return hidden, lock
        if lock is not None:
            os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """Deletes the hidden folders of `path` whose process has ended: a lock ends with its process."""
    for left in path.parent.glob(f".{glob.escape(path.name)}-{'[a-z0-9_]' * 8}"):
        lock = _lock(left, wait=False)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """Locks a folder until the handle is closed; None where another holds it, it is gone, or there are no locks."""
    if fcntl is None:
        return None
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return handle
    except OSError:
        if handle is not None:
            os.close(handle)
        return None


def check_writable(path: Path) -> None:
    """Whether a file can be written there, told before any work is done; nothing is made.

    Raises:
        ValueError: it is a folder, lies in what is no folder, or the rights are missing.
    """
    try:
        above = next(folder for folder in Path(path).absolute().parents if folder.exists())
        if path.is_dir():
            cause = errno.EISDIR
        elif not above.is_dir():
            cause = errno.ENOTDIR
        else:
            cause = 0 if os.access(above, os.W_OK | os.X_OK) else errno.EACCES
    except OSError as error:  # a folder that may not be looked into, or a name that is too long
        cause = error.errno
    if cause:
        raise ValueError(f"Cannot write {path} ({os.strerror(cause)}): choose another place for the result.")
