"""The studio on real music: shipped checkpoints, the shipped clip, and files that other programs open."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from musiclib import corpora, paths, scores, studio, tempo
from musiclib.diffroll import clips
from musiclib.diffroll.scoring import note_scores
from musiclib.pianoroll import Note, PianoRoll
from musiclib.project import MANIFEST, Project, uploaded
from musiclib.studio import StudioError
from musiclib.synth import SAMPLE_RATE_HZ

SHORT_S = 6  # of the shipped clip: enough music for every stage


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The first seconds of the shipped clip as a file."""
    path = tmp_path_factory.mktemp("recording") / "short.wav"
    soundfile.write(path, 4 * clips.shipped("A")[8].waveform[: SHORT_S * SAMPLE_RATE_HZ].numpy(), SAMPLE_RATE_HZ)
    return path


@pytest.fixture(scope="module")
def _whole(recording, tmp_path_factory):
    """A project with every kind of stage, and what each of them returned."""
    project = Project(tmp_path_factory.mktemp("studio") / "project")
    music = {"recording": project.record(recording)}
    music["notes"] = project.make("notes", studio.Listening(), "recording")
    for name, settings, source in (
        ("grid", tempo.estimated(music["notes"], 3), "notes"),
        ("answer", studio.Fader(160, quarters=3), "grid"),
        ("way", studio.Way(0, 3, stops=3), "grid"),
        ("push", studio.Push("register", 1.0), "grid"),
        ("walk", studio.Walk(12), "answer"),
        ("sound", studio.Rendering("violin", "piano"), "walk"),
        ("chord", studio.Cut(0.0, 0.8), "sound"),
    ):
        music[name] = project.make(name, settings, source)
    return project, music


