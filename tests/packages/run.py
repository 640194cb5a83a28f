# SPDX-License-Identifier: GPL-2.0
"""Tests of the Debian packages: built, installed as a person would, on stock kernels, and removed.

The tests share one Debian 13 and run in order: each begins with what the ones before it installed. Prints KTAP.
"""

import pathlib
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "scripts/dev")]

# pylint: disable=wrong-import-position
import deb  # noqa: E402
import steps  # noqa: E402
from cache import CACHE, say  # noqa: E402
from runner.report import Report  # noqa: E402

from root import Failed, Root  # noqa: E402


def timed(report, step, world):
    """Runs one test and reports it."""
    begun = time.monotonic()
    try:
        step(world)
        passed, text = True, ""
    except (AssertionError, Failed) as error:
        passed, text = False, str(error)
    report.add(f"packages.{step.__name__}", passed, text, time.monotonic() - begun)


def main():
    """Runs all tests."""
    begun = time.monotonic()
    packages = deb.build()
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as name:
        folder = pathlib.Path(name)
        root = Root(folder)
        try:
            report = Report(len(steps.ALL))
            world = steps.World(root, folder, packages)
            for step in steps.ALL:
                timed(report, step, world)
        finally:
            root.unmount()
    say(f"tests took {time.monotonic() - begun:.0f} s")
    print(f"{report.passed} passed, {report.failed} failed", flush=True)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
