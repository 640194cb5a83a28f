# SPDX-License-Identifier: GPL-2.0
"""What the environment says of a run."""

import os

# Whether tests run in User-Mode Linux where they can, and whether all others are left out.
NATIVE = os.environ.get("UML") != "0"
QUICK = bool(os.environ.get("QUICK"))
# Parts of the names of the tests that are wanted.
WANTED = (os.environ.get("T") or "").split(",")
# Repeats the random choices of a test.
SEED = os.environ.get("SEED") or ""
# How often a test that is `repeated` is run.
TIMES = int(os.environ.get("TIMES") or 1)
# Operations against the model for each test. An emulated machine does a tenth of them, since one
# takes ten times as long there.
OPS = int(os.environ.get("OPS") or 1500)
# What tests read of their environment, and what it is if nobody says otherwise: how often a guest
# is killed, how many writes are logged and replayed, which part of the allocations fails, for how
# many seconds memory is swapped, and how often what might leak is repeated for each fifth of the
# loads (kmemleak finds little in few cycles).
FOR_TESTS = {"KILLS": "2", "WRITES": "8", "STEP": "384", "SWAP": "8", "CYCLES": "1"}


def is_wanted(name):
    """Whether the test with that name is to run."""
    return any(part in name for part in WANTED)


def for_tests(native):
    """The lines of shell that set the environment of the tests in a guest."""
    values = {name: os.environ.get(name) or default for name, default in FOR_TESTS.items()}
    values["OPS"] = OPS if native else OPS // 10
    return "".join(f"export {name}={value}\n" for name, value in values.items())
