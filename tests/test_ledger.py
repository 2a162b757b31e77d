"""Results with their provenance."""

import datetime

import pytest

from musiclib import ledger


def write(folder, name, system="musicslots", **changes):
    options = {"preset": "small", "seed": 0, "config": {"steps": 3}, "metrics": {"test": {"miou": 0.5}}, "wall_s": 1.26}
    options["commit"] = "abc1234"
    return ledger.record(name, system=system, folder=folder, **(options | changes))


def test_record_and_read_back(tmp_path):
    path = write(tmp_path, "a-run")
    assert path == tmp_path / "a-run.json"
    entry = ledger.entry("a-run", tmp_path)
    assert (entry["name"], entry["system"], entry["preset"], entry["seed"]) == ("a-run", "musicslots", "small", 0)
    assert entry["metrics"] == {"test": {"miou": 0.5}}
    assert entry["config"] == {"steps": 3}
    assert entry["wall_s"] == 1.3
    assert entry["hardware"]
    assert entry["torch"]
    assert entry["commit"] == "abc1234"
    assert entry["threads"] >= 1
    datetime.date.fromisoformat(entry["date"])


def test_a_second_record_replaces_the_first(tmp_path):
    write(tmp_path, "run", seed=1)
    write(tmp_path, "run", seed=2)
    assert [entry["seed"] for entry in ledger.entries(folder=tmp_path)] == [2]


def test_entries_by_name_and_system(tmp_path):
    for name, system in (("c", "musicvae"), ("a", "musicslots"), ("b", "musicslots")):
        write(tmp_path, name, system)
    assert [entry["name"] for entry in ledger.entries(folder=tmp_path)] == ["a", "b", "c"]
    assert [entry["name"] for entry in ledger.entries("musicslots", tmp_path)] == ["a", "b"]
    assert ledger.entries("diffroll", tmp_path) == []


def test_an_entry_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run 'x'.*make reproduce"):
        ledger.entry("x", tmp_path)


def test_table():
    assert ledger.table([["a", 1], ["b", 2]], ["run", "figure"]) == (
        "| run | figure |\n| --- | --- |\n| a | 1 |\n| b | 2 |"
    )


def test_write_between(tmp_path):
    """Only what stands between the marks changes, also the second time."""
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    for _ in range(2):
        ledger.write_between(path, "results", "| new |")
        assert path.read_text() == "before\n<!-- results -->\n| new |\n<!-- /results -->\nafter\n"


@pytest.mark.parametrize("text", ["", "<!-- results -->", "<!-- /results --> <!-- results -->"])
def test_write_between_marks_that_are_not_there(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"README\.md has no lines <!-- results --> and <!-- /results -->"):
        ledger.write_between(path, "results", "new")
    assert path.read_text() == text
