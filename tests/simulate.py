# SPDX-License-Identifier: GPL-2.0
"""Runs the simulation of the engine for long: `OPS=` operations, 10^8 by default, and all sequences
of `ACTS=` acts, four by default, in which each I/O fails once. `SEED=` is the first seed.

A failure names its world and seed: `simulate.py world NAME SEED` prints all that happens in it.
"""

import os
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
from cache import CARGO, cargo, run  # noqa: E402

OPERATIONS = os.environ.get("OPS") or "100000000"
ACTS = os.environ.get("ACTS") or "4"
SEED = os.environ.get("SEED") or "0"


def simulation(*words):
    """Runs the program with these words."""
    command = ["cargo", "run", "--quiet", "--locked", "--package", "simulation"]
    with cargo():
        run([*command, "--target-dir", CARGO, "--", *words], cwd=TOP)


def main(words):
    """Runs what the words say, or all."""
    if words:
        simulation(*words)
        return
    simulation("sequences", ACTS)
    simulation(OPERATIONS, SEED)


if __name__ == "__main__":
    main(sys.argv[1:])
