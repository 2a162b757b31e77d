"""Torch's threads do not spin for long when they wait, so that two notebooks at once share a small machine."""

import os
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch has another OpenMP")


def spin_count(code, **variables):
    """What libgomp says on loading, of the waiting in a busy loop."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | variables
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    (line,) = {line.strip() for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line}
    return line.split("'")[1]


@linux
def test_torch_hears_of_it():
    assert spin_count("import musiclib, torch") == "1000"
    assert spin_count("import torch") != "1000"


@linux
def test_the_reader_s_own_choice_stands():
    assert spin_count("import musiclib, torch", GOMP_SPINCOUNT="77") == "77"
