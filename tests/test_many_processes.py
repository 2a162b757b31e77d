"""Several processes train what one does: under `fabric run` and under torchrun, stopped, interrupted and resumed.

They run on CPUs and speak over gloo. A batch is in two parts throughout, so all walk one curve.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = str(Path(__file__).parent / "tiny_runs.py")
BIN = Path(sys.executable).parent
EVERY_SYSTEM = (
    ("musicslots", "--experiment", "jazznet-single-none"),
    ("musicvae", "--experiment", "melody-2"),
    ("improvise", "--experiment", "chorales"),
    ("diffroll", "--experiment", "rolls-only"),
    ("diffroll", "--experiment", "fiftieth-pretrained-0+1"),  # two streams in one loss; needs the one before
)
LONG = 1000  # steps; some seconds
CHORALES = "train", "improvise", "--preset", "quick"
SAME = {"rtol": 1e-5, "atol": 1e-6}  # floating point sums in another order; on one machine they agree to the last bit


def start(launcher, folder, steps, *arguments):
    """A process, or a launcher of several, in a session of its own."""
    return subprocess.Popen(
        [*launcher, SCRIPT, str(folder), str(steps), *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def run(launcher, folder, steps, *arguments):
    process = start(launcher, folder, steps, *arguments)
    try:
        out, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, errors


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one():
    return [sys.executable]


def fabric_run():
    return [str(BIN / "fabric"), "run", "--accelerator", "cpu", "--devices", "2", "--main-port", str(free_port())]


def torchrun():
    return [str(BIN / "torchrun"), "--nproc-per-node", "2", "--master-port", str(free_port())]


def state(folder, run):
    return torch.load(folder / "runs" / run / "last.pt", weights_only=True)


def assert_same_run(a, b):
    """Losses of all steps, weights at the end."""
    torch.testing.assert_close(torch.tensor(a["history"]["loss"]), torch.tensor(b["history"]["loss"]), **SAME)
    for name, weights in b["model"].items():
        torch.testing.assert_close(a["model"][name], weights, **SAME)


def test_two_processes_train_every_system_as_one_does(tmp_path):
    for folder, launcher, parts in (("one", one(), ("--parts", "2")), ("two", fabric_run(), ())):
        commands = [word for named in EVERY_SYSTEM for word in ("train", *named, "--preset", "quick", *parts, ",")]
        code, out, errors = run(launcher, tmp_path / folder, 4, *commands)
        assert code == 0, errors
        assert len(out.splitlines()) == len(EVERY_SYSTEM)  # one process speaks
    names = sorted(path.stem for path in (tmp_path / "one" / "results").iterdir())
    assert len(names) == len(EVERY_SYSTEM)
    assert sorted(path.stem for path in (tmp_path / "two" / "results").iterdir()) == names
    for name in names:
        whole, shared = state(tmp_path / "one", name), state(tmp_path / "two", name)
        assert shared["history"]["parts"] == 2 and len(shared["history"]["loss"]) == 4
        assert_same_run(shared, whole)
        entry = json.loads((tmp_path / "two" / "results" / f"{name}.json").read_text())
        assert entry["config"]["parts"] == 2
        assert not list((tmp_path / "two" / "runs" / name).glob(".*"))  # nobody leaves half a file


@pytest.fixture(scope="module")
def chorales(tmp_path_factory):
    """One process, all steps of two parts."""
    folder = tmp_path_factory.mktemp("one")
    code, _, errors = run(one(), folder, LONG, *CHORALES, "--parts", "2")
    assert code == 0, errors
    return state(folder, "improvise-chorales")


def assert_ends_as(whole, folder):
    """One process goes on where two stopped, and needs not be told of parts; the ledger has one entry."""
    code, out, errors = run(one(), folder, LONG, *CHORALES)
    assert code == 0, errors
    assert out == "improvise-chorales: done, in the ledger\n"
    assert_same_run(state(folder, "improvise-chorales"), whole)
    assert [path.name for path in (folder / "results").iterdir()] == ["improvise-chorales.json"]


def test_a_budget_stops_torchrun_s_processes_and_one_goes_on(tmp_path, chorales):
    code, out, errors = run(torchrun(), tmp_path, LONG, *CHORALES, "--budget", "0")
    assert code == 1, errors  # torchrun's, for the first process's 3
    assert out == "improvise-chorales: not done yet; the same command goes on\n"
    assert len(state(tmp_path, "improvise-chorales")["history"]["loss"]) == 1
    assert_ends_as(chorales, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "preempted"])
def test_an_interrupt_stops_all_at_the_same_step_and_one_goes_on(tmp_path, chorales, number):
    process = start(fabric_run(), tmp_path, LONG, *CHORALES)
    seen = ""
    while not re.search(rf"[1-9]\d*/{LONG} \[", seen):  # the bar, of a step that all have done
        letter = process.stderr.read(1)
        assert letter, seen
        seen += letter
    process.send_signal(number)
    out, errors = process.communicate(timeout=120)
    done = len(state(tmp_path, "improvise-chorales")["history"]["loss"])
    assert process.returncode and out == ""
    assert errors.count(f"error: Interrupted: {done} of {LONG} steps are saved") == 1
    assert 0 < done < LONG
    assert_ends_as(chorales, tmp_path)


def test_two_processes_reproduce_what_is_missing(tmp_path):
    """A training of both together, then a question to it by the first alone; each once in the ledger."""
    only = "beta-1", "heard-beta-1"
    code, out, errors = run(torchrun(), tmp_path, 4, "reproduce", "improvise", "--only", *only, "--preset", "quick")
    assert code == 0, errors
    lines = [line for line in out.splitlines() if line.endswith(" …")]
    assert lines == ["improvise-beta-1 …", "improvise-heard-beta-1-paper …"]
    names = sorted(path.stem for path in (tmp_path / "results").iterdir())
    assert names == ["improvise-beta-1", "improvise-heard-beta-1-paper"]
    entry = json.loads((tmp_path / "results" / "improvise-beta-1.json").read_text())
    assert entry["config"]["parts"] == 2
