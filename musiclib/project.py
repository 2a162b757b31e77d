"""A project of the studio: one folder with every stage's music, sound and picture, and a manifest that says how.

    project.json                         which stages there are, made from what, with which settings
    NAME.mid  NAME.wav  NAME.png         notes or a roll: to go on with, to hear, to see
    NAME.wav  NAME.png                   a sound
    NAME.wav  NAME.png  NAME/            a chord, and its slots as `decompose.write` writes them

A stage is made from one earlier stage. Whoever asks for it gets what the files hold, so a project that is opened again
goes on exactly where it was left. Before that it is made anew if its settings, its model, or anything it hangs on has
changed, and only then. A MIDI or WAV file that was edited by hand stays, and what hangs on it is made anew.

Notebook: 13 the studio.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import torch
from matplotlib.figure import Figure
from torch import Tensor

import musiclib
from musiclib import audio, plots, scores, studio, tempo
from musiclib.musicslots import decompose
from musiclib.musicslots.decompose import Slots
from musiclib.paths import atomic, hidden_folder
from musiclib.pianoroll import Note, PianoRoll
from musiclib.reproduction import checkpoint
from musiclib.spectrogram import mel_power, power_to_db, stft
from musiclib.studio import StudioError

VERSION = 1
MANIFEST = "project.json"
SHORTEST_S = 0.1  # of a recording: a spectrogram needs some
NAME = re.compile(r"[a-z0-9]([a-z0-9 _-]{0,38}[a-z0-9])?")
Music = Tensor | list[Note] | PianoRoll | Slots


@dataclass(frozen=True)
class Recording:
    """Where a project begins: a recording, and the name of the file that it came from."""

    file: str


@dataclass(frozen=True)
class Kind:
    """What a stage does: from which kind of music to which, by which function."""

    given: str
    made: str
    function: Callable[[Any, Any], Music]


KINDS = {
    Recording: Kind("", "sound", lambda sound, _: sound),
    studio.Listening: Kind("sound", "notes", studio.transcribed),
    tempo.Grid: Kind("notes", "roll", tempo.quantised),
    studio.Fader: Kind("roll", "roll", studio.improvised),
    studio.Way: Kind("roll", "roll", studio.travelled),
    studio.Push: Kind("roll", "roll", studio.pushed),
    studio.Walk: Kind("roll", "roll", studio.recombined),
    studio.Rendering: Kind("roll", "sound", studio.rendered),
    studio.Cut: Kind("sound", "slots", studio.taken_apart),
}


@dataclass(frozen=True)
class Stage:
    """One line of the manifest.

    Attributes:
        settings: one of `KINDS`. source: the stage that it is made from, "" for a recording.
        key: a digest of all that it depends on. digest: of its music file.
        slots: of a chord taken apart, what its files do not say: notes of each slot, and when chords begin.
    """

    settings: Any
    source: str = ""
    key: str = ""
    digest: str = ""
    slots: dict | None = None

    @property
    def kind(self) -> Kind:
        return KINDS[type(self.settings)]


class Project:
    """A folder of stages. `project.record`, then `project.make` for each further one; `project[name]` is its music.

    Args:
        folder: of a project, which is opened again, or one that is empty or not there yet.

    Raises:
        StudioError: the folder holds something else, cannot be written, or its manifest is damaged.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.made: list[str] = []  # the stages that had to be made since it was opened, in order
        self._stages: dict[str, Stage] = {}
        with _one_sentence(self.folder):
            if self._path.exists():
                self._stages = _read_manifest(self._path)
            elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise StudioError(f"{self.folder} is no project and not empty: choose a project or a new folder.")
            else:
                self._save()

    def __repr__(self) -> str:
        return f"Project({self.folder.name!r}: {', '.join(self._stages) or 'empty'})"

    @property
    def names(self) -> list[str]:
        return list(self._stages)

    def settings(self, name: str) -> Any:
        """The settings of a stage; `dataclasses.replace` makes a changed copy for `make`."""
        return self._stage(name).settings

    def source(self, name: str) -> str:
        """The stage that a stage is made from, "" for a recording."""
        return self._stage(name).source

    def files(self, name: str) -> list[Path]:
        """What is in the folder of a stage, its music first."""
        return [self.folder / file for file in _files(name, self._stage(name))]

    def record(self, path: Path | str, name: str = "recording") -> Tensor:
        """Takes a recording in, (samples,) at 16 kHz; one that is there already changes nothing.

        Raises:
            AudioError: see `audio.load_audio`; it may last from 0.1 to 60 s. StudioError: see `make`.
        """
        sound = audio.load_audio(path, studio.LONGEST_S, SHORTEST_S)
        self._check_name(name, "", "sound")
        before = self._stages.get(name)
        known = before is not None and before.kind.made == "sound" and not before.source
        if not (known and self._music(name, before).exists() and torch.equal(sound, self._read(name, before))):
            self._store(name, Stage(Recording(Path(path).name)), sound)
        return self[name]

    def make(self, name: str, settings: Any, source: str | None = None) -> Music:
        """A stage, made unless it is there already, or made anew with other settings.

        Args:
            name: small letters, digits, spaces, - and _. settings: their type says what is done, see `KINDS`.
            source: the stage that it is made from; unless given, the same as before.

        Raises:
            StudioError: there is no such source, it has another kind of music, or nothing came out; or the folder
            cannot be written. Then all files stay as they are.
        """
        if type(settings) not in KINDS or isinstance(settings, Recording):
            raise StudioError(f"{settings!r} are no settings of a stage: give one of the studio's, such as Fader().")
        try:
            _settings(type(settings), asdict(settings))
        except ValueError as error:
            raise StudioError(f"These settings cannot be kept: {error}.") from error
        source = self._stages[name].source if source is None and name in self._stages else source
        if source is None:
            raise StudioError(
                f"What is {name!r} made from? Name a stage of {', '.join(self._stages) or 'an empty project'}."
            )
        self._check_name(name, source, KINDS[type(settings)].made)
        given, wanted = self._stage(source).kind.made, KINDS[type(settings)].given
        if given != wanted:
            raise StudioError(f"{type(settings).__name__} needs a stage of {wanted}, and {source!r} is {given}.")
        self._refresh(name, Stage(settings, source))
        return self[name]

    def __getitem__(self, name: str) -> Music:
        """The music of a stage as its files hold it, made anew first if anything that it hangs on has changed."""
        self._refresh(name, self._stage(name))
        return self._read(name, self._stages[name])

    # ------------------------------------------------------------------------------------------------- inside

    @property
    def _path(self) -> Path:
        return self.folder / MANIFEST

    def _stage(self, name: str) -> Stage:
        if name not in self._stages:
            raise StudioError(f"{self.folder} has no stage {name!r}: it has {', '.join(self._stages) or 'none yet'}.")
        return self._stages[name]

    def _check_name(self, name: str, source: str, made: str) -> None:
        """Whether a stage of that name may be made from that source, and be that kind of music."""
        if not NAME.fullmatch(name) or f"{name}.json" == MANIFEST:
            raise StudioError(f"{name!r} cannot name a stage: use small letters, digits, spaces, - and _, up to 40.")
        for other, stage in self._stages.items():
            if stage.source == name and stage.kind.given != made:
                raise StudioError(
                    f"{other!r} is made from {name!r}, and needs {stage.kind.given}: choose another name."
                )
        while source:
            if source == name:
                raise StudioError(f"{name!r} cannot be made from what is itself made from {name!r}.")
            source = self._stage(source).source

    def _music(self, name: str, stage: Stage) -> Path:
        return self.folder / _files(name, stage)[0]

    def _refresh(self, name: str, wanted: Stage) -> None:
        """Makes a stage, after all that it hangs on, unless it is as it should be."""
        before, music = self._stages.get(name), self._music(name, wanted)
        if wanted.source:
            self._refresh(wanted.source, self._stage(wanted.source))
        key = self._key(wanted)
        if before is not None and before.key == key and all(path.exists() for path in self.files(name)):
            if _digest(music) == before.digest:
                return
            if before.kind.made != "slots":  # edited by hand
                self._store(name, wanted, self._read(name, before))
                return
        if not wanted.source and music.exists():  # its picture is missing
            self._store(name, wanted, self._read(name, wanted))
            return
        if not wanted.source:
            raise StudioError(f"{self.folder} has lost {music.name}, its recording: take it in again with `record`.")
        source = self._stages[wanted.source]
        self._store(name, wanted, wanted.kind.function(self._read(wanted.source, source), wanted.settings))

    def _key(self, stage: Stage) -> str:
        source = self._stages[stage.source].digest if stage.source else ""
        weights = checkpoint(stage.settings.run) if hasattr(stage.settings, "run") else None
        parts = [type(stage.settings).__name__, asdict(stage.settings), source, weights and _digest(weights)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _store(self, name: str, stage: Stage, music: Music) -> None:
        """Writes a stage beside the folder's files first. While they take their places the manifest does not vouch for
        it, so that one who is killed there makes it again."""
        own = self.folder / name
        if isinstance(music, Slots):
            stage = replace(stage, slots={"notes": music.notes, "begins_s": music.begins_s})
            try:
                decompose.check_folder(own)
            except ValueError as error:
                raise StudioError(f"{own} is not a folder of slots: move it away, or choose another name.") from error
        with _one_sentence(self.folder), hidden_folder(own) as temporary:
            _write(music, stage.kind.made, temporary / name)
            if before := self._stages.get(name):
                self._stages[name] = replace(before, key="")
                self._save()
                for file in _files(name, before):
                    (self.folder / file).unlink(missing_ok=True)
            for path in temporary.iterdir():
                os.replace(path, self.folder / path.name)
            if isinstance(music, Slots):
                decompose.write(music, own)
            digest = _digest(self._music(name, stage))
            self._stages[name] = replace(stage, key=self._key(stage), digest=digest)
            self._save()
        self.made.append(name)

    def _read(self, name: str, stage: Stage) -> Music:
        music, made = self._music(name, stage), stage.kind.made
        if made == "notes":
            return scores.read_notes(music)
        if made == "roll":
            return scores.read_score(music, tempo.QUARTER)
        sound = audio.load_audio(music)
        if made == "sound":
            return sound
        notes = [[(program, pitch) for program, pitch in own] for own in stage.slots["notes"]]
        wavs = (self.folder / name / f"slot-{number}.wav" for number in range(len(notes)))
        waveforms = [audio.load_part(path, 0, len(sound)) for path in wavs]  # a slot may be silent
        return Slots(sound, torch.stack(waveforms), notes, stage.slots["begins_s"])

    def _save(self) -> None:
        def depth(name: str) -> int:
            source = self._stages[name].source
            return 1 + depth(source) if source in self._stages else 0

        lines = {}
        for name in sorted(self._stages, key=depth):
            stage = self._stages[name]
            line = {"stage": type(stage.settings).__name__, "settings": asdict(stage.settings), "from": stage.source}
            line |= {"files": _files(name, stage)}
            lines[name] = line | {"key": stage.key, "sha256": stage.digest, "slots": stage.slots}
        about = {"version": VERSION, "musiclib": musiclib.__version__, "stages": lines}
        with _one_sentence(self.folder), atomic(self._path) as temporary:
            temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------------------- files


def uploaded(value: Any, folder: Path | str) -> Path | None:
    """The file that an upload widget of ipywidgets 7 or 8 holds, written to a folder; None while it holds none."""
    for file in value.values() if isinstance(value, dict) else value:
        path = Path(folder) / Path(file["name"] if "name" in file else file["metadata"]["name"]).name
        with atomic(path) as temporary:
            temporary.write_bytes(bytes(file["content"]))
        return path
    return None


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudioError(f"Cannot use {folder} ({error.strerror}): choose a folder that you may write to.") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _files(name: str, stage: Stage) -> list[str]:
    """A stage's files, its music first."""
    music = [f"{name}.mid"] if stage.kind.made in ("notes", "roll") else []
    slots = [f"{name}/slot-{number}" for number in range(len(stage.slots["notes"]) if stage.slots else 0)]
    pictures = [f"{name}/decomposition.png"] * bool(slots)
    return [*music, f"{name}.wav", f"{name}.png", *(f"{s}{end}" for s in slots for end in (".wav", ".png")), *pictures]


def _write(music: Music, made: str, path: Path) -> None:
    """All files of one stage but a chord's folder; path is without suffix."""
    if made == "notes":
        scores.write_midi(music, path.with_name(f"{path.name}.mid"))
    if made == "roll":
        music.write_midi(path.with_name(f"{path.name}.mid"))
    audio.write_wav(path.with_name(f"{path.name}.wav"), sound_of(music))
    picture_of(music).savefig(path.with_name(f"{path.name}.png"), dpi=120)


def sound_of(music: Music) -> Tensor:
    """Any stage's music to hear, (samples,): notes by the note bank, of slots their sum."""
    if isinstance(music, Tensor):
        return music
    if isinstance(music, Slots):
        return music.mixture
    notes = music.notes() if isinstance(music, PianoRoll) else music
    return studio.bank().render(studio.within_reach(note) for note in notes)


def picture_of(music: Music) -> Figure:
    """Any stage's music to see: a piano roll, or the spectrogram of a sound."""
    if not isinstance(music, Tensor | Slots):
        return plots.piano_roll(music)
    db = power_to_db(mel_power(stft(sound_of(music))), dynamic_range_db=None)
    return plots.spectrograms([db + plots.HIGHEST_DB - db.max()], [""])


def _read_manifest(path: Path) -> dict[str, Stage]:
    remedy = "restore it from a copy, or begin a project in a new folder."
    kinds = {kind.__name__: kind for kind in KINDS}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["version"] != VERSION:
            raise StudioError(f"{path} is of version {about['version']}, this code reads {VERSION}: update the course.")
        stages: dict[str, Stage] = {}
        for name, line in about["stages"].items():
            settings = _settings(kinds[line["stage"]], line["settings"])
            slots = (
                {key: line["slots"][key] for key in ("notes", "begins_s")} if isinstance(settings, studio.Cut) else None
            )
            is_first = isinstance(settings, Recording)
            if not NAME.fullmatch(name) or (line["from"] != "" if is_first else line["from"] not in stages):
                raise ValueError(f"the stage {name!r} hangs on nothing")
            stages[name] = Stage(settings, line["from"], str(line["key"]), str(line["sha256"]), slots)
        return stages
    except StudioError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudioError(f"The manifest {path} is damaged ({error}): {remedy}") from error


def _settings(kind: type, values: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    for name, value in values.items():
        fits = isinstance(value, hints[name]) or (isinstance(value, int) and isinstance(0.0, hints[name]))
        if not fits or isinstance(value, bool):
            raise ValueError(f"{name} of {kind.__name__} cannot be {value!r}")
    return kind(**values)
