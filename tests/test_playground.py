"""The playground: a chord taken apart by the shipped model, as numbers, as HTML, and through the panel's controls."""

import base64
import io
import re

import matplotlib.image
import pytest
import torch

from musiclib.musicslots import metrics, runs
from musiclib.musicslots.apart import EXAMPLE, in_words, remix_player, slot_card, taken_apart, verdict
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.playground import MOST_ITERATIONS, MOST_SLOTS, NOBODY, NOTHING_CHOSEN, Playground
from musiclib.synth import FLUTE, PIANO, VIOLIN

UNISON = ((PIANO, 60), (VIOLIN, 60), (FLUTE, 60))
FOUR = (*EXAMPLE, (PIANO, 72))


@pytest.fixture(scope="module")
def model():
    return runs.load("musicslots-jazznet-multi-curriculum-small").cpu()


@pytest.fixture(scope="module")
def apart(model, bank):
    return taken_apart(model, bank)


@pytest.fixture
def panel(model, bank):
    return Playground(model, bank)


def audios(html: str) -> int:
    return len(re.findall(r"<audio controls", html))


def alts(html: str) -> list[str]:
    return re.findall(r'alt="([^"]*)"', html)


# ------------------------------------------------------------------------------------------------- computation


@pytest.mark.parametrize(
    ("example", "slots", "iterations"),
    [(EXAMPLE, None, None), (UNISON, 5, 3), (((FLUTE, 96),), 5, 1), (FOUR, 2, 3), (FOUR, 1, 0), (FOUR, 10, 8)],
)
def test_the_slots_sound_like_the_chord_together(model, bank, example, slots, iterations):
    """Any chord, fewer slots than notes and more; the slots' sounds sum to the chord, each has a verdict."""
    apart = taken_apart(model, bank, example, slots, iterations)
    assert apart.slot_waveforms.shape == (slots or model.config.slots, (model.config.frames - 1) * 512)
    torch.testing.assert_close(apart.slot_waveforms.sum(dim=0), apart.waveform, atol=1e-5, rtol=0)
    assert len(apart.note_db) == len(example)
    assert 0 <= apart.miou <= 1
    assert apart.note_mse > 0
    assert set(apart.note_of_slot.values()) | set(apart.missed) == set(range(len(example)))
    assert len(apart.note_of_slot) <= min(len(example), len(apart.slot_db))


