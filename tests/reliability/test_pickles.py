"""A file that holds a pickle, whose code would be run by an ordinary reader: refused in one sentence, and not run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from children import command
from mutations import seeds

from musiclib import paths


class Intruder:
    """Unpickling it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def plain(path: Path) -> None:
    path.write_bytes(pickle.dumps(Intruder()))


def by_torch(path: Path) -> None:
    torch.save({"config": {}, "model": Intruder()}, path)


def by_old_torch(path: Path) -> None:
    torch.save({"config": {}, "model": Intruder()}, path, _use_new_zipfile_serialization=False)


def by_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([Intruder()], dtype=object), allow_pickle=True)


WAYS = (plain, by_torch, by_old_torch, by_numpy)
COMMANDS = {
    "evaluate musicslots --experiment jazznet-multi-curriculum": "musicslots-jazznet-multi-curriculum-small",
    "evaluate musicvae --experiment melody-2": "musicvae-melody-2-small",
    "evaluate improvise --experiment chorales": "improvise-chorales",
    "evaluate diffroll --experiment twin": "diffroll-twin-small",
    "decompose a.wav": "musicslots-jazznet-multi-curriculum-small",
    "compose --bars 2 out.mid": "musicvae-melody-2-small",
    "improvise b.mid out.mid": "improvise-chorales",
    "transcribe a.wav out.mid --model twin": "diffroll-twin-best-small",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    paths.CHECKPOINTS.mkdir()
    Path("a.wav").write_bytes(seeds("WAV")[0])
    Path("b.mid").write_bytes(seeds("MIDI")[0])
    return tmp_path


def refused(line: str, name: str, capfd) -> None:
    before = sorted(Path().rglob("*"))
    assert command(*line.split(), "--quiet") == 1
    out, error = capfd.readouterr()
    assert not out and error.startswith("error: ") and error.count("\n") == 1 and name in error, error
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("way", WAYS)
def test_the_attack_works_on_an_ordinary_reader(here, way):
    way(here / "x")
    if way is plain:
        pickle.loads((here / "x").read_bytes())
    elif way is by_numpy:
        np.load(here / "x", allow_pickle=True)
    else:
        torch.load(here / "x", weights_only=False)
    assert (here / "executed").exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line", COMMANDS)
def test_weights(here, capfd, line, way):
    way(paths.CHECKPOINTS / f"{COMMANDS[line]}.safetensors")
    refused(line, f"{COMMANDS[line]}.safetensors", capfd)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_to_go_on_with(here, capfd, way):
    run = paths.RUNS / "musicvae-melody-2-small"
    run.mkdir(parents=True)
    way(run / "last.pt")
    refused("train musicvae --experiment melody-2", "last.pt", capfd)


@pytest.mark.parametrize("way", WAYS)
def test_a_corpus(here, capfd, way):
    """Of one's own, to train on."""
    way(here / "mine.corpus")
    refused(f"train improvise --experiment {here / 'mine.corpus'}", "mine.corpus", capfd)


def test_an_archive_of_rolls(here, capfd):
    """LPD's arrays are NumPy's, which may hold pickles."""
    (here / "rolls").mkdir()
    with zipfile.ZipFile(here / "rolls" / "a.npz", "w") as archive:
        data = io.BytesIO()
        np.save(data, np.array([Intruder()], dtype=object), allow_pickle=True)
        archive.writestr("pianoroll_0_csc_data.npy", data.getvalue())
        archive.writestr("info.json", '{"resolution": 24, "0": {"program": 0, "is_drum": false}}')
    assert command("ingest", "rolls", "out.corpus", "--kind", "lpd", "--jobs", "1", "--quiet") == 0
    assert "1 corrupt" in capfd.readouterr().out
    assert not (here / "executed").exists()
