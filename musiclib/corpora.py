"""The scores of the course.

Notebooks: 01 from score to spectrogram, 05 scores to piano rolls.
"""

import json
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from musiclib.fetch import JSB, DownloadError, download
from musiclib.paths import DATA, atomic
from musiclib.pieces import GRID_NOTE, Corpus, Piece, save_corpus

BACH_CHORALES = DATA / "bach-chorales-quarter.json"
CORPORA = {name: DATA / f"{name}.safetensors" for name in ("fiddle-tunes", "chorales", "piano-works")}
CLASSICS = (
    "haydn", "mozart", "beethoven", "schumann_robert", "schumann_clara", "chopin", "joplin", "cpebach", "corelli",
    "schubert", "handel", "beach",
)  # fmt: skip
TUNE_BOOKS = ("ryansMammoth", "oneills1850", "airdsAirs", "nottingham-dataset")
DUPLE = {"4/4": 16, "2/2": 16, "2/4": 8}  # time signature → 16ths per bar
TUNE_KINDS = "reel|jig|hornpipe|strathspey|march|clog|the|a|an"

Quarters = list[list[int]]  # the MIDI pitches that sound on each quarter


def chorales() -> tuple[dict[str, list[Quarters]], str]:
    """Bach's chorales on a grid of quarters, in C major or C minor: {"train" | "valid" | "test": pieces}.

    Returns:
        The chorales, and where they are from: the paper's dataset where it can be had, else music21's four-part
        chorales, which ship with the course.
    """
    try:
        return json.loads(download(JSB).read_text()), "the JSB-Chorales dataset"
    except DownloadError:
        return json.loads(BACH_CHORALES.read_text()), "music21's four-part Bach chorales (no network for the JSB file)"


def build_bach_chorales(path: Path = BACH_CHORALES) -> None:
    """Makes the stand-in from music21's corpus; of every ten pieces one is for validation and one for test."""
    import music21  # not above: in a notebook its import makes every later picture twice as large

    files = sorted(file for file in music21.corpus.getComposer("bach") if file.suffix in (".mxl", ".xml", ".krn"))
    pieces = [piece for piece in Parallel(n_jobs=-1)(map(delayed(_chorale), files)) if piece]
    splits: dict[str, list[Quarters]] = {"train": [], "valid": [], "test": []}
    for number, piece in enumerate(pieces):
        splits[{8: "valid", 9: "test"}.get(number % 10, "train")].append(piece)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(splits, separators=(",", ":")) + "\n")


