"""The scores that ship, and how they come onto the grid."""

import json
from fractions import Fraction
from pathlib import Path

import music21
import numpy as np
import pytest

from musiclib import corpora
from musiclib.corpora import BACH_CHORALES, grid_piece, joined_ties, playing_order, shipped, tune_title
from musiclib.fetch import DownloadError
from musiclib.musicslots import chords


@pytest.fixture(scope="module")
def chorales():
    return json.loads(BACH_CHORALES.read_text())


def test_structure(chorales):
    """Three splits of pieces of quarters of rising pitches, at most four, within the note bank's range."""
    assert set(chorales) == {"train", "valid", "test"}
    for pieces in chorales.values():
        assert len(pieces) > 20
        for quarter in (quarter for piece in pieces for quarter in piece):
            assert quarter == sorted(set(quarter))
            assert all(36 <= pitch <= 96 for pitch in quarter)
    pieces = [piece for split in chorales.values() for piece in split]
    sizes = [len(quarter) for piece in pieces for quarter in piece]
    assert sizes.count(4) / len(sizes) > 0.8
    assert len(chorales["train"]) / len(pieces) == pytest.approx(0.8, abs=0.02)


def test_chords_can_be_made_of_them(chorales):
    """About as many as the paper's 3131, and mostly in four parts, as there."""
    table = chords.jsb_chords(chorales)
    assert 2000 < len(table) < 4000
    assert sum(len(chord) == 4 for chord in table) / len(table) > 0.8
    splits = chords.examples("JSB-multi", chorales)
    assert len(splits.train) == 9 * int(0.7 * len(table))


def test_a_chorale_of_music21_is_the_shipped_entry(chorales):
    pieces = [piece for split in chorales.values() for piece in split]
    files = [Path(file) for file in music21.corpus.getComposer("bach")]
    file = next(file for file in files if file.stem == "bwv66.6")
    piece = corpora._chorale(file)
    assert len(piece) == 36  # nine bars of four quarters
    assert piece in pieces


def test_a_score_in_other_than_four_parts_is_left_out():
    assert corpora._chorale(Path("bach/bwv846")) is None  # the first prelude, for keyboard


def test_without_a_network_the_shipped_chorales_are_used(monkeypatch, chorales):
    def fail(_):
        raise DownloadError("no network")

    monkeypatch.setattr(corpora, "download", fail)
    ours, source = corpora.chorales()
    assert ours == chorales
    assert "music21" in source


@pytest.mark.parametrize(("name", "least", "metres"), [("fiddle-tunes", 2000, {8, 16}), ("chorales", 300, {16})])
def test_a_shipped_corpus(name, least, metres):
    corpus = shipped(name)
    assert len(corpus) >= least
    assert {piece.bar_steps for piece in corpus} == metres
    for piece in corpus:
        assert piece.steps_per_quarter == 4
        assert 0 <= piece.first_bar < piece.bar_steps
        assert (np.diff(piece.notes["onset"].astype(int)) >= 0).all()
        assert (piece.notes["length"] > 0).all()
    splits = [piece.split for piece in corpus]
    assert splits.count("train") / len(corpus) == pytest.approx(0.8, abs=0.06)
    melodies = {corpora._melody(piece) for piece in corpus}
    assert len(melodies) == len(corpus), "a melody is there twice"


def test_tunes_are_monophonic_and_chorales_are_not():
    for piece in shipped("fiddle-tunes"):
        notes = piece.notes
        assert (notes["onset"][:-1] + notes["length"][:-1] <= notes["onset"][1:]).all()
    for piece in shipped("chorales"):
        assert piece.roll().sounding.sum(1).max() <= 5  # in three of them a part divides


def test_a_tune_printed_in_two_books_is_in_one_split():
    groups = {}
    for piece in shipped("fiddle-tunes"):
        groups.setdefault(piece.group, set()).add(piece.split)
    assert all(len(splits) == 1 for splits in groups.values())
    assert len(groups) < len(shipped("fiddle-tunes"))


def test_piano_works_hold_triplets_and_share_a_split_by_work():
    corpus = shipped("piano-works")
    assert len(corpus) >= 60 and {piece.steps_per_quarter for piece in corpus} == {24}
    groups = {}
    for piece in corpus:
        groups.setdefault(piece.group, set()).add(piece.split)
        assert (np.diff(piece.notes["onset"].astype(int)) >= 0).all() and (piece.notes["length"] > 0).all()
    assert all(len(splits) == 1 for splits in groups.values()) and len(groups) < len(corpus)
    assert len(corpus.split("test")) >= 5 and len(corpus.split("valid")) >= 3


def test_a_sonata_as_one_pianist_plays_it():
    """Mozart's K. 545 begins with a half note over broken triads in eighths, both hands in one piece."""
    file = Path(music21.__file__).parent / "corpus" / "mozart" / "k545" / "movement1_exposition.mxl"
    piece = corpora._classic(file)
    assert (piece.name, piece.group) == ("mozart/k545/movement1_exposition", "mozart/k545")
    begins = [(int(n["onset"]), int(n["pitch"]), int(n["length"])) for n in piece.notes if n["onset"] < 48]
    assert begins == [(0, 60, 12), (0, 72, 48), (12, 67, 12), (24, 64, 12), (36, 67, 12)]


