"""What executes the notebooks without a network is itself tested: it lets this machine through, and nothing else."""

import os
import re
import subprocess
import sys

import pytest

from musiclib import paths

OFFLINE = paths.ROOT / "tests" / "offline"


def said(code: str) -> str:
    """What a fresh process, and in turn one that it starts, says."""
    nested = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {code!r}], text=True))"
    return subprocess.run(
        [sys.executable, "-c", nested], env=os.environ | {"PYTHONPATH": str(OFFLINE)}, capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip


@pytest.mark.parametrize("attempt", [
    "socket.create_connection(('192.0.2.1', 80), timeout=5)", "socket.create_connection(('example.org', 80))",
    "socket.getaddrinfo('example.org', 443)", "socket.gethostbyname('example.org')",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 53))",
    "urllib.request.urlopen('https://example.org')",
    "requests.get('https://192.0.2.1', proxies={'https': 'http://192.0.2.2:3128'})",
    "asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
])  # fmt: skip
def test_other_machines_are_out_of_reach(attempt):
    modules = "asyncio, socket, urllib.request, requests"
    found = said(f"import {modules}\ntry:\n    {attempt}\nexcept OSError as error:\n    print(repr(error))")
    assert re.search("Network is unreachable|Name or service not known", found), found


def test_this_machine_is_within_reach():
    served = """
import socket, threading, urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler
server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
threading.Thread(target=server.handle_request).start()
for name in ("127.0.0.1", "localhost"):
    assert socket.getaddrinfo(name, server.server_port)
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
print(urllib.request.urlopen(f"http://localhost:{server.server_port}").status)
"""
    assert said(served).splitlines()[-1] == "200"


def test_the_notebooks_are_executed_without_a_network():
    """`make test` puts the guard in force where nbval runs them."""
    (line,) = re.findall(r"^.*--nbval-lax.*$", (paths.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "PYTHONPATH=$(CURDIR)/tests/offline" in line  # the whole path: kernels work in the folder of their notebook