def test_it_is_the_model_and_the_metrics_of_the_course(model, bank, apart):
    """With the model's own slots and iterations: its forward pass on the training pipeline, scored as elsewhere."""
    data, only = ChordSpectrograms([EXAMPLE], bank, model.config.frames), torch.tensor([0])
    noise = torch.randn(1, model.config.slots, model.config.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        heard = model(data.batch(only), noise)
    torch.testing.assert_close(apart.slot_db, heard.slot_db[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(apart.reconstruction_db, heard.reconstruction_db[0, 0], atol=1e-3, rtol=0)
    notes = data.targets(only)[0]
    assert apart.miou == pytest.approx(metrics.note_iou(notes, heard.slot_db[0]).score, abs=1e-4)
    assert apart.note_mse == pytest.approx(metrics.note_mse(notes, heard.slot_db[0]).score, rel=1e-4)
    assert apart.miou > 0.4, "the shipped model should hear C4, E4, G4 on three instruments"


def test_a_single_note_has_one_slot(model, bank):
    apart = taken_apart(model, bank, ((PIANO, 48),))
    ((slot, note),) = apart.note_of_slot.items()
    assert note == 0
    assert apart.miou == pytest.approx(float(apart.iou[0, slot])) == pytest.approx(float(apart.iou.max()))


def test_muting(model, bank):
    """All but one muted leave that one; a muted slot is missing from the remix; all muted leave silence."""
    apart = taken_apart(model, bank, muted=[0, 1, 2, 4])
    assert torch.equal(apart.remix, apart.slot_waveforms[3])
    without = taken_apart(model, bank, muted=[3])
    torch.testing.assert_close(without.remix, apart.waveform - apart.slot_waveforms[3], atol=1e-5, rtol=0)
    silent = taken_apart(model, bank, muted=range(5))
    assert silent.remix.shape == silent.waveform.shape
    assert not silent.remix.any()


def test_the_same_note_twice_counts_once(model, bank, apart):
    twice = taken_apart(model, bank, (*EXAMPLE, EXAMPLE[0]))
    assert twice.example == EXAMPLE
    assert torch.equal(twice.waveform, apart.waveform)


def test_more_notes_than_slots(model, bank):
    """The notes left over count as IoU 0, and the words say so."""
    apart = taken_apart(model, bank, FOUR, slots=2)
    assert len(apart.missed) >= 2
    found = [float(apart.iou[n, k]) for k, n in apart.note_of_slot.items()]
    assert apart.miou == pytest.approx(sum(found) / 4)
    assert "the note MSE leaves 2 out" in in_words(apart)
    assert "No slot found " in in_words(apart)


def test_iterations_and_seeds_matter(model, bank, apart):
    """No iteration: the slots have not heard anything, so every chord gives the same. Seeds are repeatable."""
    deaf = [taken_apart(model, bank, example, iterations=0).slot_db for example in (EXAMPLE, UNISON)]
    assert torch.equal(*deaf)
    assert not torch.equal(deaf[0], taken_apart(model, bank, iterations=1).slot_db)
    assert not torch.equal(apart.slot_db, taken_apart(model, bank, seed=1).slot_db)
    assert torch.equal(apart.slot_db, taken_apart(model, bank).slot_db)


def test_the_callers_random_state_is_left_alone(model, bank):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    taken_apart(model, bank, slots=7)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "wrong", [{"example": ()}, {"slots": 0}, {"iterations": -1}, {"example": ((PIANO, 5),)}, {"example": ((99, 60),)}]
)
def test_what_cannot_be_taken_apart(model, bank, wrong):
    with pytest.raises(ValueError, match=r"choose at least one|The note bank has no pitch"):
        taken_apart(model, bank, **wrong)


# --------------------------------------------------------------------------------------------------- rendering


def test_the_page_has_everything_inside(apart):
    """A player each for the chord, the slots and the remix, a text for each picture, no request."""
    html = apart._repr_html_()
    assert audios(html) == 1 + 5 + 1
    assert html.count('aria-label="slot ') == 5
    assert len(html) < 200_000
    assert not re.search(r"https?://", html)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]{0,30})', html))
    assert len(alts(html)) == html.count("<img") == 1 + 1 + 5 + len(apart.note_of_slot) + 1
    assert all(alts(html))
    assert "Spectrogram of the true note E4 violin" in alts(html)
    assert f"<b>mIoU {apart.miou:.2f}</b>" in html
    for k in range(5):
        assert f"<b>slot {k}</b><br>{verdict(apart, k)}" in html
    assert repr(apart) == f"TakenApart: C4 piano + E4 violin + G4 flute, 5 slots, mIoU {apart.miou:.2f}"


def test_the_largest_page_is_small(model, bank):
    html = taken_apart(model, bank, FOUR, slots=MOST_SLOTS, iterations=MOST_ITERATIONS)._repr_html_()
    assert audios(html) == 1 + MOST_SLOTS + 1
    assert len(html) < 200_000


def test_a_slot_is_drawn_the_right_way_up(apart):
    """The last picture of a card is the slot: low bands at the bottom, its brightest pixel where the slot's is."""
    (slot, *_) = apart.note_of_slot
    png = base64.b64decode(re.findall(r'image/png;base64,([^"]+)"', slot_card(apart, slot))[-1])
    brightness = matplotlib.image.imread(io.BytesIO(png))[::-1, :, :3].sum(axis=-1)
    assert brightness.shape == apart.slot_db.shape[1:]
    loud, soft = (apart.slot_db[slot] > -20).numpy(), (apart.slot_db[slot] < -50).numpy()
    assert brightness[loud].min() > brightness[soft].max()


