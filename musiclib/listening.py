"""A blind listening test: pairs of a human's music and a machine's; which was written by a human?

The machine is the model or, so that votes mean something, a Markov chain. Who hears the human in neither is not
listening; who hears him against the model no oftener than against the chain gives the model no credit. No pair is
model against chain: the question would have no true answer there, and votes are scarce.

Blind: all sounds come from one renderer with one instrument, one tempo, one length and one loudness (RMS). Order and
sides are drawn by the seed, as many humans on either side. Nothing on the page depends on what the sources are.

Notebook: 07 MusicVAE evaluation. Needs ipywidgets, of the extra `course`.
"""

import hashlib
import random
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from time import monotonic

import ipywidgets as widgets
import torch
from torch import Tensor

from musiclib import listen
from musiclib.pianoroll import PianoRoll
from musiclib.synth import SAMPLE_RATE_HZ, NoteBank
from musiclib.votes import (
    FOLDER,
    HUMAN,
    MARKOV,
    MODEL,
    SIMULATED,
    VOTES,
    A,
    B,
    Vote,
    VotesError,
    append_vote,
    kind_of,
    read_votes,
    summary,
    votes_path,
)

ANONYMOUS = "anonymous"
TAIL_S = 1.0
LOUDEST_PEAK = 0.9
FASTEST_VOTE_S = 0.5  # a second click this soon was meant for the pair before
QUESTION = "Which was written by a human?"


@dataclass(frozen=True, eq=False)
class Trial:
    """One pair of sounds, as it is put to the listener. Its repr gives nothing away.

    Attributes:
        name: of the pair, whatever the seed. sources: what A and B are. sounds: A and B, (samples,) at 16 kHz.
        seed: of order and sides. stimuli: the version of all sounds of the test.
    """

    name: str
    sources: tuple[str, str] = field(repr=False)
    sounds: tuple[Tensor, Tensor] = field(repr=False)
    seed: str
    stimuli: str

    @property
    def kind(self) -> str:
        """Which pair of sources it is, "human/model" or "human/markov"."""
        return kind_of(*self.sources)

    @property
    def human_side(self) -> str:
        """The right answer, "A" or "B"."""
        return (A, B)[self.sources.index(HUMAN)]

    def vote(self, listener: str, choice: str, seconds: float) -> Vote:
        """What a listener chose, just now."""
        time = datetime.now(UTC)
        return Vote(listener, self.name, *self.sources, choice, seconds, time, self.seed, self.stimuli)


def trials(
    human: Sequence[PianoRoll],
    model: Sequence[PianoRoll],
    markov: Sequence[PianoRoll],
    seed: int | str,
    bank: NoteBank | None = None,
    program: int = 0,
) -> list[Trial]:
    """A listening test: every roll of a machine beside one of a human, in an order of its own.

    The pairs, and with them the version of the stimuli, are the same for every seed: give each listener another, such
    as his name, and the votes still add up.

    Args:
        human: held-out music, a roll for each of a machine: none is heard twice. What is left over is not used.
        model, markov: the machines' music. seed: of order and sides.
        bank, program: what plays; the bank that ships and a piano, unless given.

    Raises:
        ValueError: there are too few human rolls or none of a machine; rolls differ in length or tempo, are the same,
            or have no note.
    """
    machines = [(MODEL, roll) for roll in model] + [(MARKOV, roll) for roll in markov]
    if not machines or len(human) < len(machines):
        raise ValueError(
            f"A listening test needs a human's roll for each of a machine, not {len(human)} for {len(machines)}."
        )
    kinds = [kind for kind, _ in machines]
    pairs = [(person, roll) for (_, roll), person in zip(machines, human, strict=False)]
    _check([roll for pair in pairs for roll in pair])
    names = [_hash(kind, str(program), *map(_content, pair)) for kind, pair in zip(kinds, pairs, strict=True)]
    bank, stimuli, draw = bank or NoteBank.load(), _hash(*sorted(names)), random.Random(str(seed))
    sounds = _equally_loud([_sound(roll, bank, program) for pair in pairs for roll in pair])
    made = []
    for kind, name, at_b, *heard in zip(kinds, names, _sides(kinds, draw), sounds[::2], sounds[1::2], strict=True):
        side = -1 if at_b else 1
        made.append(Trial(name, (HUMAN, kind)[::side], tuple(heard[::side]), str(seed), stimuli))
    draw.shuffle(made)
    return made


