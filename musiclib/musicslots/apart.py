"""A chord taken apart by a trained model: what its slots found, as numbers, pictures and sounds.

`taken_apart` computes; the functions below it write HTML, which a `TakenApart` shows of itself on any page.

A slot is heard as its share of the chord's own STFT (`separation`), and seen as the model draws it beside its note.
The pictures are bare images laid out by HTML: a matplotlib figure of them would take longer than the model.

Notebook: 02 MusicSlots.
"""

import io
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from html import escape

import matplotlib.image
import torch
from torch import Tensor

from musiclib.listen import Players, audio_tag, picture_tag
from musiclib.musicslots import metrics
from musiclib.musicslots.chords import Example
from musiclib.musicslots.data import ChordSpectrograms, chord_waveform
from musiclib.musicslots.model import MusicSlots
from musiclib.musicslots.separation import slot_waveforms
from musiclib.plots import HIGHEST_DB, LOWEST_DB, pitch_name
from musiclib.spectrogram import HOP_SAMPLES, MASK_THRESHOLD_DB, power_to_db
from musiclib.synth import FLUTE, PIANO, PROGRAM_NAMES, SAMPLE_RATE_HZ, VIOLIN, NoteBank

EXAMPLE: Example = ((PIANO, 60), (VIOLIN, 64), (FLUTE, 67))


# ------------------------------------------------------------------------------------------------- computation


@dataclass(frozen=True, eq=False)
class TakenApart:
    """A chord, and what a model's slots make of it; in a notebook it shows itself.

    Attributes:
        example: its notes. waveform: (samples,) at 16 kHz, of the model's window.
        chord_db, reconstruction_db: (F, T). note_db: (n, F, T). slot_db: (K, F, T), as the model draws them.
        slot_waveforms: (K, samples), the slots' shares of `waveform`, which they sum to.
        note_of_slot: {slot: which of the notes}, by best IoU; not the slots that share nothing with their note.
        iou: (n, K). miou: mean over the notes, 0 for one without a slot. note_mse: in dB², over the notes with a slot.
        iterations: of slot attention. muted: slots left out of the remix.
    """

    example: Example
    waveform: Tensor
    chord_db: Tensor
    reconstruction_db: Tensor
    note_db: Tensor
    slot_db: Tensor
    slot_waveforms: Tensor
    note_of_slot: dict[int, int]
    iou: Tensor
    miou: float
    note_mse: float
    iterations: int
    muted: frozenset[int] = frozenset()

    @property
    def remix(self) -> Tensor:
        """(samples,) the sum of the slots that are not muted."""
        heard = [k for k in range(len(self.slot_waveforms)) if k not in self.muted]
        return self.slot_waveforms[heard].sum(dim=0)

    @property
    def missed(self) -> list[int]:
        """The notes that no slot found."""
        return [n for n in range(len(self.example)) if n not in self.note_of_slot.values()]

    @cached_property
    def gain(self) -> float:
        """One gain for all players, so that a quiet slot sounds quiet."""
        loudest = max(float(sounds.abs().max()) for sounds in (self.waveform, self.slot_waveforms))
        return 0.9 / loudest if loudest else 1.0

    def __repr__(self) -> str:
        return f"TakenApart: {chord_name(self.example)}, {_count(len(self.slot_db), 'slot')}, mIoU {self.miou:.2f}"

    def _repr_html_(self) -> str:
        cards = "".join(slot_card(self, k) for k in range(len(self.slot_db)))
        return f'{overview(self)}<div style="{ROW};margin:12px 0">{cards}</div>{remix_player(self)}'