def test_no_such_corpus():
    with pytest.raises(ValueError, match="No corpus 'jazz' ships: choose of fiddle-tunes, chorales, piano-works"):
        shipped("jazz")


def test_tunes_of_one_book():
    """Nottingham's file as printed: its first tune has two strains of eight bars, each with a pick-up and repeated."""
    file = Path(music21.__file__).parent / "corpus" / "nottingham-dataset" / "reelsa-c.abc"
    # music21 gives an opus's first tune twice
    first, second = {piece.name: piece for piece in corpora._tunes(file)}.values()
    assert first.name == "nottingham-dataset/reelsa-c-80"
    assert (first.group, first.bar_steps, first.first_bar) == ("cuckoo s nest", 16, 4)
    assert len(first) == 2 * 8 * 16 * 2
    strains = [first.roll().sounding[start : start + 124] for start in (4, 132, 260, 388)]
    assert np.array_equal(strains[0], strains[1])
    assert np.array_equal(strains[2], strains[3])
    assert not np.array_equal(strains[0], strains[2])
    assert first.notes[:3].tolist() == [(0, 4, 69, 90), (4, 2, 69, 90), (6, 2, 74, 90)]
    assert second.name.endswith("-81")


NO = (False, "", "")


@pytest.mark.parametrize(("signs", "expected"), [
    ([NO, NO], [0, 1]),
    ([NO, (False, "end", "")], [0, 1, 0, 1]),
    ([(False, "end", ""), (False, "end", ""), (False, "end", "")], [0, 0, 1, 1, 2, 2]),
    ([NO, (True, "end", ""), NO], [0, 1, 1, 2]),
    ([NO, (False, "double", ""), NO, (False, "end", "")], [0, 1, 2, 3, 2, 3]),
    ([(True, "double", ""), (False, "end", "")], [0, 1, 0, 1]),
    ([NO, (False, "end", "1"), (False, "", "2"), (False, "end", "")], [0, 1, 0, 2, 3, 3]),
    ([NO, (False, "end", "1"), (False, "end", "2"), (False, "end", "")], [0, 1, 0, 2, 3, 3]),
], ids=["plain", "one", "AABBCC without signs where they begin", "from its sign", "from the double bar",
        "over a double bar", "endings", "second ending with a sign"])  # fmt: skip
def test_playing_order(signs, expected):
    assert playing_order(signs) == expected


def third(number):
    return Fraction(number, 3)


def test_a_grid_piece_by_hand():
    """A pick-up quarter, triplet eighths to the nearest 16ths, a repeated note, and a chord over all of them."""
    notes = [(0, 1, 67), (1, third(1), 60), (third(4), third(1), 62), (third(5), third(1), 64), (2, 1, 64), (1, 2, 48)]
    piece = grid_piece("p", notes, bar_quarters=3, pickup_quarters=1)
    assert (piece.bar_steps, piece.first_bar, piece.steps_per_quarter) == (12, 4, 4)
    assert piece.notes[["onset", "length", "pitch"]].tolist() == [
        (0, 4, 67), (4, 8, 48), (4, 1, 60), (5, 2, 62), (7, 1, 64), (8, 4, 64),
    ]  # fmt: skip


def test_a_note_is_at_least_a_step_and_ends_where_the_next_of_its_pitch_begins():
    piece = grid_piece("p", [(0, Fraction(1, 16), 60), (1, 4, 60), (2, 1, 60)], bar_quarters=4)
    assert piece.notes[["onset", "length", "pitch"]].tolist() == [(0, 1, 60), (4, 4, 60), (8, 4, 60)]


def test_a_monophonic_piece_has_one_note_at_a_time():
    piece = grid_piece("p", [(0, 4, 60), (1, 1, 72), (1, 1, 64)], bar_quarters=4, monophonic=True)
    assert piece.notes[["onset", "length", "pitch"]].tolist() == [(0, 4, 60), (4, 4, 72)]


def test_ties():
    """Three tied notes are one; a tie to another pitch, or after a rest, is none."""
    start, on, stop = (music21.tie.Tie(kind) for kind in ("start", "continue", "stop"))
    notes = [(0, 1, 60, start), (1, 1, 60, on), (2, 2, 60, stop), (4, 1, 62, start), (5, 1, 64, stop), (7, 1, 64, stop)]
    assert joined_ties(notes) == [(0, 4, 60), (4, 1, 62), (5, 1, 64), (7, 1, 64)]


@pytest.mark.parametrize(("title", "expected"), [
    ("The Miller's Reel (2)", "miller s"), ("Miller's", "miller s"), ("The Reel", "The Reel"), ("Jig 25", "Jig 25"),
])  # fmt: skip
def test_titles(title, expected):
    assert tune_title(title) == expected
