# SPDX-License-Identifier: GPL-2.0
"""The results of a run, as KTAP (Documentation/dev-tools/ktap.rst of the kernel)."""

import threading


class Report:
    """The results so far."""

    def __init__(self, total):
        self.total, self.passed, self.failed = total, 0, 0
        self.lock = threading.Lock()
        print(f"KTAP version 1\n1..{total}", flush=True)

    def add(self, name, passed, text, seconds):
        """Prints a result, with the output of a failed test."""
        with self.lock:
            self.passed += passed
            self.failed += not passed
            number = self.passed + self.failed
            word = "ok" if passed else "not ok"
            if not passed:
                print("\n".join(f"# {line}" for line in text.splitlines()))
            print(f"{word} {number} {name} # {seconds:.1f} s", flush=True)
