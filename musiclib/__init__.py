"""musiclib: the code under the course "Deep Music by Ear: four generative music systems in notebooks"."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("musiclib")
except PackageNotFoundError:  # a checkout on the path, never installed
    __version__ = "0+checkout"
