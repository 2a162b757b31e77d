"""Training of each system killed at any moment, also while it saves, and gone on with: the figures of a run that
nothing disturbed. Through `python -m musiclib train`, on models and data that take a second."""

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from children import Ended, command, ended, lived, start
from safetensors.torch import load_file
from tiny_runs import shrink
from tqdm.auto import tqdm

from musiclib import training
from musiclib.musicslots import runs as musicslots_runs
from musiclib.progress import progress_bar

KILLS = 20
STEPS = 24
EXPERIMENTS = {
    "musicslots": "jazznet-single-none",
    "musicvae": "melody-2",
    "improvise": "beta-1",
    "diffroll": "diffroll",
}
CURVES = {"loss_curve", "validation_curve"}


def train(system: str, folder: str, seed: int = 0) -> int:
    """In a child: saved after every step, so that a kill often falls into a save."""
    import mother

    shrink(Path(folder), STEPS)
    musicslots_runs.datasets = lambda *_, **__: mother.chords()
    training.fit.__kwdefaults__["save_every_s"] = 0.0
    return command("train", system, "--experiment", EXPERIMENTS[system], "--preset", "quick", "--seed", str(seed))


def trained(system: str, folder: Path, seed: int = 0) -> Ended:
    end = lived(train, system, str(folder), seed, folder=folder / "child")
    assert (end.code, end.result) == (0, 0), end.error
    return end


def figures(folder: Path) -> dict:
    """All that a run leaves: its one ledger entry, its losses, and its last, best and final weights."""
    (entry,) = (json.loads(path.read_text()) for path in (folder / "results").iterdir())
    (run,) = (folder / "runs").iterdir()
    last = torch.load(run / "last.pt", weights_only=True)
    weights = {path.name: load_file(path) for path in folder.rglob("*.safetensors")} | {"last.pt": last["model"]}
    assert {"best.safetensors", "last.pt"} < set(weights)
    digests = {
        f"{file} {name}": hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
        for file, own in weights.items() for name, tensor in own.items()
    }  # fmt: skip
    history = last["history"]
    assert len(history["loss"]) == STEPS and history["finished"]
    return {"metrics": entry["metrics"], "loss": history["loss"], "scores": history["scores"], "weights": digests}


def leftovers(folder: Path) -> list[Path]:
    return [path for name in ("runs", "checkpoints", "results") for path in (folder / name).rglob(".*")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each system's undisturbed run: its folder, its figures and its seconds."""
    done = {}

    def run(system: str) -> tuple[dict, float]:
        if system not in done:
            folder = tmp_path_factory.mktemp(system)
            lived(int, folder=folder / "first")  # the first child waits for its mother
            begun = time.monotonic()
            trained(system, folder)
            done[system] = figures(folder), time.monotonic() - begun
        return done[system]

    return run


def die_at_the_bar() -> None:
    with progress_bar(total=1), tqdm.get_lock():
        os.kill(os.getpid(), signal.SIGKILL)


def draw_a_bar() -> None:
    with progress_bar(total=1) as bar:
        bar.update()


@pytest.mark.slow
def test_a_kill_leaves_no_other_child_waiting(tmp_path):
    """The lock that a bar is drawn under is each child's own, as it is between runs that a reader starts."""
    assert lived(die_at_the_bar, folder=tmp_path / "killed").code == -signal.SIGKILL
    child = start(draw_a_bar, folder=tmp_path / "next")
    assert ended(child, tmp_path / "next", seconds=60).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("system", EXPERIMENTS)
def test_killed_twenty_times(tmp_path, whole, system):
    """A run that ends before it is killed is compared, and another begins."""
    expected, seconds = whole(system)
    rng, kills, in_a_save, runs = random.Random(system), 0, 0, 0
    folder = tmp_path / "0"
    while True:
        child = start(train, system, str(folder), folder=folder / "child")
        if kills < KILLS:
            child.join(rng.uniform(0, 0.8 * seconds))
            child.kill()
        end = ended(child, folder / "child")
        assert end.code in (0, -9), end.error
        for path in (folder / "results").glob("*.json"):
            json.loads(path.read_text())
        if end.code == -9:
            kills += 1
            in_a_save += bool(leftovers(folder))
            continue
        assert end.result == 0, end.error
        assert figures(folder) == expected
        assert not leftovers(folder)
        runs += 1
        if kills == KILLS:
            break
        folder = tmp_path / str(runs)
    print(f"\n{system}: {kills} kills, {in_a_save} of them with a file half-written; {runs} runs of {seconds:.1f} s")


@pytest.mark.slow
@pytest.mark.parametrize("system", EXPERIMENTS)
def test_a_seed_says_the_figures(tmp_path, whole, system):
    """The same one to the last digit, with the weights; another one other figures."""
    for name, seed in (("again", 0), ("other", 1)):
        trained(system, tmp_path / name, seed)
    first, _ = whole(system)
    again, other = figures(tmp_path / "again"), figures(tmp_path / "other")
    assert again == first
    assert other["loss"] != first["loss"] and other["weights"] != first["weights"]
    for score in set(first["metrics"]) - CURVES:
        assert again["metrics"][score] == first["metrics"][score]
    assert {k: v for k, v in other["metrics"].items() if k not in CURVES} != {
        k: v for k, v in first["metrics"].items() if k not in CURVES
    }


@pytest.mark.slow
def test_two_at_once(tmp_path, whole):
    """The same command twice, in an empty folder: both end well, with the figures of one."""
    folder = tmp_path / "both"
    homes = [tmp_path / "first", tmp_path / "second"]
    children = [start(train, "improvise", str(folder), folder=home) for home in homes]
    for child, home in zip(children, homes, strict=True):
        end = ended(child, home)
        assert (end.code, end.result) == (0, 0), end.error
    assert figures(folder) == whole("improvise")[0]
    assert not leftovers(folder)
