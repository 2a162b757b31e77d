"""Folders of music into corpora: what is used, what is not and why, killed and started again, in parallel."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
import symusic
from filelock import FileLock

from musiclib import ingestion
from musiclib.ingestion import IngestionError, ingest
from musiclib.pianoroll import PianoRoll
from musiclib.pieces import Corpus
from musiclib.sources import Unusable, arranged, metre

SONG = "TRAAAGR128F425B14B"


def midi(path, notes=((0, 4, 60, 90), (4, 4, 64, 80)), signs=(), program=0, drums=False, tempo=120):
    """A MIDI file of notes (onset, length, pitch, velocity) in 16ths and time signatures (16th, top, bottom)."""
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, tempo))
    for at, top, bottom in signs:
        score.time_signatures.append(symusic.TimeSignature(at * 120, top, bottom))
    track = symusic.Track(program=program, is_drum=drums)
    for onset, length, pitch, velocity in notes:
        track.notes.append(symusic.Note(onset * 120, length * 120, pitch, velocity))
    score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(score.dumps_midi())
    return path


def lpd(path, tracks, beats=8, downbeat=None, key="resolution"):
    """An archive as pypianoroll stores it: tracks (program, is_drum, [(onset, end, pitch, velocity)]) in 24ths."""
    info, arrays = {key: 24, "name": "song"}, {}
    for number, (program, is_drum, notes) in enumerate(tracks):
        roll = np.zeros((24 * beats, 128), np.uint8)
        for onset, end, pitch, velocity in notes:
            roll[onset:end, pitch] = velocity
        sparse = scipy.sparse.csc_matrix(roll)
        for part in ("data", "indices", "indptr", "shape"):
            arrays[f"pianoroll_{number}_csc_{part}"] = np.asarray(getattr(sparse, part))
        info[str(number)] = {"program": program, "is_drum": is_drum, "name": ""}
    if downbeat is not None:
        arrays["downbeat"] = np.isin(np.arange(24 * beats), downbeat)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, tempo=np.full(24 * beats, 120.0), **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("info.json", json.dumps(info))
    return path


def verdicts(report):
    return {row["file"]: (row["verdict"], row["cause"]) for row in report.rows()}


@pytest.fixture
def shelf(tmp_path):
    """A folder with every verdict."""
    folder = tmp_path / "shelf"
    midi(folder / "b.mid")
    midi(folder / "a" / "waltz.MIDI", [(2, 12, 60, 1), (14, 12, 62, 127)], signs=[(2, 3, 4)])
    midi(folder / "changes.mid", signs=[(0, 4, 4), (5, 3, 4)])
    midi(folder / "drums.mid", drums=True)
    midi(folder / "silent.mid", notes=[])
    (folder / "zero.mid").write_bytes(b"")
    (folder / "cut.mid").write_bytes((folder / "b.mid").read_bytes()[:30])
    (folder / "picture.mid").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "notes.txt").write_text("bars 3 to 7")
    (folder / ".hidden.mid").write_bytes(b"")
    return folder


def test_every_verdict_with_its_cause(shelf, tmp_path):
    report = ingest(shelf, tmp_path / "out.corpus", jobs=1)
    found = verdicts(report)
    assert {file: verdict for file, (verdict, _) in found.items()} == {
        "a/waltz.MIDI": "used", "b.mid": "used", "changes.mid": "skipped", "cut.mid": "corrupt", "drums.mid": "empty",
        "notes.txt": "skipped", "picture.mid": "corrupt", "silent.mid": "empty", "zero.mid": "corrupt",
    }  # fmt: skip
    assert all(cause for verdict, cause in found.values() if verdict != "used")
    assert "from 4 to 3 quarters at quarter 1.25" in found["changes.mid"][1]
    assert "neither MIDI nor MusicXML" in found["picture.mid"][1]
    assert report.counts == {"used": 2, "empty": 2, "corrupt": 3, "skipped": 2}
    assert report.notes == 4
    assert "9 files: 2 used, 2 empty, 3 corrupt, 2 skipped. 4 notes in" in str(report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.corpus", "out.csv", "shelf"]


def test_a_piece_is_the_file(shelf, tmp_path):
    ingest(shelf, tmp_path / "out.corpus", jobs=1)
    waltz, plain = Corpus(tmp_path / "out.corpus")
    assert waltz.name == "a/waltz.MIDI"
    assert (waltz.bar_steps, waltz.first_bar, waltz.steps_per_quarter) == (12, 2, 4)
    assert waltz.notes.tolist() == [(2, 12, 60, 1), (14, 12, 62, 127)]
    assert (plain.bar_steps, plain.first_bar) == (16, 0)
    assert plain.notes.tolist() == [(0, 4, 60, 90), (4, 4, 64, 80)]


def test_a_performance_is_read_in_seconds(tmp_path):
    """At 60 quarters per minute a 16th lasts a quarter of a second; a change of metre does not matter."""
    midi(tmp_path / "in" / "a.mid", tempo=60, signs=[(0, 4, 4), (4, 3, 4)])
    ingest(tmp_path / "in", tmp_path / "out.corpus", step_s=0.125, jobs=1)
    (piece,) = Corpus(tmp_path / "out.corpus")
    assert piece.notes.tolist() == [(0, 8, 60, 90), (8, 8, 64, 80)]
    assert piece.roll().step_s == piece.step_s == 0.125


def test_the_skyline(tmp_path):
    midi(tmp_path / "in" / "a.mid", [(0, 8, 48, 50), (0, 2, 72, 60), (4, 8, 60, 70), (4, 4, 64, 80)])
    ingest(tmp_path / "in", tmp_path / "out.corpus", monophonic=True, jobs=1)
    assert Corpus(tmp_path / "out.corpus")[0].notes.tolist() == [(0, 2, 72, 60), (4, 4, 64, 80)]


def test_lakh_versions_of_a_song_share_a_split(tmp_path):
    for number in range(6):
        midi(tmp_path / "in" / "A" / "A" / "A" / SONG / f"{number}.mid")
    ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=1)
    corpus = Corpus(tmp_path / "out.corpus")
    assert {piece.group for piece in corpus} == {SONG}
    assert len({piece.split for piece in corpus}) == 1


def test_maestro_keeps_its_splits_and_its_time(tmp_path):
    splits = {"2004/a.midi": "train", "2004/b.midi": "validation", "2006/c.midi": "test"}
    for name in [*splits, "2006/unlisted.midi"]:
        midi(tmp_path / "in" / name)
    with (tmp_path / "in" / "maestro-v3.0.0.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["canonical_composer", "canonical_title", "split", "year", "midi_filename"])
        table.writerows(["Bach", "Fugue, in one voice", split, 2004, name] for name, split in splits.items())
    report = ingest(tmp_path / "in", tmp_path / "out.corpus", kind="maestro", jobs=1)
    assert verdicts(report)["2006/unlisted.midi"] == ("skipped", "MAESTRO's table does not list it")
    corpus = Corpus(tmp_path / "out.corpus")
    assert [piece.split for piece in corpus] == ["train", "valid", "test"]
    assert [piece.name for piece in corpus.split("valid")] == ["2004/b.midi"]
    assert corpus[0].group == "Bach: Fugue, in one voice"
    assert corpus[0].step_s == 0.032
    assert corpus[0].notes["onset"].tolist() == [0, 16]  # half a second: 15.6 steps


def test_maestro_without_its_table(tmp_path):
    midi(tmp_path / "in" / "a.midi")
    with pytest.raises(ValueError, match=r"holds no maestro-v3\.0\.0\.csv"):
        ingest(tmp_path / "in", tmp_path / "out.corpus", kind="maestro", jobs=1)


PIANO = (0, False, [(0, 23, 60, 80), (24, 48, 60, 70), (32, 40, 67, 60)])


@pytest.mark.parametrize(("grid", "notes"), [
    (24, [(0, 23, 60, 80), (24, 24, 60, 70), (32, 8, 67, 60)]),
    (4, [(0, 4, 60, 80), (4, 4, 60, 70), (5, 2, 67, 60)]),
])  # fmt: skip
def test_lpd_piano_tracks(tmp_path, grid, notes):
    """Repeated notes are told apart by LPD's gap; drums and the bass are left out; the old key works."""
    bass, drums = (33, False, [(0, 96, 36, 100)]), (0, True, [(0, 10, 36, 100)])
    lpd(tmp_path / "in" / SONG / "a.npz", [drums, PIANO, bass], downbeat=[24, 120], key="beat_resolution")
    ingest(tmp_path / "in", tmp_path / "out.corpus", kind="lpd", steps_per_quarter=grid, jobs=1)
    (piece,) = Corpus(tmp_path / "out.corpus")
    assert piece.notes.tolist() == notes
    assert (piece.steps_per_quarter, piece.bar_steps, piece.first_bar, piece.group) == (grid, 4 * grid, grid, SONG)