def test_verdicts(model, bank):
    """A slot is a note with its IoU, or idle; whether an idle one sounds is said too."""
    apart = taken_apart(model, bank, ((PIANO, 60),), slots=MOST_SLOTS)
    verdicts = [verdict(apart, k) for k in range(MOST_SLOTS)]
    assert sum(v.startswith("C4 piano, IoU 0.") for v in verdicts) == 1
    for k, words in enumerate(verdicts):
        if k not in apart.note_of_slot:
            sounds = float(apart.slot_db[k].max()) >= -30
            assert words == ("idle, but it sounds" if sounds else "idle")
            assert "no note" in slot_card(apart, k)


@pytest.mark.parametrize(
    ("muted", "label"),
    [
        ([], "remix of all slots: the chord again"),
        ([2], "remix without slot 2"),
        ([2, 0], "remix without slots 0, 2"),
        (range(5), "remix: silence, every slot is muted"),
    ],
)
def test_the_remix_says_what_is_missing(model, bank, muted, label):
    assert f">{label}</figcaption>" in remix_player(taken_apart(model, bank, muted=muted))


# ------------------------------------------------------------------------------------------------------- panel


def test_the_panel_opens_as_the_static_page(panel, apart):
    """The same HTML in pieces, and controls that say what they are."""
    shown = [panel.overview.value, *(card.value for card in panel.cards[:5]), panel.remix.value]
    page = apart._repr_html_()
    assert all(part in page for part in shown)
    assert panel.example == EXAMPLE
    controls = (*panel.pitches, *panel.instruments, panel.slots, panel.iterations, panel.seed, *panel.mutes)
    assert all(control.description for control in controls)
    assert dict(panel.pitches[0].options)["C4"] == 60
    assert "base64" not in repr(panel)


def test_choosing_notes_and_slots(panel):
    panel.pitches[1].value, panel.instruments[3].value = 60, PIANO  # C4 twice, on piano and violin
    assert "C4 piano + C4 violin + G4 flute + C5 piano" in panel.overview.value
    panel.slots.value, panel.iterations.value = 2, 1
    assert "4 notes, 2 slots, 1 iteration." in panel.overview.value
    assert len(panel._shown.children) == 2
    panel.slots.value = MOST_SLOTS
    assert "4 notes, 10 slots" in panel.overview.value
    assert len(panel._shown.children) == MOST_SLOTS
    before = panel.cards[0].value
    panel.seed.value = 3
    assert panel.cards[0].value != before


def test_muting_changes_the_remix_alone(panel, monkeypatch):
    """The model does not run again, and what it found stays as it is; the next chord is muted alike."""
    before, remix = [panel.overview.value, *(card.value for card in panel.cards)], panel.remix.value
    with monkeypatch.context() as patch:
        patch.setattr(type(panel._trained), "forward", None)
        panel.mutes[3].value = True
    assert [panel.overview.value, *(card.value for card in panel.cards)] == before
    assert "remix without slot 3" in panel.remix.value != remix
    panel.pitches[0].value = 62
    assert "remix without slot 3" in panel.remix.value
    panel.slots.value = 2
    assert "remix of all slots" in panel.remix.value


def test_no_note(panel):
    """One sentence instead of players; the first note that is chosen brings them back."""
    for instrument in panel.instruments:
        instrument.value = NOBODY
    assert NOTHING_CHOSEN in panel.overview.value
    assert panel.remix.value == ""
    assert panel._shown.children == ()
    panel.mutes[0].value = True
    assert panel.remix.value == ""
    panel.instruments[3].value = VIOLIN
    assert "1 note, 5 slots" in panel.overview.value
    assert audios(panel.remix.value) == 1
    assert Playground(panel._trained, panel._bank, ()).example == ()


def test_the_pitch_of_a_silent_note_changes_nothing(panel, monkeypatch):
    monkeypatch.setattr(type(panel._trained), "forward", None)
    panel.pitches[3].value = 40
    panel.pitches[3].value, panel.instruments[3].value = EXAMPLE[0][::-1]
    assert panel.example == EXAMPLE, "the first note once more"
