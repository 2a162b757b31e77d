"""Ours against a plain version of the published way, in one run on one machine: `make bench`.

1. The note bank: every note rendered in this process, against one `fluidsynth` command a note.
2. Chord spectrograms: made on the fly from the bank, against loading, mixing, transforming and storing each chord.
3. One training step of the paper's model: bf16, channels last, the long axis of the grid where CPU convolutions want
   it, against fp32 on (frequency, time) grids. With GFLOP/s, and the share of what a large convolution reaches here.

Each measurement has a process of its own, so that its peak memory is its own. `--quick` only shows that all of it
runs: its sizes are too small for its figures to mean anything.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
import torchaudio
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from musiclib import ledger, synth, training
from musiclib.musicslots import chords, experiments
from musiclib.musicslots.data import NOTE_S, SILENCE_S, ChordSpectrograms
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, SoftPosition, reconstruction_loss
from musiclib.spectrogram import BANDS, FFT_SAMPLES, FRAMES, HOP_SAMPLES
from musiclib.synth import SAMPLE_RATE_HZ, VELOCITY, NoteBank

CPU = torch.device("cpu")


def median_s(action: Callable[[], object], repeats: int, warm_up: int = 1) -> float:
    """Seconds of the median call."""
    for _ in range(warm_up):
        action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


# ------------------------------------------------------------------------------------------------------ 1 the bank


def bank_ours(quick: bool) -> dict:
    """`build_bank`: 210 notes (6 in a quick run), one FluidSynth, no process."""
    if quick:
        synth.BANK_PITCHES = {program: [60, 72] for program in synth.BANK_PITCHES}
    notes = sum(map(len, synth.BANK_PITCHES.values()))
    with tempfile.TemporaryDirectory() as folder:
        paths = {"flac": Path(folder, "bank.flac"), "index": Path(folder, "bank.json")}
        seconds = median_s(lambda: synth.build_bank(**paths), repeats=1, warm_up=0)
    return {"seconds": seconds / notes, "note": f"{notes} notes rendered, resampled and written"}


def bank_shipped(quick: bool) -> dict:
    """What a reader's machine does instead of rendering: `NoteBank.load`."""
    notes = len(NoteBank.load().pitches)
    return {"seconds": median_s(NoteBank.load, 1 if quick else 5, warm_up=0) / notes, "note": f"{notes} notes read"}