def test_lpd_is_what_pypianoroll_reads(tmp_path):
    import pypianoroll

    rng = np.random.default_rng(0)
    notes = [(a, a + int(rng.integers(1, 9)), int(p), int(rng.integers(1, 128)))
             for a in range(0, 180, 10) for p in rng.choice(np.arange(30, 90), 3, False)]  # fmt: skip
    lpd(tmp_path / "in" / "a.npz", [(4, False, notes)])
    ingest(tmp_path / "in", tmp_path / "out.corpus", kind="lpd", steps_per_quarter=24, jobs=1)
    (piece,) = Corpus(tmp_path / "out.corpus")
    theirs = pypianoroll.load(tmp_path / "in" / "a.npz").tracks[0].pianoroll
    ours = np.zeros_like(theirs)
    for onset, length, pitch, velocity in piece.notes.tolist():
        ours[onset : onset + length, pitch] = velocity
    assert np.array_equal(ours, theirs)


def test_lpd_verdicts(tmp_path):
    folder = tmp_path / "in"
    lpd(folder / "no-piano.npz", [(33, False, [(0, 9, 36, 9)])])
    lpd(folder / "no-notes.npz", [(0, False, [])])
    lpd(folder / "waltz.npz", [PIANO], downbeat=[0, 72, 144])
    lpd(folder / "changes.npz", [PIANO], downbeat=[0, 72, 168])
    (folder / "cut.npz").write_bytes((folder / "waltz.npz").read_bytes()[:-40])
    with np.load(folder / "waltz.npz") as good:
        arrays = {name: good[name] for name in good if name != "info.json"}
    arrays["pianoroll_0_csc_indices"] = arrays["pianoroll_0_csc_indices"] + 10**6
    np.savez(folder / "far.npz", **arrays)
    with zipfile.ZipFile(folder / "far.npz", "a") as archive:
        archive.writestr("info.json", json.dumps({"resolution": 24, "0": {"program": 0, "is_drum": False}}))
    np.savez(folder / "other.npz", x=np.arange(3))
    report = ingest(folder, tmp_path / "out.corpus", kind="lpd", jobs=1)
    found = verdicts(report)
    assert found["no-piano.npz"] == ("empty", "it has no piano track")
    assert found["no-notes.npz"] == ("empty", "its piano tracks hold no notes")
    assert found["changes.npz"] == ("skipped", "its bars change their length: 3.0, 4.0 quarters")
    assert found["far.npz"] == ("corrupt", "its roll's sparse arrays do not fit together")
    assert {found[name][0] for name in ("cut.npz", "other.npz")} == {"corrupt"}
    assert Corpus(tmp_path / "out.corpus")[0].bar_steps == 12


