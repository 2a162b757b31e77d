"""Downloads, each with its checksum, into `data/cache`.

Notebooks: 01 from score to spectrogram, 05 scores to piano rolls.
"""

import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from musiclib.paths import CACHE
from musiclib.progress import progress_bar

pooch.get_logger().setLevel("WARNING")  # otherwise it tells every reader the path of the cache


class DownloadError(OSError):
    """A download failed or arrived damaged: the message names the file, the cause and the remedy."""


@dataclass(frozen=True)
class Resource:
    """A file on the net: the addresses to try in turn, and the sha256 that tells the right bytes."""

    name: str
    urls: tuple[str, ...]
    sha256: str


JSB = Resource(
    "jsb-chorales-quarter.json",
    (
        "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/jsb-chorales-quarter.json",
        "https://github.com/czhuang/JSB-Chorales-dataset/raw/master/jsb-chorales-quarter.json",
    ),
    "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
)

MAESTRO = Resource(
    "maestro-v3.0.0-midi.zip",  # 58 MB, CC BY-NC-SA 4.0
    ("https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",),
    "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
)
LAKH = Resource(
    "lmd_matched.tar.gz",  # 1.4 GB, CC BY 4.0
    ("http://hog.ee.columbia.edu/craffel/lmd/lmd_matched.tar.gz",),
    "621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
)
ARCHIVES = {"maestro": MAESTRO, "lakh": LAKH}


def download(resource: Resource, folder: Path = CACHE, timeout_s: float = 10.0, progress: bool = False) -> Path:
    """The resource's file, downloaded only once; a file in the cache with another checksum is replaced.

    Raises:
        DownloadError: no address gave the right bytes. Nothing is left half-written.
    """
    causes = []
    for url in resource.urls:
        try:
            bar = progress_bar(unit="B", unit_scale=True) if progress else False
            downloader = pooch.HTTPDownloader(timeout=timeout_s, progressbar=bar)
            return Path(pooch.retrieve(url, f"sha256:{resource.sha256}", resource.name, folder, downloader=downloader))
        except (ValueError, OSError, requests.RequestException) as error:  # pooch: ValueError for a wrong checksum
            causes.append(f"{url}: {'wrong checksum' if isinstance(error, ValueError) else type(error).__name__}")
    raise DownloadError(
        f"{resource.name} could not be downloaded ({'; '.join(causes)}): check the network, or put the file with "
        f"sha256 {resource.sha256} at {folder / resource.name}."
    )


def unpacked(resource: Resource, folder: Path = CACHE, timeout_s: float = 10.0, progress: bool = False) -> Path:
    """The folder of a zip or tar archive's content, downloaded and unpacked only once.

    Raises:
        DownloadError: it could not be downloaded, or does not unpack into a folder of its own. Nothing is left half
            unpacked.
    """
    target = folder / resource.name.split(".tar")[0].removesuffix(".zip")
    if target.exists():
        return target
    archive = download(resource, folder, timeout_s, progress)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{target.name}-"))
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                file.extractall(temporary)  # leaves out ".." and absolute paths
        else:
            with tarfile.open(archive) as file:
                file.extractall(temporary, filter="data")  # refuses what leads out of the folder
        temporary.chmod(0o755)
        os.rename(temporary, target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        if target.exists():  # another process was faster
            return target
        raise DownloadError(f"{archive} could not be unpacked ({error}): free disk space, or delete it.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
