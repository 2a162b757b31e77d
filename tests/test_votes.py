"""Votes: files that stay whole, many that add up, and statistics with known values."""

import json
import math
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib import paths
from musiclib.__main__ import main
from musiclib.votes import (
    CANNOT_TELL,
    COLUMNS,
    SIMULATED,
    TARGETS,
    Tally,
    Vote,
    VotesError,
    against_baseline,
    append_vote,
    figure,
    interval,
    read_votes,
    summary,
    table,
    votes_path,
    write_votes,
)

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def vote(number=0, vote="A", a="human", b="model", listener="Ann", stimuli="v1"):
    return Vote(listener, f"pair{number}", a, b, vote, 12.5, START + timedelta(minutes=number), "3", stimuli)


def written(path, *votes):
    for one in votes:
        append_vote(path, one)
    return path


# -------------------------------------------------------------------------------------------------------- files


def test_there_and_back(tmp_path):
    votes = [vote(0), vote(1, "B"), vote(2, CANNOT_TELL, "markov", "human")]
    path = written(tmp_path / "new folder" / "ann.csv", *votes)
    assert read_votes(path) == votes
    first, second, *_ = path.read_text().splitlines()
    assert first == "listener,trial,kind,a,b,vote,seconds,time,seed,stimuli"
    assert second == "Ann,pair0,human/model,human,model,A,12.5,2026-05-04T10:30:00+00:00,3,v1"


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: not name.startswith(SIMULATED)))
def test_any_name_comes_back(tmp_path_factory, name):
    """Commas, quotes, line ends, other alphabets."""
    path = tmp_path_factory.mktemp("votes") / "x.csv"
    assert [vote.listener for vote in read_votes(written(path, vote(listener=name)))] == [name]


