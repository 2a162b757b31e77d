"""Downloads against a server on this machine: good, damaged, missing and dead."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from musiclib.fetch import JSB, DownloadError, Resource, download

GOOD = b"four part chorales " * 1000


class Files(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requested.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        body = {"/good": GOOD, "/wrong": GOOD.upper(), "/truncated": GOOD[:5000], "/empty": b""}[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(GOOD) if self.path == "/truncated" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.requested = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def resource(*urls):
    return Resource("chorales.json", urls, hashlib.sha256(GOOD).hexdigest())


def left_in(folder):
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_good_file_is_downloaded_once(server, tmp_path):
    for _ in range(3):
        path = download(resource(f"{server.url}/good"), tmp_path / "cache")
        assert path == tmp_path / "cache" / "chorales.json"
        assert path.read_bytes() == GOOD
    assert server.requested == ["/good"]
    assert left_in(tmp_path / "cache") == ["chorales.json"]


@pytest.mark.parametrize("page", ["wrong", "truncated", "empty", "missing"])
def test_bad_bytes_are_refused_and_not_kept(server, tmp_path, page):
    url = f"{server.url}/{page}"
    with pytest.raises(DownloadError) as caught:
        download(resource(url), tmp_path / "cache")
    message = str(caught.value)
    assert "chorales.json" in message
    assert url in message
    assert "check the network, or put the file" in message
    assert left_in(tmp_path / "cache") == []


def test_the_second_address_is_used_when_the_first_fails(server, tmp_path):
    path = download(resource(f"{server.url}/wrong", f"{server.url}/missing", f"{server.url}/good"), tmp_path)
    assert path.read_bytes() == GOOD
    assert server.requested == ["/wrong", "/missing", "/good"]


def test_all_addresses_are_named_when_all_fail(server, tmp_path):
    urls = [f"{server.url}/wrong", f"{server.url}/missing"]
    with pytest.raises(DownloadError, match=r"wrong checksum.*HTTPError") as caught:
        download(resource(*urls), tmp_path)
    assert all(url in str(caught.value) for url in urls)


def test_a_dead_server(server, tmp_path):
    """A port where nothing listens any more."""
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="ConnectionError"):
        download(resource(f"{server.url}/good"), tmp_path / "cache", timeout_s=2.0)
    assert left_in(tmp_path / "cache") == []


def test_a_damaged_file_in_the_cache_is_replaced(server, tmp_path):
    (tmp_path / "chorales.json").write_bytes(GOOD[:100])
    assert download(resource(f"{server.url}/good"), tmp_path).read_bytes() == GOOD


def test_without_a_network_the_cache_is_enough(tmp_path):
    (tmp_path / "chorales.json").write_bytes(GOOD)
    assert download(resource("http://127.0.0.1:9/never"), tmp_path).read_bytes() == GOOD


def test_addresses_of_the_course():
    assert len(JSB.sha256) == 64
    assert all(url.startswith("https://") for url in JSB.urls)