def _check(rolls: Sequence[PianoRoll]) -> None:
    if len({(len(roll), roll.step_s) for roll in rolls}) > 1:
        raise ValueError(
            "The rolls of a listening test differ in length or tempo, which tells them apart: cut them alike."
        )
    if not all(roll.sounding.any() for roll in rolls):
        raise ValueError("A roll of the listening test has no note, which tells it apart: choose another.")
    if len({_content(roll) for roll in rolls}) < len(rolls):
        raise ValueError("A roll occurs twice in the listening test, and who hears it again knows it: choose another.")


def _content(roll: PianoRoll) -> str:
    return f"{roll.step_s:g} {roll.sounding.tobytes().hex()} {roll.onset.tobytes().hex()}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _sound(roll: PianoRoll, bank: NoteBank, program: int) -> Tensor:
    """(samples,), as long as the roll and a tail, wherever the last note ends."""
    wave = torch.zeros(round((len(roll) * roll.step_s + TAIL_S) * SAMPLE_RATE_HZ))
    rendered = bank.render(roll.notes(program), TAIL_S).cpu()[: len(wave)]
    wave[: len(rendered)] = rendered
    return wave


def _equally_loud(sounds: Sequence[Tensor]) -> list[Tensor]:
    """All at one RMS, as loud as the highest peak among them allows."""
    even = [sound / sound.square().mean().sqrt() for sound in sounds]
    gain = LOUDEST_PEAK / max(float(sound.abs().max()) for sound in even)
    return [sound * gain for sound in even]


def _sides(kinds: Sequence[str], draw: random.Random) -> list[bool]:
    """Whether the human is at B: half of each kind, an odd one by chance."""
    sides: dict[str, list[bool]] = {}
    for kind in sorted(set(kinds)):
        first = draw.random() < 0.5
        sides[kind] = [first ^ bool(number % 2) for number in range(kinds.count(kind))]
        draw.shuffle(sides[kind])
    return [sides[kind].pop() for kind in kinds]


# -------------------------------------------------------------------------------------------------------- the page


def page(trial: Trial, number: int, total: int) -> str:
    """HTML of one pair: which it is, the question, and two players."""
    tags = ""
    for label, sound in zip((A, B), trial.sounds, strict=True):
        player = listen.audio_tag(sound, f"sound {label}", "width:100%")
        tags += f'<div style="flex:1 1 250px;max-width:420px"><b>{label}</b>{player}</div>'
    return (
        f'<p style="margin:0 0 4px">{number} of {total}</p><p style="margin:0 0 8px"><b>{QUESTION}</b></p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px">{tags}</div>'
    )


def still(pairs: Sequence[Trial]) -> str:
    """HTML of the first pair with its buttons drawn, for pages without a kernel."""
    buttons = "".join(f'<button disabled style="min-width:90px;margin:8px 8px 0 0">{vote}</button>' for vote in VOTES)
    return (
        f"{page(pairs[0], 1, len(pairs))}<div>{buttons}</div><p>A picture of the test: to vote, run the notebook.</p>"
    )


