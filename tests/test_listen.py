"""Players: self-contained HTML that sounds like what went in."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch

from musiclib.listen import player, players
from musiclib.spectrogram import mel_power, stft


@pytest.fixture(scope="module")
def chord(bank):
    return bank.chord([bank.row(0, 60), bank.row(40, 67)], total_s=1.5)


def embedded(html, kind):
    return [base64.b64decode(data) for data in re.findall(rf'src="data:{kind};base64,([^"]+)"', html)]


def test_everything_is_inside(chord):
    """No request to anywhere: each source is a data URI; each picture has a text for those who cannot see it."""
    html = players(chord=chord, half=chord / 2)._repr_html_()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert len(sources) == 4
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://", html)
    assert re.findall('alt="([^"]*)"', html) == [f"Spectrogram of {x}, 1.5 seconds" for x in ("chord", "half")]
    assert all(picture.startswith(b"\x89PNG") for picture in embedded(html, "image/png"))
    assert "<script" not in html


def test_the_mp3_sounds_like_the_waveform(chord):
    """Decoded again, the log-mel spectrogram is nearly the original's."""
    (mp3,) = embedded(player(chord)._repr_html_(), "audio/mpeg")
    decoded, rate = soundfile.read(io.BytesIO(mp3), dtype="float32")
    assert rate == 16000
    assert len(decoded) == pytest.approx(len(chord), abs=3000)
    assert np.abs(decoded).max() == pytest.approx(0.9, abs=0.1)
    length = min(len(decoded), len(chord))
    a, b = (mel_power(stft(x[:length])) for x in (torch.from_numpy(decoded), chord * 0.9 / chord.abs().max()))
    log_a, log_b = (torch.log(x + 1e-2).flatten().numpy() for x in (a, b))
    assert np.corrcoef(log_a, log_b)[0, 1] > 0.97


def test_loudness_is_relative(chord):
    """The loudest of several is at 0.9, a sound at half its level is half as loud."""
    loud, soft = embedded(players(loud=chord, soft=chord / 2)._repr_html_(), "audio/mpeg")
    loud, soft = (soundfile.read(io.BytesIO(mp3), dtype="float32")[0] for mp3 in (loud, soft))
    assert np.linalg.norm(soft) / np.linalg.norm(loud) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("samples", [16000, 100])
def test_silence(samples):
    """Neither a division by zero nor a sound too short for a spectrogram stops the page."""
    html = player(torch.zeros(samples), "silence")._repr_html_()
    (mp3,) = embedded(html, "audio/mpeg")
    assert np.abs(soundfile.read(io.BytesIO(mp3))[0]).max() < 1e-3


def test_labels(chord):
    """Underscores show as spaces; markup in a label stays text."""
    html = players(sum_of_slots=chord)._repr_html_()
    assert "<figcaption" in html
    assert ">sum of slots<" in html
    html = player(chord, '<b>"loud"</b>')._repr_html_()
    assert "<b>" not in html
    assert repr(player(chord, "x")) == "Players: x (1.5 s)"


def test_a_tensor_with_gradient_and_channel_plays(chord):
    assert "audio/mpeg" in player(chord[None].clone().requires_grad_())._repr_html_()
