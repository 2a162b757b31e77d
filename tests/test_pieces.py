"""Pieces, their splits, and many of them in one file."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musiclib.pieces import GRID_NOTE, SPLITS, Corpus, CorpusError, Piece, join_corpora, save_corpus

NOTE = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 2**16 - 1), st.integers(0, 127), st.integers(1, 127)
)  # fmt: skip


def piece(name, notes=((0, 4, 60, 90),), **rest):
    return Piece(name, np.array(list(notes), GRID_NOTE), **rest)


@st.composite
def corpora(draw):
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=6))
    return [
        piece(
            name, sorted(draw(st.lists(NOTE, max_size=5))), group=draw(st.text(st.characters(codec="utf-8"))),
            steps_per_quarter=draw(st.integers(1, 96)), bar_steps=draw(st.integers(1, 999)),
            first_bar=draw(st.integers(0, 999)), fixed_split=draw(st.sampled_from(["", *SPLITS])),
        )
        for name in names
    ]  # fmt: skip


def fields(piece):
    return (
        piece.name, piece.notes.tolist(), piece.steps_per_quarter, piece.bar_steps, piece.first_bar, piece.group,
        piece.split, piece.step_s,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(corpora())
def test_pieces_come_back_sorted(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("corpus") / "a.corpus"
    save_corpus(path, pieces, "made up")
    corpus = Corpus(path)
    expected = sorted(pieces, key=lambda piece: piece.name)
    assert corpus.about == "made up"
    assert [fields(piece) for piece in corpus] == [fields(piece) for piece in expected]
    for split in SPLITS:
        assert [p.name for p in corpus.split(split)] == [p.name for p in expected if p.split == split]


@settings(max_examples=15, deadline=None)
@given(corpora(), st.integers(0, 6))
def test_parts_joined_are_the_whole(tmp_path_factory, pieces, cut):
    folder = tmp_path_factory.mktemp("corpus")
    pieces = sorted(pieces, key=lambda piece: piece.name)
    for name, some in (("whole", pieces), ("a", pieces[:cut]), ("b", pieces[cut:])):
        save_corpus(folder / name, some, "made up")
    join_corpora(folder / "joined", [Corpus(folder / "a"), Corpus(folder / "b")], "made up")
    assert (folder / "joined").read_bytes() == (folder / "whole").read_bytes()


def test_it_is_a_sequence(tmp_path):
    save_corpus(tmp_path / "a", [piece(name) for name in "abcd"], "")
    corpus = Corpus(tmp_path / "a")
    assert len(corpus) == 4
    assert [p.name for p in corpus[1:3]] == ["b", "c"]
    assert corpus[-1].name == "d"
    with pytest.raises(IndexError):
        corpus[4]


def test_the_library_reads_the_file_too(tmp_path):
    from safetensors.numpy import load_file

    save_corpus(tmp_path / "a", [piece("a", [(7, 2, 60, 90)]), piece("b", [(1, 3, 61, 80), (4, 5, 62, 70)])], "")
    arrays = load_file(tmp_path / "a")
    assert arrays["start"].tolist() == [0, 1, 3]
    assert arrays["onset"].tolist() == [7, 1, 4]
    assert arrays["pitch"].tolist() == [60, 61, 62]


def test_names_are_unique(tmp_path):
    with pytest.raises(ValueError, match="Two pieces are named 'a'"):
        save_corpus(tmp_path / "x", [piece("a"), piece("b"), piece("a")], "")
    save_corpus(tmp_path / "x", [piece("b")], "")
    save_corpus(tmp_path / "y", [piece("a")], "")
    with pytest.raises(ValueError, match="'a' comes too late"):
        join_corpora(tmp_path / "z", [Corpus(tmp_path / "x"), Corpus(tmp_path / "y")], "")
    assert not (tmp_path / "z").exists()


def test_seconds_and_quarters_do_not_mix(tmp_path):
    with pytest.raises(ValueError, match="one step"):
        save_corpus(tmp_path / "x", [piece("a", step_s=0.01), piece("b")], "")


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:5], lambda data: data[:200], lambda data: data[:-3],
    lambda data: b"MThd" + data, lambda data: data.replace(b"musiclib", b"somelib!"),
], ids=["empty", "stub", "no header", "cut", "other", "no description"])  # fmt: skip
def test_a_damaged_file(tmp_path, damage):
    save_corpus(tmp_path / "a.corpus", [piece("a")], "")
    (tmp_path / "a.corpus").write_bytes(damage((tmp_path / "a.corpus").read_bytes()))
    with pytest.raises(CorpusError, match=r"a\.corpus is no corpus of this course .*: build it again"):
        Corpus(tmp_path / "a.corpus")


def test_a_missing_file(tmp_path):
    with pytest.raises(CorpusError, match="There is no corpus"):
        Corpus(tmp_path / "none.corpus")


def test_only_what_is_asked_for_is_read(tmp_path):
    """Of 96 MB the twentieth part."""
    notes = np.zeros(600_000, GRID_NOTE)
    save_corpus(tmp_path / "a", [Piece(f"{number:02}", notes) for number in range(20)], "")
    assert (tmp_path / "a").stat().st_size > 96e6
    code = (
        "import resource, sys; from musiclib.pieces import Corpus; peak = lambda: resource.getrusage("
        "resource.RUSAGE_SELF).ru_maxrss\nbefore = peak(); corpus = Corpus(sys.argv[1]); piece = corpus[13]\n"
        "print(len(piece.notes), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    assert count == 600_000
    assert grown * unit < 30e6


def test_splits_stay_where_they_are():
    """A release that moved pieces between splits would make every score of the course void."""
    assert [piece(name).split for name in "abcdefghij"] == [
        "test",
        "train",
        "valid",
        "train",
        "train",
        "train",
        "train",
        "test",
        "test",
        "train",
    ]


def test_a_group_shares_a_split_and_a_published_one_stands():
    assert len({piece(str(number), group="Greensleeves").split for number in range(50)}) == 1
    assert [piece("a", group="Greensleeves", fixed_split=split).split for split in SPLITS] == list(SPLITS)


def test_eight_to_one_to_one():
    splits = [piece(str(number)).split for number in range(10_000)]
    assert splits.count("train") / 10_000 == pytest.approx(0.8, abs=0.02)
    assert splits.count("valid") / 10_000 == pytest.approx(0.1, abs=0.02)


def test_a_piece_as_a_roll():
    """A note that is struck again at step 2, at 60 quarters per minute in 16ths."""
    roll = piece("a", [(0, 4, 60, 90), (2, 3, 60, 90)]).roll(60)
    assert roll.step_s == 0.25
    assert np.flatnonzero(roll.sounding[:, 60]).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(roll.onset[:, 60]).tolist() == [0, 2]
    assert roll.sounding.sum() == 5
    assert len(piece("a", [])) == 0
