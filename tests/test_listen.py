"""Players: self-contained HTML that sounds like what went in and shows what is heard."""

import base64
import io
import re
from xml.etree import ElementTree

import mir_eval
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiclib.listen import Track, player, players, roll_player, roll_players, roll_track
from musiclib.pianoroll import Note
from musiclib.spectrogram import mel_power, stft
from musiclib.timeline import compare

SVG = "{http://www.w3.org/2000/svg}"
TUNE = [Note(0.0, 0.5, 60), Note(0.5, 0.5, 64), Note(1.0, 1.0, 67)]


@pytest.fixture(scope="module")
def chord(bank):
    return bank.chord([bank.row(0, 60), bank.row(40, 67)], total_s=1.5)


def embedded(html, kind):
    return [base64.b64decode(data) for data in re.findall(rf'src="data:{re.escape(kind)};base64,([^"]+)"', html)]


def pictures(shown):
    return [ElementTree.fromstring(svg) for svg in embedded(shown._repr_html_(), "image/svg+xml")]


def bars(picture, kind):
    """The notes of one kind in a picture: (start, length) as fractions of the whole, and y in pixels."""
    rects = [rect for rect in picture.iter(f"{SVG}rect") if rect.get("class") == kind and rect.get("style")]
    return [(*map(float, re.findall(r"--\w:([^;]+)", rect.get("style"))), float(rect.get("y"))) for rect in rects]


def alts(html):
    return re.findall('alt="([^"]*)"', html)


