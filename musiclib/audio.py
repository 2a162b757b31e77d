"""Recordings from files: any format, rate and number of channels in, mono at 16 kHz out; and back to WAV."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from musiclib.paths import atomic
from musiclib.synth import SAMPLE_RATE_HZ

SILENCE_PEAK = 1e-4  # -80 dBFS
MOST_PEAK = 1 << 31  # integers of 32 bits stored as they are
RATES_HZ = (4_000, 384_000)
BLOCK_SAMPLES = 1 << 16
FILTER_ZEROS = 8  # more than the zero crossings of torchaudio's filter on each side


class AudioError(ValueError):
    """A recording cannot be used: the message names it, and says why and what helps."""


def load_audio(path: Path | str, longest_s: float | None = None, shortest_s: float = 0.0) -> Tensor:
    """A recording as mono at 16 kHz, (samples,); channels are averaged.

    A truncated file gives the part that is there: a header's length is never believed, since a damaged one promises
    gigabytes and a recorder that was cut off promises nothing.

    Args:
        path: WAV, FLAC, OGG, MP3 or whatever else libsndfile reads.
        longest_s: a longer recording is an error, found without reading all of it. shortest_s: so is a shorter one.

    Raises:
        AudioError: there is no such file, it is not readable, not audio, damaged, empty, silent, too long or too short.
    """
    waveform = torch.cat(list(stream_audio(path, longest_s)))
    if (seconds := len(waveform) / SAMPLE_RATE_HZ) < shortest_s:
        raise AudioError(f"{path} lasts {seconds:.3f} s, too short: at least {shortest_s:g} s are needed.")
    return waveform


def stream_audio(path: Path | str, longest_s: float | None = None) -> Iterator[Tensor]:
    """The same piece by piece, so that an hour needs no more memory than a minute. What only the end shows, such as
    that all was silent, is raised there.

    Raises:
        AudioError: see `load_audio`.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _opened(path) as file:
            yield from _resampled(_mono(path, file, longest_s), file.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a name such as x.raw, which tells no format
        raise AudioError(
            f"{path} is not audio that can be read, or it is damaged: save it as WAV, FLAC, OGG or MP3."
        ) from error


def claimed_s(path: Path | str) -> float | None:
    """How many seconds a recording's header promises; None where it promises nothing, or what the file cannot hold."""
    try:
        with _opened(path) as file:
            seconds = file.frames / file.samplerate
    except (soundfile.SoundFileError, TypeError, OSError):
        return None
    return seconds if 0 < seconds < Path(path).stat().st_size else None  # no format needs less than a byte a second


def load_part(path: Path | str, start_s: float, seconds: float) -> Tensor:
    """A part of a recording as mono at 16 kHz, (samples,), shorter where the recording ends; it may be silent.

    Raises:
        AudioError: there is no such file, it is not readable, not audio or damaged.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _opened(path) as file:
            with _unheard():
                file.seek(min(file.frames, round(start_s * file.samplerate)))
                block = file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True)
            return resample(torch.from_numpy(block.mean(axis=1)), file.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:
        raise AudioError(f"{path} is not audio that can be read, or it is damaged: download it again.") from error


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    with _unheard():
        file = soundfile.SoundFile(path)
    with file:
        yield file


@contextmanager
def _unheard() -> Iterator[None]:
    """Keeps from the terminal what the MP3 decoder, which is C and cannot be asked to be quiet, says about damage."""
    sys.stderr.flush()
    try:
        before = os.dup(2)
    except OSError:  # this process has no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a folder: name one recording in it.")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path} is a device or a pipe: save the recording to a file.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {path}: check its name and folder.") from error
    except OSError as error:
        raise AudioError(f"{path} cannot be opened ({error.strerror}): check its name and permissions.") from error
    if empty:
        raise AudioError(f"{path} is empty: record or download it again.")


def _mono(path: Path, file: soundfile.SoundFile, longest_s: float | None) -> Iterator[np.ndarray]:
    """The mean of the channels, block by block, (samples,) at the file's rate."""
    low_hz, high_hz = RATES_HZ
    if not low_hz <= file.samplerate <= high_hz:
        raise AudioError(
            f"{path} has a sample rate of {file.samplerate} Hz, outside {low_hz} to {high_hz} Hz: save it at 44100 Hz."
        )
    samples, loudest, loudest_mono = 0, 0.0, 0.0
    while len(block := _block(file)):
        if not np.isfinite(block).all():
            raise AudioError(f"{path} holds samples that are no numbers (NaN or infinity): export it again.")
        mono = block.mean(axis=1)
        loudest, loudest_mono = (max(a, float(np.abs(b).max())) for a, b in ((loudest, block), (loudest_mono, mono)))
        if loudest > MOST_PEAK:
            raise AudioError(
                f"{path} holds samples of {loudest:.2g} times full scale, so it is damaged: export it again."
            )
        samples += len(block)
        if longest_s is not None and samples > longest_s * file.samplerate:
            raise AudioError(f"{path} is longer than {longest_s:g} s: cut it.")
        yield mono
    if not samples:
        raise AudioError(f"{path} holds no samples: record or download it again.")
    if loudest < SILENCE_PEAK:
        raise AudioError(f"{path} is silent, it stays under -80 dB of full scale: check the recording level.")
    if loudest_mono < SILENCE_PEAK:
        raise AudioError(
            f"{path} is silent as mono, since its channels are in opposite phase and cancel: "
            "keep one channel, or invert one."
        )


def _block(file: soundfile.SoundFile) -> np.ndarray:
    with _unheard():
        return file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)


