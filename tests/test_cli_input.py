"""Every command on input that is no input: one sentence, an exit code that is not 0, and nothing half-written."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from musiclib import checkpoints, fetch, paths, training
from musiclib.__main__ import main
from musiclib.commands import doctor
from musiclib.synth import NoteBank

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(100)


def wav(path, waveform, rate_hz=16_000):
    soundfile.write(path, np.asarray(waveform), rate_hz, subtype="FLOAT", format="WAV")


def midi(path, notes=((0, 480, 60),), **track):
    """(onset, length, pitch) in ticks of 480 to a quarter."""
    import symusic

    score = symusic.Score(480)
    score.tracks.append(symusic.Track(**track))
    for onset, length, pitch in notes:
        score.tracks[0].notes.append(symusic.Note(onset, length, pitch, 90))
    Path(path).write_bytes(score.dumps_midi())


def tune(path):
    midi(path, [(480 * n, 480, 60 + n) for n in range(8)])


def late_midi(path):
    """A note at the last tick that MIDI can wait for, five times over."""
    wait = b"\xff\xff\xff\x7f"
    events = b"\x00\x90\x3c\x40" + 5 * (wait + b"\x90\x3c\x00") + b"\x00\xff\x2f\x00"
    Path(path).write_bytes(
        b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96]) + b"MTrk" + len(events).to_bytes(4, "big") + events
    )


def sparse(path):
    """A gigabyte of nothing, which takes no space."""
    with open(path, "wb") as file:
        file.truncate(1 << 30)


COMMON = {
    "missing": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("la la la\n" * 1000),
    "picture": lambda path: path.write_bytes(PNG),
    "huge": sparse,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
}
RECORDINGS = COMMON | {
    "MIDI": tune,
    "no samples": lambda path: wav(path, np.zeros(0)),
    "silent": lambda path: wav(path, np.zeros(16_000)),
    "NaN": lambda path: wav(path, np.full(16_000, np.nan)),
    "infinite": lambda path: wav(path, np.full(16_000, np.inf)),
    "cancelling": lambda path: wav(path, np.stack([np.ones(16_000), -np.ones(16_000)], 1) / 2),
    "header only": lambda path: path.write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt "),
    "1 Hz": lambda path: wav(path, np.ones(100) / 2, 1),
}
SCORES = COMMON | {
    "sound": lambda path: wav(path, np.ones(16_000) / 2),
    "no notes": lambda path: midi(path, []),
    "drums": lambda path: midi(path, is_drum=True),
    "header only": lambda path: path.write_bytes(b"MThd\x00\x00\x00\x06"),
    "cut off": lambda path: (tune(path), path.write_bytes(path.read_bytes()[:30])),
    "absurdly long": late_midi,
}
OF_RECORDINGS = {"decompose": "decompose {} --output out", "transcribe": "transcribe {} out.mid --model twin"}
OF_SCORES = {"improvise": "improvise {} out.mid", "compose": "compose --between {} good.mid out.mid"}
CASES = [
    *((command, "in.wav", make) for command in OF_RECORDINGS.values() for make in RECORDINGS.items()),
    *((command, "in.mid", make) for command in OF_SCORES.values() for make in SCORES.items()),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    tune("good.mid")
    wav("good.wav", np.random.default_rng(0).normal(0, 0.1, 16_000))
    return tmp_path


def contents(folder):
    """Every path below a folder, hidden ones too, and of small files their bytes."""
    paths = sorted(path for path in folder.rglob("*"))
    return {p: p.read_bytes() if p.is_file() and p.stat().st_size < 1 << 20 else None for p in paths}


def refused(arguments, here, capsys, code=1):
    """The one sentence with which a command refuses, and nothing on the disk has changed."""
    before = contents(here)
    assert main([*arguments, "--quiet"]) == code
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1 and error.endswith(".\n")
    assert not out and "Traceback" not in error and "Errno" not in error
    assert contents(here) == before
    return error


@pytest.mark.parametrize(("command", "name", "make"), CASES, ids=[f"{c.split()[0]}, {m[0]}" for c, _, m in CASES])
def test_no_input(here, capsys, command, name, make):
    make[1](here / name)
    assert name in refused(command.format(name).split(), here, capsys)


def test_an_error_as_json(here, capsys):
    for command in (*OF_RECORDINGS.values(), *OF_SCORES.values(), "train musicslots --experiment {}"):
        assert main([*command.format("none.wav").split(), "--json"]) == 1
        out, error = capsys.readouterr()
        assert "none.wav" in json.loads(out)["error"] and "Traceback" not in error


@pytest.mark.parametrize("command", [*OF_RECORDINGS.values(), *OF_SCORES.values()], ids=lambda c: c.split()[0])
def test_no_rights_to_read(here, capsys, monkeypatch, command):
    name = "good.wav" if command in OF_RECORDINGS.values() else "good.mid"
    plain = Path.open

    def guarded(path, *arguments, **options):
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, *arguments, **options)

    command = command.format(name).split()
    monkeypatch.setattr(Path, "open", guarded)
    monkeypatch.setattr(Path, "read_bytes", lambda path: guarded(path, "rb").read())
    assert main([*command, "--quiet"]) == 1
    error = capsys.readouterr().err
    assert f"{name} cannot be opened (Permission denied)" in error and error.count("\n") == 1
    assert not (here / "out.mid").exists() and not (here / "out").exists()


OUTPUTS = {"folder": "full.mid", "below a file": "file/out.mid", "long name": "x" * 300 + ".mid", "no MIDI": "out.wav"}
MIDI_COMMANDS = ("compose {}", "improvise good.mid {}", "transcribe good.wav {}")


@pytest.mark.parametrize("command", MIDI_COMMANDS)
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_no_output(here, capsys, command, output):
    (here / "full.mid").mkdir()
    (here / "file").touch()
    refused(command.format(output).split(), here, capsys)


@pytest.mark.parametrize("command", [*MIDI_COMMANDS, "ingest . {}"])
def test_no_rights_to_write_is_told_before_the_work(here, capsys, monkeypatch, command):
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    assert "Cannot write out.mid (Permission denied)" in refused(command.format("out.mid").split(), here, capsys)


@pytest.mark.parametrize("command", [
    "improvise good.mid good.mid", "compose --between good.mid good.mid good.mid",
    "compose --between a.mid good.mid ./a.mid",
])  # fmt: skip
def test_the_output_is_an_input(here, capsys, command):
    tune("a.mid")
    assert "is to be read and stays as it is" in refused(command.split(), here, capsys)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("command", ["compose --bars 1 out.mid", "improvise good.mid out.mid", "decompose good.wav"])
def test_a_full_disk(here, capsys, monkeypatch, command):
    monkeypatch.setattr("tempfile.mkdtemp", full_disk)
    assert "No space left on device" in refused(command.split(), here, capsys)


@pytest.mark.parametrize("command", [
    "train musicslots --experiment jazz", "evaluate musicvae --experiment jazz", "reproduce diffroll --only jazz",
    "train improvise --experiment none.corpus", "improvise good.mid out.mid --style jazz",
    "improvise good.mid out.mid --style good.mid", "train improvise --experiment good.mid",
    "train diffroll --experiment good.wav", "train diffroll --experiment empty",
    "evaluate diffroll --experiment guidance-diffroll", "evaluate diffroll --experiment rolls-only",
    "evaluate musicslots --seed 12", "evaluate musicvae --preset paper", "compose --steps 5 out.mid",
    "ingest none out.corpus", "ingest good.mid out.corpus", "ingest empty out.corpus", "ingest . out.csv",
    "ingest . empty", "ingest . good.mid/out.corpus", "ingest . out.corpus --seconds nan",
    "ingest . out.corpus --seconds inf", "ingest . out.corpus --steps 0", "ingest . out.corpus --kind lpd",
    "badges nonsense", "decompose good.wav --output good.mid", "decompose good.wav --output .",
])  # fmt: skip
def test_what_is_not_there(here, capsys, command):
    (here / "empty").mkdir()
    refused(command.split(), here, capsys)


@pytest.mark.parametrize("command", [
    "compose out.mid --temperature nan", "compose out.mid --temperature inf", "compose out.mid --seed -1",
    "compose out.mid --bars 1e3", "compose out.mid --tempo 0", "compose out.mid --program 128", "compose",
    "transcribe good.wav out.mid --guidance -1", "transcribe good.wav out.mid --steps 0",
    "transcribe good.wav out.mid --threshold nan", "transcribe good.wav", "transcribe good.wav out.mid --model x",
    "improvise good.mid out.mid --bits -1", "improvise good.mid out.mid --bits nan", "decompose good.wav --slots 0",
    "train musicslots --budget -1", "train musicslots --budget nan", "train musicslots --seed -1", "train choir",
    "evaluate choir", "evaluate musicvae --preset fast", "reproduce musicslots --seeds x", "rebuild violins",
    "fetch all", "ingest good.mid out.corpus --jobs 0", "ingest . out.corpus --kind wav", "doctor --fast",
])  # fmt: skip
def test_a_wrong_command_line(here, capsys, command):
    before = contents(here)
    with pytest.raises(SystemExit) as caught:
        main(command.split())
    assert caught.value.code == 2 and capsys.readouterr().err.startswith("usage:")
    assert contents(here) == before


# ------------------------------------------------------------------------------------------------- damaged files

MODELS = {
    "musicslots-jazznet-multi-curriculum-small": "decompose good.wav",
    "musicvae-melody-2-small": "compose --bars 2 out.mid",
    "improvise-chorales": "improvise good.mid out.mid",
    "diffroll-twin-best-small": "transcribe good.wav out.mid --model twin",
}


def another_system(path):
    checkpoints.save_weights(path, Linear(), {"experiment": "jazznet-multi-none"})


class Linear(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.config = training.TrainingConfig(steps=1)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:100_000]),
    "of another model": another_system,
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("model", MODELS)
def test_a_damaged_checkpoint(here, capsys, monkeypatch, model, damage):
    own = here / "checkpoints" / f"{model}.safetensors"
    own.parent.mkdir()
    shutil.copy(paths.CHECKPOINTS / own.name, own)
    monkeypatch.setattr(paths, "CHECKPOINTS", own.parent)
    damage(own)
    assert own.name in refused(MODELS[model].split(), here, capsys)
    assert "checkpoints" in doctor.doctor(None).data["failed"]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"3", b"[]", b"\xff\xfe", b'{"name": "x"}'])
def test_a_damaged_ledger(here, capsys, monkeypatch, content):
    monkeypatch.setattr(paths, "RESULTS", here)
    (here / "x.json").write_bytes(content)
    for command in ("reproduce musicvae --budget 0", "evaluate musicvae"):
        error = refused(command.split(), here, capsys)
        assert "x.json" in error and "git checkout data/results" in error
    assert doctor.examined("results ledger").verdict == "failed"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"fLaC and no more"])
def test_a_damaged_note_bank(here, capsys, monkeypatch, content):
    if content is not None:
        (here / "bank.flac").write_bytes(content)
    load = NoteBank.load
    index = paths.DATA / "note_bank.json"
    monkeypatch.setattr(NoteBank, "load", lambda: load(here / "bank.flac", index))
    assert "rebuild bank" in refused(["train", "musicslots", "--budget", "1s"], here, capsys)
    assert doctor.examined("note bank").verdict == "failed"


def test_a_damaged_training_run(here, capsys):
    last = here / "runs" / "musicvae-melody-2-small" / "last.pt"
    last.parent.mkdir(parents=True)
    last.write_bytes(b"half of the n")
    assert "is damaged" in refused(["train", "musicvae", "--budget", "1s"], here, capsys)


def test_no_network(here, capsys, monkeypatch):
    nowhere = fetch.Resource("none.zip", ("http://127.0.0.1:9/none.zip",), "0" * 64)
    monkeypatch.setitem(fetch.ARCHIVES, "maestro", nowhere)
    assert "could not be downloaded" in refused(["fetch", "maestro"], here, capsys)


# -------------------------------------------------------------------------------- doctor, evaluate and exit codes


def test_doctor(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**11, 0, 10**11))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]].count("failed") == 0 and len(lines) == len(doctor.CHECKS) + 1
    assert main(["doctor", "--json"]) == 0
    assert [check["check"] for check in json.loads(capsys.readouterr().out)["checks"]] == list(doctor.CHECKS)


@pytest.mark.parametrize(
    ("torch_version", "torchaudio_version", "remedy"),
    [
        ("2.11.0+cu130", "2.11.0", ""),
        ("2.14.1", "2.11.1", ""),
        ("2.11.0", "2.9.1", "2.11.*"),
        ("2.9.1", "2.11.0", "2.9.*"),
    ],
)
def test_doctor_knows_which_torchaudio_goes_with_which_torch(monkeypatch, torch_version, torchaudio_version, remedy):
    monkeypatch.setattr("torch.__version__", torch_version)
    monkeypatch.setattr("torchaudio.__version__", torchaudio_version)
    finding = doctor.examined("torch")
    assert finding.verdict == (doctor.FAILED if remedy else doctor.OK)
    assert f"torchaudio=={remedy}" in finding.found or not remedy


def test_doctor_names_what_is_wrong_and_the_remedy(here, capsys, monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "fast")
    monkeypatch.setenv("MUSICLIB_SOUNDFONT", "none.sf2")
    monkeypatch.setattr("torchaudio.__version__", "2.5.1")
    monkeypatch.setattr(doctor, "version", lambda package: (_ for _ in ()).throw(doctor.PackageNotFoundError(package)))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    for part in ("'fast' is no preset", "apt-get install fluidsynth", "pip install torchaudio==", "pip install -e",
                 "make room", "3 of 11 checks failed"):  # fmt: skip
        assert part in out


@pytest.mark.slow
def test_evaluation_repeats_what_the_ledger_says(capsys):
    before = contents(paths.RESULTS)
    assert main(["evaluate", "improvise", "--experiment", "fiddle-tunes", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"] == "improvise-fiddle-tunes"
    for score, value in said["ledger"]["test"].items():
        assert said["metrics"]["test"][score] == pytest.approx(value, rel=0.02), score
    assert contents(paths.RESULTS) == before
    assert main(["evaluate", "improvise", "--experiment", "fiddle-tunes", "--quiet"]) == 0
    assert "| improvise-fiddle-tunes | now | ledger |" in capsys.readouterr().out


@pytest.mark.slow
def test_quiet_is_the_result_and_json_one_object(here, capsys):
    command = ["compose", "--bars", "2", "--preset", "paper", "out.mid"]
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr() == ("2 bars, seed 0: out.mid\n", "")
    assert main([*command, "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out) == {"output": "out.mid", "bars": 2, "seed": 0} and "No trained model" in error
    assert main(["transcribe", "good.wav", "out.mid", "--model", "twin", "--threshold", "0.05", "--quiet"]) in (0, 1)
    assert "windows" not in capsys.readouterr().err


def test_a_bug_shows_its_traceback(here, monkeypatch):
    monkeypatch.setattr("musiclib.musicvae.compose.write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["compose", "--bars", "1", "out.mid"])


def test_too_little_memory_is_no_bug(here, capsys, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("musiclib.musicvae.compose.write", full)
    assert "Not enough memory" in refused(["compose", "--bars", "1", "out.mid"], here, capsys)


INTERRUPTED = """
import signal
import sys
from pathlib import Path
import torch
from musiclib import paths
paths.RUNS = Path({folder!r})
from musiclib.__main__ import main
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job inherits as ignored
sys.exit(main(["train", "improvise", "--experiment", "beta-1"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "preempted"])
def test_an_interrupt_saves_and_the_same_command_goes_on(tmp_path, number):
    script = [sys.executable, "-c", INTERRUPTED.format(folder=str(tmp_path))]
    process = subprocess.Popen(script, stderr=subprocess.PIPE, bufsize=0)
    told = b""
    while not re.search(rb"[1-9]\d*/5000", told):  # the bar is drawn once before the first step
        told += process.stderr.read(64)
    process.send_signal(number)
    told = process.stderr.read().decode().splitlines()[-1]
    assert process.wait(timeout=60) == 130
    steps = len(torch.load(tmp_path / "improvise-beta-1" / "last.pt", weights_only=True)["history"]["loss"])
    assert told == f"error: Interrupted: {steps} of 5000 steps are saved, and the same command goes on."
