"""The listening test: blind, balanced, and driven by its buttons as by a listener."""

import base64
import io
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from rolls import roll_of
from scipy import signal

from musiclib import listening
from musiclib.listening import ListeningTest, Trial, simulated_votes, still, trials
from musiclib.votes import CANNOT_TELL, SIMULATED, VOTES, A, B, VotesError, append_vote, read_votes, summary

SOURCES = ("human", "model", "markov")


def some_rolls(number, seed):
    """Rolls of one bar and one to five notes, so that levels and last ends differ."""
    draw = random.Random(seed)
    rolls = []
    for _ in range(number):
        starts = [draw.randrange(0, 14) for _ in range(draw.randrange(1, 6))]
        rolls.append(roll_of(16, *((start, start + 2, draw.randrange(50, 80)) for start in starts)))
    return rolls


@pytest.fixture(scope="module")
def rolls():
    return some_rolls(6, 1), some_rolls(3, 2), some_rolls(3, 3)


@pytest.fixture(scope="module")
def pairs(rolls, bank):
    return trials(*rolls, seed=7, bank=bank)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when it is told to, 10 s from one look to the next."""

    class Clock:
        now, step = 0.0, 10.0

        def __call__(self):
            self.now += self.step
            return self.now

    clock = Clock()
    monkeypatch.setattr(listening, "monotonic", clock)
    return clock


def click(test, vote):
    test.buttons[vote].click()


def audios(html):
    return re.findall(r'src="data:audio/mpeg;base64,([^"]*)"', html)


def without_sound(html):
    return re.sub(r"base64,[^\"]*", "", html)


def state(widget):
    """All that the front end is sent of a widget and its children, but for names of classes and numbers of objects."""
    sent = {key: value for key, value in widget.get_state().items() if not key.startswith(("_model", "_view"))}
    text = re.sub("IPY_MODEL_[0-9a-f]+", "", repr(sent))
    return "\n".join([text, *(state(child) for child in getattr(widget, "children", ()))])


# ------------------------------------------------------------------------------------------------------- trials


def test_every_machine_meets_a_human_once(pairs):
    assert len(pairs) == 6
    assert sorted(pair.kind for pair in pairs) == ["human/markov"] * 3 + ["human/model"] * 3
    assert all("human" in pair.sources for pair in pairs)
    assert len({pair.name for pair in pairs}) == 6
    assert len({pair.stimuli for pair in pairs}) == 1


@pytest.mark.parametrize("seed", [0, 1, 2, "Ann", "Ben"])
def test_sides_are_balanced_within_each_kind(rolls, bank, seed):
    human, model, markov = rolls
    for number in (2, 3):
        test = trials(human, model[:2], markov[:number], seed, bank)
        for kind, pairs in (("human/model", 2), ("human/markov", number)):
            at_a = sum(pair.human_side == A for pair in test if pair.kind == kind)
            assert at_a in (pairs // 2, -(-pairs // 2))


def test_order_and_sides_follow_the_seed(rolls, bank):
    """The same seed twice is the same test; over seeds other pairs come first, with the human on either side."""
    orders = [[(pair.name, pair.sources) for pair in trials(*rolls, seed, bank)] for seed in (*range(10), 0)]
    assert orders[0] == orders[-1]
    assert len({order[0] for order in orders}) >= 4
    for name in dict(orders[0]):
        assert {dict(order)[name][0] == "human" for order in orders} == {True, False}


def test_sides_are_those_of_the_sounds(rolls, bank):
    """The sound on the human's side is the human's: rendered alone it is the same but for its level."""
    human, model, markov = rolls
    for pair in trials(human, model, markov, seed=3, bank=bank):
        heard = pair.sounds["AB".index(pair.human_side)]
        match = [
            torch.nn.functional.cosine_similarity(heard[: len(alone)], alone, dim=0).item() > 0.999
            for alone in (bank.render(roll.notes())[: len(heard)] for roll in human)
        ]
        assert any(match)


def test_level_and_length_give_nothing_away(rolls, bank):
    """Even if a machine plays more notes at once: equal RMS, equal length, the highest peak just below full scale."""
    human, model, _ = rolls
    chords = [roll_of(16, *((0, 16, pitch) for pitch in range(40 + k, 60 + k))) for k in range(3)]
    sounds = [sound for pair in trials(human, model, chords, 0, bank) for sound in pair.sounds]
    rms = [sound.square().mean().sqrt().item() for sound in sounds]
    assert rms == pytest.approx([rms[0]] * len(rms), rel=1e-4)
    assert {len(sound) for sound in sounds} == {16000 * 3}  # 2 s and a tail of 1 s
    assert max(float(sound.abs().max()) for sound in sounds) == pytest.approx(0.9, abs=1e-4)


def test_the_version_is_that_of_the_sounds(rolls, bank):
    """The same for every seed, another for another note, tempo, instrument or source."""
    human, model, markov = rolls
    test, other_seed = (trials(human, model, markov, seed, bank)[0].stimuli for seed in (0, "Ann"))
    assert test == other_seed
    faster = [[replace(roll, step_s=0.1) for roll in part] for part in rolls]
    others = [
        trials(human, model[::-1], markov, 0, bank),
        trials(human, [model[0].transposed(1), *model[1:]], markov, 0, bank),
        trials(*faster, 0, bank),
        trials(human, model, markov, 0, bank, program=40),
        trials(human, markov, model, 0, bank),
    ]
    assert len({test, *(other[0].stimuli for other in others)}) == 6


def test_unfair_tests_are_refused(rolls, bank):
    human, model, markov = rolls
    for changed, cause in (
        ((human[:5], model, markov), "a human's roll for each of a machine, not 5 for 6"),
        ((human, [], []), "not 6 for 0"),
        ((human, [model[0][0:8], *model[1:]], markov), "differ in length or tempo"),
        ((human, [replace(model[0], step_s=0.2), *model[1:]], markov), "differ in length or tempo"),
        ((human, [roll_of(16), *model[1:]], markov), "has no note"),
        (([human[0], *human[:5]], model, markov), "occurs twice"),
        ((human, [human[0], *model[1:]], markov), "occurs twice"),
    ):
        with pytest.raises(ValueError, match=cause):
            trials(*changed, seed=0, bank=bank)


# ---------------------------------------------------------------------------------------------------- blindness


def test_the_page_does_not_depend_on_the_sources(pairs, tmp_path):
    """Were the sources exchanged and the sounds not, all that the listener's browser is sent would be the same."""
    pages = []
    for sources in (("human", "model"), ("model", "human"), ("human", "markov"), ("markov", "human")):
        same = [replace(pair, sources=sources) for pair in pairs]
        pages.append((still(same), state(ListeningTest(same, "Ann", tmp_path)), repr(same)))
    assert len(set(pages)) == 1


