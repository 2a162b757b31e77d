"""python -m musiclib: the command line of the course. `--help` on any command shows an example."""

import argparse
import re
import sys
import time
from pathlib import Path

from musiclib import audio, badges, corpora, course, ledger, presets, synth
from musiclib.musicslots import claims, experiments, report, runs
from musiclib.musicslots import decompose as decomposing
from musiclib.musicslots.model import MusicSlots
from musiclib.paths import DATA, ROOT, atomic


def seconds(text: str) -> float:
    """90, 90s, 9m or 2h → seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 9m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def few(text: str) -> int:
    """A whole number from 1 to 32."""
    if not re.fullmatch(r"\d{1,2}", text) or not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 32")
    return int(text)


def train(options: argparse.Namespace) -> int:
    experiment, size = experiments.find(options.experiment), _preset(options).size
    done = runs.train(experiment, size, seed=options.seed, budget_s=options.budget)
    name = experiment.run_name(size, options.seed)
    print(f"{name}: {'done, in the ledger' if done else 'not done yet; the same command goes on'}")
    return 0


def reproduce(options: argparse.Namespace) -> int:
    size, deadline = _preset(options).size, time.monotonic() + options.budget
    for seed in options.seeds:
        for experiment in runs.missing(size, seed, options.only or ()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            print(f"{experiment.run_name(size, seed)} …", flush=True)
            runs.train(experiment, size, seed=seed, budget_s=left)
    print(report.tables(size), claims.claims_table(size), sep="\n\n")
    return 0


def rebuild(options: argparse.Namespace) -> int:
    {"bank": synth.build_bank, "chorales": corpora.build_bach_chorales}[options.what]()
    return 0


def run_course(options: argparse.Namespace) -> int:
    return course.run(options.output, only=options.only, write_back=options.write_back)


def write_badges(options: argparse.Namespace) -> int:
    badges.rewrite(options.repository)
    return 0


def write_readme(_: argparse.Namespace) -> int:
    ledger.write_between(ROOT / "README.md", "results", claims.readme())
    with atomic(DATA / "decomposition.png") as temporary:
        report.picture().savefig(temporary, dpi=90)
    return 0


def decompose(options: argparse.Namespace) -> int:
    folder = options.output or Path(f"{options.recording.stem}-slots")
    decomposing.check_folder(folder)
    waveform = audio.load_audio(options.recording, decomposing.LONGEST_S)
    model = _shipped_model(_preset(options).size)
    model = model.resized(options.slots or model.config.slots, options.iterations)
    slots = decomposing.decompose(model, waveform)
    decomposing.write(slots, folder)
    for number, (name, level_db) in enumerate(zip(slots.names, slots.levels_db, strict=True), start=1):
        print(f"slot {number}: {name}, {level_db:.1f} dB of the recording, {folder / f'slot-{number}.wav'}")
    print(f"All slots in one picture: {folder / 'decomposition.png'}")
    return 0


def _shipped_model(size: str) -> MusicSlots:
    """The trained model of a size, or the small one, which always ships; nothing is trained here."""
    name, small = (experiments.shown(s).run_name(s) for s in (size, "small"))
    if not runs.checkpoint(name).exists():
        print(f"No trained model {name} here: using {small}.")
        name = small
    return runs.load(name)


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
    one.add_argument("system", choices=["musicslots"])
    one.add_argument("--experiment", default="jazznet-multi-none")
    one.add_argument("--preset", **preset)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--budget", **budget)

    all_ = command(reproduce, "reproduce", "Train every experiment that the ledger lacks, then print paper | ours.",
                   "python -m musiclib reproduce musicslots --preset paper --budget 9m")  # fmt: skip
    all_.add_argument("system", choices=["musicslots"])
    all_.add_argument("--only", nargs="+", metavar="NAME", help="experiments or tables, such as 'ablation'")
    all_.add_argument("--seeds", nargs="+", type=int, default=[0], help="the paper's are 0 12 22 32 42")
    all_.add_argument("--preset", **preset)
    all_.add_argument("--budget", **budget)

    apart = command(decompose, "decompose", "Take a recording of a chord apart: a WAV and a picture for every slot.",
                    "python -m musiclib decompose chord.wav --output chord-slots")  # fmt: skip
    apart.add_argument("recording", type=Path, help="WAV, FLAC, OGG or MP3, at most 30 s")
    apart.add_argument("--output", type=Path, metavar="FOLDER", help="unset: the recording's name with -slots, here")
    apart.add_argument("--slots", type=few, metavar="N", help="unset: as many as the model was trained with")
    apart.add_argument("--iterations", type=few, metavar="N", help="of slot attention; unset: as trained")
    apart.add_argument("--preset", **preset)

    again = command(rebuild, "rebuild", "Make shipped data anew.", "python -m musiclib rebuild bank")
    again.add_argument("what", choices=["bank", "chorales"])

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
