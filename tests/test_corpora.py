"""The chorales that ship."""

import json
from pathlib import Path

import music21
import pytest

from musiclib import corpora
from musiclib.corpora import BACH_CHORALES
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
