# SPDX-License-Identifier: GPL-2.0
"""The host tests, which `cargo test` runs."""

import re
import subprocess

from cache import CARGO, TOP, cargo, say

from runner.settings import WANTED


def cargo_test(*words):
    """Builds the tests, and runs them with these arguments; returns the result of `cargo test`."""
    command = "cargo test --locked --workspace --lib --bins --tests --no-fail-fast".split()
    with cargo():
        return subprocess.run(
            [*command, "--target-dir", str(CARGO), "--", *words],
            cwd=TOP,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def built():
    """Builds the tests; returns their names, or a name that stands for all if they cannot be
    built."""
    say("building the host tests ...")
    listed = cargo_test("--list").stdout
    return re.findall(r"^(\S+): test$", listed, re.MULTILINE) or ["cargo_test"]


def run(names, report):
    """Runs the tests with these names, and reports them."""
    done = cargo_test("--exact", *names) if WANTED != [""] else cargo_test()
    results = re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", done.stdout, re.MULTILINE)
    failed = {name for name, word in results if word != "ok"}
    # Any other failure leaves the results of all tests unknown.
    passed = {name for name, _ in results} - failed if failed or not done.returncode else set()
    for name in names:
        report.add(full_name(name), name in passed, done.stdout, 0)


def full_name(name):
    """The name of a host test among all tests."""
    return f"host.{name.replace('::', '.')}"