def test_no_word_names_a_source(pairs, tmp_path, clock):
    """But for the question. Through the whole test, up to the last pair."""
    test, beside = ListeningTest(pairs, "Ann", tmp_path), still(pairs) + repr(pairs)
    for _ in pairs:
        seen = state(test) + repr(test) + beside
        text = without_sound(seen).replace(listening.QUESTION, "").lower()
        assert not [source for source in SOURCES if source in text]
        assert not re.search(r"<img|<svg|<canvas", text), "a picture could give it away"
        click(test, A)
    assert test.done


def test_the_file_name_tells_no_source(tmp_path, pairs):
    test = ListeningTest(pairs, "Ann", tmp_path)
    assert not any(source in test.path.name for source in SOURCES)


def test_the_players_play_the_pair(pairs, tmp_path):
    """Two, A first, with controls and names for screen readers; decoded they are the pair's sounds."""
    html = ListeningTest(pairs, "Ann", tmp_path).page.value
    assert re.findall(r'aria-label="([^"]*)"', html) == ["sound A", "sound B"]
    for mp3, sound in zip(audios(html), pairs[0].sounds, strict=True):
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(mp3)), dtype="float32")
        assert rate == 16000
        norms = np.linalg.norm(heard) * np.linalg.norm(sound)
        assert signal.correlate(heard, sound.numpy()).max() / norms > 0.98
        assert np.linalg.norm(heard) == pytest.approx(np.linalg.norm(sound), rel=0.05), "the level is changed"


