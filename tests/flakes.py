# SPDX-License-Identifier: GPL-2.0
"""Repeats all tests on an idle and on a busy machine, and reports whether each run passes.

`N=` sets the number of runs, 5 by default, first without load and then with two endless loops for
each CPU. `T=` selects tests.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
from cache import CACHE, say  # noqa: E402

TIMES = int(os.environ.get("N") or 5)
LOOPS_PER_CPU = 2


@contextlib.contextmanager
def busy():
    """Loads each CPU."""
    loops = LOOPS_PER_CPU * (os.cpu_count() or 1)
    # pylint: disable-next=consider-using-with
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in load:
            one.kill()
            one.wait()


def runs(kind, folder):
    """Runs the tests; returns the names of the logs of failed runs."""
    failed = []
    for number in range(1, TIMES + 1):
        log = folder / f"{kind}{number}.log"
        begun = time.monotonic()
        with open(log, "w", encoding="utf-8") as out:
            done = subprocess.run(
                [sys.executable, TOP / "tests/run.py"],
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        last = log.read_text(encoding="utf-8").splitlines()[-1]
        print(f"{kind} {number}: {last}, {time.monotonic() - begun:.0f} s", flush=True)
        if done.returncode:
            failed.append(log)
    return failed


def main():
    """Runs the tests without and with load."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="flakes-", dir=CACHE))
    failed = runs("idle", folder)
    with busy():
        failed += runs("busy", folder)
    for log in failed:
        lines = log.read_text(encoding="utf-8").splitlines()
        print("\n".join([f"{log}:", *(line for line in lines if line.startswith("not ok"))]))
    say(f"{len(failed)} of {2 * TIMES} runs failed; their output is in {folder}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
