"""Where things are: what ships with the repository, and what can always be made again."""

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
