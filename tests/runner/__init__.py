# SPDX-License-Identifier: GPL-2.0
"""The parts of the test runner, tests/run.py."""

import os
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/dev"))

# A guest for each CPU of the host, beside a guest that starts with tests that mostly wait. More
# guests would wait for each other, and each translates the kernel for itself.
AT_ONCE = os.cpu_count() or 1
# User-Mode Linux mostly waits for its own timers, so more of these guests run at a time.
NATIVE_AT_ONCE = 3 * AT_ONCE
