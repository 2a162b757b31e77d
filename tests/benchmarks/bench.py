"""Ours against a plain version of the published way, in one run on one machine: `make bench`.

1. The note bank: every note rendered in this process, against one `fluidsynth` command a note.
2. Chord spectrograms: made on the fly from the bank, against loading, mixing, transforming and storing each chord.
3. One training step of the paper's model: bf16, channels last, the long axis of the grid where CPU convolutions want
   it, against fp32 on (frequency, time) grids. With GFLOP/s, and the share of what a large convolution reaches here.
4. Evaluation: chords made, taken apart and matched in batches, against one file, one pass, one matching a chord.
5. MusicVAE: logits of 32 pieces and their gradients in one call of an LSTM, against a loop over steps of LSTM cells in
   fp32 that computes the same. bf16 is measured on every machine; training takes it only where that is worth it.
6. MusicVAE: tokens per second when it composes.
7. MIDI files: a folder ingested in one process, report and corpus written, against pretty_midi file by file.
8. The Variable Markov Oracle at 100 thresholds, distances included, against the package `vmo`; how both grow with the
   number of frames, also as a picture in build/.
9. DiffRoll: a clip of 20.48 s by the paper's network, in few calls that share what the audio adds, against 200 guided
   steps of two calls that compute the spectrogram and its projections anew.

Each measurement has a process of its own, so that its peak memory is its own. `--quick` only shows that all of it
runs, in one process: its sizes are too small for its figures to mean anything.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys

import diffroll
import ingestion
import musicvae
import oracles
import slots
import sounds
import torch
from timing import DEVICE

from musiclib import ledger, training
from musiclib.paths import ROOT

MEASUREMENTS = (
    {
        function.__name__: function
        for function in (
            sounds.bank_ours,
            sounds.bank_shipped,
            sounds.bank_plain,
            sounds.spectrograms_ours,
            sounds.spectrograms_plain,
            slots.step_ours,
            slots.step_plain,
            slots.limits,
            slots.synchronisations,
            slots.evaluation_ours,
            slots.evaluation_plain,
        )
    }
    | musicvae.MEASUREMENTS
    | musicvae.SAMPLING
    | ingestion.MEASUREMENTS
    | oracles.MEASUREMENTS
    | oracles.GROWTH
    | diffroll.MEASUREMENTS
)
COMPARISONS = (
    ("render a note", "bank_ours", "bank_plain", 50),
    ("have a note, from the shipped bank", "bank_shipped", "bank_plain", 50),
    ("chord spectrogram", "spectrograms_ours", "spectrograms_plain", 10),
    ("training step, paper's model", "step_ours", "step_plain", 3 if DEVICE.type == "cuda" else 2),
    ("evaluate a chord, small model", "evaluation_ours", "evaluation_plain", None),
    *musicvae.COMPARISONS,
    *ingestion.COMPARISONS,
    *oracles.COMPARISONS,
    *diffroll.COMPARISONS,
)


def measured(name: str, quick: bool) -> dict:
    """One measurement, with the peak memory of this process."""
    result = MEASUREMENTS[name](quick)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return result | {"mib": kib / unit}


def measured_alone(name: str, quick: bool) -> dict:
    """In a process of its own, unless the run is a quick one."""
    if quick:
        return measured(name, quick)
    done = subprocess.run([sys.executable, __file__, "--only", name], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def why_not(name: str) -> str:
    """Why a measurement cannot be made here; empty if it can."""
    return sounds.why_no_bank() if name.startswith("bank") else ""


def duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def compare(quick: bool) -> None:
    print(f"Hardware: {ledger.hardware()}; {torch.get_num_threads()} threads; {memory_gib():.0f} GiB memory")
    print(f"Software: {platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"Commit:   {ledger.commit()}")
    if quick:
        print("QUICK RUN: tiny sizes, the figures mean nothing.")
    rows, notes, found = [], [], {}
    for what, ours, plain, aim in COMPARISONS:
        if reason := why_not(ours):
            notes.append(f"{what}: not measured, {reason}")
            continue
        for name in {ours, plain} - set(found):
            found[name] = measured_alone(name, quick)
        a, b = found[ours], found[plain]
        if ours.startswith("oracle"):
            oracles.check(a, b)
        ratio = b["seconds"] / a["seconds"]
        verdict = "" if quick or not aim else ("reached" if ratio >= aim else "MISSED")
        rows.append([
            what, duration(b["seconds"]), duration(a["seconds"]), f"{ratio:.1f} ×", f"{aim} ×" if aim else "–", verdict,
            f"{b['mib']:.0f} MiB", f"{a['mib']:.0f} MiB",
        ])  # fmt: skip
        notes.append(f"{what}: plain {b['note']}; ours {a['note']}.")
    header = ["", "plain", "ours", "ratio", "aim", "", "peak memory, plain", "ours"]
    print("\n" + ledger.table(rows, header) + "\n")
    print("\n".join(notes))
    print("\n" + floating_point_table(found["step_ours"], found["step_plain"], measured_alone("limits", quick)))
    drawn = {name: measured_alone(name, quick) for name in musicvae.SAMPLING}
    print("\n" + ledger.table(musicvae.sampling_rows(drawn), musicvae.SAMPLING_HEADER))
    print("\n" + growth_table(quick))
    print("\n" + diffroll.share(found["clip_ours"], measured_alone("convolution_limit", quick)))
    rates = {"steps": found["step_ours"], "evaluated chords": found["evaluation_ours"]}
    print(
        "\nA second holds " + ", ".join(f"{1 / result['seconds']:.3g} {name}" for name, result in rates.items()) + "."
    )
    if (count := measured_alone("synchronisations", quick)["count"]) >= 0:
        print(f"A training step makes the host wait for the GPU {count:g} times.")
    print("\nThe limit is a 5×5 convolution, 128 → 128 channels, on 32 grids of 32×128, forward and backward.")


def floating_point_table(ours: dict, plain: dict, limit: dict) -> str:
    bf16 = "bf16" if training.precision_of(DEVICE) == "bf16-mixed" else "fp32"
    rows = []
    for name, result, precision in (("plain", plain, "fp32"), ("ours", ours, bf16)):
        reached = result["flop"] / result["seconds"] / 1e9
        rows.append([
            f"{name}, {precision}", f"{result['flop'] / 1e9:.1f}", f"{reached:.0f}", f"{limit[precision]:.0f}",
            f"{reached / limit[precision]:.0%}",
        ])  # fmt: skip
    return ledger.table(rows, ["training step", "GFLOP", "GFLOP/s", "limit here, GFLOP/s", "share"])


def growth_table(quick: bool) -> str:
    lengths = oracles.LENGTHS[: 1 if quick else None]
    both = {who: {n: measured_alone(f"growth_{who}_{n}", quick) for n in lengths} for who in ("ours", "package")}
    oracles.picture(
        {who: {n: r["seconds"] for n, r in of.items()} for who, of in both.items()}, ROOT / "build" / "oracles.png"
    )
    rows = []
    for n in lengths:
        a, b = both["ours"][n], both["package"][n]
        oracles.check(a, b)
        rows.append([
            n, duration(b["seconds"]), duration(a["seconds"]), f"{b['seconds'] / a['seconds']:.0f} ×",
            f"{b['mib']:.0f} MiB", f"{a['mib']:.0f} MiB",
        ])  # fmt: skip
    return ledger.table(rows, ["oracle, frames", "package", "ours", "ratio", "peak memory, package", "ours"])


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    options.add_argument("--only", choices=list(MEASUREMENTS), help="one measurement, as JSON")
    chosen = options.parse_args()
    print(json.dumps(measured(chosen.only, chosen.quick))) if chosen.only else compare(chosen.quick)