def test_a_still_page_has_all_but_a_kernel(pairs):
    html = still(pairs)
    assert "1 of 6" in html
    assert listening.QUESTION in html
    assert len(audios(html)) == 2
    assert re.findall(r"<button disabled[^>]*>([^<]*)<", html) == list(VOTES)
    assert not re.search("https?://|<script", html)


# ---------------------------------------------------------------------------------------------------- the widget


def test_a_whole_test(pairs, tmp_path, clock):
    """Votes are in the file one by one, in the order asked; the answer comes after the last, and then no button."""
    test, choices = ListeningTest(pairs, "Ann", tmp_path), [A, B, CANNOT_TELL, B, B, A]
    for number, choice in enumerate(choices, start=1):
        assert f"{number} of 6" in test.page.value
        assert not test.done
        click(test, choice)
        assert len(read_votes(test.path)) == number
    votes = read_votes(tmp_path)
    assert [vote.vote for vote in votes] == choices
    assert [(vote.trial, vote.a, vote.b, vote.kind) for vote in votes] == [(p.name, *p.sources, p.kind) for p in pairs]
    assert {(vote.listener, vote.seconds, vote.seed, vote.stimuli) for vote in votes} == {
        ("Ann", 10.0, "7", pairs[0].stimuli)
    }
    assert test.done
    assert test.children == (test.page,)
    rows = re.findall(r"<tr>(.*?)</tr>", test.page.value)
    cells = [re.findall(r"<td[^>]*>([^<]*)<", row) for row in rows[1:]]
    assert cells == [[str(n), *p.sources, c] for n, (p, c) in enumerate(zip(pairs, choices, strict=True), start=1)]
    assert all(tally.in_words() in test.page.value for tally in summary(votes))
    click(test, A)
    assert len(read_votes(test.path)) == 6


def test_a_lost_runtime_loses_nothing(pairs, rolls, bank, tmp_path, clock):
    """Opened again it goes on at the first pair without a vote; with another seed too, since pairs keep their names."""
    test = ListeningTest(pairs, "Ann", tmp_path)
    click(test, A)
    click(test, B)
    again = ListeningTest(pairs, "Ann", tmp_path)
    assert "3 of 6" in again.page.value
    assert audios(again.page.value) == audios(listening.page(pairs[2], 3, 6))
    reordered = ListeningTest(trials(*rolls, seed=8, bank=bank), "Ann", tmp_path)
    assert "3 of 6" in reordered.page.value
    for _ in range(4):
        click(reordered, A)
    assert reordered.done
    assert {vote.trial for vote in read_votes(tmp_path)} == {pair.name for pair in pairs}
    assert ListeningTest(pairs, "Ann", tmp_path).done
    assert "1 of 6" in ListeningTest(pairs, "Ben", tmp_path).page.value


def test_what_cannot_be_saved_is_asked_again(pairs, tmp_path, clock, monkeypatch):
    """The disk fills: the pair stays, the listener is told, the file stays as it was; then there is room again."""
    test = ListeningTest(pairs, "Ann", tmp_path)
    click(test, A)
    before, shown = test.path.read_bytes(), test.page.value

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("musiclib.paths.os.replace", full)
        click(test, B)
    assert "Not saved" in test.message.value
    assert "No space left" in test.message.value
    assert (test.path.read_bytes(), test.page.value) == (before, shown)
    click(test, B)
    assert test.message.value == ""
    assert [vote.vote for vote in read_votes(test.path)] == [A, B]