@pytest.fixture
def project(_whole, tmp_path):
    """A copy of that project, opened again."""
    shutil.copytree(_whole[0].folder, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture
def music(_whole):
    return _whole[1]


@pytest.fixture
def roll(music) -> PianoRoll:
    return music["grid"]


def snapshot(folder):
    """Every file of a folder, with its content."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ------------------------------------------------------------------------------------------------------------ tempo


def played(onsets_s):
    return [Note(float(onset), 0.1, 60) for onset in onsets_s]


PATTERN = np.cumsum([0, *[4, 2, 2, 1, 1, 2, 3, 1, 4, 2, 1, 1, 4, 4, 2, 2] * 3])  # 16ths


@pytest.mark.parametrize("pace", [61.0, 77.7, 90.0, 104.3, 119.0])
def test_known_tempo_is_found(pace):
    grid = tempo.estimated(played(0.37 + PATTERN * 15 / pace))
    assert grid.quarters_per_minute == pytest.approx(pace, rel=1e-6)
    assert grid.first_bar_s == pytest.approx(0.37, abs=1e-6)


def test_later_onsets_shift_the_grid():
    onsets_s = PATTERN * 0.17 + np.random.default_rng(0).normal(0, 0.01, len(PATTERN)) + 0.1
    one, other = tempo.estimated(played(onsets_s)), tempo.estimated(played(onsets_s + 12.3))
    assert other.step_s == pytest.approx(one.step_s, rel=1e-9)
    assert other.first_bar_s - one.first_bar_s == pytest.approx(12.3)


def test_slower_onsets_stretch_the_grid():
    onsets_s = PATTERN * 0.15 + np.random.default_rng(0).normal(0, 0.01, len(PATTERN)) + 0.1
    one, other = tempo.estimated(played(onsets_s)), tempo.estimated(played(1.3 * onsets_s))
    assert other.step_s == pytest.approx(1.3 * one.step_s, rel=1e-6)


def test_every_tempo_lies_in_one_octave():
    for step_s in (0.03, 0.08, 0.2, 0.5, 1.1):
        assert 58 <= tempo.estimated(played(np.arange(40) * step_s)).quarters_per_minute <= 122


def test_a_pulse_is_taken_for_a_beat_or_a_half_of_one_not_for_a_third():
    for pulse_s in (0.55, 0.6, 0.7):
        steps = pulse_s / tempo.estimated(played(np.arange(30) * pulse_s)).step_s
        assert np.log2(steps) == pytest.approx(round(np.log2(steps)), abs=1e-6)


def test_tempo_of_real_music_at_random_paces():
    rng, right = np.random.default_rng(0), []
    for name in ("chorales", "fiddle-tunes"):
        for piece in corpora.shipped(name).split("test")[:20]:
            pace = rng.uniform(60, 120)
            notes = [n for n in piece.roll(pace).notes() if n.onset_s < 20]
            loose = [replace(n, onset_s=n.onset_s + max(-n.onset_s, rng.normal(0, 0.015))) for n in notes]
            right.append(abs(tempo.estimated(loose).quarters_per_minute / pace - 1) < 0.02)
    assert np.mean(right) > 0.9


def test_one_chord_has_the_usual_tempo():
    assert tempo.estimated(played([1.0, 1.01])) == tempo.Grid(0.125, 1.0)


def test_no_notes_no_tempo():
    for function in (tempo.estimated, lambda notes: tempo.quantised(notes, tempo.Grid(0.125))):
        with pytest.raises(tempo.TempoError, match="transcribe"):
            function([])


@pytest.mark.parametrize("wrong", [{"step_s": 0}, {"step_s": float("nan")}, {"quarters": 0}, {"first_bar_s": np.inf}])
def test_wrong_grids_are_refused(wrong):
    with pytest.raises(tempo.TempoError):
        tempo.Grid(**({"step_s": 0.125} | wrong))


def test_quantising_what_is_on_the_grid_changes_nothing():
    roll = corpora.shipped("chorales").split("test")[0].roll(80)[:64]
    back = tempo.quantised(roll.notes(), tempo.Grid(roll.step_s))
    assert back == roll


def test_a_roll_begins_and_ends_on_bar_lines():
    grid = tempo.Grid(0.2, first_bar_s=5.0, quarters=3)
    notes = [Note(1.81, 0.2, 60), Note(5.01, 1.0, 64)]
    roll = tempo.quantised(notes, grid)
    assert grid.begins_s(notes) == pytest.approx(5.0 - 2 * 2.4)
    assert len(roll) == 36
    assert list(roll.grid_notes()[0]) == [8, 24]  # 1.6 s and 4.8 s after the first bar line


def test_a_note_a_little_before_the_bar_line_is_on_it():
    assert list(tempo.quantised([Note(0.93, 0.3, 60)], tempo.Grid(0.2, 1.0)).grid_notes()[0]) == [0]


# ------------------------------------------------------------------------------------------------------- each stage


def test_the_shipped_clip_is_heard(music):
    known = clips.notes_between(clips.shipped("A")[8].notes, 0, SHORT_S)
    assert note_scores(music["notes"], known)["f1"] > 0.7


def test_without_a_piano_nothing_is_heard():
    with pytest.raises(StudioError, match="no piano notes"):
        studio.transcribed(torch.zeros(16_000), studio.Listening(threshold=0.99))


def test_an_answer_is_as_long_as_its_query_and_follows_its_seed(roll):
    one, same, other = (studio.improvised(roll, studio.Fader(80, quarters=3, seed=seed)) for seed in (0, 0, 1))
    assert len(one) == len(roll) and one.step_s == roll.step_s
    assert one == same != other


def test_more_bits_keep_more_of_the_query(roll):
    kept = [note_scores(studio.improvised(roll, studio.Fader(b, quarters=3)).notes(), roll.notes())["f1"]
            for b in (0, None)]  # fmt: skip
    assert kept[1] > kept[0] + 0.1


def test_a_way_has_its_stops_and_ends_with_reconstructions(roll):
    way = studio.travelled(roll, studio.Way(0, 3, stops=4))
    ends = [studio.pushed(roll, studio.Push(amount=0.0, first=first)) for first in (0, 3)]
    assert len(way) == 4 * len(ends[0])
    assert [way[:32], way[-32:]] == [PianoRoll(end.sounding, end.onset, roll.step_s) for end in ends]


@pytest.mark.parametrize("model", ["chorale-2", "melody-2"])
def test_a_push_moves_its_attribute(roll, model):
    low, high = (studio.pushed(roll, studio.Push("register", amount, model=model)) for amount in (-2, 2))
    heights = [roll.onset.nonzero()[1].mean() for roll in (low, high)]
    assert heights[1] > heights[0] + 3


def test_passages_outside_the_music_are_refused(roll):
    for first in (-1, 1000):
        with pytest.raises(StudioError, match="choose one of 0"):
            studio.pushed(roll, studio.Push(first=first))


def test_a_walk_is_as_long_as_asked_and_takes_only_what_is_there(roll):
    mu = studio.quarters_heard(roll, studio.Walk())
    order = studio.path(mu, studio.Walk(50, seed=2))
    assert len(mu) == len(roll) // 4 and len(order) == 50
    assert set(order) <= set(range(1, len(mu) + 1))
    assert len(studio.recombined(roll, studio.Walk(50, seed=2))) == 200


def test_one_quarter_has_no_other_order(roll):
    with pytest.raises(StudioError, match="two quarters"):
        studio.recombined(roll[:4], studio.Walk())


def test_the_upper_voice_is_what_is_highest_as_it_begins():
    notes = [Note(0.0, 2.0, 72), Note(0.0, 0.5, 60), Note(0.5, 0.5, 64), Note(2.0, 0.5, 55)]
    voices = studio.orchestrated(PianoRoll.from_notes(notes), studio.Rendering("flute", "piano"))
    assert {(n.pitch, n.program) for n in voices} == {(72, 73), (60, 0), (64, 0), (55, 73)}


def test_every_pitch_can_be_played():
    roll = PianoRoll.from_notes([Note(0.2 * pitch, 0.1, pitch) for pitch in range(128)])
    for name in studio.INSTRUMENTS:
        voices = studio.orchestrated(roll, studio.Rendering(name, name))
        assert [n.pitch % 12 for n in voices] == [p % 12 for p in range(128)]
        assert studio.rendered(roll, studio.Rendering(name, name)).isfinite().all()


def test_slots_add_up_to_the_chord(music):
    slots = music["chord"]
    assert torch.allclose(slots.waveforms.sum(0), slots.mixture, atol=1e-4)
    assert torch.equal(slots.mixture, music["sound"][: len(slots.mixture)])


def test_nothing_is_taken_apart_where_nothing_sounds(music):
    for at_s in (-5, 1000):
        with pytest.raises(StudioError, match="Nothing sounds"):
            studio.taken_apart(music["sound"], studio.Cut(at_s))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: studio.Fader(style="reggae"), lambda: studio.Fader(bits=-1), lambda: studio.Walk(style="reggae"),
        lambda: studio.Way(stops=1), lambda: studio.Push("loudness"), lambda: studio.Walk(0),
        lambda: studio.Walk(continuity=2), lambda: studio.Rendering("tuba"), lambda: studio.Push(amount=float("nan")),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(StudioError):
        wrong()


# -------------------------------------------------------------------------------------------------------- a project


def test_what_a_stage_returns_is_what_is_read_again(project, music):
    for name, made in music.items():
        again = project[name]
        if isinstance(made, torch.Tensor):
            assert torch.equal(again, made)
        elif name == "chord":
            assert torch.equal(again.waveforms, made.waveforms) and torch.equal(again.mixture, made.mixture)
            assert (again.notes, again.begins_s) == (made.notes, made.begins_s)
        else:
            assert again == made
    assert project.made == []


def test_other_programs_open_the_files(project):
    for name in project.names:
        for path in project.files(name):
            if path.suffix == ".mid":
                assert any(m.type == "note_on" for track in mido.MidiFile(path).tracks for m in track)
                assert scores.read_notes(path)
            elif path.suffix == ".wav":
                assert soundfile.info(path).samplerate == SAMPLE_RATE_HZ
            else:
                with Image.open(path) as picture:
                    assert picture.format == "PNG" and min(picture.size) > 50


def test_the_manifest_names_every_file(project):
    lines = json.loads((project.folder / MANIFEST).read_text())["stages"]
    named = {file for line in lines.values() for file in line["files"]} | {MANIFEST}
    assert named == set(map(str, snapshot(project.folder)))


def test_music_on_a_grid_keeps_its_tempo(project, roll):
    assert project["grid"].step_s == pytest.approx(tempo.estimated(project["notes"], 3).step_s, abs=1e-6)


def test_only_what_hangs_on_a_change_is_made_anew(project):
    project.make("answer", replace(project.settings("answer"), bits=20))
    assert project.made == ["answer"]
    project["chord"]
    assert project.made == ["answer", "walk", "sound", "chord"]
    project["way"]
    assert len(project.made) == 4


def test_the_same_recording_again_changes_nothing(project, recording):
    before = snapshot(project.folder)
    project.record(recording)
    assert project.made == [] and snapshot(project.folder) == before


def test_another_recording_goes_all_the_way(project, recording, tmp_path):
    wave, rate_hz = soundfile.read(recording)
    soundfile.write(tmp_path / "other.wav", wave[: 4 * rate_hz], rate_hz)
    project.record(tmp_path / "other.wav")
    assert max(note.end_s for note in project["notes"]) <= 4.1
    project["walk"]
    assert project.made == ["recording", "notes", "grid", "answer", "walk"]


def test_a_file_edited_by_hand_stays_and_is_followed(project, roll):
    project["grid"].transposed(2).write_midi(project.files("grid")[0])
    before = project.files("grid")[2].read_bytes()
    project["answer"]
    assert project["grid"] == PianoRoll(roll.transposed(2).sounding, roll.transposed(2).onset, project["grid"].step_s)
    assert project.made == ["grid", "answer"]
    assert project.files("grid")[2].read_bytes() != before  # its picture shows the edited notes


def test_lost_files_are_made_again(project, roll):
    for name in ("grid.mid", "walk.png", "chord/slot-2.wav"):
        (project.folder / name).unlink()
    assert project["grid"] == roll
    project["chord"]
    assert set(project.made) == {"grid", "walk", "chord"}
    (project.folder / "recording.png").unlink()
    project["recording"]
    assert project.files("recording")[1].exists()
    (project.folder / "recording.wav").unlink()
    with pytest.raises(StudioError, match=r"lost recording\.wav"):
        project["notes"]


def test_other_weights_are_another_stage(project, monkeypatch, tmp_path):
    name = f"{project.settings('answer').run}.safetensors"
    weights = (paths.CHECKPOINTS / name).read_bytes()
    (tmp_path / "weights").mkdir()
    for path in paths.CHECKPOINTS.iterdir():
        (tmp_path / "weights" / path.name).symlink_to(path)
    (tmp_path / "weights" / name).unlink()
    (tmp_path / "weights" / name).write_bytes(weights + b"\0" * 8)
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "weights")
    project["answer"]
    assert project.made == ["answer"]


def test_a_stage_may_change_its_kind(project):
    project.make("way", studio.Rendering(), "grid")
    assert not (project.folder / "way.mid").exists()
    assert [path.name for path in project.files("way")] == ["way.wav", "way.png"]
    assert Project(project.folder).settings("way") == studio.Rendering()


def test_a_stage_that_others_need_keeps_its_kind(project, recording):
    before = snapshot(project.folder)
    with pytest.raises(StudioError, match="'answer' is made from 'grid'"):
        project.make("grid", studio.Listening(), "recording")
    with pytest.raises(StudioError, match="needs roll"):
        project.record(recording, "grid")
    assert snapshot(project.folder) == before


def test_order_in_the_manifest_follows_the_sources(project):
    project.make("early", studio.Fader(0), "grid")
    project.make("grid", project.settings("grid"))
    project.make("answer", studio.Fader(0), "early")
    assert Project(project.folder)["walk"] is not None


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "settings, source",
    [
        (studio.Way(first=1000), "grid"), (studio.Cut(1000.0), "sound"),
        (studio.Listening("ear"), "recording"), (studio.Fader(), "sound"), (studio.Fader(), "nothing"),
        (studio.Fader(), None), ("loud", "grid"), (studio.Fader(seed="many"), "grid"),
    ],
)  # fmt: skip
def test_a_stage_that_fails_leaves_the_folder_as_it_was(project, settings, source):
    before = snapshot(project.folder)
    with pytest.raises(ValueError):
        project.make("new", settings, source)
    assert snapshot(project.folder) == before
    assert "new" not in project.names and project.made == []


def test_a_write_that_fails_leaves_the_folder_as_it_was(project, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = snapshot(project.folder)
    monkeypatch.setattr("musiclib.audio.write_wav", full)
    with pytest.raises(StudioError, match="No space left"):
        project.make("answer", replace(project.settings("answer"), bits=5))
    assert snapshot(project.folder) == before
    assert Project(project.folder).settings("answer").bits == 160


def test_killed_between_files_the_stage_is_made_again(project, music, monkeypatch):
    replaced = os.replace

    def killed(source, target):
        if Path(target).parent == project.folder and Path(target).name != MANIFEST:
            raise KeyboardInterrupt
        return replaced(source, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", killed)
        project.make("answer", replace(project.settings("answer"), bits=20))
    (project.folder / ".answer-abcd_123").mkdir()  # what SIGKILL would leave
    again = Project(project.folder)
    assert again["walk"] == music["walk"] and again["answer"] == music["answer"]
    assert again.made == ["answer"]
    assert not list(project.folder.glob(".*"))


def test_no_stage_is_made_from_itself(project):
    with pytest.raises(StudioError, match="itself made"):
        project.make("answer", studio.Fader(), "walk")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Loud", "project.json", "x" * 50, ".hidden", "end "])
def test_names_that_are_no_files_of_the_folder_are_refused(project, name):
    with pytest.raises(StudioError, match="cannot name a stage"):
        project.make(name, studio.Fader(), "grid")


def test_recordings_that_cannot_be_used(tmp_path):
    project = Project(tmp_path / "project")
    (tmp_path / "text.wav").write_text("la la la")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 61 * 8000), 8000)
    cases = {"text": "not audio", "empty": "empty", "silent": "silent", "long": "longer", "missing": "no file"}
    before = snapshot(project.folder)
    for name, cause in cases.items():
        with pytest.raises(ValueError, match=cause):
            project.record(tmp_path / f"{name}.wav")
    assert snapshot(project.folder) == before


def test_folders_that_are_no_project_stay_untouched(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    for folder in (tmp_path / "letters", tmp_path / "letters" / "dear.txt", tmp_path / "letters" / "dear.txt" / "in"):
        with pytest.raises(StudioError):
            Project(folder)
    assert snapshot(tmp_path / "letters").keys() == {
        (tmp_path / "letters" / "dear.txt").relative_to(tmp_path / "letters")
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StudioError, match="Permission denied"):
        Project(tmp_path / "project")


@pytest.mark.parametrize(
    "damage",
    [
        lambda about: "{", lambda about: [], lambda about: about | {"version": 99}, lambda about: {"version": 1},
        lambda about: about["stages"]["answer"].pop("settings") and about,
        lambda about: about["stages"]["answer"].update({"from": "nowhere"}) or about,
        lambda about: about["stages"]["answer"]["settings"].update({"bits": "all"}) or about,
        lambda about: about["stages"]["answer"]["settings"].update({"loud": 1}) or about,
        lambda about: about["stages"]["answer"].update({"stage": "Magic"}) or about,
        lambda about: about["stages"].update({"../up": about["stages"]["recording"]}) or about,
        lambda about: about["stages"]["chord"].update({"slots": None}) or about,
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_one_clear_error(project, damage):
    path = project.folder / MANIFEST
    damaged = damage(json.loads(path.read_text()))
    path.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    with pytest.raises(StudioError, match=r"project\.json"):
        Project(project.folder)


def test_a_folder_of_something_else_is_not_written_into(project):
    (project.folder / "other").mkdir()
    (project.folder / "other" / "mine.txt").write_text("mine")
    before = snapshot(project.folder)
    with pytest.raises(StudioError, match="move it away"):
        project.make("other", studio.Cut(), "sound")
    assert snapshot(project.folder) == before


def test_uploads_of_both_generations_of_widgets(tmp_path):
    new = ({"name": "take.wav", "content": memoryview(b"abc"), "type": "", "size": 3},)
    old = {"../take.wav": {"metadata": {"name": "../take.wav"}, "content": b"abc"}}
    for value in (new, old):
        path = uploaded(value, tmp_path)
        assert path == tmp_path / "take.wav" and path.read_bytes() == b"abc"
    assert uploaded((), tmp_path) is None and uploaded({}, tmp_path) is None
