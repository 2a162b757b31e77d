"""Files that are replaced whole or not at all."""

import signal
import subprocess
import sys

import pytest

from musiclib.paths import atomic


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    for text in ("old", "new"):
        with atomic(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_old_file_stands_until_the_block_ends(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("half of the n")
        assert path.read_text() == "old"


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), atomic(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "file.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    script = f"""
import os, signal
from pathlib import Path
from musiclib.paths import atomic
with atomic(Path({str(path)!r})) as temporary:
    temporary.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, folder):
    """And not what a run that lives, or one that writes another file, is at."""
    path = tmp_path / "file.txt"
    script = f"""
import os, signal
from pathlib import Path
from musiclib.paths import atomic
with atomic(Path({str(path)!r}), folder={folder}) as temporary:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script], check=False)
        assert len(list(tmp_path.iterdir())) == 1
    with atomic(tmp_path / "other.txt"), atomic(path) as first:
        with atomic(path) as second:
            second.write_text("second")
        first.write_text("first")
    assert path.read_text() == "first"
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "other.txt"]
