# SPDX-License-Identifier: GPL-2.0
"""The tests of the program guest-tests, and the QEMU guests that they start from."""

import concurrent.futures
import json
import pathlib
import random
import subprocess
import tempfile

import requests as host_requests
import tools
import vm
from cache import CACHE

from runner import AT_ONCE
from runner.machine import BEGINS, Machine, Needs, loaded
from runner.settings import SEED, TIMES

# The minimum number of tests for which a state is worth saving.
ENOUGH = 4


class Test(Machine):
    """A test of the program."""

    def __init__(self, name, needs):
        # Restored guests are identical, so random numbers come from here.
        seed = SEED or random.randrange(1 << 48)
        super().__init__(name, f"SEED={seed} exec guest-tests run {name} >&3\n", needs)
        # A native guest keeps the disks of its boot.
        self.shares = self.native and not self.shape.disks


def listed():
    """All tests of the program."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tools.build(folder, ["guest-tests"], "dev")
        program = pathlib.Path(folder) / "guest-tests"
        host_requests.check(subprocess.check_output([program, "requests"]))
        tests = json.loads(subprocess.check_output([program, "list"]))
    found = []
    for test in tests:
        needs = Needs(**test["needs"])
        found += [Test(test["name"], needs) for _ in range(TIMES if needs.repeated else 1)]
    return found


def save_loaded(tests, payload, folder):
    """Saves a guest with the module and the disks of most tests, for each shape of many tests."""
    shapes = {test.shape.key(): test.shape for test in tests if not test.shape.built_in()}
    users = {key: [test for test in tests if test.shape.key() == key] for key in shapes}

    def save_one(number, key):
        saved = folder / f"loaded{number}"
        saved.mkdir()
        loaded(vm.started(shapes[key], payload, BEGINS, saves=saved), saved).end()
        for test in users[key]:
            test.saved, test.shares = saved, isinstance(test, Test)

    many = [key for key in shapes if len(users[key]) >= ENOUGH]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for one in [pool.submit(save_one, *pair) for pair in enumerate(many)]:
            one.result()