def test_musicxml(tmp_path):
    """A quarter of a pick-up in 3/4, and a file that is none."""
    from music21 import meter, note, stream

    part = stream.Part()
    for number, quarters in enumerate([[1], [1, 2], [3]]):
        bar = stream.Measure(number=number)
        if number == 0:
            bar.append(meter.TimeSignature("3/4"))
            bar.padAsAnacrusis(useInitialRests=False)
        for length in quarters:
            bar.append(note.Note("C4", quarterLength=length))
        part.append(bar)
    (tmp_path / "in").mkdir()
    stream.Score([part]).write("musicxml", tmp_path / "in" / "a.musicxml")
    (tmp_path / "in" / "b.xml").write_text("<score-partwise><part>")
    report = ingest(tmp_path / "in", tmp_path / "out.corpus", kind="musicxml", jobs=1)
    assert verdicts(report)["b.xml"][0] == "corrupt"
    (piece,) = Corpus(tmp_path / "out.corpus")
    assert (piece.bar_steps, piece.first_bar) == (12, 4)
    assert piece.notes["onset"].tolist() == [0, 4, 8, 16]


@pytest.mark.parametrize(("signs", "expected"), [
    ([], (4, 0)), ([(0, 3, 4)], (3, 0)), ([(0, 1, 4), (1, 4, 4)], (4, 1)), ([(0, 4, 4), (9, 2, 2)], (4, 0)),
    ([(0, 4, 4), (20, 3, 4)], (4, 0)), ([(0, 0, 4)], (4, 0)), ([(0, 3, 4), (0, 6, 8)], (3, 0)),
])  # fmt: skip
def test_metre(signs, expected):
    assert metre(signs, first=1, last=20) == expected