def bank_plain(quick: bool) -> dict:
    """A MIDI file a note, `fluidsynth` on it, its wav loaded, averaged, resampled and written."""
    soundfont, sample = synth.find_soundfont(), 2 if quick else 12
    wanted = [(p, pitch) for p, pitches in synth.BANK_PITCHES.items() for pitch in pitches]
    notes = wanted[:: len(wanted) // sample][:sample]
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "note.mid"), Path(folder, "note.wav")

        def render(program: int, pitch: int) -> None:
            midi.write_bytes(one_note_midi(program, pitch, synth.BANK_LENGTHS_S[program]))
            command = [
                "fluidsynth",
                "-ni",
                "-g",
                "0.2",
                "-R",
                "0",
                "-C",
                "0",
                "-r",
                "44100",
                "-F",
                wav,
                soundfont,
                midi,
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            audio, _ = soundfile.read(wav, dtype="float32")
            wave = synth.to_sample_rate(torch.from_numpy(audio).mean(1))
            soundfile.write(Path(folder, f"{program}-{pitch}.wav"), wave.numpy(), SAMPLE_RATE_HZ)

        render(*notes[0])  # the soundfont is in the page cache for both
        started = time.perf_counter()
        for note in notes:
            render(*note)
        seconds = (time.perf_counter() - started) / sample
    return {"seconds": seconds, "note": f"per note, from a sample of {sample} of {len(wanted)} notes"}


def one_note_midi(program: int, pitch: int, length_s: float) -> bytes:
    """A MIDI file of one note at velocity 90: 480 ticks to the quarter, 120 quarters a minute."""

    def varying(number: int) -> bytes:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.insert(0, (number & 0x7F) | 0x80)
        return bytes(groups)

    track = bytes([0, 0xC0, program, 0, 0x90, pitch, VELOCITY])
    track += varying(round(length_s * 960)) + bytes([0x80, pitch, 0]) + bytes([0, 0xFF, 0x2F, 0])
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track


# ------------------------------------------------------------------------------------------- 2 chord spectrograms


def spectrograms_ours(quick: bool) -> dict:
    """`ChordSpectrograms.batch`, batches of 32 of JazzNet-multi's training chords."""
    split = chords.examples("JazzNet-multi").train
    data, step = ChordSpectrograms(split, NoteBank.load()), iter(range(10**6))
    seconds = median_s(lambda: data.batch(training.shuffled_index(len(split), 32, next(step), 0)), 2 if quick else 50)
    return {"seconds": seconds / 32, "note": "batches of 32, nothing stored"}


def spectrograms_plain(quick: bool) -> dict:
    """Note wavs from disk, summed; torchaudio's MelSpectrogram, decibels; `torch.save`, one file a chord."""
    split, bank = chords.examples("JazzNet-multi").train, NoteBank.load()
    sample = [split[i] for i in range(0, len(split), len(split) // (4 if quick else 200))]
    samples = (FRAMES * HOP_SAMPLES + FFT_SAMPLES) / SAMPLE_RATE_HZ
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of empty mel filters
        mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE_HZ, FFT_SAMPLES, hop_length=HOP_SAMPLES, n_mels=BANDS)
    to_db = torchaudio.transforms.AmplitudeToDB("power", top_db=80.0)
    with tempfile.TemporaryDirectory() as folder:
        for note in {note for example in sample for note in example}:
            wave = bank.note(bank.row(*note), NOTE_S, SILENCE_S, samples)
            soundfile.write(Path(folder, "{}-{}.wav".format(*note)), wave.numpy(), SAMPLE_RATE_HZ)

        def one(number: int) -> None:
            waves = [soundfile.read(Path(folder, f"{p}-{m}.wav"), dtype="float32")[0] for p, m in sample[number]]
            torch.save(to_db(mel(torch.from_numpy(sum(waves)))[:, :FRAMES]), Path(folder, f"{number}.pt"))

        one(0)
        started = time.perf_counter()
        for number in range(len(sample)):
            one(number)
        seconds = (time.perf_counter() - started) / len(sample)
    return {"seconds": seconds, "note": f"from a sample of {len(sample)} chords, one file each"}


# ------------------------------------------------------------------------------------------------ 3 training steps


class PlainPosition(SoftPosition):
    """The position of a (frequency, time) grid (B, D, F, T)."""

    def forward(self, grid: Tensor) -> Tensor:
        return super().forward(grid.transpose(2, 3)).transpose(2, 3)


class PlainEncoder(nn.Module):
    """The paper's encoder as it reads: convolutions over (frequency, time)."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__()
        c = config.channels
        self.convs = nn.ModuleList(nn.Conv2d(i, c, 5, stride=config.stride, padding=2) for i in (1, c, c, c))
        self.position = PlainPosition(c)
        self.mlp = nn.Sequential(nn.Linear(c, config.width), nn.ReLU(), nn.Linear(config.width, config.width))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x).relu()  # B C F' T'
        tokens = self.position(x).flatten(2).transpose(1, 2)
        return self.mlp(nn.functional.layer_norm(tokens, tokens.shape[1:]))


class PlainDecoder(nn.Module):
    """The paper's decoder as it reads: a slot on an 8×2 grid, upsampled over (frequency, time)."""

    def __init__(self, config: MusicSlotsConfig, outputs: int):
        super().__init__()
        c, shrink = config.channels, 2**config.upsamplings
        self.grid = (config.bands // shrink, config.frames // shrink)
        self.position = PlainPosition(config.width)
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(i, c, 5, stride=2, padding=2, output_padding=1)
            for i in [config.width] + [c] * (config.upsamplings - 1)
        )
        self.smooth = nn.ConvTranspose2d(c, c, 5, padding=2)
        self.out = nn.ConvTranspose2d(c, outputs, 3, padding=1)

    def forward(self, slots: Tensor) -> Tensor:
        x = self.position(slots[:, :, None, None].expand(-1, -1, *self.grid))  # B' D F/16 T/16
        for deconv in self.upsample:
            x = deconv(x).relu()
        return self.out(self.smooth(x).relu())


class PlainMusicSlots(MusicSlots):
    """The same model, laid out as published."""

    def __init__(self, config: MusicSlotsConfig):
        super().__init__(config)
        self.encoder = PlainEncoder(config)
        self.decoder = PlainDecoder(config, outputs=1 if config.mask == "none" else 2)


def as_plain(model: MusicSlots) -> PlainMusicSlots:
    """The plain model with another's weights; kernels turned from (time, frequency)."""
    plain = PlainMusicSlots(model.config)
    state = {name: w.transpose(2, 3) if w.dim() == 4 else w for name, w in model.state_dict().items()}
    plain.load_state_dict(state)
    return plain


def paper_model(quick: bool) -> tuple[MusicSlots, Tensor]:
    torch.manual_seed(0)
    model = MusicSlots(experiments.MODELS["paper"])
    data = ChordSpectrograms(chords.examples("JazzNet-single").train, NoteBank.load())
    return model, data.batch(torch.arange(1 if quick else 32))


class OneModule:
    """Stands in for the counter's record of which module runs, which fails where gradients are switched off half way
    (implicit differentiation does that). Only the total is wanted here."""

    parents = ("Global",)

    def __enter__(self) -> None: ...
    def __exit__(self, *_) -> None: ...


def counted_flop(action: Callable[[], object]) -> int:
    """Floating point operations of one call."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = OneModule()
    with counter:
        action()
    return counter.get_total_flops()


def training_step(model: nn.Module, x: Tensor, autocast: torch.autocast, quick: bool) -> dict:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        with autocast:
            loss = reconstruction_loss(x, model(x))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    flop = counted_flop(step)
    seconds = median_s(step, repeats=1 if quick else 5, warm_up=0 if quick else 1)
    return {"seconds": seconds, "flop": flop, "note": f"batch {len(x)}"}


def step_ours(quick: bool) -> dict:
    model, x = paper_model(quick)
    return training_step(model.to(memory_format=torch.channels_last), x, training.autocast(CPU), quick)


def step_plain(quick: bool) -> dict:
    model, x = paper_model(quick)
    return training_step(as_plain(model), x, torch.autocast("cpu", enabled=False), quick)


def limits(quick: bool) -> dict:
    """GFLOP/s of a large convolution of the model's own kind, forward and backward, per precision."""
    batch = 1 if quick else 32
    reached = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        conv = nn.Conv2d(128, 128, 5, padding=2).to(dtype=dtype, memory_format=torch.channels_last)
        x = torch.randn(batch, 128, 32, 128).to(dtype=dtype, memory_format=torch.channels_last).requires_grad_()
        seconds = median_s(lambda conv=conv, x=x: conv(x).sum().backward(), repeats=1 if quick else 5)
        reached[name] = 3 * 2 * batch * 128 * 128 * 25 * 32 * 128 / seconds / 1e9  # forward, and two gradients
    return reached


# ------------------------------------------------------------------------------------------------------- the table

MEASUREMENTS = {
    function.__name__: function
    for function in (
        bank_ours,
        bank_shipped,
        bank_plain,
        spectrograms_ours,
        spectrograms_plain,
        step_ours,
        step_plain,
        limits,
    )
}
COMPARISONS = (
    ("render a note", "bank_ours", "bank_plain", 50),
    ("have a note, from the shipped bank", "bank_shipped", "bank_plain", 50),
    ("chord spectrogram", "spectrograms_ours", "spectrograms_plain", 10),
    ("training step, paper's model", "step_ours", "step_plain", 2),
)


def measured_alone(name: str, quick: bool) -> dict:
    """One measurement in a process of its own, with its peak memory."""
    command = [sys.executable, __file__, "--only", name] + (["--quick"] if quick else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_alone(name: str, quick: bool) -> None:
    result = MEASUREMENTS[name](quick)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    print(json.dumps(result | {"mib": kib / unit}))


def why_not(name: str) -> str:
    """Why a measurement cannot be made here; empty if it can."""
    if not name.startswith("bank"):
        return ""
    try:
        with synth.Synthesizer():
            pass
    except synth.SoundfontError as error:
        return str(error)
    return "" if shutil.which("fluidsynth") else "there is no fluidsynth command here: install the package fluidsynth"


def duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def compare(quick: bool) -> None:
    print(f"Hardware: {ledger.hardware()}; {torch.get_num_threads()} threads; {memory_gib():.0f} GiB memory")
    print(f"Software: {platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"Commit:   {ledger.commit()}")
    if quick:
        print("QUICK RUN: tiny sizes, the figures mean nothing.")
    rows, notes, measured = [], [], {}
    for what, ours, plain, aim in COMPARISONS:
        if reason := why_not(ours):
            notes.append(f"{what}: not measured, {reason}")
            continue
        for name in {ours, plain} - set(measured):
            measured[name] = measured_alone(name, quick)
        a, b = measured[ours], measured[plain]
        ratio = b["seconds"] / a["seconds"]
        verdict = "" if quick else ("reached" if ratio >= aim else "MISSED")
        rows.append([
            what, duration(b["seconds"]), duration(a["seconds"]), f"{ratio:.1f} ×", f"{aim} ×", verdict,
            f"{b['mib']:.0f} MiB", f"{a['mib']:.0f} MiB",
        ])  # fmt: skip
        notes.append(f"{what}: plain {b['note']}; ours {a['note']}.")
    header = ["", "plain", "ours", "ratio", "aim", "", "peak memory, plain", "ours"]
    print("\n" + ledger.table(rows, header) + "\n")
    print("\n".join(notes))
    print("\n" + floating_point_table(measured["step_ours"], measured["step_plain"], measured_alone("limits", quick)))
    print("\nThe limit is a 5×5 convolution, 128 → 128 channels, on 32 grids of 32×128, forward and backward.")


def floating_point_table(ours: dict, plain: dict, limit: dict) -> str:
    bf16 = "bf16" if training.precision_of(CPU) == "bf16-mixed" else "fp32"
    rows = []
    for name, result, precision in (("plain", plain, "fp32"), ("ours", ours, bf16)):
        reached = result["flop"] / result["seconds"] / 1e9
        rows.append([
            f"{name}, {precision}", f"{result['flop'] / 1e9:.1f}", f"{reached:.0f}", f"{limit[precision]:.0f}",
            f"{reached / limit[precision]:.0%}",
        ])  # fmt: skip
    return ledger.table(rows, ["training step", "GFLOP", "GFLOP/s", "limit here, GFLOP/s", "share"])


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    options.add_argument("--only", choices=list(MEASUREMENTS), help="one measurement, as JSON")
    chosen = options.parse_args()
    print_alone(chosen.only, chosen.quick) if chosen.only else compare(chosen.quick)
