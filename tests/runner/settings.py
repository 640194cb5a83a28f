# SPDX-License-Identifier: GPL-2.0
"""The settings of a run, from the environment."""

import os

# Whether tests run in User-Mode Linux if possible, and whether all others are omitted.
NATIVE = os.environ.get("UML") != "0"
QUICK = bool(os.environ.get("QUICK"))
# Parts of the names of the selected tests.
WANTED = (os.environ.get("T") or "").split(",")
# The seed that repeats the random choices of a test.
SEED = os.environ.get("SEED") or ""
# The number of runs of a test that is `repeated`.
TIMES = int(os.environ.get("TIMES") or 1)
# Operations of each model test. An emulated machine does a tenth of them, because each takes ten
# times as long there.
OPS = int(os.environ.get("OPS") or 1500)
# Variables of the tests, and their defaults: the number of kills of a guest, the number of writes
# that are logged and replayed, the distance between failing allocations, the seconds of swapping,
# and the number of possible leaks for each fifth of the loads (kmemleak finds little in few
# cycles).
FOR_TESTS = {"KILLS": "2", "WRITES": "8", "STEP": "384", "SWAP": "8", "CYCLES": "1"}


def is_wanted(name):
    """Whether the test with that name is selected."""
    return any(part in name for part in WANTED)


def for_tests(native):
    """Shell lines that set the environment of the tests in a guest."""
    values = {name: os.environ.get(name) or default for name, default in FOR_TESTS.items()}
    values["OPS"] = OPS if native else OPS // 10
    return "".join(f"export {name}={value}\n" for name, value in values.items())
