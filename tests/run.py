# SPDX-License-Identifier: GPL-2.0
"""Runs all tests: those of the source tree, of the host, and of the guests.

Prints KTAP, one result a test, and a line with the totals. `T=` selects tests by a part of their
name; commas separate several parts. Guest tests run in User-Mode Linux unless they need QEMU.
`QUICK=1` omits tests in QEMU and the fuzz targets; `UML=0` runs all guest tests in QEMU.
"""

import collections
import concurrent.futures
import pathlib
import sys
import tempfile
import time

from runner import AT_ONCE, NATIVE_AT_ONCE, harness, in_guests, on_host, tree  # isort: skip

# pylint: disable=wrong-import-order
import fuzz
import kernel
import module
import vm
from cache import CACHE, say
from runner.machine import WAITING
from runner.report import Report
from runner.settings import NATIVE, QUICK, WANTED, for_tests, is_wanted

# The number of runs of each fuzz target, with a constant seed.
FUZZ_RUNS = {"block": 10_000, "words": 50_000, "load": 1000}


def machine_tests():
    """All tests that run in guests."""
    tests = in_guests.listed()
    for native in [True, False] if NATIVE else [False]:
        tests += harness.tests(native)
    return [test for test in tests if is_wanted(test.name) and (test.native or not QUICK)]


def build_modules(tests):
    """Builds the modules, and boots and saves QEMU guests; returns the directories of the modules,
    by the flavours of the kernels."""
    flavours = sorted({test.shape.flavour for test in tests})
    built = {flavour: module.build(flavour, "PLANTED=m") for flavour in flavours}
    shapes = [test.shape for test in tests if not test.native]
    shapes = {shape.key(): shape for shape in shapes if shape.can_be_saved()}
    if shapes:
        say(f"booting and saving guests of {len(shapes)} kinds, unless cached ...")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(vm.state, shapes.values()))
    return built


def payloads(built, folder):
    """The disks with modules and tests, by the flavours of the kernels."""
    images = {flavour: folder / f"{flavour}.img" for flavour in built}
    for flavour, modules in built.items():
        begin = {"begin": for_tests(kernel.is_native(flavour))}
        vm.payload_image(images[flavour], modules.glob("**/*.ko"), flavour, begin)
    return images


def run_all(*queues):
    """Runs the jobs of the queues, one after another, concurrently with other callers."""
    for queue in queues:
        while True:
            try:
                one = queue.popleft()
            except IndexError:
                break
            one()


def timed(report, name, run):
    """Runs a test and reports it."""
    start = time.monotonic()
    try:
        passed, text = run()
    except (Exception, SystemExit) as error:  # pylint: disable=broad-except
        passed, text = False, f"the test could not be run: {error!r}"
    report.add(name, passed, text, time.monotonic() - start)


def run_queued(tests, host, fuzzed, images, report):
    """Runs guest tests, host tests and fuzz targets, several at a time."""
    native, busy, waits = collections.deque(), collections.deque(), collections.deque()
    for name, runs in fuzzed.items():
        run = lambda name=name, runs=runs: fuzz.fuzz(name, runs, 1)  # noqa: E731
        waits.append(lambda name=name, run=run: timed(report, f"fuzz.{name}", run))
    if host:
        native.append(lambda: on_host.run(host, report))
    for test in sorted(tests, key=lambda test: (-test.needs.seconds, not test.needs.waits)):
        queue = native if test.native else waits if test.needs.waits else busy
        run = lambda test=test: test.run(images[test.shape.flavour])  # noqa: E731
        queue.append(lambda test=test, run=run: timed(report, test.name, run))
    lanes = [(native, busy, waits)] * AT_ONCE + [(native, waits, busy)]
    lanes += [(native,)] * (NATIVE_AT_ONCE - len(lanes))
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        for one in [pool.submit(run_all, *lane) for lane in lanes]:
            one.result()
    WAITING.end()


def set_up():
    """Selects and builds: the guest tests with their modules, and the names of the host tests."""
    tests = machine_tests()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        any_of_host = any(not part or "host." in part for part in WANTED)
        names = pool.submit(on_host.built) if any_of_host else None
        built = pool.submit(build_modules, tests)
        host = (
            [name for name in names.result() if is_wanted(on_host.full_name(name))] if names else []
        )
        return tests, built.result(), host


def main():
    """Runs the selected tests."""
    begun = time.monotonic()
    tests, built, host = set_up()
    trees = {name: check for name, check in tree.TESTS.items() if is_wanted(name)}
    fuzzed = {
        name: runs for name, runs in FUZZ_RUNS.items() if is_wanted(f"fuzz.{name}") and not QUICK
    }
    total = len(tests) + len(trees) + len(host) + len(fuzzed)
    if not total:
        sys.exit(f"dm-remap: no test has '{','.join(WANTED)}' in its name")
    say(f"set up in {time.monotonic() - begun:.0f} s")
    report = Report(total)
    for name, check in trees.items():
        complaints = check()
        report.add(name, not complaints, "\n".join(complaints), 0)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        images = payloads(built, pathlib.Path(folder))
        emulated = [test for test in tests if not test.native]
        if emulated:
            in_guests.save_loaded(emulated, images["debug"], pathlib.Path(folder))
        run_queued(tests, host, fuzzed, images, report)
    say(f"tests took {time.monotonic() - begun:.0f} s")
    print(f"{report.passed} passed, {report.failed} failed", flush=True)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
