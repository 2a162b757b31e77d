"""Sounds and spectrograms: ours, and the plain way of the published code."""

import shutil
import struct
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import soundfile
import torch
import torchaudio
from timing import median_s

from musiclib import synth, training
from musiclib.musicslots import chords
from musiclib.musicslots.data import NOTE_S, SILENCE_S, ChordSpectrograms
from musiclib.spectrogram import BANDS, FFT_SAMPLES, FRAMES, HOP_SAMPLES
from musiclib.synth import SAMPLE_RATE_HZ, VELOCITY, NoteBank


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


def why_no_bank() -> str:
    """Why the bank cannot be rendered here; empty if it can."""
    try:
        with synth.Synthesizer():
            pass
    except synth.SoundfontError as error:
        return str(error)
    return "" if shutil.which("fluidsynth") else "there is no fluidsynth command here: install the package fluidsynth"


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
