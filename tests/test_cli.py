"""The command line: what it does with good input, and one sentence for bad input."""

import re
import subprocess
import sys

import pytest

from musiclib import ledger, paths
from musiclib.__main__ import main, parser
from musiclib.commands.options import seconds
from musiclib.musicslots import runs
from musiclib.synth import NoteBank, NoteBankError


def commands():
    return next(action for action in parser()._actions if action.choices).choices


@pytest.mark.parametrize("command", [[], *[[name] for name in commands()]], ids=lambda c: c[0] if c else "main")
def test_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "usage: python -m musiclib" in out
    if command:
        assert f"Example: python -m musiclib {command[0]}" in out


def test_the_examples_in_the_help_are_valid():
    for command in commands().values():
        example = command.epilog.removeprefix("Example: python -m musiclib ").split()
        assert callable(parser().parse_args(example).function)


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("9m", 540), ("2h", 7200), ("0.5h", 1800), ("0", 0)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "9 m", "-9m", "9d", "m", "1e3"])
def test_no_duration(text, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "musicslots", f"--budget={text}"])
    assert caught.value.code == 2
    assert "is no duration: write 90s, 9m or 2h" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    [], ["dance"], ["train"], ["train", "lyrics"], ["train", "musicslots", "--preset", "fast"],
    ["train", "musicslots", "--seed", "x"], ["rebuild", "violins"], ["badges"],
], ids=" ".join)  # fmt: skip
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage:")
    assert "Traceback" not in error


def error_of(arguments, capsys):
    """What stands on stderr after a command that fails: one sentence."""
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def test_unknown_experiment(capsys):
    error = error_of(["train", "musicslots", "--experiment", "jazz"], capsys)
    assert "No experiment 'jazz': choose" in error
    assert "jazznet-multi-none" in error


def test_unknown_preset_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("MUSICLIB_PRESET", "fast")
    assert "'fast' is no preset" in error_of(["train", "musicslots"], capsys)
    assert "'fast' is no preset" in error_of(["course"], capsys)


def test_no_repository(capsys):
    assert "'nonsense' is no repository: write owner/name" in error_of(["badges", "nonsense"], capsys)


def test_rebuilding_without_a_soundfont(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MUSICLIB_SOUNDFONT", str(tmp_path / "none.sf2"))
    assert "none.sf2" in error_of(["rebuild", "bank"], capsys)


def test_the_remedy_for_a_missing_bank_is_a_command_that_exists(tmp_path):
    with pytest.raises(NoteBankError) as caught:
        NoteBank.load(tmp_path / "bank.flac", tmp_path / "bank.json")
    (command,) = re.findall(r"'python -m musiclib ([^']*)'", str(caught.value))
    assert parser().parse_args(command.split()).function


def test_training_stops_at_its_budget_and_goes_on(capsys, monkeypatch, tmp_path):
    """Real data, the small model, one step a call; the second call starts where the first stopped."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    command = ["train", "musicslots", "--experiment", "jazznet-single-none", "--preset", "quick", "--budget", "0"]
    before = ledger.entries()
    for _ in range(2):
        assert main(command) == 3
        assert "not done yet; the same command goes on" in capsys.readouterr().out
    assert (tmp_path / "musicslots-jazznet-single-none-small" / "last.pt").exists()
    assert ledger.entries() == before


def test_reproduce_without_time_prints_the_table(capsys):
    code = main(["reproduce", "musicslots", "--preset", "quick", "--budget", "0"])
    assert code == (3 if runs.missing("small") else 0)
    assert "paper | ours" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["reproduce musicslots --preset quick --budget 0", "decompose none.wav --json"], ids=["result", "error"]
)
def test_a_reader_that_has_gone_is_no_error(line):
    """As behind `head`: the same exit code as with a reader, and nothing on stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "musiclib", *line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == ("", main(line.split()))