def script(html):
    (code,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    return code


# ---------------------------------------------------------------------------------------------------- the page


def test_everything_is_inside(chord):
    """No request to anywhere: each source is a data URI; each picture has a text for those who cannot see it."""
    html = players(chord=chord, half=chord / 2)._repr_html_()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert len(sources) == 4
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://|@import|fetch|XMLHttp|import\(", html)
    assert alts(html) == [f"Spectrogram of {x}, 1.5 seconds" for x in ("chord", "half")]
    for picture in pictures(players(chord=chord, half=chord / 2)):
        (image,) = picture.iter(f"{SVG}image")
        assert image.get("href").startswith("data:image/png;base64,")


def test_without_script_there_is_a_picture_and_a_player(chord):
    """What sanitisers leave, which drop unknown elements and scripts but keep what they hold."""
    html = re.sub("<script>.*</script>", "", players(chord=chord, half=chord / 2)._repr_html_(), flags=re.DOTALL)
    assert html.count("<img ") == html.count("<audio controls") == html.count("<figcaption") == 2


def test_the_players_code_is_a_few_kilobytes(chord):
    """Once for each output, however many players it has; all that is not sound weighs less than the sound does."""
    html = players(a=chord, b=chord, c=chord)._repr_html_()
    assert len(script(html).encode()) < 8192
    sounds = sum(map(len, embedded(html, "audio/mpeg"))) * 4 / 3
    assert len(html) - len(script(html)) - sounds < 0.8 * sounds


def test_the_element_is_named_after_its_code(chord):
    """An output saved with an older player keeps its own code when a new one comes to the same page."""
    html = player(chord)._repr_html_()
    (name,) = set(re.findall(r"</?(music-player-[0-9a-f]{8})", html))
    assert f'customElements.define("{name}"' in script(html)
    assert "PLAYER_" not in html


def test_labels(chord):
    """Underscores show as spaces; markup in a label stays text and cannot end the page's own elements."""
    assert ">sum of slots<" in players(sum_of_slots=chord)._repr_html_()
    evil = """</script><script>alert("1")</script><b onclick='x'>"""
    html = player(chord, evil)._repr_html_()
    assert html.count("<script>") == html.count("</script>") == 1
    assert "alert(" not in script(html)
    assert "<b onclick" not in html
    assert "'x'" not in html
    assert repr(player(chord, "x")) == "Players: x (1.5 s)"


# --------------------------------------------------------------------------------------------------- the sound


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
    html = player(torch.zeros(samples), "silence", roll=[])._repr_html_()
    (mp3,) = embedded(html, "audio/mpeg")
    assert np.abs(soundfile.read(io.BytesIO(mp3))[0]).max() < 1e-3


def test_a_tensor_with_gradient_and_channel_plays(chord):
    assert "audio/mpeg" in player(chord[None].clone().requires_grad_())._repr_html_()


@pytest.mark.parametrize("wrong", [{}, {"nothing": torch.zeros(0)}])
def test_nothing_to_play(wrong):
    with pytest.raises(ValueError, match="Nothing to play"):
        players(**wrong)


@pytest.mark.parametrize("wrong", [{"spectrogram": False}, {"reference": TUNE}])
def test_nothing_to_see(chord, wrong):
    with pytest.raises(ValueError, match="Nothing to see"):
        player(chord, **wrong)


# ------------------------------------------------------------------------------------------------- piano rolls


def test_notes_are_where_they_sound(bank):
    """Three notes in three seconds: thirds of the width, higher pitches higher up, in proportion."""
    (picture,) = pictures(roll_player(TUNE, bank))
    (x0, w0, y0), (x1, w1, y1), (x2, w2, y2) = bars(picture, "hit")
    assert (x0, x1, x2) == pytest.approx((0, 1 / 6, 1 / 3), abs=1e-4)
    assert (w0, w1, w2) == pytest.approx((1 / 6, 1 / 6, 1 / 3), abs=1e-4)
    assert y0 > y1 > y2
    assert (y0 - y1) / (y1 - y2) == pytest.approx(4 / 3)
    assert {"C4", "G4"} <= {text.text for text in picture.iter(f"{SVG}text")}
    assert not list(picture.iter(f"{SVG}image"))


def test_a_roll_beside_its_spectrogram(chord):
    shown = player(chord, "chord", roll=[Note(0, 1, 60), Note(0, 1, 67, program=40)])
    (picture,) = pictures(shown)
    assert len(list(picture.iter(f"{SVG}image"))) == len(bars(picture, "hit")) == len(bars(picture, "second")) == 1
    assert {"piano", "violin"} <= {text.text for text in picture.iter(f"{SVG}text")}
    assert alts(shown._repr_html_()) == ["Piano roll and spectrogram of chord, 1.5 seconds: 2 notes from C4 to G4"]


def test_hits_misses_and_extras(bank):
    """Told apart by form: filled with the reference's outline, dashed and hollow, hatched; and in words."""
    heard = [Note(0.03, 0.4, 60), Note(0.5, 0.5, 63), Note(1.06, 1.0, 67)]
    shown = roll_player(heard, bank, label="it", reference=TUNE)
    (picture,) = pictures(shown)
    counts = {kind: len(bars(picture, kind)) for kind in ("hit", "truth", "missed", "extra")}
    assert counts == {"hit": 1, "truth": 1, "missed": 2, "extra": 2}
    assert {"1 hit", "2 missed", "2 extra"} <= {text.text for text in picture.iter(f"{SVG}text")}
    (alt,) = alts(shown._repr_html_())
    assert alt.endswith("3 notes from C4 to G4; against the reference 1 hit, 2 missed, 2 extra")
    assert picture.find(f".//{SVG}pattern").get("id") == "hatch"


onsets = st.lists(st.integers(0, 40).map(lambda k: k * 0.023), max_size=8)


@given(st.dictionaries(st.sampled_from([60, 61, 72]), st.tuples(onsets, onsets), max_size=3))
def test_hits_are_mir_evals(plan):
    """As many pairs as mir_eval's best matching; every note is in one pair."""
    heard = [Note(onset, 0.1, pitch) for pitch, (own, _) in plan.items() for onset in own]
    true = [Note(onset, 0.1, pitch) for pitch, (_, own) in plan.items() for onset in own]
    pairs = compare(heard, true)
    assert sorted(note for note, _ in pairs if note) == sorted(heard)
    assert sorted(note for _, note in pairs if note) == sorted(true)
    sides = [
        (
            np.array([(n.onset_s, n.end_s) for n in notes]).reshape(-1, 2),
            440 * 2 ** (np.array([n.pitch for n in notes]) / 12),
        )
        for notes in (true, heard)
    ]
    expected = mir_eval.transcription.match_notes(*sides[0], *sides[1], offset_ratio=None) if heard and true else []
    assert sum(1 for a, b in pairs if a and b) == len(expected)


def test_rolls_side_by_side(bank):
    """Keywords as for sounds; each shows its own notes, a reference only where it is given."""
    shown = roll_players(bank=bank, as_written=TUNE, higher=[Note(0.0, 0.5, 72)])
    assert [len(bars(picture, "hit")) for picture in pictures(shown)] == [3, 1]
    assert ">as written<" in shown._repr_html_()
    mixed = players(original=roll_track(TUNE, bank), model=roll_track(TUNE[:2], bank, reference=TUNE))
    assert [len(bars(picture, "missed")) for picture in pictures(mixed)] == [0, 1]
    assert isinstance(roll_track(TUNE, bank), Track)