def test_metre_that_changes():
    with pytest.raises(Unusable, match="from 4 to 3 quarters at quarter 8"):
        metre([(8, 3, 4)], first=1, last=20)


def test_notes_are_cut_by_the_next_of_their_pitch():
    """And one of two at once stays, the longer; one without a length lasts a step."""
    rows = np.array([(0, 9, 60, 1), (4, 4, 60, 2), (4, 6, 60, 3), (4, 5, 50, 4), (0, 99999, 70, 5)])
    notes = arranged(*rows.T.astype(np.int64))
    assert notes.tolist() == [(0, 4, 60, 1), (0, 65535, 70, 5), (4, 1, 50, 4), (4, 2, 60, 3)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:  # bytes flipped
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        return bytes(damaged)
    if kind == 1:
        return data[: rng.randrange(len(data))]
    if kind == 2:  # no ticks in a quarter
        return data[:12] + b"\0\0" + data[14:]
    if kind == 3:  # header only
        return data[:14]
    return rng.choice([rng.randbytes(300), b"RIFF" + data, b"<html>", data[:8] + b"\0\2" + data[10:]])


def test_500_damaged_files(tmp_path):
    """None ends ingestion; each has a verdict, and each that is not used a cause."""
    rng = random.Random(0)
    notes = [(4 * n, 3, 50 + n % 20, 64) for n in range(40)]
    good = midi(tmp_path / "good.mid", notes, signs=[(0, 4, 4)]).read_bytes()
    (tmp_path / "in").mkdir()
    for number in range(500):
        (tmp_path / "in" / f"{number:03}.mid").write_bytes(mutated(good, rng))
    report = ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=2)
    rows = report.rows()
    assert len(rows) == 500 == sum(report.counts.values())
    assert all(row["cause"] for row in rows if row["verdict"] != "used")
    assert report.counts["corrupt"] > 300
    corpus = Corpus(tmp_path / "out.corpus")
    assert len(corpus) == report.counts["used"] > 10
    assert all(isinstance(piece.roll(), PianoRoll) for piece in corpus)


def many(folder, count=60):
    for number in range(count):
        midi(folder / f"{number:03}.mid", [(n, 1, 40 + (n * number) % 50, 90) for n in range(20)])
    return folder


