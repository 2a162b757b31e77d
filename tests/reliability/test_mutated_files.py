"""A thousand damaged files through every command: a whole result, or one sentence that names the file.

Every file meets its commands in a child of its own, with a limit of memory and time. A file is told by its kind and
number, and is the same every time: what failed is named with the file that did it, which stays in pytest's folder.
`MUSICLIB_MUTATED=1000` takes all, as the weekly run does; unset, as many as take a minute or two.
"""

import csv
import os
import shutil
import time
from pathlib import Path

import pytest
from children import lived
from mutations import ENDINGS, SOUNDS, mutated, seeds

SHARES = {"WAV": 0.12, "FLAC": 0.08, "OGG": 0.08, "MP3": 0.12, "MIDI": 0.36, "MusicXML": 0.14, "mxl": 0.10}
FILES = int(os.environ.get("MUSICLIB_MUTATED", "250"))
MEMORY, CPU_S = 3 << 30, 60

OF_SOUNDS = {
    "decompose": "decompose {} --output slots --slots 1 --iterations 1",
    "transcribe": "transcribe {} out.mid --model twin --threshold 0.05",
    "record": None,
}
OF_SCORES = {
    "compose": "compose --between {} good.mid out.mid --steps 2",
    "improvise": "improvise {} out.mid",
    "ingest": "ingest music out.corpus --kind {kind} --jobs 1",
}
NOT_OF_THE_FILE = "gave nothing but silence"  # of a model: the file could be read


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def whole(name: str) -> None:
    """Whether what a command has made can be read, all of it."""
    import numpy as np
    import soundfile
    from PIL import Image

    from musiclib import scores
    from musiclib.pieces import Corpus
    from musiclib.project import Project

    if name == "decompose":
        sound, _ = soundfile.read("slots/slot-0.wav")
        assert len(sound) and np.isfinite(sound).all()
        for picture in ("slots/slot-0.png", "slots/decomposition.png"):
            Image.open(picture).load()
    elif name == "record":
        assert len(Project("project")["recording"])
    elif name == "ingest":
        (row,) = csv.DictReader(Path("out.csv").read_text().splitlines())
        assert (row["verdict"] == "used") == (len(Corpus(Path("out.corpus"))) == 1)
        assert row["verdict"] == "used" or row["cause"]
    else:
        assert scores.read_notes("out.mid")


def record(file: str) -> int:
    """The studio takes a recording in."""
    import sys

    from musiclib.project import Project

    try:
        Project("project").record(file)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        shutil.rmtree("project")  # an empty one, which the studio makes before it knows
        return 1
    return 0


def through(kind: str, name: str) -> list:
    """In a child: one file through its commands. [[command, exit code, seconds, what is wrong with how it ended], …]"""
    import mother
    from children import command

    from musiclib.improvise import runs as improvise_runs

    improvise_runs.corpus_source = lambda *_: mother.spread()  # of the style, and the same for every file
    found = []
    for what, line in (OF_SOUNDS if kind in SOUNDS else OF_SCORES).items():
        before, begun = listed(Path()), time.monotonic()
        for said in ("../out", "../err"):
            os.truncate(said, 0)
        if line is None:
            code = record(name)
        else:
            own = line.format(name, kind="midi" if kind == "MIDI" else "musicxml")
            code = command(*own.split(), "--quiet")
        found.append([what, code, time.monotonic() - begun, _wrong(what, name, code, before)])
        for made in set(listed(Path())) - set(before):
            if Path(made).is_dir():
                shutil.rmtree(made)
            else:
                Path(made).unlink(missing_ok=True)
    return found


def _wrong(what: str, name: str, code: int, before: list[str]) -> str:
    out, error = Path("../out").read_text(errors="replace"), Path("../err").read_text(errors="replace")
    made = sorted(set(listed(Path())) - set(before))
    if code == 0:
        try:
            whole(what)
        except Exception as broken:
            return f"its result cannot be read: {broken!r}"
        expected = {"slots", "slots/slot-0.wav", "slots/slot-0.png", "slots/decomposition.png", "out.mid", "out.corpus",
                    "out.csv", "project"}  # fmt: skip
        left = [path for path in made if path not in expected and not path.startswith("project/recording")]
        left = [path for path in left if path != "project/project.json"]
        return f"left {left}" if left else f"said {error!r}" if error else ""
    if code != 1 or error.count("\n") != 1 or not error.startswith("error: "):
        return f"exit code {code}, said {error[-2000:]!r}"
    if out or (name not in error and NOT_OF_THE_FILE not in error):
        return f"said {error!r} and {out!r}"
    return f"left {made}" if made else ""


def good_score(path: Path) -> None:
    path.write_bytes(seeds("MIDI")[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDINGS)
def test_damaged_files(tmp_path, kind):
    wrong, outcomes, slowest = [], {}, (0.0, "")
    for number in range(round(FILES * SHARES[kind])):
        how, data = mutated(kind, number)
        folder, name = tmp_path / str(number), f"{number}.{ENDINGS[kind]}"
        work = folder / "work"
        (work / "music").mkdir(parents=True)
        good_score(work / "good.mid")
        (work / name).write_bytes(data)
        (work / "music" / name).write_bytes(data)
        end = lived(through, kind, name, folder=folder, memory=MEMORY, cpu_s=CPU_S)
        here = [f"the process ended with {end.code}: {end.error[-2000:]}"] if end.code else []
        for what, code, seconds, fault in end.result or ():
            outcomes[what, code] = outcomes.get((what, code), 0) + 1
            slowest = max(slowest, (seconds, f"{what} {name}"))
            here += [f"{what}: {fault}"] if fault else []
        if here:
            wrong.append(f"{how} ({work / name}): " + "; ".join(here))
        else:
            shutil.rmtree(folder)
    print(f"\n{kind}: {outcomes}, slowest {slowest[0]:.1f} s ({slowest[1]})")
    assert not wrong, "\n".join([f"{len(wrong)} files:", *wrong])
