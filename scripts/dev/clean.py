# SPDX-License-Identifier: GPL-2.0
"""Removes the builds of this checkout; `make clean ALL=1` removes all except the build root."""

import os
import shutil

from cache import CACHE, TOP, digest, say


def belongs(name):
    """Whether an entry of the cache belongs to this checkout, or is left from an interrupted
    run."""
    return digest(str(TOP)) in name or name.startswith("run-")


def remove(is_unwanted):
    """Removes the entries of the cache whose names are unwanted."""
    for path in CACHE.iterdir():
        if is_unwanted(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def is_unwanted(name):
    """Whether `make clean` removes an entry: never the build root, in which it runs itself."""
    return not name.startswith("root-") and (os.environ.get("ALL") or belongs(name))


def main():
    """Removes the entries."""
    remove(is_unwanted)
    shutil.rmtree(TOP / "build", ignore_errors=True)
    say("cleaned; the build root remains, and can be removed from the cache by hand")


if __name__ == "__main__":
    main()
