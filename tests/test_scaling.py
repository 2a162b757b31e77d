"""The scripts for clusters and the page on what it costs: they say what the command line and the ledger say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import throughput

from musiclib import ledger
from musiclib.__main__ import parser
from musiclib.paths import ROOT

PAGE = ROOT / "book" / "scaling.md"
CLUSTER = ROOT / "book" / "cluster"
BIN = Path(sys.executable).parent


@pytest.fixture
def stubs(tmp_path):
    """A node where SLURM, torchrun and Dask only say what they were told; `python` says it too. Returns: run a script
    with arguments → (exit code, what was called)."""
    folder, told = tmp_path / "bin", tmp_path / "told"
    folder.mkdir()
    say = f'line=$(printf "%q " "$(basename "$0")" "$@"); echo "$line" >> {told}'
    others = f"until [ $(grep -c dask {told}) = 2 ]; do sleep 0.05; done"
    bodies = {
        "srun": 'exec "$@"', "torchrun": f'{say}; echo "$SAYS"; exit "$ENDS"', "scontrol": f"{say}; echo node0",
        "python": f"{others}; {say}", "dask": say,
    }  # fmt: skip
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)

    def run(script, *arguments, says="", ends=0):
        slurm = {
            "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_NODELIST": "node[0-1]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7",
            "SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "3", "SAYS": says, "ENDS": str(ends),
        }  # fmt: skip
        path = f"{folder}:{os.environ['PATH']}"
        done = subprocess.run(["bash", CLUSTER / script, *arguments], env=os.environ | slurm | {"PATH": path})
        return done.returncode, [shlex.split(line) for line in told.read_text().splitlines()]

    return run


def musiclib_arguments(call):
    """What `-m musiclib` is asked for, read by its own parser."""
    return parser().parse_args(call[call.index("musiclib") + 1 :])


@pytest.mark.parametrize("script", sorted(path.name for path in CLUSTER.iterdir()))
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", CLUSTER / script], check=True)


@pytest.mark.parametrize(("says", "ends", "code", "requeued"), [
    ("musicvae-melody-2-paper: done, in the ledger", 0, 0, False),
    ("musicvae-melody-2-paper: not done yet; the same command goes on", 1, 0, True),
    ("", 1, 1, False),
])  # fmt: skip
def test_a_slurm_job_trains_on_all_nodes_and_asks_for_more_if_it_is_not_done(stubs, says, ends, code, requeued):
    ended, calls = stubs("train.sbatch", "musicvae", "--experiment", "melody-2", says=says, ends=ends)
    assert ended == code
    assert (["scontrol", "requeue", "7"] in calls) == requeued
    (call,) = (call for call in calls if call[0] == "torchrun")
    nodes = get_args_parser().parse_args(call[1:])
    assert (nodes.nnodes, nodes.nproc_per_node, nodes.rdzv_endpoint) == ("2", "4", "node0:29500")
    assert nodes.module and nodes.training_script == "musiclib"
    options = musiclib_arguments(call)
    assert (options.system, options.experiment, options.budget) == ("musicvae", "melody-2", 23 * 3600)


def test_a_dask_job_starts_scheduler_and_workers(stubs):
    code, calls = stubs("ingest.sbatch", "midi", "out.corpus")
    assert code == 0
    (python,) = (call for call in calls if call[0] == "python")
    address = musiclib_arguments(python).dask
    assert re.fullmatch(r"tcp://.+:8786", address)
    assert ["dask", "scheduler", "--host", address, "--no-dashboard"] in calls
    assert ["dask", "worker", address, "--nworkers", "3", "--nthreads", "1", "--no-dashboard"] in calls


@pytest.mark.slow
def test_torchrun_sh_runs_the_command_line_in_every_process():
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", CLUSTER / "torchrun.sh", "train", "--help"], env=os.environ | {"GPUS": "2", "PATH": path, "PORT": "0"},
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: python -m musiclib train") == 2


def commands():
    """Every line of the page's bash blocks that calls musiclib, as words."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if "musiclib" in line]


def test_the_page_s_commands_are_those_of_the_command_line():
    found = [words[next(i for i, word in enumerate(words) if "musiclib" in word) + 1 :] for words in commands()]
    parsed = [parser().parse_args(words) for words in found if words]
    assert len(parsed) >= 5
    assert any(getattr(options, "parts", None) for options in parsed)


def test_the_page_s_figures_are_those_measured():
    entry = ledger.entry(throughput.NAME, throughput.FOLDER)
    page = PAGE.read_text()
    assert f"<!-- throughput -->\n{throughput.tables(entry)}\n<!-- /throughput -->" in page


def test_an_estimate_by_hand():
    """197.8 TFLOP a step at a fifth of an H100's 989 TFLOP/s is a second."""
    assert throughput.gpu_hours({"flop": 197.8e12, "steps": 3600}, "H100") == pytest.approx(1.0)


def test_every_system_is_measured():
    names = {name.split(",")[0] for name in ledger.entry(throughput.NAME, throughput.FOLDER)["metrics"]["training"]}
    assert names == {"MusicSlots", "MusicVAE", "Improvisation", "DiffRoll"}