class ListeningTest(widgets.VBox):
    """The test: one pair at a time, two players, three buttons. Every vote is in the listener's file at once.

    Opened again it goes on at the first pair without a vote. What was what is shown after the last.

    Args:
        pairs: of `trials`. listener: a name, or a pseudonym: it stands in the file; unless given, one is made up.
        folder: where the file is, or will be after the first vote.

    Raises:
        VotesError: the listener's file is damaged, or about other sounds.
        ValueError: the name is one of simulated listeners.
    """

    def __init__(self, pairs: Sequence[Trial], listener: str = ANONYMOUS, folder: Path | str = FOLDER):
        self._pairs, self.listener = list(pairs), _listener(listener, Path(folder))
        self.path = votes_path(self.listener, folder)
        self.votes = {vote.trial: vote for vote in read_votes(self.path)} if self.path.exists() else {}
        if self.listener.startswith(SIMULATED):
            raise ValueError(f"{self.listener!r} would count as simulated: choose another name.")
        if any(vote.stimuli != self._pairs[0].stimuli for vote in self.votes.values()):
            raise VotesError(f"{self.path} has votes about other sounds: move it away, or choose another folder.")
        self.page, self.message = widgets.HTML(), widgets.HTML()
        self.buttons = {vote: widgets.Button(description=vote) for vote in VOTES}
        for vote, button in self.buttons.items():
            button.on_click(lambda _, vote=vote: self._choose(vote))
        self._row = widgets.HBox(tuple(self.buttons.values()))
        super().__init__((self.page, self._row, self.message))
        self._show()

    def __repr__(self) -> str:
        return "A listening test: run this cell in Jupyter to take it."

    @property
    def done(self) -> bool:
        """Whether all pairs have a vote."""
        return self._current is None

    @property
    def _current(self) -> Trial | None:
        return next((trial for trial in self._pairs if trial.name not in self.votes), None)

    def _show(self) -> None:
        trial = self._current
        if trial is None:
            self.children = (self.page,)
            self.page.value = _result(self._pairs, self.votes, self.path)
            return
        answered = sum(trial.name in self.votes for trial in self._pairs)
        self.page.value = page(trial, answered + 1, len(self._pairs))
        self._since = monotonic()

    def _choose(self, choice: str) -> None:
        trial, seconds = self._current, monotonic() - self._since
        if trial is None or seconds < FASTEST_VOTE_S:
            return
        vote = trial.vote(self.listener, choice, seconds)
        try:
            append_vote(self.path, vote)
        except OSError as error:  # must be seen: a front end hides what a click raises
            self.message.value = (
                f"<p><b>Not saved</b> ({escape(str(error))}). Make room or rights, then vote again.</p>"
            )
            return
        self.message.value = ""
        self.votes[trial.name] = vote
        self._show()


def _listener(name: str, folder: Path) -> str:
    """A name as it stands in the file. An anonymous listener is numbered by chance: two must not count as one."""
    name = " ".join(unicodedata.normalize("NFC", name).split()) or ANONYMOUS
    if name != ANONYMOUS:
        return name
    earlier = sorted(folder.glob(f"votes-{ANONYMOUS}-*.csv"))
    return earlier[0].stem.removeprefix("votes-") if earlier else f"{ANONYMOUS}-{secrets.token_hex(4)}"


def _result(pairs: Sequence[Trial], votes: dict[str, Vote], path: Path) -> str:
    """HTML: what was what, and how often the machines were taken for human."""
    rows = [("pair", "A was", "B was", "you said")]
    rows += [(str(n), *trial.sources, votes[trial.name].vote) for n, trial in enumerate(pairs, start=1)]
    cells = ("".join(f'<td style="padding:0 16px 0 0">{cell}</td>' for cell in row) for row in rows)
    own = [votes[trial.name] for trial in pairs]
    return (
        f"<p><b>Done.</b> Your votes are in {escape(str(path))}.</p>"
        f"{''.join(f'<p>{tally.in_words()}</p>' for tally in summary(own))}"
        f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    )


# -------------------------------------------------------------------------------------------- simulated listeners


def simulated_votes(
    pairs: Sequence[Trial], name: str, choose: Callable[[Trial, random.Random], str], seed: int = 0
) -> list[Vote]:
    """Votes that nobody cast, to see what an interval means. They carry "simulated" in their name and enter no file.

    Args:
        choose: gives "A", "B" or "cannot tell" for a pair: `lambda pair, _: pair.human_side` is never wrong,
            `lambda _, draw: draw.choice("AB")` guesses, `lambda *_: "A"` has a favourite side.
    """
    draw = random.Random(seed)
    return [pair.vote(SIMULATED + name, choose(pair, draw), 0.0) for pair in pairs]
