"""The traps: every one has a number, stored ones are written down once, and the table says what is missing."""

import math

import pytest
from ledgers import write

from musiclib import ledger, paths, traps
from musiclib.traps import TRAPS, Measured, Trap

QUICK = ("short-notes", "new-normalisation", "scale-after-softmax", "conductor-hears-tokens", "missing-roots",
         "first-bar", "two-thresholds", "too-fast", "one-plane")  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_trap_has_a_finite_number(name):
    found = TRAPS[name].measure()
    assert math.isfinite(found.ours) and (found.published is None or math.isfinite(found.published))
    assert found.what


def test_what_is_known_beforehand():
    fast = TRAPS["too-fast"].measure()
    assert fast.ours / fast.published == pytest.approx(512 / 160, rel=0.01)
    assert TRAPS["one-plane"].measure().ours == pytest.approx(100, abs=0.01)
    assert TRAPS["conductor-hears-tokens"].measure().ours == 0
    assert TRAPS["missing-roots"].measure().published > TRAPS["missing-roots"].measure().ours


@pytest.mark.slow
def test_the_slower_ones(monkeypatch):
    from musiclib.traps import musicslots

    assert abs(musicslots.mixed_precision(64).ours - musicslots.mixed_precision(64).published) < 0.05
    assert TRAPS["rebuilt-oracles"].measure().published > TRAPS["rebuilt-oracles"].measure().ours
    late = TRAPS["late-labels"].measure()
    assert 0 < late.ours - late.published < 2 and late.interval > 0


def test_labels_of_a_cut_segment_are_late_by_the_part_of_a_frame():
    from musiclib.diffroll import clips
    from musiclib.diffroll.mel import FRAME_S
    from musiclib.traps.diffroll import cut_between_frames

    (clip, *_) = clips.shipped("A")
    for part in (0.0, 0.25, 0.75):
        labels = cut_between_frames(clip, part).notes
        off = [(label.onset_s - note.onset_s) / FRAME_S for label, note in zip(labels, clip.notes, strict=True)]
        assert all(part - 0.501 <= value <= part + 0.501 for value in off)
        assert sum(off) / len(off) == pytest.approx(part, abs=0.1)


def test_a_run_is_written_down_once(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    asked = []
    trap = Trap(
        "made-up", "does one thing", "another", "14", lambda: asked.append(1) or Measured("apples", 1.0, 3.0, 0.5)
    )
    monkeypatch.setattr(traps, "EXPERIMENTS", {trap.name: trap})
    assert traps.measured(trap) is None
    assert [one.name for one in traps.missing("short")] == ["made-up"]
    assert traps.train(trap)
    assert traps.measured(trap) == Measured("apples", 1.0, 3.0, 0.5)
    assert traps.missing("small") == [] and len(asked) == 1
    assert ledger.entry("trap-made-up")["system"] == "traps"


def test_the_tables_name_every_trap(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)  # an empty ledger
    for system, module in traps.SYSTEMS.items():
        rows = traps.table(system).splitlines()[2:]
        assert len(rows) == len(module.TRAPS)
    assert all(ledger.NOT_RUN in row for row in traps.table("MusicVAE").splitlines()[2:])


def test_two_runs_of_the_ledger_differ(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert TRAPS["time-stride"].measure() is None
    write("jazznet-multi-ablation-default", size="small", miou=0.70)
    write("jazznet-multi-ablation-stride", size="small", miou=0.76)
    found = traps.measured(TRAPS["time-stride"])
    assert (found.published, found.ours) == (0.70, 0.76)
    assert found.interval == pytest.approx(1.96 * 0.01 * 2**0.5)
    assert "| test miou | 0.7 | 0.76 | +0.06 ± 0.028 |" in traps.table("MusicSlots")


def test_names_are_unique_and_notebooks_there():
    named = [trap.name for module in traps.SYSTEMS.values() for trap in module.TRAPS]
    assert len(named) == len(set(named))
    for trap in TRAPS.values():
        assert list((paths.ROOT / "notebooks").glob(f"{trap.notebook}_*.ipynb"))
