"""decompose, compose, improvise, transcribe: a file of sound or notes in, a file of sound or notes out."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from torch import nn

from musiclib import audio
from musiclib.commands.options import Result, add_preset, add_seed, command, number, preset, whole
from musiclib.diffroll import experiments as diffroll_experiments
from musiclib.diffroll import runs as diffroll_runs
from musiclib.diffroll import transcribe as transcribing
from musiclib.diffroll.diffusion import SAMPLERS
from musiclib.diffroll.evaluation import TEN_CALLS, Sampling
from musiclib.improvise import experiments as improvise_experiments
from musiclib.improvise import perform as performing
from musiclib.improvise import runs as improvise_runs
from musiclib.improvise.query import Channel
from musiclib.musicslots import decompose as decomposing
from musiclib.musicslots import experiments as musicslots_experiments
from musiclib.musicslots import runs as musicslots_runs
from musiclib.musicvae import compose as composing
from musiclib.musicvae import latent
from musiclib.musicvae import runs as musicvae_runs
from musiclib.paths import check_writable
from musiclib.reproduction import usable

TRANSCRIBERS = {
    "diffroll": diffroll_experiments.find("diffroll-best"),
    "twin": diffroll_experiments.find("twin-best"),
}


def decompose(options: argparse.Namespace) -> Result:
    folder = options.output or Path(f"{options.recording.stem}-slots")
    decomposing.check_folder(folder)
    waveform = audio.load_audio(options.recording, decomposing.LONGEST_S, decomposing.SHORTEST_S)
    shown = musicslots_experiments.shown
    model = _trained_model(musicslots_runs, lambda size: shown(size).run_name(size), preset(options).size)
    model = model.resized(options.slots or model.config.slots, options.iterations)
    slots = decomposing.decompose(model, waveform)
    decomposing.write(slots, folder)
    found = [
        {"name": name, "level_db": round(level_db, 1), "file": folder / f"slot-{slot}.wav"}
        for slot, (name, level_db) in enumerate(zip(slots.names, slots.levels_db, strict=True))
    ]
    lines = [
        f"slot {slot}: {one['name']}, {one['level_db']:.1f} dB of the recording, {one['file']}"
        for slot, one in enumerate(found)
    ]
    picture = folder / "decomposition.png"
    text = "\n".join([*lines, f"All slots in one picture: {picture}"])
    return Result(text, {"slots": found, "picture": picture, "begins_s": slots.begins_s})


def compose(options: argparse.Namespace) -> Result:
    size, inputs = preset(options).size, options.between or ()
    _check_midi(options.output, inputs)
    if inputs:
        return _compose_between(options, size)
    if options.steps is not None:
        raise ValueError("--steps is the way from one tune to another: add --between a.mid b.mid.")
    bars, temperature = options.bars or 16, 0.5 if options.temperature is None else options.temperature
    experiment = composing.experiment_for(bars)
    model = _trained_model(musicvae_runs, experiment.run_name, size)
    if bars > model.config.bars:
        print(f"{bars} bars are more than the {model.config.bars} that the model learned: it goes on without a plan.")
    tunes = musicvae_runs.windows(experiment.corpus, "train", experiment.kind, model.config.bars)
    roll = composing.compose(model, latent.fit_codes(model, tunes), bars, options.seed, temperature)
    composing.write(roll, options.output, options.program, options.tempo)
    data = {"output": options.output, "bars": bars, "seed": options.seed}
    return Result(f"{bars} bars, seed {options.seed}: {options.output}", data)


def _compose_between(options: argparse.Namespace, size: str) -> Result:
    bars, steps, (a, b) = options.bars or 2, options.steps or 7, options.between
    if bars not in composing.WINDOWS:
        raise ValueError(f"Tunes of 2 or of 16 bars can be joined, not of {bars}: choose --bars 2 or --bars 16.")
    tokens = [composing.read_melody(path, bars) for path in (a, b)]
    model = _trained_model(musicvae_runs, composing.experiment_for(bars).run_name, size)
    passage = composing.between(model, *tokens, steps, options.seed, options.temperature or 0.0)
    composing.write(passage.roll, options.output, options.program, options.tempo)
    lines = [
        f"bar {bar}: {step / (steps - 1):.0%} of the way from {a} to {b}" for step, bar in enumerate(passage.begins)
    ]
    text = "\n".join([*lines, f"All in one file: {options.output}"])
    return Result(text, {"output": options.output, "begins_in_bar": passage.begins, "seed": options.seed})


def improvise(options: argparse.Namespace) -> Result:
    _check_midi(options.output, [options.query])
    query = performing.read_query(options.query)
    if query.remark:
        print(query.remark)
    experiment = improvise_experiments.find(options.style)
    model = improvise_runs.load(experiment.run_name("paper"))
    settings = Channel(options.bits, "corpus", made_up=True)
    corpus = improvise_runs.corpus_source(model, experiment.corpus)
    roll = performing.perform(model, query, settings, corpus, options.seed)
    composing.write(roll, options.output, options.program, options.tempo)
    bits = None if options.bits == float("inf") else options.bits
    told = "all" if bits is None else f"{bits} bits"
    text = f"{len(query.bars)} bars, {told} of each sent to {options.style}, seed {options.seed}: {options.output}"
    data = {"bars": len(query.bars), "bits": bits, "style": options.style, "seed": options.seed}
    return Result(text, {"output": options.output, **data})


def transcribe(options: argparse.Namespace) -> Result:
    _check_midi(options.output, [options.recording])
    model = _trained_model(diffroll_runs, TRANSCRIBERS[options.model].run_name, preset(options).size)
    sampling = Sampling(options.steps, options.sampler, options.guidance, seed=options.seed)
    notes = transcribing.transcribe_file(model, options.recording, sampling, options.threshold)
    transcribing.write(notes, options.output)
    end_s = max(note.end_s for note in notes)
    text = f"{len(notes)} notes, {end_s:.1f} s of music: {options.output}"
    return Result(text, {"output": options.output, "notes": len(notes), "seconds": round(end_s, 3)})


def _check_midi(path: Path, inputs: Sequence[Path]) -> None:
    """Whether a result may go there, told before the work is done.

    Raises:
        ValueError: it is not named as MIDI, is one of the inputs, or cannot be written.
    """
    if path.suffix.lower() not in (".mid", ".midi"):
        raise ValueError(f"{path} would be MIDI under another name: choose one that ends in .mid.")
    if path.resolve() in [other.resolve() for other in inputs]:
        raise ValueError(f"{path} is to be read and stays as it is: choose another name for the result.")
    check_writable(path)


def _trained_model(system: ModuleType, run_name: Callable[[str], str], size: str) -> nn.Module:
    """A system's trained model of a size, or the small one, which always ships; nothing is trained here."""
    name = usable(run_name, size)
    if name != run_name(size):
        print(f"No trained model {run_name(size)} here: using {name}.")
    return system.load(name)