def test_a_failure_in_the_middle_of_a_write_loses_nothing(tmp_path, monkeypatch):
    """Whether writing stops half way or the new file cannot take the old one's place, the old one is as it was."""
    path = written(tmp_path / "ann.csv", vote(0))
    before = path.read_bytes()

    def half_written(self, text, **options):
        with open(self, "w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr("pathlib.Path.write_text", half_written)
        append_vote(path, vote(1))
    assert path.read_bytes() == before

    def no_replace(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched, pytest.raises(PermissionError):
        patched.setattr(paths.os, "replace", no_replace)
        append_vote(path, vote(1))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["ann.csv"], "a temporary file was left"
    assert len(read_votes(written(path, vote(1)))) == 2


def test_a_file_without_its_last_line_end_goes_on(tmp_path):
    path = written(tmp_path / "ann.csv", vote(0))
    path.write_text(path.read_text().rstrip("\n"))
    assert len(read_votes(written(path, vote(1)))) == 2


def test_a_file_from_a_spreadsheet(tmp_path):
    """With a byte order mark, and line ends of either kind; the test goes on in it."""
    path = written(tmp_path / "ann.csv", vote(0), vote(1))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n"))
    assert read_votes(path) == [vote(0), vote(1)]
    assert read_votes(written(path, vote(2))) == [vote(0), vote(1), vote(2)]


def test_a_folder_merges(tmp_path):
    written(tmp_path / "ann.csv", vote(0), vote(2))
    written(tmp_path / "ben.csv", vote(1, listener="Ben"))
    (tmp_path / ".ann-half.csv").write_text("half a wri")  # of a write that is going on
    (tmp_path / "notes.txt").write_text("not a vote")
    assert [(vote.listener, vote.trial) for vote in read_votes(tmp_path)] == [
        ("Ann", "pair0"), ("Ben", "pair1"), ("Ann", "pair2"),
    ]  # fmt: skip
    assert read_votes([tmp_path / "ben.csv"]) == [vote(1, listener="Ben")]


def test_of_two_votes_about_a_pair_the_last_counts(tmp_path):
    later = replace(vote(0, "B"), time=START + timedelta(hours=1))
    assert read_votes(written(tmp_path / "ann.csv", vote(0), vote(1), later)) == [vote(1), later]


def test_a_file_handed_in_twice_counts_once(tmp_path):
    """As a copy, with more votes the second time, and with a changed mind; whatever the files are called."""
    later = replace(vote(0, "B"), time=START + timedelta(hours=1))
    written(tmp_path / "z" / "ann.csv", vote(0))
    written(tmp_path / "b" / "ann (1).csv", vote(0), vote(1))
    written(tmp_path / "c" / "ann.csv", vote(0), vote(1))
    written(tmp_path / "a.csv", vote(0), vote(1), later)
    assert read_votes(tmp_path) == [vote(1), later]


def test_a_listener_goes_on_in_another_file(tmp_path):
    written(tmp_path / "laptop.csv", vote(0))
    written(tmp_path / "phone.csv", vote(1))
    assert read_votes(tmp_path) == [vote(0), vote(1)]


def test_two_people_of_one_name_are_not_taken_for_one(tmp_path):
    """Nor one who began anew for two: it is asked who they are. With another name both count."""
    written(tmp_path / "one" / "votes-ann.csv", vote(0), vote(1))
    other = written(tmp_path / "two" / "votes-ann.csv", replace(vote(0), seconds=8.0), vote(2))
    with pytest.raises(VotesError, match=r"one/votes-ann\.csv and .*two/votes-ann\.csv are both by 'Ann' and .* pair0"):
        read_votes(tmp_path)
    other.write_text(other.read_text().replace("Ann,", "Ann B,"))
    assert len(read_votes(tmp_path)) == 4


def test_many_listeners_in_one_file(tmp_path):
    """As merged: it says the same as the files it was made from, alone and beside them."""
    votes = [vote(0), vote(1, CANNOT_TELL, listener="Ben, of course"), vote(2, "B", "markov", "human")]
    written(tmp_path / "ann.csv", votes[0], votes[2])
    written(tmp_path / "ben.csv", votes[1])
    write_votes(tmp_path / "all.csv", read_votes(tmp_path))
    assert read_votes(tmp_path / "all.csv") == read_votes(tmp_path) == votes


def test_folders_that_begin_with_a_dot_are_left_alone(tmp_path):
    """Jupyter keeps old versions in one."""
    written(tmp_path / "ann" / "votes.csv", vote(0))
    written(tmp_path / "ann" / ".ipynb_checkpoints" / "votes-checkpoint.csv", replace(vote(0), seconds=1.0))
    assert read_votes(tmp_path) == [vote(0)]


def test_votes_about_other_sounds_are_refused(tmp_path):
    written(tmp_path / "ann.csv", vote(0))
    written(tmp_path / "ben.csv", vote(1, listener="Ben", stimuli="v2"))
    with pytest.raises(VotesError, match=r"ben\.csv has votes about other sounds \(v2\) than .*ann\.csv \(v1\)"):
        read_votes(tmp_path)


GOOD = "Ann,pair0,human/model,human,model,A,12.5,2026-05-04T10:30:00+00:00,3,v1"


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda line: line[:40], "columns of 10"),
        (lambda line: line + ",more", "columns of 10"),
        (lambda line: line.replace(",A,", ",C,"), "a vote is one of A, B, cannot tell, not 'C'"),
        (lambda line: line.replace("human,model", "human,human"), "a pair is human and one of"),
        (lambda line: line.replace("human/model", "human/markov"), "the kind is 'human/markov'"),
        (lambda line: line.replace("12.5", "soon"), "could not convert"),
        (lambda line: line.replace("12.5", "nan"), "seconds or time"),
        (lambda line: line.replace("2026", "now"), "isoformat"),
        (lambda line: line.replace("+00:00", ""), "seconds or time"),
        (lambda line: line.replace("Ann", ""), "listener, trial or stimuli is empty"),
        (lambda line: line.replace("Ann", '"Ann"x'), "expected after"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, damage, cause):
    path = tmp_path / "ann.csv"
    path.write_text("\n".join([",".join(COLUMNS), GOOD, damage(GOOD), GOOD]) + "\n")
    with pytest.raises(VotesError, match=rf"ann\.csv, line 3 is no vote \(.*{cause}"):
        read_votes(path)


def test_what_is_no_file_of_votes(tmp_path):
    with pytest.raises(VotesError, match="has no CSV file"):
        read_votes(tmp_path)
    with pytest.raises(VotesError, match=r"nobody\.csv cannot be read"):
        read_votes(tmp_path / "nobody.csv")
    for text, cause in (("", "line 1"), ("name,age\nAnn,7\n", "first line is not listener,trial,kind")):
        (tmp_path / "other.csv").write_text(text)
        with pytest.raises(VotesError, match=cause):
            read_votes(tmp_path)
    (tmp_path / "other.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VotesError, match="UTF-8"):
        read_votes(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "Zoë", "李雷", "a/b\\c:d*?", ".", "", "con", "x" * 500, "\n", "😀"]
)
def test_odd_names_make_safe_file_names(tmp_path, name):
    path = votes_path(name, tmp_path)
    assert path.parent == tmp_path
    assert set(path.stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(path.name) < 80
    assert path.name.startswith("votes-")
    path.write_text("")


def test_different_names_make_different_files():
    """Where Ann and ann are one file name as well, and umlauts are lost."""
    names = ["Ann", "ann", "ANN", "Zoë", "Zoe", "zoe", "a b", "a-b", "a  b", "李", "雷", "x" * 60, "x" * 61]
    assert len({str(votes_path(name)).lower() for name in names}) == len(names)


def test_simulated_votes_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="simulated votes are not written"):
        append_vote(tmp_path / "votes.csv", vote(listener=SIMULATED + "coin"))
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(
    ("machine", "decided", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),  # 1 − 0.025^(1/10)
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),
        (2, 10, 0.0252, 0.5561),
        (20, 100, 0.1267, 0.2918),
        (0, 0, 0.0, 1.0),
    ],
)
def test_known_intervals(machine, decided, low, high):
    """Clopper-Pearson, from published tables."""
    assert interval(machine, decided) == pytest.approx((low, high), abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.data())
