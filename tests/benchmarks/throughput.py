"""What full Lakh and full MAESTRO take: measured here, calculated for other machines, written into book/scaling.md.

    python tests/benchmarks/throughput.py            # measures for minutes, writes the entry and the page
    python tests/benchmarks/throughput.py --page     # after prices below were edited: the page alone

Measured are ingestion and rendering on one core, the floating point operations of a training step of each system at
the paper's size, and its seconds on this machine. Large batches are measured on a few examples and multiplied: right
for operations, and at most so for seconds, since weights are read once a batch.
What stands below as assumed is assumed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timing import DEVICE, counted_flop, times_s
from torch import Tensor

from musiclib import corpora, ledger
from musiclib.diffroll import experiments as diffroll
from musiclib.diffroll import runs as diffroll_runs
from musiclib.diffroll.mel import FRAME_S
from musiclib.diffroll.model import DiffRoll
from musiclib.improvise import experiments as improvise
from musiclib.improvise.data import data
from musiclib.improvise.vae import BarVAE
from musiclib.ingestion import ingest
from musiclib.musicslots import experiments as musicslots
from musiclib.musicslots.runs import NoteDiscovery
from musiclib.musicvae import experiments as musicvae
from musiclib.musicvae.data import windows
from musiclib.musicvae.model import MusicVAE
from musiclib.paths import ROOT
from musiclib.training import TrainingConfig, autocast

FOLDER, NAME, PAGE = Path(__file__).resolve().parent, "throughput", ROOT / "book" / "scaling.md"
REPEATS = 3  # the fastest counts: whatever else a machine does only slows it down

# Assumed: what a GPU can do at best in half precision without sparsity (its data sheet), the share of it that training
# reaches, and what an hour costs. Edit them.
PEAK_TFLOP_S = {"H100": 989, "A100": 312, "T4": 65}
PRICE_PER_HOUR = {"H100": 3.00, "A100": 1.80, "T4": 0.40}
UTILISATION = 0.2

# Known: how much there is.
FILES = {"Lakh, the 116 189 matched MIDI files": ("midi", 116_189), "Lakh as 174 154 LPD files": ("lpd", 174_154)}
MAESTRO_H = 198.7

Loss = Callable[[int], Tensor]  # of so many examples


def _musicslots() -> tuple[TrainingConfig, Loss]:
    experiment = musicslots.find("jazznet-multi-none")
    task = NoteDiscovery(experiment, "paper", 0)
    task.model.to(DEVICE, memory_format=torch.channels_last)
    return experiment.training_config("paper", 0), lambda count: task.loss(task.model, torch.arange(count), 0)


def _musicvae() -> tuple[TrainingConfig, Loss]:
    experiment = musicvae.find("melody-2")
    model = MusicVAE(experiment.model_config("paper")).to(DEVICE)
    own = windows(experiment.corpus, "valid", experiment.kind, model.config.bars)
    return experiment.training_config("paper", 0), lambda count: model(own.transposed(torch.arange(count)), 0).total


def _improvise() -> tuple[TrainingConfig, Loss]:
    experiment = improvise.find("chorales")
    model, own = BarVAE(experiment.model_config()).to(DEVICE), data(experiment.corpus, "valid")
    return experiment.training_config(), lambda count: sum(model(own[:count])).mean()


def _diffroll() -> tuple[TrainingConfig, Loss]:
    experiment = diffroll.find("diffroll")
    model, loss = DiffRoll(experiment.model_config("paper")).to(DEVICE), diffroll_runs.loss_of(experiment, "paper")
    return experiment.training_config("paper", 0), lambda count: loss(model, torch.arange(count), 0)


SYSTEMS = {  # what is trained: how, and how many examples of a batch are measured
    "MusicSlots, jazznet-multi": (_musicslots, 8),
    "MusicVAE, 2 bars": (_musicvae, 128),
    "Improvisation, one bar": (_improvise, 100),
    "DiffRoll": (_diffroll, 1),
}


def step(system: str) -> dict:
    """One training step, forward and backward, without the optimizer's own."""
    make, examples = SYSTEMS[system]
    config, loss = make()

    def backward() -> None:
        with autocast(DEVICE):
            value = loss(examples)
        value.backward()

    with torch.backends.mkldnn.flags(enabled="VAE" not in system):  # the counter does not see into its LSTM
        flop = counted_flop(lambda: loss(1).backward())
    share = config.batch / examples
    return {
        "steps": config.steps, "batch": config.batch, "measured_examples": examples, "flop": flop * config.batch,
        "seconds": times_s(backward, 2)[0] * share,
    }  # fmt: skip


