# SPDX-License-Identifier: GPL-2.0
"""Builds and runs the fuzz targets, as cargo-fuzz does: libFuzzer without a sanitizer, because the
code under test is safe Rust with its checks enabled."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading

from cache import CACHE, TOP, digest, locked, run, say

TRIPLE = "x86_64-unknown-linux-gnu"
COVERAGE = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"]
# A run of `load` reads two regions.
RUNS = {"block": 600_000, "words": 600_000, "load": 20_000}
# Several targets may be requested at a time; one thread builds all of them.
BUILDING = threading.Lock()


@functools.cache
def build():
    """The directory of the built targets."""
    target, folder = CACHE / "fuzz", CACHE / f"fuzz-{digest(str(TOP))}"
    flags = ["--cfg", "fuzzing", "-Cpasses=sancov-module", "-Ccodegen-units=1"]
    flags += [f"-Cllvm-args=-sanitizer-coverage-{what}" for what in COVERAGE]
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--target", TRIPLE]
    environment = {**os.environ, "RUSTFLAGS": " ".join(flags)}
    folder.mkdir(exist_ok=True)
    with locked(target.name):
        run([*command, "--target-dir", target], cwd=TOP / "fuzz", env=environment)
        for name in RUNS:
            shutil.copy(target / TRIPLE / "release" / name, folder)
    return folder


def fuzz(name, runs, seed):
    """Runs a target; returns whether it found nothing, and its output."""
    with BUILDING:
        built = build()
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as found:
        words = [built / name, f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={found}/"]
        words += ["-close_fd_mask=1", "-print_final_stats=1", found, TOP / "fuzz/corpus" / name]
        done = subprocess.run(
            [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode == 0, done.stdout


def main():
    """Runs all targets for a long time, each time from another seed."""
    failed = False
    for name, runs in RUNS.items():
        seed = int.from_bytes(os.urandom(4), "little") | 1
        say(f"fuzzing {name}: {runs} runs from seed {seed} ...")
        good, text = fuzz(name, runs, seed)
        print("\n".join(text.splitlines()[-6 if good else -60 :]), flush=True)
        failed |= not good
    if failed:
        sys.exit("dm-remap: fuzzing found something, see above")
    say(f"fuzzing found nothing in {sum(RUNS.values())} runs")


if __name__ == "__main__":
    main()
