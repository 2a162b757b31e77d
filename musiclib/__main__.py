"""python -m musiclib: the command line of the course. `--help` on any command shows an example."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from torch import nn

from musiclib import audio, badges, corpora, course, fetch, ingestion, ledger, presets, sources, synth
from musiclib.diffroll import clips
from musiclib.diffroll import experiments as diffroll_experiments
from musiclib.diffroll import report as diffroll_report
from musiclib.diffroll import runs as diffroll_runs
from musiclib.diffroll import transcribe as transcribing
from musiclib.diffroll.diffusion import SAMPLERS
from musiclib.diffroll.evaluation import TEN_CALLS, Sampling
from musiclib.improvise import experiments as improvise_experiments
from musiclib.improvise import perform as performing
from musiclib.improvise import report as improvise_report
from musiclib.improvise import runs as improvise_runs
from musiclib.improvise.query import Channel
from musiclib.musicslots import claims, experiments, report, runs
from musiclib.musicslots import decompose as decomposing
from musiclib.musicvae import compose as composing
from musiclib.musicvae import experiments as musicvae_experiments
from musiclib.musicvae import latent
from musiclib.musicvae import report as musicvae_report
from musiclib.musicvae import runs as musicvae_runs
from musiclib.paths import DATA, ROOT, atomic
from musiclib.reproduction import checkpoint

SYSTEMS = {  # its runs, how an experiment is found by name, the one to begin with, and what is printed at the end
    "musicslots": (
        runs, experiments.find, "jazznet-multi-none",
        lambda size: f"{report.tables(size)}\n\n{claims.claims_table(size)}",
    ),
    "musicvae": (musicvae_runs, musicvae_experiments.find, "melody-2", musicvae_report.results_table),
    "improvise": (
        improvise_runs, improvise_experiments.find, "chorales", lambda size: improvise_report.results_table(),
    ),
    "diffroll": (
        diffroll_runs, diffroll_experiments.find, "diffroll",
        lambda size: f"{diffroll_report.results_table(size)}\n\n{diffroll_report.claims_table(size)}",
    ),
}  # fmt: skip

TRANSCRIBERS = {
    "diffroll": diffroll_experiments.find("diffroll-best"),
    "twin": diffroll_experiments.find("twin-best"),
}

REBUILD = {
    "bank": synth.build_bank,
    "chorales": corpora.build_bach_chorales,
    "chorale-pieces": corpora.build_chorales,
    "fiddle-tunes": corpora.build_fiddle_tunes,
    "piano-works": corpora.build_piano_works,
    "piano-clips": clips.build,
}


def seconds(text: str) -> float:
    """90, 90s, 9m or 2h → seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 9m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def number(least: float, most: float) -> Callable[[str], float]:
    """Decimal numbers from least to most."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"-?\d{1,4}(\.\d{1,6})?", text) or not least <= float(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
        return float(text)

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """Whole numbers from least to most."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,10}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse


def train(options: argparse.Namespace) -> int:
    system, find, first, _ = SYSTEMS[options.system]
    experiment, size = find(options.experiment or first), _preset(options).size
    done = system.train(experiment, size, seed=options.seed, budget_s=options.budget)
    name = experiment.run_name(size, options.seed)
    print(f"{name}: {'done, in the ledger' if done else 'not done yet; the same command goes on'}")
    return 0


