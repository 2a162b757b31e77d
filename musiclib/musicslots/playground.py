"""A chord you can take apart by hand: choose notes, turn slots and iterations, mute a slot and hear what is left.

What the panel shows is what a `TakenApart` shows on a static page, so nothing is lost where no kernel runs.

Notebook: 02 MusicSlots. Needs ipywidgets, of the extra `course`.
"""

from collections.abc import Collection
from dataclasses import replace

import ipywidgets as widgets

from musiclib.musicslots.apart import EXAMPLE, PROSE, overview, remix_player, slot_card, taken_apart
from musiclib.musicslots.chords import INSTRUMENTS, PITCHES, Example
from musiclib.musicslots.model import MusicSlots
from musiclib.plots import pitch_name
from musiclib.synth import PROGRAM_NAMES, NoteBank

MOST_NOTES, MOST_SLOTS, MOST_ITERATIONS, MOST_SEEDS = 4, 10, 8, 20
NOBODY = -1  # not None, which a drop-down shows as an empty choice
NOTHING_CHOSEN = "No note is chosen: give at least one of the four an instrument, and the chord sounds here."


class Playground(widgets.VBox):
    """The panel: notes, slots, iterations and seed to choose; below, the chord taken apart; a mute for each slot.

    Everything is shown in `widgets.HTML`, never in an `Output`, so that the panel also works without a front end.

    Args:
        model: trained on mel spectrograms. bank: the one that ships, if none is given. example: the first chord.
    """

    def __init__(self, model: MusicSlots, bank: NoteBank | None = None, example: Example = EXAMPLE):
        self._trained, self._bank = model, (bank or NoteBank.load()).to(next(model.parameters()).device)
        self._chosen, self._apart = None, None
        notes = [*example, *[(NOBODY, 72)] * (MOST_NOTES - len(example))][:MOST_NOTES]
        names = [(pitch_name(pitch), pitch) for pitch in PITCHES]
        players = [("none", NOBODY), *((PROGRAM_NAMES[program], program) for program in INSTRUMENTS)]
        self.pitches = [_choice(f"note {number}", names, pitch) for number, (_, pitch) in enumerate(notes, start=1)]
        self.instruments = [_choice("played by", players, program) for program, _ in notes]
        self.slots = _slider("slots", model.config.slots, 1, MOST_SLOTS)
        self.iterations = _slider("iterations", model.config.iterations, 0, MOST_ITERATIONS)
        self.seed = _slider("noise seed", 0, 0, MOST_SEEDS)
        self.overview, self.remix = widgets.HTML(), widgets.HTML()
        self.cards = [widgets.HTML() for _ in range(MOST_SLOTS)]
        self.mutes = [widgets.Checkbox(description=f"mute slot {k}", indent=False) for k in range(MOST_SLOTS)]
        self._columns = [_column(pair) for pair in zip(self.cards, self.mutes, strict=True)]
        self._shown = _row()
        sliders = (self.slots, self.iterations, self.seed)
        rows = [_row(pair) for pair in zip(self.pitches, self.instruments, strict=True)]
        super().__init__([*rows, _row(sliders), self.overview, self._shown, self.remix])
        for control in (*self.pitches, *self.instruments, *sliders):
            control.observe(self._take_apart, names="value")
        for mute in self.mutes:
            mute.observe(self._mix, names="value")
        self._take_apart()

    def __repr__(self) -> str:
        return "A panel to take chords apart by hand: run this cell in Jupyter to use it."

    @property
    def example(self) -> Example:
        """The chosen notes."""
        pairs = zip(self.instruments, self.pitches, strict=True)
        chosen = [(instrument.value, pitch.value) for instrument, pitch in pairs if instrument.value != NOBODY]
        return tuple(dict.fromkeys(chosen))

    def _take_apart(self, _change=None) -> None:
        """Runs the model on what is chosen, unless it has just done so: the pitch of a silent note changes nothing."""
        chosen = (self.example, self.slots.value, self.iterations.value, self.seed.value)
        if chosen == self._chosen:
            return
        self._chosen = chosen
        if not self.example:
            self._apart, self._shown.children = None, ()
            self.overview.value, self.remix.value = f'<p style="{PROSE}">{NOTHING_CHOSEN}</p>', ""
            return
        self._apart = taken_apart(self._trained, self._bank, *chosen)
        self.overview.value = overview(self._apart)
        for k in range(self.slots.value):
            self.cards[k].value = slot_card(self._apart, k)
        self._shown.children = tuple(self._columns[: self.slots.value])
        self._mix()

    def _mix(self, _change=None) -> None:
        """Adds the slots up again, without the muted ones; the model rests."""
        if self._apart is not None:
            muted = frozenset(k for k in range(self.slots.value) if self.mutes[k].value)
            self._apart = replace(self._apart, muted=muted)
            self.remix.value = remix_player(self._apart)


def _choice(description: str, options: list[tuple[str, int]], value: int) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, value=value, description=description, layout=widgets.Layout(width="200px"))


def _slider(description: str, value: int, lowest: int, highest: int) -> widgets.IntSlider:
    """Reports when it is let go, not on the way."""
    return widgets.IntSlider(value, lowest, highest, description=description, continuous_update=False)


def _row(children: Collection[widgets.Widget] = ()) -> widgets.HBox:
    return widgets.HBox(tuple(children), layout=widgets.Layout(flex_flow="row wrap"))


def _column(children: Collection[widgets.Widget]) -> widgets.VBox:
    """As wide as a slot's card."""
    return widgets.VBox(children, layout=widgets.Layout(width="164px", margin="0 12px 12px 0"))