def in_a_process(tmp_path, name, patch="", jobs=1):
    """`ingest` in a process of its own, in shards of 4 files. `patch` is run first in every process, workers too."""
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(patch)
    code = (
        f"from musiclib import ingestion; ingestion.SHARD = 4; "
        f"print(ingestion.ingest({str(tmp_path / 'in')!r}, {str(tmp_path / name)!r}, jobs={jobs}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(site)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


PATCH = """
import os, time
from symusic.factory import ScoreFactory
read = ScoreFactory.from_midi

def patched(self, data, *rest):
    {}
    return read(self, data, *rest)

ScoreFactory.from_midi = patched
"""


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bytes(tmp_path):
    many(tmp_path / "in")
    whole = ingest(tmp_path / "in", tmp_path / "whole.corpus", jobs=1)
    running = in_a_process(tmp_path, "killed.corpus", PATCH.format("time.sleep(0.02)"))
    work = tmp_path / "killed.corpus.parts"
    while len(list(work.glob("*.safetensors"))) < 5:
        time.sleep(0.01)
        assert running.poll() is None
    with pytest.raises(IngestionError, match=r"Another process writes .*killed\.corpus"):
        ingest(tmp_path / "in", tmp_path / "killed.corpus", jobs=1)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    stored = {path: path.stat().st_mtime_ns for path in work.glob("[0-9a-f]*.safetensors")}
    assert 5 <= len(stored) < 15
    assert not (tmp_path / "killed.corpus").exists()
    again = in_a_process(tmp_path, "killed.corpus", "import sys; sys.dont_write_bytecode = True")
    out, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "60 used" in out
    assert (tmp_path / "killed.corpus").read_bytes() == whole.corpus.read_bytes()
    assert (tmp_path / "killed.csv").read_bytes() == whole.path.read_bytes()
    assert not work.exists()


def test_what_is_stored_is_not_read_again_and_what_changed_is(tmp_path, monkeypatch):
    """As after a kill: all shards stored, one of their files changed since."""
    many(tmp_path / "in", 12)
    monkeypatch.setattr(ingestion, "SHARD", 4)
    read = []

    def reading(folder, file, how):
        read.append(file.name)
        return outcome(folder, file, how)

    outcome = ingestion._outcome
    monkeypatch.setattr(ingestion, "_outcome", reading)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingestion, "_joined", fail)
        with pytest.raises(KeyboardInterrupt):
            ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=1)
    assert len(read) == 12
    midi(tmp_path / "in" / "005.mid", [(0, 1, 33, 90)])
    read.clear()
    ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=1)
    assert read == ["004.mid", "005.mid", "006.mid", "007.mid"]
    assert Corpus(tmp_path / "out.corpus")[5].notes["pitch"].tolist() == [33]


def test_an_innocent_suspect_is_used(tmp_path):
    """A file that was being read when the run was killed is read again, apart, and used."""
    many(tmp_path / "in", 3)
    report = ingest(tmp_path / "in", tmp_path / "whole.corpus", jobs=1)
    files = ingestion.find((tmp_path / "in").resolve(), "midi")
    shard = ingestion._shard(tmp_path / "parts", (tmp_path / "in").resolve(), tuple(files), ingestion.Reading("midi"))
    shard.path.parent.mkdir()
    shard.path.with_suffix(".reading").write_text('"001.mid"')
    ingestion.fill(shard)
    assert [piece.name for piece in Corpus(shard.path)] == ["000.mid", "001.mid", "002.mid"]
    assert json.loads(Corpus(shard.path).about) == [[row["file"], "used", "", 20] for row in report.rows()]


