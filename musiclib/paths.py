"""Where things are: what ships with the repository, and what can always be made again."""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    """Yields a temporary file beside `path`, or a folder, that takes its place only if the block ends without an error.

    A reader, or a run that is killed half way, sees the old file or the new one and never a torn one. What a killed
    run left beside `path` is removed by the next that writes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    beside = {"dir": path.parent, "prefix": f".{path.stem}-", "suffix": path.suffix}
    if folder:
        temporary = Path(tempfile.mkdtemp(**beside))
    else:
        handle, name = tempfile.mkstemp(**beside)
        os.close(handle)
        temporary = Path(name)
    try:
        with _locked(temporary):
            yield temporary
            temporary.chmod(0o755 if folder else 0o644)
            os.replace(temporary, path)
    finally:
        _delete(temporary)


def _remove_abandoned(path: Path) -> None:
    """Deletes the temporary files for `path` whose process has ended: a lock ends with its process."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}-{'[a-z0-9_]' * 8}{glob.escape(path.suffix)}"):
        with suppress(OSError), _locked(left) as mine:
            if mine:
                _delete(left)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Locks a file or folder inside the block, and says whether that was possible."""
    if fcntl is None:
        yield False
        return
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = True
    except OSError:  # another holds it, or has deleted it, or this file system has no locks
        mine = False
    try:
        yield mine
    finally:
        if handle is not None:
            os.close(handle)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