def read_files(kind: str) -> dict:
    """`ingest` in one process: the piano works as MIDI files, or as LPD files with the same in each of five tracks."""
    from pypianoroll import Multitrack, StandardTrack

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        for number, piece in enumerate(corpora.shipped("piano-works")):
            roll = piece.roll()
            if kind == "midi":
                roll.write_midi(source / f"{number:03}.mid", steps_per_quarter=piece.steps_per_quarter)
                continue
            tracks = [StandardTrack(program=p, pianoroll=roll.sounding.astype(np.uint8) * 90) for p in range(5)]
            Multitrack(resolution=24, tracks=tracks).save(source / f"{number:03}.npz")
        seconds = times_s(lambda: ingest(source, Path(folder, "out.corpus"), kind=kind, jobs=1), REPEATS)[0]
        report = ingest(source, Path(folder, "out.corpus"), kind=kind, jobs=1)
    return {"seconds": seconds / sum(report.counts.values()), "files": report.counts, "notes": report.notes}


def rendering() -> float:
    """Seconds of piano that are played, rendered and recorded in a second, by DiffRoll's training."""
    own = diffroll_runs.source(diffroll.find("diffroll"), "paper")
    return 4 * own.frames * FRAME_S / times_s(lambda: own.draw(4), REPEATS)[0]


def measure() -> None:
    started, commit = time.monotonic(), ledger.commit()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    metrics = {"ingestion": {kind: read_files(kind) for kind in ("midi", "lpd")}, "rendered_s_per_s": rendering()}
    torch.set_num_threads(threads)
    metrics["training"] = {}
    for system in SYSTEMS:
        metrics["training"][system] = step(system)
        print(system, metrics["training"][system], flush=True)
    ledger.record(
        NAME, system="throughput", preset="paper", seed=0, metrics=metrics,
        config={"repeats": REPEATS, "repeats_of_a_step": 2}, wall_s=time.monotonic() - started,
        commit=commit, folder=FOLDER,
    )  # fmt: skip


def gpu_hours(trained: dict, gpu: str) -> float:
    """An estimate: operations over what the GPU is assumed to reach."""
    return trained["flop"] * trained["steps"] / (PEAK_TFLOP_S[gpu] * 1e12 * UTILISATION) / 3600


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else "under 0.1"


def tables(entry: dict) -> str:
    """All figures of the page, in Markdown."""
    metrics, threads = entry["metrics"], "1 thread" if entry["threads"] == 1 else f"{entry['threads']} threads"
    measured = []
    for kind, found in metrics["ingestion"].items():
        notes = found["notes"] / sum(found["files"].values())
        measured.append([f"read {kind} files", f"{1 / found['seconds']:.0f} files/s, of {notes:.0f} notes each"])
    rate = metrics["rendered_s_per_s"]
    measured.append(["render piano for DiffRoll", f"{rate:.0f} s of sound/s"])
    corpora_rows = [
        [what, f"{count * metrics['ingestion'][kind]['seconds'] / 3600:.2f}"] for what, (kind, count) in FILES.items()
    ]
    corpora_rows.append([f"MAESTRO's {MAESTRO_H} h, rendered anew once", f"{MAESTRO_H / rate:.1f}"])
    steps, hours = [], []
    for system, trained in metrics["training"].items():
        seconds, total = trained["seconds"], trained["seconds"] * trained["steps"] / 86400
        steps.append([
            system, f"{trained['steps']:,} × {trained['batch']}".replace(",", " "), f"{trained['flop'] / 1e12:.3g}",
            f"{trained['measured_examples']} of {trained['batch']}", _short(seconds), _short(total),
        ])  # fmt: skip
        own = [(gpu_hours(trained, gpu), PRICE_PER_HOUR[gpu]) for gpu in PEAK_TFLOP_S]
        hours.append([system, *(f"{_short(h)} h, {_short(h * price)} USD" for h, price in own)])
    peaks = ", ".join(f"{gpu} {peak} TFLOP/s at {PRICE_PER_HOUR[gpu]:.2f} USD/h" for gpu, peak in PEAK_TFLOP_S.items())
    return "\n\n".join([
        f"**Measured** on {entry['hardware']}, {entry['date']}, commit {entry['commit']}:",
        ledger.table(measured, ["one core", "measured"]),
        "**Calculated** from it, in hours of one core:",
        ledger.table(corpora_rows, ["all of it", "core hours"]),
        f"**Measured** on the same machine with {threads}, a training step at the paper's size:",
        ledger.table(steps, ["system", "steps × batch", "TFLOP/step", "measured", "s/step, at most", "days, at most"]),
        f"**Estimated** for one GPU at {UTILISATION:.0%} of its peak ({peaks}), for all of the paper's steps:",
        ledger.table(hours, ["system", *PEAK_TFLOP_S]),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    if not parser.parse_args().page:
        measure()
    ledger.write_between(PAGE, NAME, tables(ledger.entry(NAME, FOLDER)))


if __name__ == "__main__":
    main()