def taken_apart(
    model: MusicSlots,
    bank: NoteBank,
    example: Example = EXAMPLE,
    slots: int | None = None,
    iterations: int | None = None,
    seed: int = 0,
    muted: Collection[int] = (),
) -> TakenApart:
    """Takes a chord apart.

    Args:
        model: trained on mel spectrograms. bank: its notes.
        example: (program, pitch) of every note; the same note twice counts once.
        slots, iterations: unlike the model's own; without an iteration the slots are what they start from.
        seed: of the slots' noise. muted: slots to leave out of the remix.

    Raises:
        ValueError: no note, no slot, a negative number of iterations, or a note that the bank does not hold.

    Notebook: 02 MusicSlots.
    """
    example = tuple(dict.fromkeys(example))
    slots = model.config.slots if slots is None else slots
    iterations = model.config.iterations if iterations is None else iterations
    if not example or slots < 1 or iterations < 0:
        raise ValueError(
            f"{len(example)} notes, {slots} slots and {iterations} iterations: choose at least one note and one slot, "
            "and no fewer than 0 iterations."
        )
    bank = bank.to(next(model.parameters()).device)
    data, only = ChordSpectrograms([example], bank, model.config.frames), torch.tensor([0])
    x, note_db = data.batch(only), data.targets(only)[0]
    slot_power = _slot_power(model, x, slots, iterations, seed)  # K F T
    slot_db = power_to_db(slot_power, dynamic_range_db=None)
    waveform = chord_waveform(bank, example, total_s=(model.config.frames - 1) * HOP_SAMPLES / SAMPLE_RATE_HZ)
    iou = metrics.pairwise_iou(note_db, slot_db).cpu()  # n K
    note_of_slot, _ = _assign(iou, maximize=True)
    note_of_slot = {k: n for k, n in note_of_slot.items() if iou[n, k] > 0}
    return TakenApart(
        example,
        waveform.cpu(),
        chord_db=x[0, 0].cpu(),
        reconstruction_db=power_to_db(slot_power.sum(dim=0)).cpu(),
        note_db=note_db.cpu(),
        slot_db=slot_db.cpu(),
        slot_waveforms=slot_waveforms(waveform, slot_power).cpu(),
        note_of_slot=note_of_slot,
        iou=iou,
        miou=sum(float(iou[n, k]) for k, n in note_of_slot.items()) / len(example),
        note_mse=_assign(metrics.pairwise_mse(note_db, slot_db), maximize=False)[1],
        iterations=iterations,
        muted=frozenset(muted),
    )


@torch.no_grad()
def _slot_power(model: MusicSlots, x: Tensor, slots: int, iterations: int, seed: int) -> Tensor:
    """A chord (1, 1, F, T) in dB → the mel power of its slots (K, F, T), masks applied."""
    model = model.resized(slots, iterations)
    noise = torch.randn(1, slots, model.config.width, generator=torch.Generator().manual_seed(seed)).to(x.device)
    if iterations:
        heard = model(x, noise)
        return (heard.mask * heard.slot_power)[0]
    start = model.slot_attention
    slot_power, mask = model.decode(start.mu + start.log_sigma.exp() * noise)
    return (mask * slot_power)[0]


def _assign(pairs: Tensor, maximize: bool) -> tuple[dict[int, int], float]:
    """Best assignment of (n, K) as {slot: note} with its mean score, also where notes outnumber slots."""
    notes, slots = pairs.shape
    found = metrics.match(pairs if notes <= slots else pairs.T, maximize)
    note_to_slot = enumerate(found.slot_of_note)
    return {k: n for n, k in note_to_slot} if notes <= slots else dict(note_to_slot), found.score


# --------------------------------------------------------------------------------------------------- rendering

PROSE = "line-height:1.4;max-width:62em;margin:12px 0"
ROW = "display:flex;flex-wrap:wrap;gap:12px;line-height:1.4"
NOTHING = "box-sizing:border-box;border:1px dashed #888;display:grid;place-items:center;font-size:12px"
CARD = "width:164px"
TILE = "width:78px;height:112px"


def note_name(note: tuple[int, int]) -> str:
    """(0, 60) → C4 piano."""
    program, pitch = note
    return f"{pitch_name(pitch)} {PROGRAM_NAMES[program]}"


def chord_name(example: Example) -> str:
    """C4 piano + E4 violin."""
    return " + ".join(map(note_name, example))