def resample(waveform: Tensor, rate_hz: int) -> Tensor:
    """(..., samples) at `rate_hz` to 16 kHz."""
    before, after = _ratio(rate_hz)
    return torchaudio.functional.resample(waveform, before, after)


def _ratio(rate_hz: int) -> tuple[int, int]:
    """`rate_hz` to 16 kHz in small numbers.

    The filter has as many taps as the two rates have no factor in common: 44.1 kHz is 441 : 160, but 44 099 Hz would
    take gigabytes. So the ratio is rounded to one of small numbers, exact for usual rates, and else to millionths.
    """
    ratio = Fraction(SAMPLE_RATE_HZ, rate_hz).limit_denominator(1000)
    return ratio.denominator, ratio.numerator


def _resampled(blocks: Iterable[np.ndarray], rate_hz: int) -> Iterator[Tensor]:
    """Blocks at `rate_hz` to 16 kHz, sample by sample what `resample` makes of the whole: each is filtered together
    with as much of its neighbours as the filter reaches."""
    before, after = _ratio(rate_hz)
    beside = before * (2 + FILTER_ZEROS * max(before, after) // min(before, after) // before)
    buffer = np.zeros(beside, dtype=np.float32)

    def middle(samples: int) -> Tensor:
        wave = torch.from_numpy(buffer[: beside + samples + beside])
        first, last = (beside * after // before, -(-(beside + samples) * after // before))
        return torchaudio.functional.resample(wave, before, after)[first:last]

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        samples = (len(buffer) - 2 * beside) // before * before
        if samples > 0:
            yield middle(samples)
            buffer = buffer[samples:]
    rest = len(buffer) - beside
    buffer = np.concatenate([buffer, np.zeros(beside, dtype=np.float32)])
    yield middle(rest)


def write_wav(path: Path, waveform: Tensor) -> None:
    """A waveform (samples,) at 16 kHz as WAV, whole or not at all.

    The samples are 32 bit floats: a part of a mixture may pass full scale where the mixture does not, and integers
    would clip it.
    """
    with atomic(path) as temporary:
        soundfile.write(temporary, waveform.detach().cpu().numpy(), SAMPLE_RATE_HZ, subtype="FLOAT", format="WAV")
