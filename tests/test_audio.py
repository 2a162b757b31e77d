"""Recordings: every format becomes mono at 16 kHz, and everything that is no recording one sentence."""

import os
import struct

import numpy as np
import pytest
import soundfile
import torch

from musiclib.audio import AudioError, claimed_s, load_audio, load_part, resample, write_wav


def tone(rate_hz, seconds=1.0, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def pitch_hz(waveform):
    return float(torch.fft.rfft(waveform).abs().argmax()) * 16_000 / len(waveform)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (8_000, 1), (16_000, 3)])
def test_every_format_rate_and_number_of_channels(tmp_path, name, rate_hz, channels):
    if name == "a.mp3" and channels == 3:
        pytest.skip("MP3 has no third channel")
    soundfile.write(tmp_path / name, np.stack([tone(rate_hz)] * channels, axis=1), rate_hz)
    waveform = load_audio(tmp_path / name)
    assert waveform.dtype == torch.float32
    assert len(waveform) == pytest.approx(16_000, abs=1500)  # MP3 pads
    assert pitch_hz(waveform) == pytest.approx(440, abs=1)
    assert waveform[2000:-3000].abs().max() == pytest.approx(0.5, abs=0.05)  # and rings at its start


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(16_000), np.zeros(16_000)], axis=1), 16_000, subtype="FLOAT")
    assert torch.allclose(load_audio(tmp_path / "a.wav"), torch.from_numpy(tone(16_000)) / 2, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [44_099, 22_254, 95_999, 4_001])
def test_unusual_rates_take_no_huge_filter(rate_hz):
    waveform = resample(torch.from_numpy(tone(rate_hz)), rate_hz)
    assert len(waveform) == pytest.approx(16_000, abs=2)
    assert pitch_hz(waveform) == pytest.approx(440, abs=1)


def test_what_is_written_is_read_back_even_above_full_scale(tmp_path):
    sound = torch.randn(2000) * 2
    write_wav(tmp_path / "a.wav", sound)
    assert torch.equal(load_audio(tmp_path / "a.wav"), sound)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_truncated_recording_gives_what_is_there(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 5000])
    assert len(load_audio(path)) == 5000


def test_a_header_that_promises_gigabytes_is_not_believed(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    assert len(load_audio(path)) == 16_000


def test_a_flac_that_promises_hours_is_not_believed(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the high bits of the 36 that count samples, at the end of the header's first block
    path.write_bytes(data)
    try:
        assert len(load_audio(path)) <= 16_000
    except AudioError as error:
        assert "damaged" in str(error)


def error_of(path, **options):
    with pytest.raises(AudioError) as caught:
        load_audio(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert ": " in message  # what is wrong: what helps
    return message


def test_no_file(tmp_path):
    assert "no file" in error_of(tmp_path / "none.wav")


def test_a_folder(tmp_path):
    assert "is a folder" in error_of(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everyone may read everything here")
def test_no_permission(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    path.chmod(0)
    assert "permissions" in error_of(path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.raw", "a"])
@pytest.mark.parametrize("content", [b"These are words.\n" * 100, os.urandom(1000), b"RIFF", b"\0" * 5000])
def test_no_audio(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "not audio that can be read" in error_of(tmp_path / name)


def test_words_named_mp3(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"These are words.\n" * 100)
    assert "not audio that can be read" in error_of(tmp_path / "a.mp3")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "is empty" in error_of(tmp_path / "a.wav")


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    assert "holds no samples" in error_of(tmp_path / "a.wav")


@pytest.mark.parametrize("peak", [0.0, 5e-5])
def test_silence(tmp_path, peak):
    soundfile.write(tmp_path / "a.wav", tone(16_000) * 2 * peak, 16_000, subtype="FLOAT")
    assert "is silent" in error_of(tmp_path / "a.wav")


def test_channels_that_cancel(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(44_100), -tone(44_100)], axis=1), 44_100)
    assert "opposite phase" in error_of(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    sound = tone(16_000)
    sound[7] = bad
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    assert "no numbers" in error_of(tmp_path / "a.wav")


def test_a_rate_that_is_no_audio_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(16_000), 100)
    assert "sample rate of 100 Hz" in error_of(tmp_path / "a.wav")


def test_a_recording_that_is_too_long(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(8_000, 2.1), 8_000)
    assert "longer than 2 s" in error_of(tmp_path / "a.wav", longest_s=2)
    assert len(load_audio(tmp_path / "a.wav", longest_s=3)) == round(2.1 * 16_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is a device or a pipe" in error_of(tmp_path / "pipe")


def test_a_damaged_mp3_says_nothing_to_the_terminal(tmp_path, capfd):
    """Its decoder is C, and would write to stderr past Python."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone(16_000), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:900] + bytes(range(256)) + data[900:])
    os.write(2, b"before\n")
    assert len(load_audio(path)) > 8000
    assert len(load_part(path, 0.1, 0.2)) == 3200
    claimed_s(path)
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("", "before\nafter\n")


def test_too_short(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(16_000, 0.05), 16_000)
    assert len(load_audio(tmp_path / "a.wav", shortest_s=0.05)) == 800
    assert "lasts 0.050 s, too short: at least 0.1 s" in error_of(tmp_path / "a.wav", shortest_s=0.1)


@pytest.mark.parametrize(("peak", "works"), [(3.0, True), (32_767.0, True), (1e33, False)])
def test_loud_beyond_measure(tmp_path, peak, works):
    """Whole numbers stored as floats are music still; one flipped bit of an exponent is not."""
    sound = tone(16_000)
    sound[100] = peak
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    if works:
        assert load_audio(tmp_path / "a.wav").abs().max() == pytest.approx(peak, rel=0.01)
    else:
        assert "1e+33 times full scale" in error_of(tmp_path / "a.wav")
