"""Composing on the command line: bars, repeatable files, and one sentence for what cannot be read or written."""

from dataclasses import replace

import pytest
import torch
from rolls import roll_of

from musiclib import checkpoints, paths
from musiclib.__main__ import main
from musiclib.musicvae import compose as composing
from musiclib.musicvae import latent
from musiclib.musicvae.data import HOLD, NOTE_OFF
from musiclib.musicvae.experiments import EXPERIMENTS
from musiclib.musicvae.model import MusicVAE, MusicVAEConfig
from musiclib.pianoroll import PianoRoll
from musiclib.scores import read_score

MODELS = ("melody-2", "melody-16-flat", "melody-16-hierarchical")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Tiny models, untrained, where those that ship would be; and a folder to work in."""
    for name in ("RUNS", "CHECKPOINTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setenv("MUSICLIB_PRESET", "quick")
    for name in MODELS:
        experiment = EXPERIMENTS[name]
        config = replace(experiment.model_config("small"), latent=4, encoder_width=4, decoder_width=8)
        model = MusicVAE(replace(config, conductor_width=8 if config.conductor_width else 0))
        checkpoints.save_weights(paths.CHECKPOINTS / f"{experiment.run_name('small')}.safetensors", model, {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scale(bars: int, start: int = 60) -> PianoRoll:
    """Quarters up and up."""
    return roll_of(16 * bars, *((4 * i, 4 * i + 4, start + i % 24) for i in range(4 * bars)))


def error_of(command: str, capsys) -> str:
    assert main(command.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize("bars", [1, 2, 3, 20])
def test_so_many_bars(folder, capsys, bars):
    assert main(f"compose --bars {bars} --seed 3 out.mid".split()) == 0
    assert len(read_score("out.mid")) == 16 * bars
    out = capsys.readouterr().out
    assert f"{bars} bars, seed 3: out.mid" in out
    assert ("20 bars are more than the 16 that the model learned: it goes on without a plan." in out) == (bars == 20)


@pytest.mark.parametrize(
    ("bars", "name"),
    [(1, "melody-2"), (2, "melody-2"), (3, "melody-16-hierarchical"), (16, "melody-16-hierarchical"),
     (17, "melody-16-flat"), (1000, "melody-16-flat")],
)  # fmt: skip
def test_which_model_composes(bars, name):
    assert composing.experiment_for(bars).name == name


def test_the_same_seed_gives_the_same_bytes(folder):
    for seed, name in ((3, "a.mid"), (3, "b.mid"), (4, "c.mid")):
        assert main(f"compose --bars 3 --seed {seed} {name}".split()) == 0
    a, b, c = ((folder / name).read_bytes() for name in ("a.mid", "b.mid", "c.mid"))
    assert a == b != c


def test_composing_leaves_the_random_state_alone():
    model = MusicVAE(MusicVAEConfig(bars=1, latent=4, encoder_width=4, decoder_width=4))
    state = torch.random.get_rng_state()
    composing.compose(model, latent.Codes(torch.zeros(4), torch.eye(4)), 1, seed=3)
    composing.between(model, torch.arange(16), torch.arange(16), 2, temperature=1.0)
    assert torch.equal(state, torch.random.get_rng_state())


def test_sixteen_bars_unless_told_and_fewer_are_their_beginning(folder):
    assert main(["compose", "--seed", "1", "16.mid"]) == 0
    assert main(["compose", "--seed", "1", "--bars", "3", "3.mid"]) == 0
    assert len(read_score("16.mid")) == 256
    assert read_score("16.mid")[:48] == read_score("3.mid")


def test_temperature_zero_has_one_answer_and_higher_ones_more_notes(folder):
    for temperature, name in (("0", "cold.mid"), ("10", "hot.mid")):
        assert main(f"compose --bars 2 --temperature {temperature} {name}".split()) == 0
    assert len(read_score("hot.mid").grid_notes()[0]) > 20  # nearly every step: 128 of 130 tokens are notes
    assert read_score("cold.mid") != read_score("hot.mid")


def test_program_and_tempo(folder):
    import symusic

    assert main(["compose", "--bars", "1", "--program", "73", "--tempo", "90", "out.mid"]) == 0
    score = symusic.Score("out.mid")
    assert [track.program for track in score.tracks] == [73]
    assert score.tempos[0].qpm == pytest.approx(90)


def test_a_size_that_is_not_trained_gives_way_to_the_small_one(folder, capsys):
    assert main(["compose", "--bars", "2", "--preset", "paper", "out.mid"]) == 0
    out = capsys.readouterr().out
    assert "No trained model musicvae-melody-2-paper here: using musicvae-melody-2-small." in out


def test_silence_is_no_tune(folder, capsys):
    experiment = EXPERIMENTS["melody-2"]
    path = paths.CHECKPOINTS / f"{experiment.run_name('small')}.safetensors"
    config, _ = checkpoints.read_metadata(path)
    model = MusicVAE(replace(experiment.model_config("small"), **config))
    with torch.no_grad():
        model.decoder.logits.bias[HOLD] = 1e3
    checkpoints.save_weights(path, model, {})
    assert "Seed 5 gave nothing but silence" in error_of("compose --bars 2 --seed 5 out.mid", capsys)
    assert not (folder / "out.mid").exists()


@pytest.mark.parametrize(("bars", "steps"), [(2, 7), (2, 2), (16, 3)])
def test_one_tune_into_another(folder, capsys, bars, steps):
    scale(bars).write_midi("a.mid")
    scale(bars + 1, start=70).write_midi("b.mid")
    assert main(f"compose --between a.mid b.mid --bars {bars} --steps {steps} out.mid".split()) == 0
    roll = read_score("out.mid")
    assert len(roll) == 16 * (steps * (bars + 1) - 1)
    lines = capsys.readouterr().out.splitlines()
    begins = [int(line.split()[1].rstrip(":")) for line in lines if line.startswith("bar ")]
    assert begins == [1 + step * (bars + 1) for step in range(steps)]
    for begin in begins[1:]:
        assert not roll.sounding[16 * (begin - 2) : 16 * (begin - 1)].any()  # the bar before each is a rest
    assert "0% of the way" in lines[0] and "100% of the way" in lines[steps - 1]


def test_between_repeats_and_takes_two_bars_in_seven_steps_unless_told(folder):
    scale(2).write_midi("a.mid")
    scale(2, 70).write_musicxml("b.musicxml")
    for name in ("one.mid", "two.mid"):
        assert main(f"compose --between a.mid b.musicxml {name}".split()) == 0
    assert (folder / "one.mid").read_bytes() == (folder / "two.mid").read_bytes()
    assert len(read_score("one.mid")) == 16 * (7 * 3 - 1)


def test_the_model_hears_the_melody_of_the_first_bars_that_are_not_mostly_rest(folder):
    """Of 32 steps 4 sound from bar 1, 12 from bar 2 and 24 from bar 3 on; the highest of a chord is the melody."""
    notes = [(28, 32, 50), (32, 40, 60), (32, 40, 64), (48, 56, 62), (56, 64, 65)]
    roll_of(80, *notes).write_midi("a.mid")
    expected = [64, *[HOLD] * 7, NOTE_OFF, *[HOLD] * 7, 62, *[HOLD] * 7, 65, *[HOLD] * 7]
    tokens = composing.read_melody(folder / "a.mid", 2)
    assert tokens.dtype == torch.uint8
    assert tokens.tolist() == expected


def test_the_last_bar_counts_even_if_its_last_note_ends_early(folder):
    PianoRoll.joined([scale(2)])[:28].write_midi("a.mid")  # no rest is written after the seventh quarter
    tokens = composing.read_melody(folder / "a.mid", 2)
    assert tokens.tolist() == [x for i in range(7) for x in (60 + i, HOLD, HOLD, HOLD)] + [NOTE_OFF, HOLD, HOLD, HOLD]


def test_a_note_that_a_window_cuts_begins_with_it(folder):
    """6 steps of bars 1 and 2 sound, 20 of bars 2 and 3."""
    roll_of(48, (14, 20, 50), (32, 48, 60)).write_midi("a.mid")
    expected = [50, *[HOLD] * 3, NOTE_OFF, *[HOLD] * 11, 60, *[HOLD] * 15]
    assert composing.read_melody(folder / "a.mid", 2).tolist() == expected


def write_drums(path):
    import symusic

    score = symusic.Score(480)
    track = symusic.Track(is_drum=True)
    track.notes.append(symusic.Note(0, 480, 38, 90))
    score.tracks.append(track)
    score.dump_midi(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "There is no file a.mid"),
        (lambda path: path.write_bytes(b""), "a.mid is empty"),
        (lambda path: path.write_bytes(b"RIFF and so on"), "a.mid is neither MIDI nor MusicXML"),
        (lambda path: path.mkdir(), "a.mid is a folder"),
        (write_drums, "a.mid holds no notes, apart perhaps from drums"),
        (lambda path: scale(1).write_midi(path), "a.mid has 1 bar, and 2 are needed"),
        (lambda path: roll_of(64, (0, 4, 60)).write_midi(path), "a.mid rests most of the time"),
    ],
    ids=["missing", "empty", "no score", "folder", "drums", "short", "rests"],
)
def test_scores_that_cannot_be_joined(folder, capsys, make, message):
    make(folder / "a.mid")
    scale(2).write_midi("b.mid")
    for order in ("a.mid b.mid", "b.mid a.mid"):
        assert message in error_of(f"compose --between {order} out.mid", capsys)
    assert not (folder / "out.mid").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("compose --steps 5 out.mid", "add --between a.mid b.mid"),
        ("compose --between a.mid b.mid --bars 5 out.mid", "of 2 or of 16 bars can be joined, not of 5"),
        ("compose --between a.mid b.mid b.mid", "b.mid is to be read and stays as it is"),
        ("compose out.wav", "out.wav would be MIDI under another name"),
        ("compose --bars 2 full.mid", "Cannot write full.mid (Is a directory)"),
        ("compose --bars 2 a.mid/out.mid", "Cannot write a.mid/out.mid"),
    ],
)
def test_commands_that_cannot_be_followed(folder, capsys, command, message):
    for name in ("a.mid", "b.mid"):
        scale(2).write_midi(name)
    (folder / "full.mid").mkdir()
    before = (folder / "b.mid").read_bytes()
    assert message in error_of(command, capsys)
    assert (folder / "b.mid").read_bytes() == before


@pytest.mark.parametrize("option", [
    "--bars 0", "--bars 1001", "--bars two", "--seed -1", "--temperature hot", "--temperature 11", "--program 128",
    "--tempo 0", "--between a.mid", "--steps 1",
])  # fmt: skip
def test_options_out_of_range(capsys, option):
    with pytest.raises(SystemExit) as caught:
        main(["compose", "out.mid", *option.split()])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage:")
