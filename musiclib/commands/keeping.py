"""rebuild, fetch, ingest, course, badges, readme: the data, the notebooks and the pages of the course."""

import argparse
from pathlib import Path

from musiclib import badges, corpora, fetch, ingestion, ledger, sources, synth
from musiclib.commands.options import FAULT, Result, command, whole
from musiclib.diffroll import clips
from musiclib.diffroll import report as diffroll_report
from musiclib.improvise import report as improvise_report
from musiclib.musicslots import claims as musicslots_claims
from musiclib.musicslots import report as musicslots_report
from musiclib.musicvae import report as musicvae_report
from musiclib.paths import DATA, ROOT, atomic, check_writable

REBUILD = {
    "bank": synth.build_bank,
    "chorales": corpora.build_bach_chorales,
    "chorale-pieces": corpora.build_chorales,
    "fiddle-tunes": corpora.build_fiddle_tunes,
    "piano-works": corpora.build_piano_works,
    "piano-clips": clips.build,
}


def rebuild(options: argparse.Namespace) -> Result:
    check_writable(DATA / options.what)
    print(f"Making {options.what} anew …", flush=True)
    REBUILD[options.what]()
    return Result(f"{options.what}: made anew in {DATA}", {"made": options.what})


def fetch_archive(options: argparse.Namespace) -> Result:
    folder = fetch.unpacked(fetch.ARCHIVES[options.archive], progress=True)
    return Result(str(folder), {"folder": folder})


def ingest(options: argparse.Namespace) -> Result:
    check_writable(options.output)
    report = ingestion.ingest(
        options.folder, options.output, kind=options.kind, steps_per_quarter=options.steps, step_s=options.seconds,
        monophonic=options.melody, jobs=options.jobs, cluster=options.dask,
    )  # fmt: skip
    files = {"corpus": report.corpus, "report": report.path}
    return Result(str(report), {**files, "files": report.counts, "notes": report.notes})


def run_course(options: argparse.Namespace) -> Result:
    try:
        from musiclib import course  # not above: only this command needs Jupyter
    except ImportError as error:
        raise ValueError(
            f"The notebooks need {error.name}, which is not installed: 'python -m pip install -e .[course]'."
        ) from error
    output = options.output or course.BUILD
    failures = course.run(output, only=options.only, write_back=options.write_back)
    text = f"The course is at {output / 'index.html'}" + (f", {failures} notebooks failed" if failures else "")
    return Result(text, {"pages": output, "failed": failures}, FAULT if failures else 0)


def write_badges(options: argparse.Namespace) -> Result:
    badges.rewrite(options.repository)
    return Result(f"All links point to {options.repository}.", {"repository": options.repository})


def write_readme(_: argparse.Namespace) -> Result:
    path, picture = ROOT / "README.md", DATA / "decomposition.png"
    ledger.write_between(path, "results", musicslots_claims.readme())
    ledger.write_between(path, "musicvae", musicvae_report.readme())
    ledger.write_between(path, "improvise", improvise_report.results_table())
    ledger.write_between(path, "diffroll", diffroll_report.readme())
    with atomic(picture) as temporary:
        musicslots_report.picture().savefig(temporary, dpi=90)
    return Result(f"Written: {path}, {picture}", {"readme": path, "picture": picture})


def add(commands: argparse._SubParsersAction) -> None:
    again = command(commands, rebuild, "rebuild", "Make shipped data anew.", "python -m musiclib rebuild bank")
    again.add_argument("what", choices=list(REBUILD))

    get = command(commands, fetch_archive, "fetch",
                  "Download and unpack MAESTRO's MIDI (58 MB) or Lakh's (1.4 GB).",
                  "python -m musiclib fetch maestro")  # fmt: skip
    get.add_argument("archive", choices=list(fetch.ARCHIVES))

    take = command(commands, ingest, "ingest",
                   "Read a folder of music into one corpus file, and report on every file.",
                   "python -m musiclib ingest my-midi my-music.corpus --jobs 4")  # fmt: skip
    take.add_argument("folder", type=Path, help="searched with all folders in it")
    take.add_argument("output", type=Path, help="the corpus; the report stands beside it as .csv")
    take.add_argument("--kind", choices=list(sources.ENDINGS), default="midi", help="unset: midi")
    take.add_argument("--steps", type=int, default=4, metavar="N", help="per quarter; unset: 4, which are 16ths")
    take.add_argument("--seconds", type=float, metavar="S", help="per step, of a performance that follows no beat")
    take.add_argument("--melody", action="store_true", help="keep only the highest note of each step")
    take.add_argument("--jobs", type=whole(1, 1024), default=-1, metavar="N", help="processes; unset: one per core")
    take.add_argument("--dask", metavar="ADDRESS", help="of a Dask cluster's scheduler, such as tcp://host:8786")

    pages = command(commands, run_course, "course", "Execute the notebooks in order and write their pages.",
                    "python -m musiclib course")  # fmt: skip
    pages.add_argument("--output", type=Path, metavar="FOLDER", help="unset: build/course")
    pages.add_argument("--only", nargs="+", metavar="NN", help="only notebooks whose names begin so")
    pages.add_argument("--write-back", action="store_true", help="also store the executed notebooks in notebooks/")

    badge = command(commands, write_badges, "badges", "Point README and notebooks to another repository.",
                    "python -m musiclib badges owner/name")  # fmt: skip
    badge.add_argument("repository")

    command(commands, write_readme, "readme", "Write the README's results table and picture.",
            "python -m musiclib readme")  # fmt: skip
