"""Where things are: what ships with the repository, and what can always be made again."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CHECKPOINTS = DATA / "checkpoints"
RESULTS = DATA / "results"
CACHE = DATA / "cache"
RUNS = CACHE / "runs"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary file beside `path` that takes its place only if the block ends without an error.

    A reader, or a run that is killed half way, sees the old file or the new one and never a torn one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
