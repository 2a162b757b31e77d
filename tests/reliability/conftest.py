"""What machines do to a run: these tests need a system that forks and limits its processes."""

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["*"]
