"""A disk that is full, and one that can only be read.

Both are real: a file system of one megabyte in memory, and the checkout mounted read-only over itself in a name space
of its own. Where neither may be mounted the tests are skipped.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from children import command, lived
from mutations import seeds
from tiny_runs import shrink

from musiclib import corpora, fetch, paths, training
from musiclib.commands import keeping
from musiclib.improvise.oracle import best_oracle
from musiclib.project import Project

DISK_KB = 1024


@pytest.fixture
def disk(tmp_path):
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, free: int) -> None:
    """Until so many bytes are free, which a disk gives in pages of 4096."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(file.tell() // 4096 * 4096 - free)


def inputs() -> None:
    for name, kind in (("a.wav", "WAV"), ("b.mid", "MIDI"), ("music/c.mid", "MIDI")):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(seeds(kind)[0])


def on_a_full_disk(line: str, folder: str) -> int:
    """In a child: a command that writes to the disk."""
    disk = Path(folder)
    inputs()
    shrink(disk, 4)
    corpora.CORPORA["chorales"] = paths.ROOT / "data" / "chorales.safetensors"
    training.fit.__kwdefaults__["save_every_s"] = 0.0
    keeping.ROOT = keeping.DATA = disk
    archive = fetch.Resource("music.zip", ("http://127.0.0.1:9/none",), "0" * 64)
    fetch.ARCHIVES["maestro"] = archive
    fetch.unpacked = partial(fetch.unpacked, folder=disk)
    return command(*line.format(disk).split(), "--quiet")


def left(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


WRITING = (
    "decompose a.wav --output {}/out --slots 1 --iterations 1",
    "transcribe a.wav {}/out.mid --model twin --threshold 0.05",
    "compose --between b.mid b.mid {}/out.mid --steps 2", "improvise b.mid {}/out.mid",
    "ingest music {}/out.corpus --jobs 1", "course --only none --output {}/out", "readme", "fetch maestro",
    "train musicslots --experiment jazznet-single-none", "train musicvae", "train improvise", "train diffroll",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("line", WRITING, ids=lambda line: " ".join(line.split()[: 1 + line.startswith("train")]))
def test_a_full_disk(disk, tmp_path, line):
    """Full to the last byte, and with some left: for a small result enough, or for a part of a large one."""
    if line == "readme":
        shutil.copy(paths.ROOT / "README.md", disk)
    for free in (0, 8192, 49_152):
        fill(disk, free)
        before = left(disk)
        end = lived(on_a_full_disk, line, str(disk), folder=tmp_path / "child")
        assert end.code == 0, end.error
        if end.result == 0 and free:
            break
        assert end.result == 1 and not end.out
        assert end.error.startswith("error: ") and end.error.count("\n") == 1, end.error
        assert "Traceback" not in end.error and "Errno" not in end.error
        after = {name: size for name, size in left(disk).items() if ".parts/" not in name}  # ingestion goes on there
        if line == "readme":  # whose parts are replaced one after the other
            after["README.md"] = before["README.md"]
        assert after == before
        shutil.rmtree(disk / "out.corpus.parts", ignore_errors=True)
        if line.startswith("course"):  # whose pages are written one after the other
            break


# ------------------------------------------------------------------------------------------------- only to be read

READING = (
    "doctor", "compose --between b.mid b.mid out.mid --steps 2", "improvise b.mid out.mid",
    "transcribe a.wav out.mid --model twin --threshold 0.05",
    "decompose a.wav --output out --slots 1 --iterations 1", "ingest music out.corpus --jobs 1",
    "evaluate improvise --experiment fiddle-tunes",
)  # fmt: skip
KEEPING = (
    "train musicslots", "train improvise --experiment beta-1", "reproduce musicvae --only melody-2 --seeds 77",
    "rebuild piano-clips", "fetch maestro", "badges own/name", "readme",
)  # fmt: skip
SCRIPT = """
import sys
sys.path[:0] = {folders!r}
from test_disks import every_command
every_command()
"""


def every_command() -> None:
    """In a fresh process, since much is made when a library is first imported: what each command says, as JSON."""
    inputs()
    found = {}
    for line in (*READING, *KEEPING):
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = command(*line.split(), "--quiet")
        found[line] = (code, error.getvalue())
    Project("project").record("a.wav")
    assert best_oracle(np.eye(4)).lrs.shape == (5,)  # compiled anew, and kept nowhere
    Path("found.json").write_text(json.dumps(found))


@pytest.mark.slow
def test_a_checkout_that_can_only_be_read(tmp_path):
    """With the home folder. What writes its result elsewhere works, and what cannot keep its result says so."""
    root = str(paths.ROOT)
    folders = [str(Path(__file__).parent), str(paths.ROOT / "tests")]
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    apart = ["unshare", "--mount", "sh", "-c"]
    if subprocess.run([*apart, mount, "sh", root], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted read-only here")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "NUMBA_"))}
    done = subprocess.run(
        [*apart, f'{mount} && exec "$2" -c "$3"', "sh", root, sys.executable, SCRIPT.format(folders=folders)],
        env=environment | {"HOME": str(paths.DATA), "OMP_NUM_THREADS": "1", "MUSICLIB_PRESET": "quick"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    for line in READING[1:]:
        assert found[line] == [0, ""], line
    assert found["doctor"][0] == 1  # the disk: nothing can be kept
    for line in KEEPING:
        code, error = found[line]
        assert code == 1 and error.startswith("error: ") and error.count("\n") == 1, (line, code, error)
        assert "annot" in error or "Read-only file system" in error, error
