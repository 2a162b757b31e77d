"""musiclib: the code under the course "Deep Music by Ear: four generative music systems in notebooks"."""

import os
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("musiclib")
except PackageNotFoundError:  # a checkout on the path, never installed
    __version__ = "0+checkout"

# Torch's threads wait for each other in a busy loop, by default so long that two notebooks at once on a small machine
# hardly move. Read once, when torch is imported, so it stands here; alone, a notebook is as fast as without it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
