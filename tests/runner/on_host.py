# SPDX-License-Identifier: GPL-2.0
"""The tests of the host, which `cargo test` runs."""

import re
import subprocess

from cache import CARGO, TOP, cargo, say

from runner.settings import WANTED


def cargo_test(*words):
    """Builds the tests, and runs them with such words: what `cargo test` returned and printed."""
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
    """The names of the tests, which are built, or one that stands for them if they cannot be."""
    say("host tests are built ...")
    listed = cargo_test("--list").stdout
    return re.findall(r"^(\S+): test$", listed, re.MULTILINE) or ["cargo_test"]


def run(names, report):
    """Runs the tests that have these names, and reports them."""
    done = cargo_test("--exact", *names) if WANTED != [""] else cargo_test()
    results = re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", done.stdout, re.MULTILINE)
    failed = {name for name, word in results if word != "ok"}
    # What ended otherwise says nothing of any test.
    passed = {name for name, _ in results} - failed if failed or not done.returncode else set()
    for name in names:
        report.add(full_name(name), name in passed, done.stdout, 0)


def full_name(name):
    """What a test is called among all tests."""
    return f"host.{name.replace('::', '.')}"
