"""Downloads that end too soon, and processes that want the same file at once."""

import hashlib
import io
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from children import ended, start

from musiclib.fetch import DownloadError, Resource, download, unpacked

SIZE = 1_000_000
CUTS = (0, 1, 1000, SIZE // 8, SIZE // 4, SIZE // 3, SIZE // 2, SIZE * 3 // 4, SIZE - 1000, SIZE - 1)
WAYS = ("length", "chunked")
FILES = 200


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@pytest.fixture(scope="module")
def bodies():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(FILES):
            archive.writestr(f"music/{number}.mid", noise(SIZE // FILES - 200, number))
    return {"file.bin": noise(SIZE), "music.zip": data.getvalue()}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bodies):
        super().__init__(("127.0.0.1", 0), Files)
        self.bodies, self.cut, self.way, self.holds = bodies, None, "length", False
        self.sent, self.go_on = threading.Event(), threading.Event()

    def resource(self, name: str) -> Resource:
        url = f"http://127.0.0.1:{self.server_port}/{name}"
        return Resource(name, (url,), hashlib.sha256(self.bodies[name]).hexdigest())


class Files(BaseHTTPRequestHandler):
    """Sends a file, or as much of it as `server.cut` says; there it hangs up, or holds the line if `server.holds`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.server.bodies[self.path[1:]]
        part = body if self.server.cut is None else body[: self.server.cut]
        self.send_response(200)
        if self.server.way == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(part), 65_536):
                chunk = part[at : at + 65_536]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if self.server.cut is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(part)
        self.wfile.flush()
        if self.server.holds:
            self.server.sent.set()
            self.server.go_on.wait(60)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(bodies, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    server = Server(bodies)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def whole(folder: Path, server: Server, name: str) -> None:
    """Whether a file or an archive is there as it should be, and nothing else."""
    if name == "file.bin":
        assert (folder / name).read_bytes() == server.bodies[name] and names(folder) == [name]
        return
    assert names(folder) == ["music", "music.zip"]
    found = {path.name: path.read_bytes() for path in (folder / "music" / "music").iterdir()}
    assert found == {f"{number}.mid": noise(SIZE // FILES - 200, number) for number in range(FILES)}


GET = {"file.bin": download, "music.zip": unpacked}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GET)
def test_cut_at_ten_points(server, tmp_path, name, way):
    cache = tmp_path / "cache"
    for cut in CUTS:
        server.way, server.cut = way, min(cut, len(server.bodies[name]) - 1)
        with pytest.raises(DownloadError, match="could not be downloaded") as caught:
            GET[name](server.resource(name), cache)
        assert name in str(caught.value) and "\n" not in str(caught.value) and "check the network" in str(caught.value)
        assert names(cache) == []
    server.cut = None
    GET[name](server.resource(name), cache)
    whole(cache, server, name)


def get(name: str, resource: Resource, cache: str, gate: str = "") -> None:
    """In a child: gets a file, from the moment at which the gate is there."""
    while gate and not Path(gate).exists():
        time.sleep(0.001)
    GET[name](resource, Path(cache), timeout_s=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", GET)
def test_killed_at_ten_points(server, tmp_path, name):
    """SIGKILL while it waits for the rest. What it left is taken away by the next that comes."""
    cache, resource, left = tmp_path / "cache", server.resource(name), 0
    for cut in CUTS:
        server.cut, server.holds = min(cut, len(server.bodies[name]) - 1), True
        server.sent.clear()
        server.go_on.clear()
        child = start(get, name, resource, str(cache), folder=tmp_path / "child")
        assert server.sent.wait(60)
        time.sleep(0.02)  # until some of it has arrived, or nothing: all is allowed
        child.kill()
        assert ended(child, tmp_path / "child").code == -9
        server.go_on.set()
        assert name not in names(cache) and "music" not in names(cache)
        left += bool(names(cache))
    assert left > 5, "most kills should leave a file half-written"
    server.cut, server.holds = None, False
    GET[name](resource, cache)
    whole(cache, server, name)


@pytest.mark.slow
def test_killed_while_it_unpacks(server, tmp_path):
    cache, resource, left = tmp_path / "cache", server.resource("music.zip"), 0
    download(resource, cache)
    for number in range(20):
        child = start(get, "music.zip", resource, str(cache), folder=tmp_path / "child")
        while child.is_alive() and not [name for name in names(cache) if name.startswith(".music")]:
            time.sleep(0.0005)
        time.sleep(0.001 * number)
        child.kill()
        code = ended(child, tmp_path / "child").code
        if code == 0 or "music" in names(cache):
            for hidden in cache.glob(".music-*"):  # killed after the folder took its place, before it tidied up
                assert code == -9
                hidden.rmdir()  # an error if anything is in it
            whole(cache, server, "music.zip")
            break
        left += any(name.startswith(".music") for name in names(cache))
    assert left
    unpacked(resource, cache)
    whole(cache, server, "music.zip")


@pytest.mark.slow
@pytest.mark.parametrize("name", GET)
def test_four_processes_want_it_at_once(server, tmp_path, name):
    """In an empty cache, five times."""
    for number in range(5):
        cache, gate = tmp_path / str(number), tmp_path / f"gate {number}"
        folders = [tmp_path / f"child {place}" for place in range(4)]
        children = [start(get, name, server.resource(name), str(cache), str(gate), folder=folder) for folder in folders]
        gate.touch()
        for child, folder in zip(children, folders, strict=True):
            end = ended(child, folder)
            assert end.code == 0, end.error
        whole(cache, server, name)
