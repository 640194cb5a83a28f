# SPDX-License-Identifier: GPL-2.0
"""Removes the builds of this checkout; `make clean ALL=1` removes all except the build root."""

import os
import shutil

from cache import CACHE, TOP, digest, say


def belongs(name):
    """Whether an entry of the cache belongs to this checkout, or is left from an interrupted
    run."""
    return digest(str(TOP)) in name or name.startswith("run-")


def remove(is_wanted):
    """Removes the entries of the cache whose names are wanted."""
    for path in CACHE.iterdir():
        if is_wanted(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def main():
    """Removes the entries."""
    # This program itself runs in the build root.
    is_kept = lambda name: name.startswith("root-")  # noqa: E731
    remove(lambda name: not is_kept(name) and (os.environ.get("ALL") or belongs(name)))
    shutil.rmtree(TOP / "build", ignore_errors=True)
    say("cleaned; the build root remains, and can be removed from the cache by hand")


if __name__ == "__main__":
    main()