def _chorale(file: Path) -> Quarters | None:
    """A score transposed to C, sampled on quarters; None if it is not in four parts.

    By the nearest way, and then an octave up: that is how the JSB file stands, MIDI 43 to 96.
    """
    import music21

    score = music21.corpus.parse(file)
    if not isinstance(score, music21.stream.Score) or len(score.parts) != 4:
        return None
    shift = 12 - score.analyze("key").tonic.pitchClass
    shift += 12 if shift < 6 else 0
    sounding: list[set[int]] = [set() for _ in range(int(score.highestTime))]
    for note in score.flatten().notes:
        start, end = float(note.offset), float(note.offset + note.quarterLength)
        for quarter in range(-int(-start // 1), min(len(sounding), -int(-end // 1))):
            sounding[quarter].update(pitch.midi + shift for pitch in note.pitches)
    return [sorted(pitches) for pitches in sounding]


def shipped(name: str) -> Corpus:
    """A corpus of pieces that is part of the course: "fiddle-tunes" or "chorales", on a grid of 16ths, or
    "piano-works", on one of 24 steps a quarter.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in CORPORA:
        raise ValueError(f"No corpus {name!r} ships: choose of {', '.join(CORPORA)}.")
    return Corpus(CORPORA[name])


def build_fiddle_tunes(path: Path = CORPORA["fiddle-tunes"]) -> None:
    """The tunes in duple time of four printed collections, from music21's corpus, as they are played: repeats
    written out. A tune that is printed twice, note for note in whatever key, is kept once."""
    import music21

    folder = Path(music21.__file__).parent / "corpus"
    files = sorted(file for book in TUNE_BOOKS for file in (folder / book).glob("*.abc"))
    tunes = [tune for found in Parallel(n_jobs=-1)(map(delayed(_tunes), files)) for tune in found]
    first = {_melody(piece): piece for piece in reversed(tunes)}
    save_corpus(path, first.values(), "Ryan's Mammoth, O'Neill's 1850, Aird's Airs, Nottingham (music21's corpus)")


def build_chorales(path: Path = CORPORA["chorales"]) -> None:
    """Bach's four-part chorales in 4/4 from music21's corpus, in their own keys."""
    import music21

    files = {f.stem: f for f in sorted(music21.corpus.getComposer("bach")) if f.suffix in (".mxl", ".xml", ".krn")}
    pieces = [piece for piece in Parallel(n_jobs=-1)(map(delayed(_chorale_piece), files.values())) if piece]
    first = {_melody(piece): piece for piece in reversed(pieces)}
    save_corpus(path, first.values(), "Bach's four-part chorales (music21's corpus)")


def build_piano_works(path: Path = CORPORA["piano-works"]) -> None:
    """Keyboard and chamber music of music21's corpus, all parts together as one pianist would have to play them, on a
    grid that holds 32nds and triplets. Movements of one work share a split."""
    import music21

    found = sorted({file for name in CLASSICS for file in music21.corpus.getComposer(name)})
    files = {f.with_suffix(""): f for f in found if f.suffix in (".mxl", ".xml", ".krn")}  # of two prints the last
    pieces = [piece for piece in Parallel(n_jobs=-1)(map(delayed(_classic), files.values())) if piece]
    first = {_melody(piece): piece for piece in reversed(pieces)}
    save_corpus(path, first.values(), "keyboard and chamber music, Corelli to Joplin (music21's corpus)")


def _classic(file: Path) -> Piece | None:
    """A score as it sounds; None for what is no score, or holds no notes."""
    import music21

    score = music21.corpus.parse(file)
    if not isinstance(score, music21.stream.Score):
        return None
    notes = [
        note
        for part in score.toSoundingPitch().parts
        for voice in _by_pitch(part).values()
        for note in joined_ties(voice)
    ]
    composer = next(name for name in CLASSICS if name in file.parts)
    inside = file.parts[file.parts.index(composer) : -1]
    work = inside if len(inside) > 1 else (*inside, file.stem)
    name = "/".join([*inside, file.stem])
    return grid_piece(name, notes, bar_quarters=4, steps_per_quarter=24, group="/".join(work)) if notes else None


def _by_pitch(part) -> dict[int, list[tuple]]:
    """The printed notes of a part, those of chords on their own, with their ties, pitch by pitch."""
    found: dict[int, list[tuple]] = {}
    for printed in _printed(part):
        for note in printed.notes if printed.isChord else [printed]:
            place = (Fraction(printed.offset), Fraction(printed.quarterLength), note.pitch.midi, note.tie)
            found.setdefault(note.pitch.midi, []).append(place)
    return found


def _tunes(file: Path) -> list[Piece]:
    """The tunes in duple time of one ABC file."""
    import music21

    book = music21.converter.parse(file, forceSource=True)
    scores = book.scores if isinstance(book, music21.stream.Opus) else [book]
    pieces = []
    for score in scores:
        signatures = {sign.ratioString for sign in score.flatten().getElementsByClass("TimeSignature")}
        if len(signatures) != 1 or not signatures <= DUPLE.keys() or not score.parts:
            continue
        bars = list(score.parts[0].getElementsByClass("Measure"))
        if not bars:
            continue  # printed without bar lines
        number = f"-{score.metadata.number}" if len(scores) > 1 else ""
        bar_quarters = DUPLE[signatures.pop()] / 4
        first = Fraction(bars[0].duration.quarterLength)
        piece = grid_piece(
            f"{file.parent.name}/{file.stem}{number}",
            joined_ties(_played(bars)),
            bar_quarters=bar_quarters,
            pickup_quarters=0 if first >= bar_quarters else first,
            group=tune_title(score.metadata.title or file.stem),
            monophonic=True,
        )
        if len(piece.notes):
            pieces.append(piece)
    return pieces


def _played(bars: list) -> list[tuple]:
    """(offset, length, pitch, tie) of a tune's notes with its repeats written out."""
    endings = {bar: bracket.number for bar in bars for bracket in bar.getSpannerSites("RepeatBracket")}
    signs = [(_sign(bar.leftBarline) == "start", _sign(bar.rightBarline), endings.get(bar, "")) for bar in bars]
    notes, start = [], Fraction(0)
    for number in playing_order(signs):
        bar = bars[number]
        notes += [
            (start + Fraction(n.offset), Fraction(n.quarterLength), max(n.pitches).midi, n.tie) for n in _printed(bar)
        ]
        start += Fraction(bar.duration.quarterLength)
    return notes


def _sign(barline) -> str:
    """ "start" or "end" of a repeat, "double", or nothing that matters to repeats."""
    kind = getattr(barline, "direction", None) or getattr(barline, "type", None)
    return {"start": "start", "end": "end", "double": "double", "final": "double"}.get(kind, "")


def playing_order(signs: list[tuple[bool, str, str]]) -> list[int]:
    """Which bars are played, repeats written out. Printed tunes leave out the sign where a repeat begins: it is then
    the end of the repeat before, or the double bar (music21 would go back to the first bar every time).

    Args:
        signs: for each bar, whether a repeat begins with it; "end" of a repeat, "double" bar or "" after it; "1", "2"
            or "", which ending it belongs to.
    """
    order: list[int] = []
    start, marked = 0, False
    for number, (begins, after, ending) in enumerate(signs):
        before = signs[number - 1] if number else (False, "", "")
        if begins:
            start, marked = number, True
        elif (before[1] == "double" and not marked) or (before[2] == "2" and ending != "2"):
            start, marked = number, False
        order.append(number)
        if after == "end" and ending != "2":
            order += [again for again in range(start, number + 1) if signs[again][2] != "1"]
            start, marked = number + 1, False
    return order


def _chorale_piece(file: Path) -> Piece | None:
    """A four-part chorale in 4/4; None for anything else."""
    import music21

    score = music21.corpus.parse(file)
    if not isinstance(score, music21.stream.Score) or len(score.parts) != 4:
        return None
    if {sign.ratioString for sign in score.flatten().getElementsByClass("TimeSignature")} != {"4/4"}:
        return None
    first = Fraction(score.parts[0].getElementsByClass("Measure")[0].duration.quarterLength)
    notes = [
        note
        for part in score.parts
        for note in joined_ties((n.offset, n.quarterLength, p.midi, n.tie) for n in _printed(part) for p in n.pitches)
    ]
    return grid_piece(file.stem, notes, bar_quarters=4, pickup_quarters=0 if first >= 4 else first)


def _printed(stream) -> list:
    """A music21 stream's notes and chords in order, without chord symbols and grace notes."""
    return [n for n in stream.flatten().notes if n.quarterLength > 0 and "ChordSymbol" not in n.classes]


def joined_ties(notes: Iterable) -> list[tuple[Fraction, Fraction, int]]:
    """(offset, length, pitch, tie) of one voice, in quarters → (offset, length, pitch) with tied notes as one."""
    joined: list[tuple[Fraction, Fraction, int]] = []
    for offset, length, pitch, tie in notes:
        if tie is not None and tie.type in ("stop", "continue") and joined:
            before, held, same = joined[-1]
            if same == pitch and before + held == offset:
                joined[-1] = (before, held + length, pitch)
                continue
        joined.append((offset, length, pitch))
    return joined


def grid_piece(
    name: str,
    notes: Iterable[tuple[Fraction, Fraction, int]],
    *,
    bar_quarters: float,
    pickup_quarters: float = 0,
    steps_per_quarter: int = 4,
    group: str = "",
    monophonic: bool = False,
) -> Piece:
    """Notes (offset, length, pitch), in quarters, to the nearest steps: at least one step long, and none on the same
    pitch, or if monophonic on any, lasts into the next."""
    steps = sorted(
        {
            (round(offset * steps_per_quarter), pitch, round((offset + length) * steps_per_quarter))
            for offset, length, pitch in notes
        }
    )
    following: dict[int, int] = {}
    kept = []
    for onset, pitch, end in reversed(steps):
        voice = 0 if monophonic else pitch
        if following.get(voice) == onset:
            continue  # two on one step: the later in order stays
        kept.append((onset, min(max(end, onset + 1), following.get(voice, end + 1)) - onset, pitch, 90))
        following[voice] = onset
    return Piece(
        name, np.array(kept[::-1], GRID_NOTE), steps_per_quarter, round(bar_quarters * steps_per_quarter),
        round(pickup_quarters * steps_per_quarter), group,
    )  # fmt: skip


def tune_title(title: str) -> str:
    """A title without what differs between collections: "The Miller's Reel (2)" → "miller s"."""
    words = re.sub(r"[^a-z]+", " ", title.lower()).split()
    return " ".join(word for word in words if not re.fullmatch(TUNE_KINDS, word)) or title


def _melody(piece: Piece) -> tuple:
    """What two prints of one tune have in common: rhythm and intervals."""
    notes = piece.notes
    return notes["onset"].tobytes(), np.diff(notes["pitch"].astype(int)).tobytes()