@pytest.mark.slow
def test_a_file_that_ends_its_process_costs_that_file_alone(tmp_path):
    many(tmp_path / "in", 12)
    (tmp_path / "in" / "006.mid").write_bytes((tmp_path / "in" / "006.mid").read_bytes() + b"DIE")
    (tmp_path / "in" / "007.mid").write_bytes((tmp_path / "in" / "007.mid").read_bytes() + b"DIE")
    die = "os.kill(os.getpid(), 11) if data.endswith(b'DIE') else None"
    running = in_a_process(tmp_path, "out.corpus", PATCH.format(die), jobs=2)
    out, errors = running.communicate()
    assert running.returncode == 0, errors
    assert "10 used, 0 empty, 2 corrupt" in out
    with (tmp_path / "out.csv").open() as file:
        causes = {row["file"]: row["cause"] for row in csv.DictReader(file) if row["verdict"] == "corrupt"}
    assert causes == dict.fromkeys(["006.mid", "007.mid"], "reading it ends the process (code -11)")


def test_one_process_at_a_time_writes_a_corpus(tmp_path):
    many(tmp_path / "in", 3)
    (tmp_path / "out.corpus.parts").mkdir()
    with (
        FileLock(tmp_path / "out.corpus.parts" / "lock"),
        pytest.raises(IngestionError, match="wait for it, or name another output"),
    ):
        ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=1)
    assert ingest(tmp_path / "in", tmp_path / "out.corpus", jobs=1).counts["used"] == 3


@pytest.mark.slow
def test_a_dask_cluster_writes_the_same_file(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    many(tmp_path / "in")
    (tmp_path / "in" / "bad.mid").write_bytes(b"MThd")
    monkeypatch.setattr(ingestion, "SHARD", 8)
    here = ingest(tmp_path / "in", tmp_path / "here.corpus", jobs=1)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = ingest(tmp_path / "in", tmp_path / "there.corpus", cluster=cluster.scheduler_address)
    assert there.corpus.read_bytes() == here.corpus.read_bytes()
    assert there.path.read_bytes() == here.path.read_bytes()


@pytest.mark.slow
def test_a_dask_worker_that_is_killed_costs_nothing(tmp_path, monkeypatch):
    """SIGKILL while it reads: another reads its shard, and the corpus is the same."""
    distributed = pytest.importorskip("distributed")
    many(tmp_path / "in")
    here = ingest(tmp_path / "in", tmp_path / "here.corpus", jobs=1)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(PATCH.format("time.sleep(0.1)"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))  # of the workers
    monkeypatch.setattr(ingestion, "SHARD", 6)
    work = tmp_path / "there.corpus.parts"
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        ThreadPoolExecutor() as beside,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        running = beside.submit(ingest, tmp_path / "in", tmp_path / "there.corpus", cluster=cluster.scheduler_address)
        while not list(work.glob("[0-9a-f]*.safetensors")):
            time.sleep(0.01)
            assert not running.done()
        os.kill(victim, signal.SIGKILL)
        there = running.result()
    assert there.corpus.read_bytes() == here.corpus.read_bytes()
    assert there.path.read_bytes() == here.path.read_bytes()


@pytest.mark.slow
def test_a_dask_cluster_without_workers(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    many(tmp_path / "in", 3)
    monkeypatch.setattr(ingestion, "LONGEST_WAIT_S", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        pytest.raises(IngestionError, match="has had no worker for 1 s: start some"),
    ):
        ingest(tmp_path / "in", tmp_path / "out.corpus", cluster=cluster.scheduler_address)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"source": "nowhere"}, "There is no folder .*nowhere: check its name"),
    ({"kind": "mp3"}, "'mp3' is no kind of source: choose of midi, maestro, lpd, musicxml"),
    ({"kind": "lpd"}, r"holds no file that ends in \.npz: choose another kind"),
    ({"steps_per_quarter": 0}, "1 to 96 steps per quarter"),
    ({"output": "out.csv"}, "is where the report goes"),
])  # fmt: skip
def test_what_cannot_be(tmp_path, arguments, message):
    midi(tmp_path / "in" / "a.mid")
    options = {"source": "in", "output": "out.corpus"} | arguments
    source, output = (tmp_path / options.pop(name) for name in ("source", "output"))
    with pytest.raises(IngestionError, match=message):
        ingest(source, output, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
