# SPDX-License-Identifier: GPL-2.0
"""Removes what was built from this checkout; `make clean ALL=1` empties the whole cache."""

import os
import shutil

from cache import CACHE, TOP, digest, say


def main():
    """Removes it."""
    mine = digest(str(TOP))
    for path in CACHE.iterdir():
        if path.name.startswith("root-"):
            continue
        if os.environ.get("ALL") or mine in path.name or path.name.startswith("guest-tmp"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    say("cleaned; the build root stays, remove its folder in the cache by hand if it must go")


if __name__ == "__main__":
    main()
