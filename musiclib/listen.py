"""Players: a sound, and the picture of what is heard.

A player is one self-contained piece of HTML (the audio as MP3 and the spectrogram as PNG, both inside), so it plays
in JupyterLab, on Colab and on a static page, without a request to anywhere.
"""

import base64
import io
from collections.abc import Mapping
from html import escape

import matplotlib.pyplot as plt
import soundfile
import torch
from torch import Tensor

from musiclib import plots
from musiclib.spectrogram import HOP_SAMPLES, mel_power, power_to_db, stft
from musiclib.synth import SAMPLE_RATE_HZ


class Players:
    """Sounds side by side, at their true relative loudness. Made by `player` and `players`.

    Args:
        sounds: label → (samples,) at 16 kHz. gain: of all of them; unless given, the loudest peaks at 0.9.

    Raises:
        ValueError: there is no sound, or one without samples.
    """

    def __init__(self, sounds: Mapping[str, Tensor], gain: float | None = None):
        self.sounds = {label: sound.detach().cpu().float().flatten() for label, sound in sounds.items()}
        if not self.sounds or not all(map(len, self.sounds.values())):
            raise ValueError("Nothing to play: a player needs at least one waveform with at least one sample.")
        loudest = max(float(sound.abs().max()) for sound in self.sounds.values())
        self.gain = gain if gain is not None else 0.9 / loudest if loudest > 0 else 1.0

    def __repr__(self) -> str:
        return "Players: " + ", ".join(f"{k} ({len(v) / SAMPLE_RATE_HZ:.1f} s)" for k, v in self.sounds.items())

    def _repr_html_(self) -> str:
        figures = "".join(self._figure(label, sound) for label, sound in self.sounds.items())
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{figures}</div>'

    def _figure(self, label: str, sound: Tensor) -> str:
        seconds = len(sound) / SAMPLE_RATE_HZ
        return (
            f'<figure style="margin:0;width:240px">'
            f"{picture_tag(_picture(sound), f'Spectrogram of {label}, {seconds:.1f} seconds', 'width:240px')}"
            f"{audio_tag(sound * self.gain, label, 'width:240px')}"
            f'<figcaption style="font-size:13px;text-align:center">{escape(label)}</figcaption></figure>'
        )


def audio_tag(sound: Tensor, label: str, style: str) -> str:
    """HTML: the player of one waveform, with the sound inside as MP3; `label` is what a screen reader says."""
    return (
        f'<audio controls preload="metadata" style="{style};height:32px" aria-label="{escape(label)}" '
        f'src="data:audio/mpeg;base64,{_base64(_mp3(sound))}"></audio>'
    )


def picture_tag(png: bytes, alt: str, style: str) -> str:
    """HTML: a picture, inside as PNG."""
    return f'<img alt="{escape(alt)}" style="{style}" src="data:image/png;base64,{_base64(png)}">'


def player(sound: Tensor, label: str = "sound") -> Players:
    """A player for one waveform, (samples,) at 16 kHz, with its mel spectrogram."""
    return Players({label: sound})


def players(**sounds: Tensor) -> Players:
    """Players side by side, one per keyword: `players(chord=a, sum_of_slots=b)`; underscores show as spaces."""
    return Players({label.replace("_", " "): sound for label, sound in sounds.items()})


def _mp3(sound: Tensor) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound.clamp(-1, 1).numpy(), SAMPLE_RATE_HZ, format="MP3")
    return file.getvalue()


def _picture(sound: Tensor) -> bytes:
    padded = torch.nn.functional.pad(sound, (0, max(0, HOP_SAMPLES * 2 - len(sound))))
    figure, axes = plt.subplots(figsize=(3, 1.5), layout="constrained")
    plots.spectrogram(axes, power_to_db(mel_power(stft(padded))))
    axes.set_xlabel("time in s", fontsize=7)
    axes.set_ylabel("mel band", fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    plt.close(figure)
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