def reproduce(options: argparse.Namespace) -> int:
    system, _, _, tables = SYSTEMS[options.system]
    size, deadline = _preset(options).size, time.monotonic() + options.budget
    for seed in options.seeds:
        for experiment in system.missing(size, seed, options.only or ()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            print(f"{experiment.run_name(size, seed)} …", flush=True)
            system.train(experiment, size, seed=seed, budget_s=left)
    print(tables(size))
    return 0


def rebuild(options: argparse.Namespace) -> int:
    REBUILD[options.what]()
    return 0


def ingest(options: argparse.Namespace) -> int:
    report = ingestion.ingest(
        options.folder, options.output, kind=options.kind, steps_per_quarter=options.steps, step_s=options.seconds,
        monophonic=options.melody, jobs=options.jobs, cluster=options.dask,
    )  # fmt: skip
    print(report)
    return 0


def fetch_archive(options: argparse.Namespace) -> int:
    print(fetch.unpacked(fetch.ARCHIVES[options.archive]))
    return 0


def run_course(options: argparse.Namespace) -> int:
    return course.run(options.output, only=options.only, write_back=options.write_back)


def write_badges(options: argparse.Namespace) -> int:
    badges.rewrite(options.repository)
    return 0


def write_readme(_: argparse.Namespace) -> int:
    ledger.write_between(ROOT / "README.md", "results", claims.readme())
    ledger.write_between(ROOT / "README.md", "musicvae", musicvae_report.readme())
    ledger.write_between(ROOT / "README.md", "improvise", improvise_report.results_table())
    ledger.write_between(ROOT / "README.md", "diffroll", diffroll_report.readme())
    with atomic(DATA / "decomposition.png") as temporary:
        report.picture().savefig(temporary, dpi=90)
    return 0


def decompose(options: argparse.Namespace) -> int:
    folder = options.output or Path(f"{options.recording.stem}-slots")
    decomposing.check_folder(folder)
    waveform = audio.load_audio(options.recording, decomposing.LONGEST_S)
    model = _trained_model(runs, lambda size: experiments.shown(size).run_name(size), _preset(options).size)
    model = model.resized(options.slots or model.config.slots, options.iterations)
    slots = decomposing.decompose(model, waveform)
    decomposing.write(slots, folder)
    for number, (name, level_db) in enumerate(zip(slots.names, slots.levels_db, strict=True), start=1):
        print(f"slot {number}: {name}, {level_db:.1f} dB of the recording, {folder / f'slot-{number}.wav'}")
    print(f"All slots in one picture: {folder / 'decomposition.png'}")
    return 0


def compose(options: argparse.Namespace) -> int:
    size, inputs = _preset(options).size, options.between or ()
    composing.check_output(options.output, inputs)
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
    print(f"{bars} bars, seed {options.seed}: {options.output}")
    return 0


def _compose_between(options: argparse.Namespace, size: str) -> int:
    bars, steps = options.bars or 2, options.steps or 7
    if bars not in composing.WINDOWS:
        raise ValueError(f"Tunes of 2 or of 16 bars can be joined, not of {bars}: choose --bars 2 or --bars 16.")
    tokens = [composing.read_melody(path, bars) for path in options.between]
    model = _trained_model(musicvae_runs, composing.experiment_for(bars).run_name, size)
    passage = composing.between(model, *tokens, steps, options.seed, options.temperature or 0.0)
    composing.write(passage.roll, options.output, options.program, options.tempo)
    for number, bar in enumerate(passage.begins):
        print(f"bar {bar}: {number / (steps - 1):.0%} of the way from {options.between[0]} to {options.between[1]}")
    print(f"All in one file: {options.output}")
    return 0


def improvise(options: argparse.Namespace) -> int:
    composing.check_output(options.output, [options.query])
    query = performing.read_query(options.query)
    if query.remark:
        print(query.remark)
    experiment = improvise_experiments.find(options.style)
    model = improvise_runs.load(experiment.run_name("paper"))
    settings = Channel(options.bits, "corpus", made_up=True)
    corpus = improvise_runs.corpus_source(model, experiment.corpus)
    roll = performing.perform(model, query, settings, corpus, options.seed)
    composing.write(roll, options.output, options.program, options.tempo)
    told = "all" if options.bits == float("inf") else f"{options.bits} bits"
    print(f"{len(query.bars)} bars, {told} of each sent to {options.style}, seed {options.seed}: {options.output}")
    return 0


def transcribe(options: argparse.Namespace) -> int:
    composing.check_output(options.output, [options.recording])
    model = _trained_model(diffroll_runs, TRANSCRIBERS[options.model].run_name, _preset(options).size)
    sampling = Sampling(options.steps, options.sampler, options.guidance, seed=options.seed)
    notes = transcribing.transcribe_file(model, options.recording, sampling, options.threshold)
    transcribing.write(notes, options.output)
    print(f"{len(notes)} notes, {max(note.end_s for note in notes):.1f} s of music: {options.output}")
    return 0


def _trained_model(system: ModuleType, run_name: Callable[[str], str], size: str) -> nn.Module:
    """A system's trained model of a size, or the small one, which always ships; nothing is trained here."""
    name, small = run_name(size), run_name("small")
    if not checkpoint(name).exists():
        print(f"No trained model {name} here: using {small}.")
        name = small
    return system.load(name)


def _preset(options: argparse.Namespace) -> presets.Preset:
    return presets.preset(options.preset) if options.preset else presets.current_preset()


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="python -m musiclib", description=__doc__)
    commands = main.add_subparsers(required=True, metavar="command")

    def command(function, name: str, summary: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")
        added.set_defaults(function=function)
        return added

    preset = {"choices": list(presets.PRESETS), "help": "unset: MUSICLIB_PRESET, else what the machine can do"}
    budget = {"type": seconds, "default": float("inf"), "help": "stop, saved, after so long, such as 9m"}

    one = command(train, "train", "Train one experiment, resuming where it stopped.",
                  "python -m musiclib train musicslots --preset quick --budget 9m")  # fmt: skip
    one.add_argument("system", choices=list(SYSTEMS))
    one.add_argument("--experiment", help="unset: the one that its notebooks begin with")
    one.add_argument("--preset", **preset)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--budget", **budget)

    all_ = command(reproduce, "reproduce", "Train every experiment that the ledger lacks, then print paper | ours.",
                   "python -m musiclib reproduce musicslots --preset paper --budget 9m")  # fmt: skip
    all_.add_argument("system", choices=list(SYSTEMS))
    all_.add_argument("--only", nargs="+", metavar="NAME", help="experiments or tables, such as 'ablation'")
    all_.add_argument("--seeds", nargs="+", type=int, default=[0], help="the paper's are 0 12 22 32 42")
    all_.add_argument("--preset", **preset)
    all_.add_argument("--budget", **budget)

    apart = command(decompose, "decompose", "Take a recording of a chord apart: a WAV and a picture for every slot.",
                    "python -m musiclib decompose chord.wav --output chord-slots")  # fmt: skip
    apart.add_argument("recording", type=Path, help="WAV, FLAC, OGG or MP3, at most 30 s")
    apart.add_argument("--output", type=Path, metavar="FOLDER", help="unset: the recording's name with -slots, here")
    apart.add_argument("--slots", type=whole(1, 32), metavar="N", help="unset: as many as the model was trained with")
    apart.add_argument("--iterations", type=whole(1, 32), metavar="N", help="of slot attention; unset: as trained")
    apart.add_argument("--preset", **preset)

    tune = command(compose, "compose", "Compose a tune, or turn one tune into another, as MIDI.",
                   "python -m musiclib compose --bars 16 --seed 3 out.mid")  # fmt: skip
    tune.add_argument("output", type=Path, help="a MIDI file")
    tune.add_argument("--bars", type=whole(1, composing.MOST_BARS), metavar="N",
                      help="unset: 16; with --between 2, or else 16")  # fmt: skip
    tune.add_argument("--seed", type=whole(0, 2**31), default=0, help="another seed, another tune")
    tune.add_argument("--between", type=Path, nargs=2, metavar=("A", "B"), help="two scores, MIDI or MusicXML")
    tune.add_argument("--steps", type=whole(2, 100), metavar="N", help="from A to B; unset: 7")
    tune.add_argument("--temperature", type=number(0, 10), help="0 is the safest; unset: 0.5, with --between 0")
    tune.add_argument(
        "--program", type=whole(0, 127), default=0, metavar="N", help="General MIDI, from 0; unset: piano"
    )
    tune.add_argument("--tempo", type=whole(10, 600), default=120, metavar="N", help="quarters a minute; unset: 120")
    tune.add_argument("--preset", **preset)

    play = command(improvise, "improvise", "Improvise over a query in another style; fewer bits, more freely.",
                   "python -m musiclib improvise query.mid out.mid --bits 256 --seed 1")  # fmt: skip
    play.add_argument("query", type=Path, help="a score, MIDI or MusicXML")
    play.add_argument("output", type=Path, help="a MIDI file")
    play.add_argument("--bits", type=whole(0, 10**6), default=float("inf"), metavar="N", help="of a bar; unset: all")
    play.add_argument("--style", default="chorales", metavar="CORPUS",
                      help="chorales (unset), fiddle-tunes, or a corpus file that a model was trained on")  # fmt: skip
    play.add_argument("--seed", type=whole(0, 2**31), default=0, help="another seed, another improvisation")
    play.add_argument(
        "--program", type=whole(0, 127), default=0, metavar="N", help="General MIDI, from 0; unset: piano"
    )
    play.add_argument("--tempo", type=whole(10, 600), metavar="N", help="quarters a minute; unset: the query's")

    hear = command(transcribe, "transcribe", "Transcribe a recording of a piano, of any length, to MIDI.",
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
    hear.add_argument("--seed", type=whole(0, 2**31), default=0, help="of the noise it begins with")
    hear.add_argument("--preset", **preset)

    again = command(rebuild, "rebuild", "Make shipped data anew.", "python -m musiclib rebuild bank")
    again.add_argument("what", choices=list(REBUILD))

    get = command(fetch_archive, "fetch", "Download and unpack MAESTRO's MIDI (58 MB) or Lakh's (1.4 GB).",
                  "python -m musiclib fetch maestro")  # fmt: skip
    get.add_argument("archive", choices=list(fetch.ARCHIVES))

    take = command(ingest, "ingest", "Read a folder of music into one corpus file, and report on every file.",
                   "python -m musiclib ingest my-midi my-music.corpus --jobs 4")  # fmt: skip
    take.add_argument("folder", type=Path, help="searched with all folders in it")
    take.add_argument("output", type=Path, help="the corpus; the report stands beside it as .csv")
    take.add_argument("--kind", choices=list(sources.ENDINGS), default="midi", help="unset: midi")
    take.add_argument("--steps", type=int, default=4, metavar="N", help="per quarter; unset: 4, which are 16ths")
    take.add_argument("--seconds", type=float, metavar="S", help="per step, of a performance that follows no beat")
    take.add_argument("--melody", action="store_true", help="keep only the highest note of each step")
    take.add_argument("--jobs", type=int, default=-1, metavar="N", help="processes; unset: one per core")
    take.add_argument("--dask", metavar="ADDRESS", help="of a Dask cluster's scheduler, such as tcp://host:8786")

    pages = command(run_course, "course", "Execute the notebooks in order and write their pages.",
                    "python -m musiclib course")  # fmt: skip
    pages.add_argument("--output", type=Path, default=course.BUILD)
    pages.add_argument("--only", nargs="+", metavar="NN", help="only notebooks whose names begin so")
    pages.add_argument("--write-back", action="store_true", help="also store the executed notebooks in notebooks/")

    badge = command(write_badges, "badges", "Point README and notebooks to another repository.",
                    "python -m musiclib badges owner/name")  # fmt: skip
    badge.add_argument("repository")

    command(write_readme, "readme", "Write the README's results table and picture.", "python -m musiclib readme")
    return main


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return options.function(options)
    except (ValueError, OSError) as error:  # what musiclib raises for bad input: one sentence, no traceback
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
