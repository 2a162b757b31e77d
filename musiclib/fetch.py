"""Downloads, each with its checksum, into `data/cache`.

Notebook: 01 from score to spectrogram.
"""

from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from musiclib.paths import CACHE

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


def download(resource: Resource, folder: Path = CACHE, timeout_s: float = 10.0) -> Path:
    """The resource's file, downloaded only once; a file in the cache with another checksum is replaced.

    Raises:
        DownloadError: no address gave the right bytes. Nothing is left half-written.
    """
    causes = []
    for url in resource.urls:
        try:
            downloader = pooch.HTTPDownloader(timeout=timeout_s)
            return Path(pooch.retrieve(url, f"sha256:{resource.sha256}", resource.name, folder, downloader=downloader))
        except (ValueError, OSError, requests.RequestException) as error:  # pooch: ValueError for a wrong checksum
            causes.append(f"{url}: {'wrong checksum' if isinstance(error, ValueError) else type(error).__name__}")
    raise DownloadError(
        f"{resource.name} could not be downloaded ({'; '.join(causes)}): check the network, or put the file with "
        f"sha256 {resource.sha256} at {folder / resource.name}."
    )