def test_the_interval_is_exact(decided, data):
    """At its lower end as many votes or more, and at its upper end as many or fewer, have probability 2.5 %."""
    machine = data.draw(st.integers(0, decided))

    def at_least(k, p):
        return sum(math.comb(decided, i) * p**i * (1 - p) ** (decided - i) for i in range(k, decided + 1))

    low, high = interval(machine, decided)
    assert low <= machine / decided <= high
    assert low == 0 if machine == 0 else at_least(machine, low) == pytest.approx(0.025, abs=1e-6)
    assert high == 1 if machine == decided else at_least(machine + 1, high) == pytest.approx(0.975, abs=1e-6)


@pytest.mark.parametrize(
    ("human", "machine", "p"),
    [(10, 0, 2 / 1024), (9, 1, 22 / 1024), (5, 5, 1.0), (0, 5, 2 / 32), (0, 0, 1.0)],
)
def test_known_p_values(human, machine, p):
    assert Tally("x", human, machine, 3).p_value == pytest.approx(p)


def test_counts_by_hand():
    """Ann: model A right, model B wrong, one she cannot tell; chain right twice. Ben is wrong about the model."""
    votes = [
        vote(0, "A", "human", "model"),
        vote(1, "A", "model", "human"),
        vote(2, CANNOT_TELL, "model", "human"),
        vote(3, "B", "markov", "human"),
        vote(4, "A", "human", "markov"),
        vote(0, "B", "human", "model", listener="Ben"),
    ]
    assert summary(votes) == [Tally("human/model", 1, 2, 1), Tally("human/markov", 2, 0, 0)]
    assert summary(votes)[0].share == pytest.approx(2 / 3)
    assert summary(votes, per_listener=True) == [
        Tally("Ann, human/model", 1, 1, 1), Tally("Ann, human/markov", 2, 0, 0), Tally("Ben, human/model", 0, 1, 0),
    ]  # fmt: skip
    assert summary([]) == []


