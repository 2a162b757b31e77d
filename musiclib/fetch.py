"""Downloads, each with its checksum, into `data/cache`.

Notebooks: 01 from score to spectrogram, 05 scores to piano rolls.
"""

import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from musiclib.paths import CACHE, atomic
from musiclib.progress import progress_bar


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
        DownloadError: no address gave the right bytes, or they cannot be kept. Nothing is left half-written.
    """
    target, causes = folder / resource.name, []
    if target.is_file() and pooch.file_hash(target) == resource.sha256:
        return target
    for url in resource.urls:
        bar = progress_bar(unit="B", unit_scale=True) if progress else False
        get = pooch.HTTPDownloader(timeout=timeout_s, progressbar=bar)
        try:
            with atomic(target) as temporary:
                get(url, str(temporary), None)
                if pooch.file_hash(temporary) != resource.sha256:
                    raise ValueError("wrong checksum")
            return target
        except requests.RequestException as error:
            causes.append(f"{url}: {type(error).__name__}")
        except ValueError as error:
            causes.append(f"{url}: {error}")
        except OSError as error:
            raise DownloadError(
                f"{resource.name} cannot be kept at {target} ({error.strerror}): free disk space, or check the rights "
                "to write there."
            ) from error
    raise DownloadError(
        f"{resource.name} could not be downloaded ({'; '.join(causes)}): check the network, or put the file with "
        f"sha256 {resource.sha256} at {target}."
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
    try:
        with atomic(target, folder=True) as temporary:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as file:
                    file.extractall(temporary)  # leaves out ".." and absolute paths
            else:
                with tarfile.open(archive) as file:
                    file.extractall(temporary, filter="data")  # refuses what leads out of the folder
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        if not target.exists():  # otherwise another process was faster
            raise DownloadError(f"{archive} could not be unpacked ({error}): free disk space, or delete it.") from error
    return target