def add(commands: argparse._SubParsersAction) -> None:
    apart = command(commands, decompose, "decompose",
                    "Take a recording of a chord apart: a WAV and a picture for every slot.",
                    "python -m musiclib decompose chord.wav --output chord-slots")  # fmt: skip
    apart.add_argument("recording", type=Path, help="WAV, FLAC, OGG or MP3, at most 30 s")
    apart.add_argument("--output", type=Path, metavar="FOLDER", help="unset: the recording's name with -slots, here")
    apart.add_argument("--slots", type=whole(1, 32), metavar="N", help="unset: as many as the model was trained with")
    apart.add_argument("--iterations", type=whole(1, 32), metavar="N", help="of slot attention; unset: as trained")
    add_preset(apart)

    tune = command(commands, compose, "compose", "Compose a tune, or turn one tune into another, as MIDI.",
                   "python -m musiclib compose --bars 16 --seed 3 out.mid")  # fmt: skip
    tune.add_argument("output", type=Path, help="a MIDI file")
    tune.add_argument("--bars", type=whole(1, composing.MOST_BARS), metavar="N",
                      help="unset: 16; with --between 2, or else 16")  # fmt: skip
    add_seed(tune, "another seed, another tune")
    tune.add_argument("--between", type=Path, nargs=2, metavar=("A", "B"), help="two scores, MIDI or MusicXML")
    tune.add_argument("--steps", type=whole(2, 100), metavar="N", help="from A to B; unset: 7")
    tune.add_argument("--temperature", type=number(0, 10), help="0 is the safest; unset: 0.5, with --between 0")
    _add_sound(tune)
    tune.add_argument("--tempo", type=whole(10, 600), default=120, metavar="N", help="quarters a minute; unset: 120")
    add_preset(tune)

    play = command(commands, improvise, "improvise",
                   "Improvise over a query in another style; fewer bits, more freely.",
                   "python -m musiclib improvise query.mid out.mid --bits 256 --seed 1")  # fmt: skip
    play.add_argument("query", type=Path, help="a score, MIDI or MusicXML")
    play.add_argument("output", type=Path, help="a MIDI file")
    play.add_argument("--bits", type=whole(0, 10**6), default=float("inf"), metavar="N", help="of a bar; unset: all")
    play.add_argument("--style", default="chorales", metavar="CORPUS",
                      help="chorales (unset), fiddle-tunes, or a corpus file that a model was trained on")  # fmt: skip
    add_seed(play, "another seed, another improvisation")
    _add_sound(play)
    play.add_argument("--tempo", type=whole(10, 600), metavar="N", help="quarters a minute; unset: the query's")

    hear = command(commands, transcribe, "transcribe",
                   "Transcribe a recording of a piano, of any length, to MIDI.",
                   "python -m musiclib transcribe recording.mp3 out.mid --steps 12 --guidance 0.5")  # fmt: skip
    hear.add_argument("recording", type=Path, help="WAV, FLAC, OGG or MP3")
    hear.add_argument("output", type=Path, help="a MIDI file")
    hear.add_argument("--model", choices=list(TRANSCRIBERS), default="diffroll",
                      help="unset: diffroll; the discriminative twin needs no steps, guidance and seed")  # fmt: skip
    hear.add_argument(
        "--steps", type=whole(1, 200), default=TEN_CALLS.calls, metavar="N", help=f"unset: {TEN_CALLS.calls}"
    )
    hear.add_argument("--guidance", type=number(0, 10), default=TEN_CALLS.weight, metavar="W",
                      help=f"w; unset: {TEN_CALLS.weight}; 0 takes half the time")  # fmt: skip
    hear.add_argument("--sampler", choices=SAMPLERS, default=TEN_CALLS.sampler, help=f"unset: {TEN_CALLS.sampler}")
    hear.add_argument("--threshold", type=number(0.05, 0.95), default=0.5, metavar="P", help="unset: 0.5")
    add_seed(hear, "of the noise it begins with")
    add_preset(hear)


def _add_sound(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--program", type=whole(0, 127), default=0, metavar="N", help="General MIDI, from 0; unset: piano"
    )
