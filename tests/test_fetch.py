"""Downloads against a server on this machine: good, damaged, missing and dead."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from musiclib.fetch import ARCHIVES, JSB, DownloadError, Resource, download, unpacked

GOOD = b"four part chorales " * 1000


class Files(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requested.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        body = self.server.archives | {"/good": GOOD, "/wrong": GOOD.upper(), "/truncated": GOOD[:5000], "/empty": b""}
        body = body[self.path]
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
    server.requested, server.archives = [], {}
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
    for resource in (JSB, *ARCHIVES.values()):
        assert len(resource.sha256) == 64
        assert all(url.startswith(("https://", "http://hog.ee.columbia.edu/")) for url in resource.urls)


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tarred(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def served(server, name, data):
    server.archives[f"/{name}"] = data
    return Resource(name, (f"{server.url}/{name}",), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(("name", "pack"), [("music.zip", zipped), ("music.tar.gz", tarred)])
def test_an_archive_is_unpacked_once(server, tmp_path, name, pack):
    archive = served(server, name, pack({"music/A/a.mid": b"MThd", "music/b.mid": b""}))
    for _ in range(2):
        folder = unpacked(archive, tmp_path)
        assert folder == tmp_path / "music"
        assert (folder / "music" / "A" / "a.mid").read_bytes() == b"MThd"
    assert server.requested == [f"/{name}"]
    assert sorted(left_in(tmp_path)) == ["music", name]


@pytest.mark.parametrize(("name", "pack"), [("music.zip", zipped), ("music.tar.gz", tarred)])
def test_nothing_is_unpacked_outside_the_folder(server, tmp_path, name, pack):
    """A zip's member is kept inside, a tar that leads out is refused as a whole."""
    archive = served(server, name, pack({"a.mid": b"MThd", "../../outside.mid": b"MThd"}))
    cache = tmp_path / "one" / "cache"
    try:
        unpacked(archive, cache)
    except DownloadError as error:
        assert name == "music.tar.gz"
        assert "could not be unpacked" in str(error)
        assert left_in(cache) == [name]
    assert not list(tmp_path.glob("outside.mid")) + list((tmp_path / "one").glob("outside.mid"))


@pytest.mark.parametrize(("name", "pack"), [("music.zip", zipped), ("music.tar.gz", tarred)])
def test_a_damaged_archive_leaves_nothing_half_unpacked(server, tmp_path, name, pack):
    data = pack({f"{number}.mid": bytes(range(256)) * 9 for number in range(9)})
    archive = served(server, name, data[: len(data) // 2])
    with pytest.raises(DownloadError, match="could not be unpacked"):
        unpacked(archive, tmp_path)
    assert left_in(tmp_path) == [name]
