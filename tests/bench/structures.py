# SPDX-License-Identifier: GPL-2.0
"""The duration of searches and updates of the map at native speed, beside other structures
(Criterion)."""

import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
from cache import CACHE, locked, run  # noqa: E402

NAME = "structures"

if __name__ == "__main__":
    with locked(NAME):
        run(
            ["cargo", "bench", "--locked", "--target-dir", CACHE / NAME, "--", "--noplot"],
            cwd=TOP / "tests/bench/structures",
        )