def overview(apart: TakenApart) -> str:
    """HTML: what was found in words, the chord's player, and what the slots add up to."""
    seconds = len(apart.waveform) / SAMPLE_RATE_HZ
    return (
        f'<p style="{PROSE}">{in_words(apart)}</p><div style="{ROW}">'
        f"{_player(apart, chord_name(apart.example), apart.waveform)}"
        f"{_tile(apart.reconstruction_db, 'the sum of the slots, as the model draws it', 'sum of slots')}</div>"
        f'<p style="{PROSE}">Each slot: on the left the true note it fits best, on the right '
        f"what the model draws ({seconds:.1f} s to the right, mel bands upwards, brighter is louder); the player has "
        "its share of the chord's sound.</p>"
    )


def in_words(apart: TakenApart) -> str:
    """The scores in sentences."""
    notes, slots = len(apart.example), len(apart.slot_db)
    sentences = [
        f"{_count(notes, 'note')}, {_count(slots, 'slot')}, {_count(apart.iterations, 'iteration')}.",
        f"<b>mIoU {apart.miou:.2f}</b> (1: where the notes sound, the slots do, and nowhere else).",
        f"<b>Note MSE {apart.note_mse:.0f} dB²</b> (0: the same spectrograms).",
    ]
    if notes > slots:
        sentences.append(f"There are more notes than slots; the note MSE leaves {notes - slots} out.")
    if apart.missed:
        sentences.append(f"No slot found {' and '.join(note_name(apart.example[n]) for n in apart.missed)}.")
    return " ".join(sentences)


def slot_card(apart: TakenApart, k: int) -> str:
    """HTML: one slot's note beside what the model draws, the player of its share of the chord, and its match."""
    sound = apart.slot_waveforms[k] * apart.gain
    n = apart.note_of_slot.get(k)
    if n is None:
        truth = f'<div style="{TILE};{NOTHING}">no note</div>'
    else:
        truth = _tile(apart.note_db[n], f"the true note {note_name(apart.example[n])}", "true note")
    return (
        f'<figure style="margin:0;{CARD};line-height:1.4">'
        f'<figcaption style="font-size:13px"><b>slot {k}</b><br>{verdict(apart, k)}</figcaption>'
        f'<div style="display:flex;gap:8px">{truth}'
        f"{_tile(apart.slot_db[k], f'slot {k} as the model draws it', f'slot {k}')}</div>"
        f"{audio_tag(sound, f'slot {k}, its share of the chord', CARD)}</figure>"
    )


def verdict(apart: TakenApart, k: int) -> str:
    """The note of slot k with its IoU, or that it is idle."""
    if k in apart.note_of_slot:
        n = apart.note_of_slot[k]
        return f"{note_name(apart.example[n])}, IoU {float(apart.iou[n, k]):.2f}"
    return "idle" if float(apart.slot_db[k].max()) < MASK_THRESHOLD_DB else "idle, but it sounds"


def remix_player(apart: TakenApart) -> str:
    """HTML: the player of what is not muted."""
    slots = range(len(apart.slot_db))
    muted = [str(k) for k in slots if k in apart.muted]
    if len(muted) == len(slots):
        label = "remix: silence, every slot is muted"
    elif muted:
        label = f"remix without {'slot' if len(muted) == 1 else 'slots'} {', '.join(muted)}"
    else:
        label = "remix of all slots: the chord again"
    return _player(apart, label, apart.remix)


def _player(apart: TakenApart, label: str, sound: Tensor) -> str:
    return f'<div style="line-height:1.4">{Players({label: sound}, apart.gain)._repr_html_()}</div>'


def _tile(db: Tensor, alt: str, caption: str) -> str:
    """HTML: a bare spectrogram (F, T) in dB with one pixel for each value, enlarged by the browser."""
    file = io.BytesIO()
    matplotlib.image.imsave(
        file, db.numpy(), format="png", origin="lower", cmap="magma", vmin=LOWEST_DB, vmax=HIGHEST_DB
    )
    return (
        f'<figure style="margin:0">'
        f"{picture_tag(file.getvalue(), f'Spectrogram of {alt}', f'{TILE};image-rendering:pixelated')}"
        f'<figcaption style="font-size:12px;text-align:center">{escape(caption)}</figcaption></figure>'
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
