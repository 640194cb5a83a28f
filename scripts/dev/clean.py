# SPDX-License-Identifier: GPL-2.0
"""Removes what was built from this checkout; `make clean ALL=1` all but the build root, too."""

import os
import shutil

from cache import CACHE, TOP, digest, say


def belongs(name):
    """Whether a thing in the cache is this checkout's, or was left by a run that was interrupted."""
    return digest(str(TOP)) in name or name.startswith("run-")


def main():
    """Removes it."""
    for path in CACHE.iterdir():
        # This very program runs in the build root.
        if path.name.startswith("root-"):
            continue
        if os.environ.get("ALL") or belongs(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    shutil.rmtree(TOP / "build", ignore_errors=True)
    say("cleaned; the build root stays, remove its folder in the cache by hand if it must go")


if __name__ == "__main__":
    main()
