"""Improvising on the command line: any score works, or one sentence says why not."""

from dataclasses import replace
from pathlib import Path

import pytest
import symusic
import torch

from musiclib import checkpoints, corpora, paths
from musiclib.__main__ import main
from musiclib.improvise import runs
from musiclib.improvise.bars import INPUTS
from musiclib.improvise.experiments import EXPERIMENTS
from musiclib.improvise.perform import Query, read_query
from musiclib.improvise.vae import BarVAE
from musiclib.scores import read_score

STYLES = ("chorales", "fiddle-tunes")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Tiny models that play about half of everything, where those that ship would be; and a folder to work in."""
    for name in ("RUNS", "CHECKPOINTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    torch.manual_seed(0)
    for name in STYLES:
        model = BarVAE(replace(EXPERIMENTS[name].model_config(), hidden=8, latent=4))
        checkpoints.save_weights(paths.CHECKPOINTS / f"{EXPERIMENTS[name].run_name('paper')}.safetensors", model, {})
    bars = torch.randint(0, 2, (20, INPUTS)).to(torch.uint8)
    monkeypatch.setattr(runs, "data", lambda corpus, split: bars)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def midi(name: str, notes: list[tuple[int, int, int]], signs=((0, 4, 4),), drums=False, tempo=90) -> str:
    """Notes (16th, length, pitch) as a file."""
    score = symusic.Score(480)
    score.time_signatures.extend([symusic.TimeSignature(at * 120, *sign) for at, *sign in signs])
    score.tempos.append(symusic.Tempo(0, tempo))
    track = symusic.Track(is_drum=drums)
    track.notes.extend([symusic.Note(at * 120, length * 120, pitch, 90) for at, length, pitch in notes])
    score.tracks.append(track)
    score.dump_midi(name)
    return name


SCALE = [(4 * i, 4, 60 + i) for i in range(32)]
QUERIES = {
    "four four": (SCALE, ((0, 4, 4),)),
    "three four": (SCALE, ((0, 3, 4),)),
    "six eight": (SCALE, ((0, 6, 8),)),
    "two four": (SCALE, ((0, 2, 4),)),
    "five four": (SCALE, ((0, 5, 4),)),
    "three sixteenths": (SCALE, ((0, 3, 16),)),
    "metre changes": (SCALE, ((0, 4, 4), (48, 3, 4))),
    "no whole number of steps": (SCALE, ((0, 7, 32),)),
    "polyphonic": ([(4 * i, 4, p) for i in range(32) for p in range(30, 90, 5)], ((0, 4, 4),)),
    "whole keyboard": ([(4 * (i % 32), 4, i) for i in range(128)], ((0, 4, 4),)),
    "one note": ([(0, 1, 60)], ((0, 4, 4),)),
    "late": ([(400, 4, 60)], ((0, 4, 4),)),
    "long": ([(4 * i, 4, 60 + i % 12) for i in range(8000)], ((0, 4, 4),)),
}


@pytest.mark.parametrize("kind", QUERIES)
@pytest.mark.parametrize("style", STYLES)
def test_any_score(folder, capsys, kind, style):
    query = midi("query.mid", *QUERIES[kind])
    assert main(f"improvise {query} out.mid --bits 4 --style {style}".split()) == 0
    told, output = capsys.readouterr().out, read_score("out.mid")
    assert f"4 bits of each sent to {style}, seed 0: out.mid" in told
    assert ("cut every four quarters" in told) == (kind in ("metre changes", "no whole number of steps"))
    assert len(output) == len(read_score(query)) and output.sounding.any()


def test_the_same_seed_gives_the_same_bytes_and_the_querys_tempo(folder):
    query = midi("query.mid", SCALE)
    for name, seed in (("a.mid", 1), ("b.mid", 1), ("c.mid", 2)):
        assert main(f"improvise {query} {name} --bits 3 --seed {seed}".split()) == 0
    a, b, c = ((folder / name).read_bytes() for name in ("a.mid", "b.mid", "c.mid"))
    assert a == b != c
    assert read_score("a.mid").step_s == pytest.approx(60 / 90 / 4)
    assert main(f"improvise {query} d.mid --tempo 150".split()) == 0
    assert read_score("d.mid").step_s == pytest.approx(60 / 150 / 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "There is no file query.mid"),
        (lambda: Path("query.mid").touch(), "query.mid is empty"),
        (lambda: midi("query.mid", []), "holds no notes"),
        (lambda: midi("query.mid", SCALE, drums=True), "holds no notes, apart perhaps from drums"),
        (lambda: Path("query.mid").write_text("la la"), "neither MIDI nor MusicXML"),
    ],
)
def test_no_query(folder, capsys, make, message):
    make()
    assert main(["improvise", "query.mid", "out.mid"]) == 1
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (folder / "out.mid").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("improvise query.mid query.mid", "stays as it is"),
        ("improvise query.mid out.wav", "MIDI under another name"),
        ("improvise query.mid out.mid --style jazz", "No experiment 'jazz': choose of chorales"),
        ("improvise query.mid out.mid --style query.mid", "There is no checkpoint"),
        ("improvise query.mid query.mid/out.mid", "Cannot write"),
    ],
)
def test_no_output(folder, capsys, command, message):
    midi("query.mid", SCALE)
    assert main(command.split()) == 1
    assert message in capsys.readouterr().err


def test_silence_is_no_improvisation(folder, capsys):
    path = paths.CHECKPOINTS / f"{EXPERIMENTS['chorales'].run_name('paper')}.safetensors"
    model = runs.load(path.stem)
    with torch.no_grad():
        model.decoder[-1].bias.fill_(-50)
    checkpoints.save_weights(path, model, {})
    midi("query.mid", SCALE)
    assert main(["improvise", "query.mid", "out.mid", "--seed", "5", "--bits", "7"]) == 1
    assert "Seed 5 at 7 bits gave nothing but silence" in capsys.readouterr().err


def test_a_pick_up_of_its_own_metre_is_a_change_of_metre(folder):
    notes = [(0, 4, 62), *((4 + 4 * i, 4, 60 + i) for i in range(9))]
    query = read_query(midi("query.mid", notes, ((0, 1, 4), (4, 3, 4))))
    assert (query.steps, query.first_bar) == (16, 0) and "quarters" in query.remark


@pytest.mark.parametrize("number", range(5))
def test_a_query_comes_back_whole(number):
    piece = corpora.shipped("fiddle-tunes")[number]
    query = Query.of_piece(piece)
    assert query.to_roll(query.bars) == piece.roll()