def test_cannot_tell_decides_nothing():
    """It moves neither share nor interval nor p; with nothing else there is no share."""
    few, many = Tally("x", 3, 1, 0), Tally("x", 3, 1, 50)
    assert (few.share, few.interval, few.p_value) == (many.share, many.interval, many.p_value)
    assert math.isnan(Tally("x", 0, 0, 5).share)
    assert Tally("x", 0, 0, 5).in_words() == "x: no vote decides, 5 cannot tell."


def test_the_model_against_the_baseline():
    """Fisher's tea: 3 of 4 against 1 of 4 is p = 34/70."""
    votes = [vote(i, "B" if i < 3 else "A") for i in range(4)]
    votes += [vote(i, "B" if i < 5 else "A", b="markov") for i in range(4, 8)]
    assert against_baseline(votes) == pytest.approx(34 / 70)
    assert against_baseline(votes[:4]) == 1


def test_simulated_votes_are_marked_and_kept_apart():
    simulated = [vote(i, listener=SIMULATED + "coin") for i in range(3)]
    assert [x.name for x in summary(simulated)] == ["human/model (simulated)"]
    assert summary(simulated, per_listener=True)[0].name == "simulated: coin, human/model"
    with pytest.raises(ValueError, match="simulated"):
        summary([*simulated, vote(9)])


def test_the_table():
    rows = table([Tally("a|b", 8, 2, 1), Tally("none", 0, 0, 4)]).splitlines()
    assert rows[2:] == [
        "| a\\|b | 8 | 2 | 1 | 20% | 3% to 56% | 0.109 |",
        "| none | 0 | 0 | 4 | – | 0% to 100% | 1.000 |",
    ]
    assert {row.replace("\\|", "").count("|") for row in rows} == {8}


def test_the_figure_shows_shares_intervals_and_targets():
    axes = figure([Tally("human/model", 8, 2, 0), Tally("human/markov", 10, 0, 1)]).axes[0]
    drawn = [[float(x) for x in line.get_xdata()] for line in axes.lines]
    for expected in ([0.2], [0.0], interval(2, 10), interval(0, 10), *([x, x] for x in TARGETS.values())):
        assert any(line == pytest.approx(list(expected)) for line in drawn)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["human/model", "human/markov"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row is on top"


# ------------------------------------------------------------------------------------------------- command line


def test_the_class_s_votes_merge(tmp_path, capsys):
    """Ann votes for the machine once and for the human once, Ben for the machine twice."""
    written(tmp_path / "in" / "ann" / "votes-ann.csv", vote(0, "A"), vote(1, "B"))
    written(tmp_path / "in" / "ben" / "votes-ben.csv", vote(0, "B", listener="Ben"), vote(1, "B", listener="Ben"))
    assert main(["votes", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert "4 votes of 2 listeners" in (printed := capsys.readouterr().out)
    assert "| human/model | 1 | 3 | 0 | 75% | 19% to 99% | 0.625 |" in printed
    assert len(read_votes(tmp_path / "out" / "votes.csv")) == 4
    assert (tmp_path / "out" / "votes.png").read_bytes().startswith(b"\x89PNG")
    assert main(["votes", str(tmp_path / "in"), "--listeners", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["votes"]
    assert [(row["pairs"], row["machine"]) for row in rows] == [("Ann, human/model", 1), ("Ben, human/model", 2)]


@pytest.mark.parametrize(
    ("file", "second", "cause"),
    [
        ("ben.csv", vote(0, listener="Ben", stimuli="v2"), "ben.csv has votes about other sounds"),
        ("ann.csv", replace(vote(0), seconds=1.0), "are both by 'Ann'"),
    ],
)
def test_votes_that_do_not_add_up(tmp_path, capsys, file, second, cause):
    written(tmp_path / "in" / "1" / "ann.csv", vote(0))
    written(tmp_path / "in" / "2" / file, second)
    assert main(["votes", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert cause in error
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