def test_a_double_click_is_one_vote(pairs, tmp_path, clock):
    test = ListeningTest(pairs, "Ann", tmp_path)
    click(test, A)
    clock.step = 0.1
    click(test, A)
    assert len(read_votes(test.path)) == 1
    assert "2 of 6" in test.page.value


def test_nothing_is_written_before_the_first_vote(pairs, tmp_path):
    ListeningTest(pairs, "Ann", tmp_path / "votes")
    assert not (tmp_path / "votes").exists()


def test_votes_about_other_sounds_are_not_continued(pairs, rolls, bank, tmp_path, clock):
    click(ListeningTest(pairs, "Ann", tmp_path), A)
    human, model, markov = rolls
    other = trials(human, model[:2], markov, seed=7, bank=bank)
    with pytest.raises(VotesError, match=r"votes-ann-.*\.csv has votes about other sounds: move it away"):
        ListeningTest(other, "Ann", tmp_path)


def test_a_class_adds_up(rolls, bank, tmp_path, clock):
    """Three listeners with tests of their own, two of them without a name on machines of their own: one count."""
    human, model, markov = rolls
    for folder, name in (("one", "Ann"), ("two", "anonymous"), ("three", "")):
        pairs = trials(human, model[:1], markov[:1], seed=folder, bank=bank)
        test = ListeningTest(pairs, name, tmp_path / folder)
        while not test.done:
            click(test, A)
        (tmp_path / "all").mkdir(exist_ok=True)
        (tmp_path / "all" / test.path.name).write_bytes(test.path.read_bytes())
    votes = read_votes(tmp_path / "all")
    assert len(votes) == 6
    assert len({vote.listener for vote in votes}) == 3
    assert sum(tally.human + tally.machine for tally in summary(votes)) == 6


def test_who_has_no_name_goes_on_too(pairs, tmp_path, clock):
    test = ListeningTest(pairs, folder=tmp_path)
    click(test, A)
    again = ListeningTest(pairs, folder=tmp_path)
    assert (again.listener, again.path) == (test.listener, test.path)
    assert "2 of 6" in again.page.value


def test_a_name_is_shown_as_text(pairs, tmp_path, clock):
    """A name with HTML in it reaches the page nowhere as such."""
    test = ListeningTest(pairs, "  <b>Zoë</b>  &\nCo ", tmp_path / "<i>votes")
    assert test.listener == "<b>Zoë</b> & Co"
    while not test.done:
        click(test, B)
    assert "&lt;i&gt;votes" in test.page.value
    assert [vote.listener for vote in read_votes(test.path)] == ["<b>Zoë</b> & Co"] * 6


# -------------------------------------------------------------------------------------------- simulated listeners


def test_simulated_listeners(pairs, tmp_path):
    """One who is never wrong, and one with a favourite side, whom balanced sides turn into a guesser."""
    perfect = summary(simulated_votes(pairs, "perfect", lambda pair, _: pair.human_side))
    assert [(tally.human, tally.machine) for tally in perfect] == [(3, 0), (3, 0)]
    biased = summary(simulated_votes(pairs, "always A", lambda *_: A))
    assert all(abs(tally.human - tally.machine) <= 1 for tally in biased)
    coin = [simulated_votes(pairs, "coin", lambda _, draw: draw.choice("AB"), seed) for seed in (0, 0, 1)]
    assert [[vote.vote for vote in votes] for votes in coin[:2]] == [[vote.vote for vote in coin[0]]] * 2
    assert [vote.vote for vote in coin[0]] != [vote.vote for vote in coin[2]]
    with pytest.raises(ValueError, match="not written"):
        append_vote(tmp_path / "votes.csv", coin[0][0])


def test_nobody_real_is_called_simulated(pairs, tmp_path):
    with pytest.raises(ValueError, match="would count as simulated"):
        ListeningTest(pairs, SIMULATED + "Ann", tmp_path)


def test_a_trial_keeps_its_secret():
    trial = Trial("name", ("human", "model"), (torch.zeros(1), torch.zeros(1)), "0", "v")
    assert repr(trial) == "Trial(name='name', seed='0', stimuli='v')"
