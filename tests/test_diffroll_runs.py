"""Runs of DiffRoll: trained, resumed, asked, written down; and what the report makes of the ledger."""

import json
from dataclasses import replace

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from musiclib import checkpoints, ledger, paths
from musiclib.diffroll import clips, experiments, report, runs, studies
from musiclib.diffroll.clips import Clip
from musiclib.diffroll.experiments import EXPERIMENTS, STUDIES, Experiment, find
from musiclib.diffroll.model import DiffRoll, DiffRollConfig
from musiclib.pianoroll import Note
from musiclib.pieces import Piece, save_corpus
from musiclib.reproduction import load_bits
from musiclib.scores import write_midi

TINY = {"width": 4, "layers": 1, "kernel": 3}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A tiny network, four steps, four short clips; all that is written goes to a folder of its own."""
    for name in ("RUNS", "CHECKPOINTS", "RESULTS", "DATA"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.RESULTS.mkdir()
    monkeypatch.setattr(experiments, "SMALL", TINY)
    monkeypatch.setattr(experiments, "WEIGHTS", (0.0, 0.5))
    monkeypatch.setattr(studies, "WEIGHTS", (0.0, 0.5))
    monkeypatch.setattr(studies, "CALLS", (1, 2))
    monkeypatch.setattr(studies, "SOUNDED", 1)
    monkeypatch.setitem(experiments.FRAMES, "small", 20)
    short = replace(experiments.TRAINING["small"], steps=4, batch=2, evaluate_every=2)
    monkeypatch.setattr(Experiment, "training_config", lambda self, size, seed=0: replace(short, seed=seed))
    own = {name: [Clip(c.name, c.waveform[:20_480], c.notes[:5]) for c in clips.shipped(name)[:4]] for name in "AB"}
    monkeypatch.setattr(clips, "shipped", lambda name: own[name])
    monkeypatch.setattr(runs, "validation_clips", lambda corpora_, varied=False: own["A"][:2])
    return tmp_path


def metrics(name: str) -> dict:
    return json.loads((paths.RESULTS / f"diffroll-{name}-small.json").read_text())["metrics"]


@pytest.mark.parametrize("name", ["diffroll", "twin", "diffroll-best", "fiftieth-twin", "cosine"])
def test_a_run_leaves_weights_and_a_ledger_entry(folder, name):
    assert runs.train(find(name), "small")
    entry = ledger.entry(f"diffroll-{name}-small", paths.RESULTS)
    assert entry["system"] == "diffroll" and entry["config"]["training"]["steps"] == 4
    assert [scores["step"] for scores in entry["metrics"]["validation_curve"]] == [2, 4]
    for test_set in ("A", "B"):
        scores = entry["metrics"][test_set]
        assert len(scores["f1_of_clips"]) == 4 and 0 <= scores["f1"] <= 1 and "frame_f1_standard_error" in scores
    place = paths.CHECKPOINTS if find(name).ships else paths.RUNS / f"diffroll-{name}-small"
    config, about = checkpoints.read_metadata(place / f"diffroll-{name}-small.safetensors")
    assert DiffRollConfig(**config) == find(name).model_config("small") and about["experiment"] == name
    assert runs.trained(find(name), "small").config == find(name).model_config("small")


def test_a_run_that_is_stopped_goes_on_to_the_same_end(folder):
    assert runs.train(find("diffroll"), "small")
    whole = metrics("diffroll")
    for path in (paths.RUNS / "diffroll-diffroll-small").iterdir():
        path.unlink()
    steps = 0
    while not runs.train(find("diffroll"), "small", budget_s=0):
        steps += 1
    assert steps > 1 and metrics("diffroll")["loss_curve"] == whole["loss_curve"]
    assert metrics("diffroll")["B"] == whole["B"]


def test_pretraining_hears_nothing_and_others_start_from_it(folder, monkeypatch):
    monkeypatch.setattr(runs, "heard", None)  # nothing may be rendered for rolls alone
    assert runs.train(find("rolls-only"), "small")
    assert "A" not in metrics("rolls-only")
    monkeypatch.undo()


def test_what_needs_pretrained_weights_gets_them(folder):
    assert [e.name for e in runs.missing("small", only=["fiftieth-pretrained"])] == [
        "rolls-only",
        "fiftieth-pretrained",
    ]
    for experiment in runs.missing("small", only=["fiftieth-pretrained-0+1"]):
        assert runs.train(experiment, "small")
    assert metrics("fiftieth-pretrained-0+1")["B"]["f1"] >= 0


def test_a_share_of_the_pieces_is_spread_and_performed_once(folder):
    pieces = runs.pieces(("chorales",), "train")
    tenth = runs.thinned(pieces, 0.1)
    assert len(tenth) == round(len(pieces) / 10) and len({piece.name for piece in tenth}) == len(tenth)
    assert runs.thinned(pieces, 1.0) == pieces and len(runs.thinned(pieces, 1e-9)) == 1
    assert runs.source(find("tenth-twin"), "small").limited and not runs.source(find("twin"), "small").limited


def test_studies_ask_a_trained_model(folder):
    assert runs.train(find("diffroll"), "small")
    for name in ("guidance-diffroll", "samplers-diffroll"):
        assert runs.train(find(name), "small")
    guided, sampled = metrics("guidance-diffroll"), metrics("samplers-diffroll")
    assert set(guided) == {"A", "B", "late"} and list(guided["A"]) == ["0", "0.5"]
    assert list(sampled["B"]) == ["ddpm", "ddim", "dpm++"] and list(sampled["B"]["ddim"]) == ["1", "2"]
    kept = load_bits("diffroll-guidance-diffroll-small")
    assert list(kept) == ["0", "0.5"] and kept["0"].shape == (88, 40) and set(kept["0"].unique().tolist()) <= {0, 1}
    assert len(load_file(paths.DATA / "samples" / "diffroll-guidance-diffroll-small.safetensors")) == 2


def test_a_study_of_both_planes(folder):
    for name in ("diffroll-best", "planes-diffroll-best"):
        assert runs.train(find(name), "small")
    assert set(metrics("planes-diffroll-best")["B"]) == {"with", "without"}


def test_the_published_ddim_is_no_guidance_at_all(folder):
    torch.manual_seed(0)
    model = DiffRoll(DiffRollConfig(**TINY)).eval()
    torch.nn.init.normal_(model.output_projection.weight)
    clip = clips.shipped("A")[0]
    sampling = runs.evaluation.Sampling(5, "ddim", 0.5)
    unguided = runs.evaluation.rolls(model, [clip], replace(sampling, weight=0.0))[0]
    assert torch.allclose(studies.unmasked_ddim(model, clip, sampling), unguided, atol=1e-4)
    assert not torch.allclose(runs.evaluation.rolls(model, [clip], sampling)[0], unguided, atol=1e-3)


def test_every_study_asks_an_experiment_that_there_is():
    for study in STUDIES.values():
        assert find(study.of) is EXPERIMENTS[study.of] and study.kind in studies.KINDS
    with pytest.raises(ValueError, match="No experiment 'unet': choose of diffroll, twin"):
        find("unet")


def test_a_corpus_or_a_folder_of_recordings_is_an_experiment(folder, bank):
    pieces = runs.pieces(("chorales",), "train")[:30]
    own = [Piece(p.name, p.notes, group=p.group, fixed_split=("train", "valid")[k % 2]) for k, p in enumerate(pieces)]
    save_corpus(folder / "mine.corpus", own, "made")
    assert runs.train(find(str(folder / "mine.corpus")), "small")
    assert metrics("mine")["A"]["f1"] >= 0
    (folder / "maps").mkdir()
    with pytest.raises(ValueError, match="maps holds no recordings of the train split"):
        runs.train(find(str(folder / "maps")), "small")
    with pytest.raises(ValueError, match="has no music in its test split"):
        runs.pieces((str(folder / "mine.corpus"),), "test")


def test_a_folder_of_recordings_is_trained_on_and_tested_on(folder, bank):
    for split, pieces in (("train", "ab"), ("validation", "c"), ("test", "de")):
        for piece in pieces:
            wave = bank.render([Note(0.2, 0.4, 60), Note(0.8, 0.4, 64 + len(piece))])
            soundfile.write(folder / f"{piece}.wav", wave.numpy(), 16_000)
            write_midi([Note(0.2, 0.4, 60), Note(0.8, 0.4, 65)], folder / f"{piece}.midi.mid")
            (folder / f"{piece}.midi.mid").rename(folder / f"{piece}.midi")
            with (folder / "maestro-v3.0.0.csv").open("a") as table:
                if not table.tell():
                    table.write("canonical_composer,canonical_title,split,midi_filename,audio_filename\n")
                table.write(f"Bach,{piece},{split},{piece}.midi,{piece}.wav\n")
    assert runs.train(find(str(folder)), "small")
    assert len(metrics(folder.stem)["C"]["f1_of_clips"]) == 2


# ------------------------------------------------------------------------------------------------- the report


def write(name: str, **sets: list[float]) -> None:
    """A ledger entry whose clips of each set have these scores."""

    def scores(values):
        values = torch.tensor(values)
        told = {key: float(values.mean()) for key in ("f1", "f1_with_offsets", "frame_f1")}
        error = float(values.std() / len(values) ** 0.5)
        return told | {f"{key}_standard_error": error for key in told} | {"f1_of_clips": values.tolist()}

    config = {"training": {"steps": 10, "batch": 2}}
    ledger.record(
        find(name).run_name("small"), system="diffroll", preset="small", seed=0, wall_s=60.0, commit="made up",
        config=config, metrics={key: scores(values) if isinstance(values, list) else
                                {w: scores(own) for w, own in values.items()} for key, values in sets.items()},
    )  # fmt: skip


def test_differences_are_taken_clip_by_clip(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert report.gain(("diffroll", "B"), ("twin", "B"), "small") is None
    assert "| not run |" in report.claims_table("small") and "| not run |" in report.results_table("small")
    write("diffroll", A=[0.9, 0.5, 0.7], B=[0.9, 0.5, 0.7])
    write("twin", A=[0.8, 0.4, 0.6], B=[0.95, 0.3, 0.9])
    sure, unsure = (report.gain(("diffroll", name), ("twin", name), "small") for name in ("A", "B"))
    assert sure.value == pytest.approx(10) and sure.interval == pytest.approx(0, abs=1e-4)
    assert abs(unsure.value) < unsure.interval
    write("guidance-diffroll", A={"0.5": [0.9, 0.5, 0.7]}, B={"0.5": [0.9, 0.5, 0.7]})
    rows = [row for row in report.claims_table("small").splitlines() if "discriminative twin" in row]
    assert rows[0].endswith("| +10.0 ± 0.0 | confirmed |") and rows[1].endswith("| undecided |")
    assert "70.0 ± " in report.results_table("small", "comparison")


def test_the_readme_shows_what_has_been_run(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert report.readme() == ""
    write("diffroll", A=[0.9, 0.5, 0.7], B=[0.9, 0.5, 0.7])
    assert "transcription, small" in report.readme() and "transcription, paper" not in report.readme()
    assert "62.6" in report.few_pairs_table("small")


def test_the_readme_is_up_to_date():
    assert report.readme() in (paths.ROOT / "README.md").read_text()
